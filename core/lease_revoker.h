// Revokes leases that are due: plans them in an entry of the server's own, makes the calls on a pool, a bounded number
// for each mount, and writes what became of them. It keeps nothing of a lease but while its call is under way: what
// failed is tried again because its record says when.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/call.h"

namespace coffer::core {

class LeaseRevoker {
 public:
  // A lease as its row in the order of expiry names it.
  struct Due {
    WallTime at;
    MountId mount;
    std::string key;
  };
  using Warn = std::function<void(std::string_view line)>;

  // `services`, and what `warn` refers to, outlive it and everything that it started.
  LeaseRevoker(const Services& services, Warn warn);
  ~LeaseRevoker();

  // One thread, the expiry driver's. Whether a due lease of this mount would be taken now.
  bool wants(const Due& due) const;
  bool planning() const;
  // Starts revoking them; they are at most limits::kExpiryBatchLeasesMax, and wants() was true for each. Not while
  // planning().
  void revoke(std::vector<Due> due);
  // Writes what became of calls. True when there was something to write and an entry was started.
  bool settle();

  bool idle() const;

 private:
  struct State;
  const Services& services_;
  std::shared_ptr<State> state_;
};

}  // namespace coffer::core
