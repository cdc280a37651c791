#include "rpc/forward_calls.h"

#include <utility>

namespace coffer::rpc {

class ForwardCalls::Call {
 public:
  Call(ForwardCalls& calls, std::shared_ptr<grpc::Channel> channel, raft::NodeId to, std::string request,
       core::ClusterLink::Done done)
      : calls_(calls),
        channel_(std::move(channel)),
        stub_(cluster::v1::Cluster::NewStub(channel_)),
        to_(to),
        bytes_(request.size()),
        done_(std::move(done)) {
    request_.set_request(std::move(request));
    calls_.outstanding_.add();
  }

  raft::NodeId to() const { return to_; }
  std::size_t bytes() const { return bytes_; }
  void cancel() { context_.TryCancel(); }
  void start(Nanos time_max) {
    context_.set_deadline(grpc_deadline(time_max));
    stub_->async()->Forward(&context_, &request_, &reply_, [this](const grpc::Status& status) { finish(status); });
  }

 private:
  void finish(const grpc::Status& status) {
    {
      const std::lock_guard lock(calls_.mutex_);
      calls_.calls_.erase(this);
      calls_.bytes_ -= bytes_;
    }
    using Fate = core::ClusterLink::Fate;
    if (status.ok() && !reply_.refused())
      done_(Fate::kAnswered, std::move(*reply_.mutable_reply()));
    else if (status.ok() || status.error_code() == grpc::PERMISSION_DENIED)
      done_(Fate::kNotSent, "");
    else
      done_(Fate::kUnknown, "");
    Outstanding& outstanding = calls_.outstanding_;
    delete this;
    outstanding.done();
  }

  ForwardCalls& calls_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<cluster::v1::Cluster::Stub> stub_;
  const raft::NodeId to_;
  const std::size_t bytes_;
  core::ClusterLink::Done done_;
  grpc::ClientContext context_;
  cluster::v1::ForwardRequest request_;
  cluster::v1::ForwardReply reply_;
};

ForwardCalls::ForwardCalls(const ClusterBounds& bounds, Outstanding& outstanding)
    : bounds_(bounds), outstanding_(outstanding) {}

// mutex_ is held.
bool ForwardCalls::admit(std::size_t bytes) const {
  return !stopped_ && calls_.size() < bounds_.forwards && bytes <= bounds_.forward_bytes &&
         bytes_ + bytes <= bounds_.forward_bytes_held;
}

void ForwardCalls::send(const std::shared_ptr<grpc::Channel>& channel, raft::NodeId to, std::string request,
                        Nanos time_max, core::ClusterLink::Done done) {
  // gRPC does not say afterwards whether a call that failed was sent: what is given to a connection counts as sent, so
  // nothing is given to a channel without one.
  const bool connected = channel->GetState(true) == GRPC_CHANNEL_READY;
  {
    const std::lock_guard lock(mutex_);
    if (connected && admit(request.size())) {
      auto* const call = new Call(*this, channel, to, std::move(request), std::move(done));
      calls_.insert(call);
      bytes_ += call->bytes();
      call->start(time_max);
      return;
    }
  }
  done(core::ClusterLink::Fate::kNotSent, "");
}

void ForwardCalls::cancel(raft::NodeId to) {
  const std::lock_guard lock(mutex_);
  for (Call* call : calls_) {
    if (call->to() == to)
      call->cancel();
  }
}

void ForwardCalls::cancel_all() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  for (Call* call : calls_)
    call->cancel();
}

}  // namespace coffer::rpc
