#include "rpc/snapshot_sender.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/disk.h"
#include "raft/wire.h"

namespace coffer::rpc {

// Its reactions and the worker's jobs take turns: one of them is under way at a time. Deletes itself.
class SnapshotSender::Call final : public grpc::ClientWriteReactor<cluster::v1::SnapshotPiece>, public Transfer {
 public:
  Call(SnapshotSender& sender, std::shared_ptr<grpc::Channel> channel, raft::NodeId to, std::unique_ptr<File> file,
       std::uint64_t size, Done done)
      : sender_(sender),
        channel_(std::move(channel)),
        stub_(cluster::v1::Cluster::NewStub(channel_)),
        to_(to),
        file_(std::move(file)),
        size_(size),
        done_(std::move(done)) {
    sender_.outstanding_.add();
    sender_.worker_.watch(*this);
  }

  void start(const raft::Message& message) {
    raft::encode_message(message, *piece_.mutable_start()->mutable_message());
    piece_.mutable_start()->set_size(size_);
    stub_->async()->Snapshot(&context_, &taken_, this);
    AddHold();  // for the jobs, which are no operations of gRPC
    StartWrite(&piece_);
    StartCall();
  }
  void cancel() { context_.TryCancel(); }
  void give_up() override { cancel(); }

  void OnWriteDone(bool ok) override {
    if (!ok)
      return RemoveHold();
    moved(sender_.clock_.boot_now());
    sender_.worker_.post([this] { next(); });
  }
  void OnWritesDoneDone(bool) override { RemoveHold(); }

  void OnDone(const grpc::Status& status) override {
    sender_.worker_.forget(*this);
    {
      const std::lock_guard lock(sender_.mutex_);
      sender_.calls_.erase(to_);
    }
    file_.reset();
    if (!failure_.ok())
      done_(failure_);
    else if (!status.ok())
      done_(Status(Code::kUnavailable, "snapshot: " + status.error_message()));
    else
      done_(ok_status());
    Outstanding& outstanding = sender_.outstanding_;
    delete this;
    outstanding.done();
  }

 private:
  ~Call() override = default;

  // The worker's job.
  void next() {
    if (read_ == size_)
      return StartWritesDone();
    piece_.clear_start();
    std::string& data = *piece_.mutable_data();
    data.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kSnapshotPieceBytes, size_ - read_)));
    const auto got = file_->read_at(read_, std::span(data.data(), data.size()));
    if (!got.ok())
      return fail(got.status());
    if (*got != data.size())
      return fail(Status(Code::kIo, "snapshot: its file became shorter"));
    read_ += data.size();
    StartWrite(&piece_);
  }
  void fail(Status status) {
    failure_ = std::move(status);
    cancel();
    RemoveHold();
  }

  SnapshotSender& sender_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<cluster::v1::Cluster::Stub> stub_;
  const raft::NodeId to_;
  std::unique_ptr<File> file_;
  const std::uint64_t size_;
  std::uint64_t read_ = 0;
  Done done_;
  grpc::ClientContext context_;
  cluster::v1::SnapshotPiece piece_;
  cluster::v1::SnapshotTaken taken_;
  Status failure_;  // of the file
};

SnapshotSender::SnapshotSender(DiskWorker& worker, const Clock& clock, Outstanding& outstanding)
    : worker_(worker), clock_(clock), outstanding_(outstanding) {}

void SnapshotSender::send(const std::shared_ptr<grpc::Channel>& channel, const raft::Message& message,
                          const std::string& path, Done done) {
  COFFER_CHECK(message.kind == raft::MessageKind::kSnapshot);
  auto file = posix_disk().open(path, OpenMode::kRead);
  if (!file.ok())
    return done(file.status());
  const auto size = (*file)->size();
  if (!size.ok())
    return done(size.status());
  Status refused;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_)
      refused = Status(Code::kUnavailable, "snapshot: the node is stopping");
    else if (calls_.contains(message.to))
      refused = Status(Code::kExhausted, "snapshot: one is already under way to this node");
    if (refused.ok()) {
      auto* const call = new Call(*this, channel, message.to, std::move(file).value(), *size, std::move(done));
      calls_.emplace(message.to, call);
      call->start(message);
      return;
    }
  }
  done(refused);
}

void SnapshotSender::cancel(raft::NodeId to) {
  const std::lock_guard lock(mutex_);
  if (const auto call = calls_.find(to); call != calls_.end())
    call->second->cancel();
}

void SnapshotSender::cancel_all() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  for (const auto& [to, call] : calls_)
    call->cancel();
}

}  // namespace coffer::rpc
