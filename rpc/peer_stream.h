// The stream of Raft's messages to one other node: a bounded queue, and the call that drains it. When the call breaks,
// what is queued is dropped and a new one is tried after a pause; the core sends again what matters.
//
// It can move to another channel without losing anything: a second call is made there, the first one is ended behind
// its last message, and when the peer has read to that end the second one goes on with the queue. Internal to rpc/.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "proto/coffer/cluster/v1/cluster.grpc.pb.h"
#include "raft/types.h"
#include "rpc/cluster.h"
#include "rpc/cluster_channel.h"

namespace coffer::rpc {

class PeerStream final : public std::enable_shared_from_this<PeerStream> {
 public:
  // Both are called on threads of gRPC, and none after close() and the end of what is outstanding.
  struct Hooks {
    std::function<void()> connected;  // the peer has accepted a stream
    std::function<void()> asked;      // it wants another connection
    LogFn log;
  };

  // `outstanding` outlives what it counts.
  PeerStream(raft::NodeId to, std::shared_ptr<grpc::Channel> channel, const ClusterBounds& bounds,
             Outstanding& outstanding, Hooks hooks);

  // Any thread, as all of it. Once.
  void open();
  // Takes as many as there is room for; never waits.
  void send(std::vector<raft::Message> messages);
  // No stream is opened any more, and the one there is ends soon.
  void close();

  // A move: begin with a connection on `channel`; when it is prepared(), or has had its time, cross over; until it is
  // settled() hurry() ends the wait for what the peer has yet to read, which may lose it. One at a time.
  void prepare(std::shared_ptr<grpc::Channel> channel);
  bool prepared() const;
  void cross();
  void hurry();
  bool settled() const;

  bool connected() const;
  std::uint64_t sent() const noexcept { return sent_.load(std::memory_order_relaxed); }
  std::uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }

 private:
  class Call;
  struct Pause;

  void begin();
  bool enqueue(raft::Message message);
  std::vector<raft::Message> take();
  void connected(Call& call);
  void asked(const Call& call);
  void wrote(Call& call);
  void leave();
  Call* promote(std::vector<raft::Message>& frame);
  // The first sign that the call is over.
  void broke(Call& call);
  void ended(Call& call, const grpc::Status& status);
  void rest();
  void drop_queue();
  void write(Call& call, std::vector<raft::Message> messages);

  const raft::NodeId to_;
  const ClusterBounds bounds_;
  Outstanding& outstanding_;
  const Hooks hooks_;

  mutable std::mutex mutex_;  // guards what follows
  std::shared_ptr<grpc::Channel> channel_;  // of the next call
  bool closed_ = false;
  Call* call_ = nullptr;      // under way; deletes itself after ended()
  Call* next_ = nullptr;      // of a move; silent until `call_` has ended
  bool leaving_ = false;      // `call_` says no more than it has begun to
  bool connected_ = false;    // the peer has accepted `call_`, or `next_` when that leaves
  Pause* pause_ = nullptr;    // before the next call; deletes itself
  std::deque<raft::Message> appends_;
  std::deque<raft::Message> others_;
  std::size_t append_bytes_ = 0;
  std::string last_error_;    // was told to the log

  std::atomic<std::uint64_t> sent_{0};
  std::atomic<std::uint64_t> dropped_{0};
};

}  // namespace coffer::rpc
