#include "rpc/event_watch.h"

#include <mutex>

#include "base/time_text.h"
#include "core/event_feed.h"
#include "rpc/messages.h"

namespace coffer::rpc {
namespace {

grpc::Status status_of(core::FeedEnd end) {
  const std::string text(core::text_of(end));
  switch (end) {
    case core::FeedEnd::kBehind: return failure_of(Status(Code::kExhausted, text));
    case core::FeedEnd::kRefused: return failure_of(Status(Code::kDenied, text));
    case core::FeedEnd::kBroken: return failure_of(Status(Code::kInternal, text));
    default: return failure_of(Status(Code::kUnavailable, text));
  }
}

void fill_event(const core::Event& from, v1::Event& to) {
  to.Clear();
  to.set_id(from.id);
  to.set_type(from.type);
  to.set_time(format_time(from.time));
  to.set_namespace_(from.namespace_path);
  for (const auto& [name, value] : from.metadata)
    (*to.mutable_metadata())[name] = value;
  to.set_mount_path(from.mount_path);
  to.set_mount_class(from.mount_class);
  to.set_mount_accessor(from.mount_accessor);
  to.set_plugin(from.plugin);
}

}  // namespace

void see_handover() {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
}

EventWatch::EventWatch(Gateway& gateway, Ticker& ticker, Interest interest)
    : gateway_(gateway), ticker_(ticker), interest_(std::move(interest)) {}

EventWatch::~EventWatch() = default;

void EventWatch::start(const grpc::CallbackServerContext& context) {
  see_handover();
  Ask ask{core::Operation::kRead, "sys/events/subscribe/" + interest_.type,
          [this](json::Arena& arena) -> Result<json::Value> {
            json::ArrayBuilder namespaces(arena, interest_.namespaces.size());
            for (const std::string& pattern : interest_.namespaces)
              namespaces.add(pattern);
            return json::ObjectBuilder(arena, 3)
                .add("json", true)
                .add("namespaces", namespaces.build())
                .add("filter", interest_.filter)
                .build();
          }};
  ask.takes_feed = true;
  if (const Status status = gateway_.send(context, ask, *this); !status.ok())
    Finish(failure_of(status));
}

void EventWatch::answered(core::Exchange& exchange) {
  if (exchange.response.has_errors() || !exchange.response.feed)
    return Finish(failure_of(exchange));
  feed_ = std::move(exchange.response.feed);
  feed_->on_ready([this] { ticker_.hurry(*this); });
  see_handover();
  StartSendInitialMetadata();
}

void EventWatch::OnSendInitialMetadataDone(bool ok) {
  see_handover();
  if (!ok)
    return Finish(grpc::Status::CANCELLED);
  go_on();
}

void EventWatch::OnWriteDone(bool ok) { OnSendInitialMetadataDone(ok); }

void EventWatch::tick() { go_on(); }

void EventWatch::stopped() { Finish(failure_of(Status(Code::kUnavailable, "the server is stopping"))); }

void EventWatch::OnCancel() {
  see_handover();
  if (ticker_.cancel(*this))
    Finish(grpc::Status::CANCELLED);
}

// Unsubscribed first: nobody hurries what is gone.
void EventWatch::OnDone() {
  feed_.reset();
  delete this;
}

void EventWatch::go_on() {
  std::shared_ptr<const core::Event> event;
  for (;;) {
    switch (feed_->next(event)) {
      case core::EventFeed::Step::kEvent:
        if (interest_.wanted && !interest_.wanted(*event))
          continue;
        fill_event(*event, event_);
        see_handover();
        return StartWrite(&event_);
      case core::EventFeed::Step::kMore:
        continue;
      case core::EventFeed::Step::kNothing:
        return wait();
      case core::EventFeed::Step::kEnded:
        return Finish(status_of(feed_->end()));
    }
  }
}

void EventWatch::wait() {
  switch (ticker_.wait(*this)) {
    case Ticker::Wait::kWaiting: return;
    case Ticker::Wait::kCancelled: return Finish(grpc::Status::CANCELLED);
    case Ticker::Wait::kStopped: return stopped();
  }
}

}  // namespace coffer::rpc
