#include <google/protobuf/util/message_differencer.h>

#include <mutex>

#include "proto/coffer/v1/watch.grpc.pb.h"
#include "rpc/messages.h"
#include "rpc/services.h"
#include "rpc/ticker.h"
#include "rpc/values.h"

namespace coffer::rpc {
namespace {

// gRPC passes a stream from thread to thread, in order, by means that the thread sanitizer cannot see. Each step meets
// the one before it here as well, where it can.
void see_handover() {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
}

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

 private:
  Gateway& gateway_;
  Ticker& ticker_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_watch_service(Gateway& gateway, Ticker& ticker) {
  return std::make_unique<WatchService>(gateway, ticker);
}

}  // namespace coffer::rpc
