#include "raft/progress.h"

#include <algorithm>

#include "base/check.h"

namespace coffer::raft {

namespace {

constexpr int kAnswersSmoothed = 8;

}  // namespace

bool Progress::can_send(const Options& options) const noexcept {
  switch (state_) {
    case State::kProbe:
      return !probe_sent_;
    case State::kReplicate:
      if (!inflight_.empty() && answer_time_ < kNearAnswerTimeMax)
        return false;
      return inflight_.size() < options.inflight_messages_max && inflight_bytes_ < options.inflight_bytes_max;
    case State::kSnapshot:
      return false;
  }
  return false;
}

void Progress::sent(Index last, std::size_t bytes, BootTime now) {
  COFFER_CHECK(state_ != State::kSnapshot);
  if (state_ == State::kProbe) {
    probe_sent_ = true;
    return;
  }
  if (last < next_)
    return;  // without entries
  inflight_.push_back({last, bytes, now});
  inflight_bytes_ += bytes;
  next_ = last.next();
}

void Progress::note_answer(Nanos taken) noexcept {
  answer_time_ = answer_time_ == Nanos(0) ? taken : answer_time_ + (taken - answer_time_) / kAnswersSmoothed;
}

bool Progress::acknowledged(Index match, BootTime now) {
  while (!inflight_.empty() && inflight_.front().last <= match) {
    note_answer(now - inflight_.front().sent);
    inflight_bytes_ -= inflight_.front().bytes;
    inflight_.pop_front();
  }
  const bool news = match > match_;
  if (news) {
    match_ = match;
    progressed_ = true;
  }
  next_ = std::max(next_, match_.next());
  if (state_ == State::kProbe) {
    probe_sent_ = false;
    state_ = State::kReplicate;
    next_ = match_.next();
    inflight_.clear();
    inflight_bytes_ = 0;
  } else if (state_ == State::kSnapshot && match_ >= snapshot_) {
    probe();
  }
  return news;
}

bool Progress::refused(Index rejected, Index hint) {
  if (state_ == State::kSnapshot || rejected <= match_)
    return false;
  if (state_ == State::kReplicate) {
    probe();
    return true;
  }
  if (rejected.next() != next_)
    return false;
  next_ = std::max(std::min(rejected, hint.next()), match_.next());
  probe_sent_ = false;
  return true;
}

void Progress::probe() {
  state_ = State::kProbe;
  next_ = match_.next();
  snapshot_ = Index(0);
  probe_sent_ = false;
  inflight_.clear();
  inflight_bytes_ = 0;
}

bool Progress::stalled() noexcept {
  const bool stalled = !inflight_.empty() && !progressed_;
  progressed_ = false;
  return stalled;
}

void Progress::snapshot(Index upto) {
  probe();
  state_ = State::kSnapshot;
  snapshot_ = upto;
}

void Progress::forget(Index until) {
  match_ = Index(0);
  probe();
  catch_up_to_ = until;
}

}  // namespace coffer::raft
