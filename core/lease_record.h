// What is stored of a lease (docs/formats/lease.md), and the names that it is stored under.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "base/strong.h"

namespace coffer::core {

// The last segment of a lease's id: letters and digits, unique by itself.
inline constexpr std::size_t kLeaseKeyText = 24;

enum class LeaseState : std::uint8_t {
  kPending = 1,      // an intent: what it is for may exist outside, now or later, and nobody was told of it
  kActive = 2,
  kRevoking = 3,     // over: nobody may look it up or renew it any more; it goes as soon as the outside says so
  kAbandoned = 4,    // was pending, and will not be activated any more
  kRevokedOnce = 5,  // was abandoned and revoked; revoked once more later, because its call may have come late
  kIrrevocable = 6,  // every try to revoke it failed: kept until an operator decides
};

// Views point into the record's plaintext or wherever the writer's text lives.
struct LeaseRecord {
  LeaseState state = LeaseState::kActive;
  bool renewable = true;
  std::uint8_t tries = 0;       // to revoke it, that failed
  NamespaceId ns{0};
  MountId mount;
  WallTime issued{};
  WallTime renewed{};           // equal to `issued` when it never was
  WallTime expires{};           // for its holder
  WallTime due{};               // when the expiry driver looks at it: its place in the order of expiry; of an
                                // irrevocable one, which has none, when it became so
  WallTime call_ends{};         // of an intent: its call outside is over by then
  Nanos ttl{0};                 // granted last
  Nanos max_ttl{0};             // counted from `issued`
  std::string_view id;          // relative to its namespace
  std::string_view token_hash;  // of the token that it was granted to; empty: none
  std::string_view kind;
  std::string_view data;        // the engine's own
  std::string_view error;       // of the last try to revoke it

  std::string_view key() const noexcept {
    return id.size() < kLeaseKeyText ? std::string_view() : id.substr(id.size() - kLeaseKeyText);
  }
  // Its holder may know of it: looked up, renewed, listed.
  bool live(WallTime now) const noexcept { return state == LeaseState::kActive && expires > now; }
  bool intent() const noexcept {
    return state == LeaseState::kPending || state == LeaseState::kAbandoned || state == LeaseState::kRevokedOnce;
  }
};

void encode(const LeaseRecord& record, std::string& out);
// Views into `plaintext`. kDataLoss when it is no such record.
Result<LeaseRecord> decode_lease(std::string_view plaintext);

}  // namespace coffer::core
