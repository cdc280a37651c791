#include <grpcpp/alarm.h>

#include <chrono>
#include <google/protobuf/util/message_differencer.h>

#include "proto/coffer/v1/watch.grpc.pb.h"
#include "rpc/messages.h"
#include "rpc/services.h"
#include "rpc/values.h"

namespace coffer::rpc {
namespace {

constexpr int kPollMillis = 500;

// One stream: asks, writes what is new, waits, asks again. gRPC and the gateway call it from their threads; one step is
// under way at a time, only the cancellation can come beside it. Deletes itself when gRPC is done with it.
class SealWatch final : public grpc::ServerWriteReactor<v1::SealStatusResponse>, public Pending {
 public:
  SealWatch(Gateway& gateway, grpc::CallbackServerContext& context) : gateway_(gateway), context_(context) {}

  void ask() {
    const Status status = gateway_.send(context_, {core::Operation::kRead, "sys/seal-status", nullptr}, *this);
    if (!status.ok())
      Finish(failure_of(status));
  }

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
    StartWrite(&last_);
  }

  void OnWriteDone(bool ok) override {
    if (!ok)
      return Finish(grpc::Status::CANCELLED);
    wait();
  }

  void OnCancel() override {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    if (alarm_)
      alarm_->Cancel();
  }

  void OnDone() override { delete this; }

 private:
  void wait() {
    {
      const std::lock_guard lock(mutex_);
      if (!cancelled_) {
        // A new one each time: the old one may still be inside its callback, which is where this runs.
        spent_ = std::move(alarm_);
        alarm_ = std::make_unique<grpc::Alarm>();
        const gpr_timespec when =
            gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(kPollMillis, GPR_TIMESPAN));
        alarm_->Set(when, [this](bool fired) { fired ? ask() : Finish(grpc::Status::CANCELLED); });
        return;
      }
    }
    Finish(grpc::Status::CANCELLED);
  }

  Gateway& gateway_;
  grpc::CallbackServerContext& context_;
  v1::SealStatusResponse last_;
  bool told_ = false;
  std::mutex mutex_;
  bool cancelled_ = false;              // guarded by mutex_, as is all below
  std::unique_ptr<grpc::Alarm> alarm_;
  std::unique_ptr<grpc::Alarm> spent_;
};

class WatchService final : public v1::Watch::CallbackService {
 public:
  explicit WatchService(Gateway& gateway) : gateway_(gateway) {}

  grpc::ServerWriteReactor<v1::SealStatusResponse>* SealStatus(grpc::CallbackServerContext* context,
                                                               const v1::WatchSealStatusRequest*) override {
    auto* watch = new SealWatch(gateway_, *context);
    watch->ask();
    return watch;
  }

 private:
  Gateway& gateway_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_watch_service(Gateway& gateway) { return std::make_unique<WatchService>(gateway); }

}  // namespace coffer::rpc
