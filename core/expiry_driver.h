// Revokes tokens and leases when their time is over. Records stand in order of expiry: work begins at once, whatever
// their number: it reads what is due from the front and hands it to the due queue, which bounds what is under way and
// spaces out retries. While the node takes no writes it pauses as a whole and keeps nothing of what it read. A record
// that is damaged is named to the operator once and passed over; it holds up no other.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>

#include "core/expiry.h"
#include "core/jobs.h"
#include "core/lease_revoker.h"

namespace coffer::core {

// tick() from one thread, the shell's timer; results of its entries come on the node's.
class ExpiryDriver {
 public:
  // Lines for the operator: names of records, never their content. tick()'s thread and the node's; may be empty.
  using Warn = std::function<void(std::string_view line)>;

  // `services` and what `warn` refers to outlive it and every entry that it started.
  explicit ExpiryDriver(const Services& services, Warn warn = {});
  ~ExpiryDriver();

  // Starts revoking what is due by cluster time. The earliest time at which there may be more to do, or when the pause
  // ends that a refused write began; nothing while an entry is under way, or when this node does not lead or is sealed:
  // ask again at the next tick then.
  std::optional<WallTime> tick();

  bool idle() const;
  std::size_t irrevocable_count() const;

 private:
  struct State;
  struct Front;
  Result<Front> read_front(const store::View& view, WallTime now, std::size_t known);
  void revoke_tokens(std::vector<std::string> rows, WallTime now);

  const Services& services_;
  std::shared_ptr<State> state_;
  LeaseRevoker leases_;
  std::string from_;  // where the next look at the order begins, when the last one was cut off
};

}  // namespace coffer::core
