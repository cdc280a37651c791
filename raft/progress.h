// What a leader knows of one peer's log, and how much it has under way to it.
//
// Threads: one (the node's).
#pragma once

#include <chrono>
#include <deque>

#include "raft/types.h"

namespace coffer::raft {

// To a peer that answers faster than this one append is under way at a time: what comes meanwhile goes out together
// with its answer, in one message and one sync of the disk there, where more would wait for that disk all the same. A
// peer farther away is sent the next append before it has answered.
inline constexpr Nanos kNearAnswerTimeMax{std::chrono::milliseconds(10)};

class Progress {
 public:
  // kProbe: where the logs part is not known; one append at a time. kReplicate: appends are sent ahead of their
  // replies. kSnapshot: nothing is appended until the shell reports how the snapshot went.
  enum class State : std::uint8_t { kProbe, kReplicate, kSnapshot };

  Progress(NodeId id, Index next, BootTime now) : id_(id), next_(next), heard_(now) {}

  NodeId id() const noexcept { return id_; }
  State state() const noexcept { return state_; }
  Index match() const noexcept { return match_; }
  Index next() const noexcept { return next_; }

  // May another append go out now?
  bool can_send(const Options& options) const noexcept;
  // Entries are under way: the answer to them lets more go out.
  bool waits() const noexcept { return !inflight_.empty(); }
  // An append with entries up to `last` was sent (in probe: any append).
  void sent(Index last, std::size_t bytes, BootTime now);
  // The peer has everything up to `match`. False when that was known.
  bool acknowledged(Index match, BootTime now);
  // The peer refused what followed `rejected`; its log may match at `hint`. False when the refusal is of no use any
  // more.
  bool refused(Index rejected, Index hint);
  void probe();
  // A heartbeat came back: a lost probe may be sent again.
  void allow_probe() noexcept { probe_sent_ = false; }
  // Appends are under way, and none was acknowledged since the last call of this.
  bool stalled() noexcept;
  void snapshot(Index upto);
  Index snapshot_upto() const noexcept { return snapshot_; }

  void hear(BootTime now) noexcept { heard_ = now; }
  BootTime heard() const noexcept { return heard_; }

  // The peer lost part of what it had acknowledged: nothing of it counts until it has reached `until` again.
  void forget(Index until);
  void caught_up() noexcept { catch_up_to_ = Index(0); }
  Index catch_up_to() const noexcept { return catch_up_to_; }

  // Read and written by the leader's part of the core alone.
  std::uint64_t round = 0;        // last heartbeat round that came back
  std::uint64_t incarnation = 0;  // highest seen
  Index commit_told;

 private:
  struct Inflight {
    Index last;
    std::size_t bytes;
    BootTime sent;
  };

  void note_answer(Nanos taken) noexcept;

  NodeId id_;
  State state_ = State::kProbe;
  bool probe_sent_ = false;
  bool progressed_ = true;
  Index match_;
  Index next_;
  Index snapshot_;
  Index catch_up_to_;
  BootTime heard_;
  std::deque<Inflight> inflight_;
  std::size_t inflight_bytes_ = 0;
  Nanos answer_time_{0};  // smoothed; 0: none was measured
};

}  // namespace coffer::raft
