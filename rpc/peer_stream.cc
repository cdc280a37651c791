#include "rpc/peer_stream.h"

#include <grpcpp/alarm.h>

#include <utility>

#include "base/check.h"
#include "raft/wire.h"

namespace coffer::rpc {
namespace {

constexpr std::chrono::milliseconds kPause{100};           // after a stream that broke
constexpr std::size_t kFrameAppendBytesMax = 512u << 10;   // a heartbeat waits for one frame at most
constexpr std::size_t kFrameMessagesMax = 256;

}  // namespace

// One attempt. Its operations are started by whoever holds `writing`; the read that is always under way tells of the
// end, even while nothing is sent.
class PeerStream::Call final : public grpc::ClientBidiReactor<cluster::v1::RaftFrame, cluster::v1::RaftNews> {
 public:
  Call(std::shared_ptr<PeerStream> stream, std::shared_ptr<grpc::Channel> channel)
      : channel_(std::move(channel)), stub_(cluster::v1::Cluster::NewStub(channel_)), stream_(std::move(stream)) {
    stream_->outstanding_.add();
  }

  // Guarded by the stream's mutex.
  bool open = true;       // not broken, and holds may be taken
  bool accepted = false;  // by the peer
  bool writing = false;   // a frame is under way

  void start() {
    stub_->async()->Raft(&context_, this);
    AddHold();
    StartRead(&news_);
    StartCall();
  }
  void cancel() { context_.TryCancel(); }
  bool is_on(const grpc::Channel& channel) const { return channel_.get() == &channel; }
  // With a hold of the caller's.
  void write(std::vector<raft::Message> messages) {
    frame_.Clear();
    for (const raft::Message& message : messages)
      raft::encode_message(message, *frame_.add_messages());
    StartWrite(&frame_);
  }

  void OnReadInitialMetadataDone(bool ok) override {
    if (ok)
      stream_->connected(*this);
  }
  void OnReadDone(bool ok) override {
    if (!ok)
      return stream_->broke(*this);
    stream_->asked(*this);
    StartRead(&news_);
  }
  void OnWriteDone(bool ok) override {
    if (ok)
      stream_->wrote(*this);
    else
      cancel();
  }
  void OnDone(const grpc::Status& status) override {
    stream_->ended(*this, status);
    Outstanding& outstanding = stream_->outstanding_;
    delete this;
    outstanding.done();
  }

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<cluster::v1::Cluster::Stub> stub_;
  const std::shared_ptr<PeerStream> stream_;
  grpc::ClientContext context_;
  cluster::v1::RaftFrame frame_;
  cluster::v1::RaftNews news_;
};

// An alarm keeps its function until it is gone, so each pause has its own.
struct PeerStream::Pause {
  grpc::Alarm alarm;
  std::shared_ptr<PeerStream> stream;
};

PeerStream::PeerStream(raft::NodeId to, std::shared_ptr<grpc::Channel> channel, const ClusterBounds& bounds,
                       Outstanding& outstanding, Hooks hooks)
    : to_(to), bounds_(bounds), outstanding_(outstanding), hooks_(std::move(hooks)), channel_(std::move(channel)) {}

void PeerStream::open() { begin(); }

void PeerStream::begin() {
  const std::lock_guard lock(mutex_);
  if (closed_)
    return;
  COFFER_CHECK(call_ == nullptr && next_ == nullptr);
  call_ = new Call(shared_from_this(), channel_);
  call_->start();
}

void PeerStream::send(std::vector<raft::Message> messages) {
  Call* call = nullptr;
  std::vector<raft::Message> frame;
  {
    const std::lock_guard lock(mutex_);
    for (raft::Message& message : messages) {
      if (!connected_ || !enqueue(std::move(message)))
        dropped_.fetch_add(1, std::memory_order_relaxed);
    }
    if (!connected_ || leaving_ || call_->writing)
      return;
    frame = take();
    if (frame.empty())
      return;
    call = call_;
    call->writing = true;
    call->AddHold();
  }
  write(*call, std::move(frame));
}

// mutex_ is held. False: no room.
bool PeerStream::enqueue(raft::Message message) {
  if (message.kind != raft::MessageKind::kAppend) {
    if (others_.size() >= bounds_.messages_queued)
      return false;
    others_.push_back(std::move(message));
    return true;
  }
  const std::size_t bytes = raft::encoded_bytes_max(message);
  if (bytes > raft::kMessageBytesMax || append_bytes_ + bytes > bounds_.append_bytes_queued)
    return false;
  append_bytes_ += bytes;
  appends_.push_back(std::move(message));
  return true;
}

// mutex_ is held. The next frame: what is no append first, for none of it depends on the appends before it.
std::vector<raft::Message> PeerStream::take() {
  std::vector<raft::Message> out;
  while (!others_.empty() && out.size() < kFrameMessagesMax) {
    out.push_back(std::move(others_.front()));
    others_.pop_front();
  }
  std::size_t bytes = 0;
  while (!appends_.empty() && out.size() < kFrameMessagesMax) {
    const std::size_t next = raft::encoded_bytes_max(appends_.front());
    if (bytes != 0 && bytes + next > kFrameAppendBytesMax)
      break;
    bytes += next;
    append_bytes_ -= next;
    out.push_back(std::move(appends_.front()));
    appends_.pop_front();
  }
  return out;
}

// Encodes outside of the lock. The caller has set `writing` and taken a hold, which goes here.
void PeerStream::write(Call& call, std::vector<raft::Message> messages) {
  sent_.fetch_add(messages.size(), std::memory_order_relaxed);
  call.write(std::move(messages));
  call.RemoveHold();
}

void PeerStream::connected(Call& call) {
  bool recovered = false;
  {
    const std::lock_guard lock(mutex_);
    if (!call.open || closed_)
      return;
    call.accepted = true;
    if (call_ != &call)
      return;
    connected_ = true;
    recovered = !std::exchange(last_error_, "").empty();
  }
  hooks_.connected();
  if (recovered && hooks_.log)
    hooks_.log("cluster: " + crypto::node_dns_name(to_.get()) + ": connected again");
}

void PeerStream::asked(const Call& call) {
  {
    const std::lock_guard lock(mutex_);
    // The one that was prepared hears of it itself, if it came by the old door too.
    if (closed_ || (call_ == &call && next_ != nullptr))
      return;
  }
  hooks_.asked();
}

void PeerStream::wrote(Call& call) {
  std::vector<raft::Message> frame;
  {
    const std::lock_guard lock(mutex_);
    COFFER_CHECK(call.writing && call_ == &call);
    if (call.open && !leaving_)
      frame = take();
    if (frame.empty()) {
      call.writing = false;
      if (leaving_)
        leave();
      return;
    }
    call.AddHold();
  }
  write(call, std::move(frame));
}

void PeerStream::broke(Call& call) {
  {
    const std::lock_guard lock(mutex_);
    COFFER_CHECK(call.open);
    call.open = false;
    if (call_ == &call && !leaving_) {
      connected_ = false;
      drop_queue();
    }
  }
  call.RemoveHold();
}

void PeerStream::ended(Call& call, const grpc::Status& status) {
  std::string line;
  Call* next = nullptr;
  std::vector<raft::Message> frame;
  {
    const std::lock_guard lock(mutex_);
    COFFER_CHECK((call_ == &call || next_ == &call) && !call.open);
    const bool moves = call_ == &call && leaving_;
    (call_ == &call ? call_ : next_) = nullptr;
    const std::string error = status.ok() ? "the stream ended" : status.error_message();
    if (!closed_ && !(moves && status.ok()) && error != last_error_) {
      last_error_ = error;
      line = "cluster: " + crypto::node_dns_name(to_.get()) + ": " + error;
    }
    if (call_ == nullptr)
      next = promote(frame);
  }
  if (next != nullptr)
    write(*next, std::move(frame));
  if (!line.empty() && hooks_.log)
    hooks_.log(line);
}

// mutex_ is held; there is no call. The one that was prepared goes on with the queue: it is returned with a hold if
// there is something to write. Without one another is made after a pause.
PeerStream::Call* PeerStream::promote(std::vector<raft::Message>& frame) {
  leaving_ = false;
  call_ = std::exchange(next_, nullptr);
  connected_ = !closed_ && call_ != nullptr && call_->open && call_->accepted;
  if (!connected_)
    drop_queue();
  if (call_ == nullptr && !closed_)
    rest();
  if (connected_)
    last_error_.clear();
  if (!connected_ || (frame = take()).empty())
    return nullptr;
  call_->writing = true;
  call_->AddHold();
  return call_;
}

void PeerStream::prepare(std::shared_ptr<grpc::Channel> channel) {
  const std::lock_guard lock(mutex_);
  channel_ = std::move(channel);
  if (closed_ || call_ == nullptr)
    return;
  COFFER_CHECK(next_ == nullptr);
  next_ = new Call(shared_from_this(), channel_);
  next_->start();
}

bool PeerStream::prepared() const {
  const std::lock_guard lock(mutex_);
  if (next_ != nullptr)
    return next_->open && next_->accepted;
  return connected_ && call_->is_on(*channel_);
}

void PeerStream::cross() {
  const std::lock_guard lock(mutex_);
  if (closed_ || call_ == nullptr || call_->is_on(*channel_))
    return;
  if (next_ == nullptr || !next_->open || !next_->accepted)
    return call_->cancel();
  leaving_ = true;
  leave();
}

// mutex_ is held. An open call has a hold, so it can be told.
void PeerStream::leave() {
  if (call_->open && !call_->writing)
    call_->StartWritesDone();
}

void PeerStream::hurry() {
  const std::lock_guard lock(mutex_);
  if (call_ != nullptr && !call_->is_on(*channel_))
    call_->cancel();
}

bool PeerStream::settled() const {
  const std::lock_guard lock(mutex_);
  return next_ == nullptr && (call_ == nullptr || call_->is_on(*channel_));
}

// mutex_ is held.
void PeerStream::rest() {
  COFFER_CHECK(pause_ == nullptr);
  auto* const pause = new Pause{{}, shared_from_this()};
  pause_ = pause;
  outstanding_.add();
  pause->alarm.Set(grpc_deadline(kPause), [pause](bool) {
    PeerStream& stream = *pause->stream;
    Outstanding& outstanding = stream.outstanding_;
    {
      const std::lock_guard lock(stream.mutex_);
      stream.pause_ = nullptr;
    }
    stream.begin();
    delete pause;
    outstanding.done();
  });
}

// mutex_ is held.
void PeerStream::drop_queue() {
  dropped_.fetch_add(appends_.size() + others_.size(), std::memory_order_relaxed);
  appends_.clear();
  others_.clear();
  append_bytes_ = 0;
}

void PeerStream::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  connected_ = false;
  drop_queue();
  for (Call* const call : {call_, next_})
    if (call != nullptr)
      call->cancel();
  if (pause_ != nullptr)
    pause_->alarm.Cancel();
}

bool PeerStream::connected() const {
  const std::lock_guard lock(mutex_);
  return connected_;
}

}  // namespace coffer::rpc
