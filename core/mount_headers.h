// Headers that pass between clients and engines: none, but for those that a mount is tuned to let through.
#pragma once

#include <string>
#include <vector>

#include "core/mounts.h"
#include "core/request.h"

namespace coffer::core {

// Of the request, in its order. Never one that carries a token or a login, whatever the tuning says.
std::vector<const HeaderLine*> passed_headers(const Request& request, const MountTuning& tuning);
// Takes out of the answer what its mount may not set.
void keep_allowed_headers(const MountTuning& tuning, Response& response);

}  // namespace coffer::core
