// Counting the leases that a new quota finds (core/quota.h).
#pragma once

#include "core/call.h"

namespace coffer::core {

// The shell's timer calls it: counts for one rule that was not counted yet, against one view. True when it did.
bool count_leases_of_a_quota(const Services& services);

}  // namespace coffer::core
