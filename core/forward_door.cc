#include "core/forward_door.h"

#include <new>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "core/forward.h"
#include "core/forward_paths.h"
#include "core/pipeline_state.h"

namespace coffer::core {
namespace {

// While this thread is inside the dispatcher for a door: what comes back meanwhile is seen to when it returns.
struct Inside {
  const void* door = nullptr;
  std::vector<std::pair<std::unique_ptr<Exchange>, bool>>* mail = nullptr;
};
thread_local Inside inside;

// What is not passed on at its own node must not get in here either: it would be answered about the wrong node.
Status check_way(const Request& request) {
  if (way_of(request) == Way::kForward)
    return ok_status();
  return Status(Code::kInvalid, "this is asked of the node that it is about, not passed from node to node");
}

}  // namespace

ForwardDoor::ForwardDoor(Dispatcher& dispatcher) : dispatcher_(dispatcher), thread_([this] { run(); }) {}

ForwardDoor::~ForwardDoor() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return out_ == 0; });
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void ForwardDoor::stop() {
  const std::lock_guard lock(mutex_);
  refusing_ = true;
}

std::unique_ptr<Exchange> ForwardDoor::take_exchange() {
  const std::lock_guard lock(mutex_);
  if (refusing_ || out_ >= kRequestsMax)
    return nullptr;
  ++out_;
  if (exchanges_.empty())
    return std::make_unique<Exchange>();
  auto exchange = std::move(exchanges_.back());
  exchanges_.pop_back();
  return exchange;
}

void ForwardDoor::take(raft::NodeId, std::string request, std::function<void(std::string reply)> reply) {
  auto exchange = take_exchange();
  if (exchange == nullptr) {
    forward::wipe_text(request);
    return reply(forward::encode_refusal(forward::Told::kFull));
  }
  Status status = forward::decode_request(request, *exchange);
  forward::wipe_text(request);
  if (status.ok())
    status = check_way(exchange->request);
  exchange->home = this;
  exchange->connection = std::make_unique<Reply>(std::move(reply)).release();  // finish() takes it back
  if (!status.ok()) {
    fail(*exchange, status);
    return finish(std::move(exchange));
  }
  exchange->pipeline->forwarded = true;
  std::vector<Mail> mail;
  std::vector<std::pair<std::unique_ptr<Exchange>, bool>> own;
  const Inside outer = std::exchange(inside, {this, &own});
  dispatcher_.dispatch(std::move(exchange));
  inside = outer;
  for (auto& [item, resume] : own)
    mail.push_back({std::move(item), resume});
  handle(std::move(mail));
}

void ForwardDoor::resume_later(std::unique_ptr<Exchange> exchange) { post({std::move(exchange), true}); }
void ForwardDoor::respond(std::unique_ptr<Exchange> exchange) { post({std::move(exchange), false}); }

void ForwardDoor::post(Mail mail) {
  if (inside.door == this) {
    inside.mail->emplace_back(std::move(mail.exchange), mail.resume);
    return;
  }
  const std::lock_guard lock(mutex_);
  mail_.push_back(std::move(mail));
  // Under the lock: once it is let go, this may be answered and the door be gone.
  if (mail_.size() == 1)
    changed_.notify_all();
}

void ForwardDoor::run() {
  std::vector<Mail> batch;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return !mail_.empty() || stopping_; });
      if (mail_.empty())
        return;
      batch.swap(mail_);
    }
    handle(std::move(batch));
    batch.clear();
  }
}

// In order; what a resumption leaves behind on this thread follows.
void ForwardDoor::handle(std::vector<Mail> mail) {
  for (std::size_t i = 0; i < mail.size(); ++i) {
    auto exchange = std::move(mail[i].exchange);
    if (!mail[i].resume) {
      finish(std::move(exchange));
      continue;
    }
    std::vector<std::pair<std::unique_ptr<Exchange>, bool>> own;
    const Inside outer = std::exchange(inside, {this, &own});
    dispatcher_.resume(std::move(exchange));
    inside = outer;
    for (auto& [item, resume] : own)
      mail.push_back({std::move(item), resume});
  }
}

void ForwardDoor::finish(std::unique_ptr<Exchange> exchange) {
  const std::unique_ptr<Reply> reply(static_cast<Reply*>(exchange->connection));
  std::string bytes;
  if (exchange->pipeline && exchange->pipeline->bounced) {
    bytes = forward::encode_refusal(forward::Told::kNotLeading);
  } else {
    if (exchange->response.stream != nullptr || exchange->response.feed != nullptr)
      fail(*exchange, 501, "this answer is a stream: it is given by the node that leads to those who ask there");
    Result<std::string> encoded = forward::encode_reply(*exchange);
    if (!encoded.ok()) {
      fail(*exchange, 500, "the request took effect, but its answer is " + encoded.status().message());
      encoded = forward::encode_reply(*exchange);
    }
    bytes = std::move(encoded).value();
  }
  exchange->reset();
  {
    const std::lock_guard lock(mutex_);
    if (exchanges_.size() < limits::kExchangesKeptMax)
      exchanges_.push_back(std::move(exchange));
  }
  (*reply)(std::move(bytes));
  const std::lock_guard lock(mutex_);
  COFFER_CHECK(out_ > 0);
  if (--out_ == 0)
    changed_.notify_all();
}

}  // namespace coffer::core
