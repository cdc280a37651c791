#include "core/expiry.h"

#include <algorithm>

#include "base/check.h"

namespace coffer::core {
namespace {

// Four children a node: half the levels of a binary heap, and the four stand in one cache line.
constexpr std::uint32_t kChildren = 4;

}  // namespace

void Expiry::put(std::string_view id, WallTime end) {
  COFFER_CHECK(id.size() <= kIdBytesMax);
  const auto [it, added] = leases_.try_emplace(std::string(id));
  Lease& lease = it->second;
  if (added) {
    lease.due = end.time_since_epoch().count();
    push(*it);
    return;
  }
  if (lease.state != State::kWaiting || lease.tries > 0)
    return;
  pop(lease.slot);
  lease.due = end.time_since_epoch().count();
  push(*it);
}

void Expiry::revoked(std::string_view id) {
  const auto it = leases_.find(std::string(id));
  if (it == leases_.end())
    return;
  switch (it->second.state) {
    case State::kWaiting:
      pop(it->second.slot);
      break;
    case State::kInFlight:
      --in_flight_;
      break;
    case State::kIrrevocable:
      --irrevocable_;
      break;
  }
  leases_.erase(it);
}

void Expiry::failed(std::string_view id, WallTime now) {
  const auto it = leases_.find(std::string(id));
  if (it == leases_.end() || it->second.state != State::kInFlight)
    return;
  Lease& lease = it->second;
  --in_flight_;
  ++lease.tries;
  if (lease.tries >= options_.tries_max) {
    lease.state = State::kIrrevocable;
    ++irrevocable_;
    return;
  }
  const Nanos pause = std::min(options_.pause_max, options_.first_pause * (1u << (lease.tries - 1)));
  lease.state = State::kWaiting;
  lease.due = (now + pause).time_since_epoch().count();
  push(*it);
}

bool Expiry::retry(std::string_view id, WallTime now) {
  const auto it = leases_.find(std::string(id));
  if (it == leases_.end() || it->second.state != State::kIrrevocable)
    return false;
  --irrevocable_;
  it->second = Lease{now.time_since_epoch().count(), State::kWaiting, 0, 0};
  push(*it);
  return true;
}

void Expiry::clear() {
  heap_.clear();
  leases_.clear();
  in_flight_ = irrevocable_ = 0;
}

Expiry::Step Expiry::step(WallTime now) {
  Step out;
  const std::int64_t at = now.time_since_epoch().count();
  while (!heap_.empty() && heap_.front()->second.due <= at) {
    if (out.revoke.size() >= options_.step_leases_max || in_flight_ >= options_.in_flight_leases_max)
      break;
    Entry& entry = *heap_.front();
    pop(0);
    entry.second.state = State::kInFlight;
    ++in_flight_;
    out.revoke.push_back(entry.first);
  }
  // Full: the next report is what wakes, not the time.
  if (!heap_.empty() && in_flight_ < options_.in_flight_leases_max)
    out.wake_at = std::max(now, WallTime(Nanos(heap_.front()->second.due)));
  return out;
}

std::vector<std::string> Expiry::irrevocable(std::size_t count_max) const {
  std::vector<std::string> out;
  if (irrevocable_ == 0)
    return out;
  for (const auto& [id, lease] : leases_) {
    if (lease.state == State::kIrrevocable && out.size() < count_max)
      out.push_back(id);
  }
  std::sort(out.begin(), out.end());
  return out;
}

void Expiry::place(std::uint32_t slot, Entry* entry) {
  heap_[slot] = entry;
  entry->second.slot = slot;
}

void Expiry::push(Entry& entry) {
  COFFER_CHECK(entry.second.state == State::kWaiting);
  heap_.push_back(&entry);
  entry.second.slot = static_cast<std::uint32_t>(heap_.size() - 1);
  move_up(entry.second.slot);
}

void Expiry::pop(std::uint32_t slot) {
  COFFER_CHECK(slot < heap_.size());
  Entry* last = heap_.back();
  heap_.pop_back();
  if (slot == heap_.size())
    return;
  place(slot, last);
  move_up(slot);
  move_down(last->second.slot);
}

void Expiry::move_up(std::uint32_t slot) {
  Entry* entry = heap_[slot];
  while (slot > 0) {
    const std::uint32_t parent = (slot - 1) / kChildren;
    if (heap_[parent]->second.due <= entry->second.due)
      break;
    place(slot, heap_[parent]);
    slot = parent;
  }
  place(slot, entry);
}

void Expiry::move_down(std::uint32_t slot) {
  Entry* entry = heap_[slot];
  for (;;) {
    const std::size_t first = static_cast<std::size_t>(slot) * kChildren + 1;
    if (first >= heap_.size())
      break;
    const std::size_t end = std::min(first + kChildren, heap_.size());
    std::size_t best = first;
    for (std::size_t child = first + 1; child < end; ++child) {
      if (heap_[child]->second.due < heap_[best]->second.due)
        best = child;
    }
    if (entry->second.due <= heap_[best]->second.due)
      break;
    place(slot, heap_[best]);
    slot = static_cast<std::uint32_t>(best);
  }
  place(slot, entry);
}

}  // namespace coffer::core
