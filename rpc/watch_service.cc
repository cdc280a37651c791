#include <google/protobuf/util/message_differencer.h>
#include <algorithm>

#include "core/events.h"
#include "proto/coffer/v1/watch.grpc.pb.h"
#include "rpc/event_watch.h"
#include "rpc/messages.h"
#include "rpc/services.h"
#include "rpc/ticker.h"
#include "rpc/values.h"

namespace coffer::rpc {
namespace {

// One stream: asks, writes what is new, waits, asks again. gRPC, the gateway and the ticker call it from their threads;
// one step is under way at a time, only the cancellation can come beside it. Deletes itself when gRPC is done with it.
class SealWatch final : public grpc::ServerWriteReactor<v1::SealStatusResponse>, public Pending, public Ticker::Client {
 public:
  SealWatch(Gateway& gateway, Ticker& ticker, grpc::CallbackServerContext& context)
      : gateway_(gateway), ticker_(ticker), context_(context) {}

  void tick() override {
    const Status status = gateway_.send(context_, {core::Operation::kRead, "sys/seal-status", nullptr}, *this);
    if (!status.ok())
      Finish(failure_of(status));
  }
  void stopped() override { Finish(failure_of(Status(Code::kUnavailable, "the server is stopping"))); }

  void answered(core::Exchange& exchange) override {
    if (exchange.response.has_errors() && !exchange.response.bare)
      return Finish(failure_of(exchange));
    const auto data = tree_of(exchange);
    if (!data.ok())
      return Finish(failure_of(data.status()));
    v1::SealStatusResponse now;
    fill_seal_status(*data, now);
    if (told_ && google::protobuf::util::MessageDifferencer::Equals(now, last_))
      return wait();
    last_ = now;
    told_ = true;
    see_handover();
    StartWrite(&last_);
  }

  void OnWriteDone(bool ok) override {
    see_handover();
    if (!ok)
      return Finish(grpc::Status::CANCELLED);
    wait();
  }

  void OnCancel() override {
    see_handover();
    if (ticker_.cancel(*this))
      Finish(grpc::Status::CANCELLED);
  }

  void OnDone() override { delete this; }

 private:
  void wait() {
    switch (ticker_.wait(*this)) {
      case Ticker::Wait::kWaiting: return;
      case Ticker::Wait::kCancelled: return Finish(grpc::Status::CANCELLED);
      case Ticker::Wait::kStopped: return stopped();
    }
  }

  Gateway& gateway_;
  Ticker& ticker_;
  grpc::CallbackServerContext& context_;
  v1::SealStatusResponse last_;
  bool told_ = false;
};

template <typename Request>
EventWatch::Interest interest_of(std::string_view type, const Request& request) {
  EventWatch::Interest interest;
  interest.type = type;
  interest.namespaces.assign(request.namespaces().begin(), request.namespaces().end());
  return interest;
}

// The name of a secret in an event: what follows the mount, and of version 2 the part of the API.
std::string_view secret_of(const core::Event& event) {
  std::string_view path = std::string_view(event.data_path).substr(event.mount_path.size());
  if (event.type.starts_with("kv-v2/"))
    path.remove_prefix(std::min(path.size(), path.find('/') + 1));
  return path;
}

class WatchService final : public v1::Watch::CallbackService {
 public:
  WatchService(Gateway& gateway, Ticker& ticker) : gateway_(gateway), ticker_(ticker) {}

  grpc::ServerWriteReactor<v1::SealStatusResponse>* SealStatus(grpc::CallbackServerContext* context,
                                                               const v1::WatchSealStatusRequest*) override {
    auto* watch = new SealWatch(gateway_, ticker_, *context);
    see_handover();
    watch->tick();
    return watch;
  }

  grpc::ServerWriteReactor<v1::Event>* Events(grpc::CallbackServerContext* context,
                                              const v1::WatchEventsRequest* request) override {
    EventWatch::Interest interest = interest_of(request->type(), *request);
    interest.filter = request->filter();
    return watch_events(*context, std::move(interest));
  }
  grpc::ServerWriteReactor<v1::Event>* KV(grpc::CallbackServerContext* context,
                                          const v1::WatchKVRequest* request) override {
    EventWatch::Interest interest = interest_of("kv-*", *request);
    const std::string mount = request->mount().empty() ? "" : under(request->mount(), "/", "");
    interest.wanted = [mount, path = request->path()](const core::Event& event) {
      return (mount.empty() || event.mount_path == mount) && secret_of(event).starts_with(path);
    };
    return watch_events(*context, std::move(interest));
  }
  grpc::ServerWriteReactor<v1::Event>* Leases(grpc::CallbackServerContext* context,
                                              const v1::WatchLeasesRequest* request) override {
    EventWatch::Interest interest = interest_of("lease/*", *request);
    interest.wanted = [prefix = request->prefix()](const core::Event& event) {
      return event.data_path.starts_with(prefix);
    };
    return watch_events(*context, std::move(interest));
  }

 private:
  grpc::ServerWriteReactor<v1::Event>* watch_events(const grpc::CallbackServerContext& context,
                                                    EventWatch::Interest interest) {
    auto* watch = new EventWatch(gateway_, ticker_, std::move(interest));
    watch->start(context);
    return watch;
  }

  Gateway& gateway_;
  Ticker& ticker_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_watch_service(Gateway& gateway, Ticker& ticker) {
  return std::make_unique<WatchService>(gateway, ticker);
}

}  // namespace coffer::rpc
