// Revokes tokens when their time is over. Records stand in order of expiry, so it starts at once after unseal, whatever their number: it
// reads what is due from the front and hands it to the due queue, which bounds what is under way and spaces out retries.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "core/expiry.h"
#include "core/jobs.h"

namespace coffer::core {

// tick() from one thread, the shell's timer; results of its entries come on the node's.
class ExpiryDriver {
 public:
  // `services` outlives it and every entry that it started.
  explicit ExpiryDriver(const Services& services);
  ~ExpiryDriver();

  // Starts revoking what is due by cluster time. The earliest time at which there may be more to do; nothing while an entry is under
  // way, or when this node does not lead or is sealed: ask again at the next tick then.
  std::optional<WallTime> tick();

  bool idle() const;
  std::size_t irrevocable_count() const;

 private:
  struct State;
  const Services& services_;
  std::shared_ptr<State> state_;
};

}  // namespace coffer::core
