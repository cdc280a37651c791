// What the helper process of an HSM runs: `coffer hsm-worker`. It loads the module that the first request names, and
// serves one node until that goes.
#pragma once

#include <string_view>

namespace coffer::hsm {

inline constexpr std::string_view kHsmWorker = "hsm-worker";

// Returns the exit code.
int serve_hsm();

}  // namespace coffer::hsm
