// What runs out when: leases and tokens by cluster time. Says what to revoke now and when to ask again; revoking is the
// caller's.
//
// A lease stays here until revoked() says that it is gone. One whose revocation failed is tried again with growing
// pauses; after the last try it is irrevocable: kept, listed, tried again only when an operator asks.
// Threads: one (the expiry actor's). No clock: `now` is cluster time and an argument.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"

namespace coffer::core {

class Expiry {
 public:
  struct Options {
    std::size_t step_leases_max = 256;        // handed out by one step()
    std::size_t in_flight_leases_max = 1024;  // handed out and not yet reported
    unsigned tries_max = 6;
    Nanos first_pause{std::chrono::seconds(10)};  // doubles with each try
    Nanos pause_max{std::chrono::minutes(10)};
  };
  // The caller's name for a lease, at most kIdBytesMax bytes.
  static constexpr std::size_t kIdBytesMax = 1024;

  struct Step {
    std::vector<std::string> revoke;  // now; each ends in revoked() or failed()
    std::optional<WallTime> wake_at;  // ask again then; nothing: only when something changes
  };

  explicit Expiry(const Options& options) : options_(options) {}

  // A new lease, or a new end of one that is here (renewed, or revoked early by an end in the past). One that is being
  // revoked is not brought back by it.
  void put(std::string_view id, WallTime end);
  // The lease is gone, whoever revoked it; or the caller forgets it and puts it again later.
  void revoked(std::string_view id);
  // It could not be revoked at `now`.
  void failed(std::string_view id, WallTime now);
  // An operator asks for one more round of tries.
  bool retry(std::string_view id, WallTime now);
  // Everything is forgotten: this node does not lead any more.
  void clear();

  Step step(WallTime now);

  std::vector<std::string> irrevocable(std::size_t count_max) const;
  std::size_t irrevocable_count() const noexcept { return irrevocable_; }
  std::size_t size() const noexcept { return leases_.size(); }
  std::size_t in_flight() const noexcept { return in_flight_; }

 private:
  enum class State : std::uint8_t { kWaiting, kInFlight, kIrrevocable };
  struct Lease {
    std::int64_t due = 0;  // nanoseconds of cluster time
    State state = State::kWaiting;
    std::uint8_t tries = 0;
    std::uint32_t slot = 0;  // place in heap_ while waiting
  };
  using Leases = std::unordered_map<std::string, Lease>;
  using Entry = Leases::value_type;  // stays where it is in memory

  void push(Entry& entry);
  void pop(std::uint32_t slot);
  void move_up(std::uint32_t slot);
  void move_down(std::uint32_t slot);
  void place(std::uint32_t slot, Entry* entry);

  const Options options_;
  Leases leases_;
  std::vector<Entry*> heap_;  // waiting ones, the earliest first
  std::size_t in_flight_ = 0;
  std::size_t irrevocable_ = 0;
};

}  // namespace coffer::core
