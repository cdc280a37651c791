// An engine for tests that leases users of a system outside, as an engine of a database does.
#pragma once

#include <memory>
#include <string>

#include "core/engine.h"

namespace coffer::core::testing {

// Called on the threads that make calls outside.
class UserSystem {
 public:
  virtual ~UserSystem() = default;
  virtual Status create(const std::string& user, Nanos time_max) = 0;
  // Dropping who is not there succeeds.
  virtual Status drop(const std::string& user) = 0;
};

// Mounted as type "fake": `creds/:role` makes a user outside; `inside/:role` a lease that nobody outside knows of. One
// engine a process at a time, which the system outlives.
std::unique_ptr<Engine> make_fake_engine(UserSystem& outside);

}  // namespace coffer::core::testing
