// The auth method of machines: role ids and secret ids.
#pragma once

#include <memory>

#include "core/engine.h"

namespace coffer::engines {

// Immutable, any thread.
std::unique_ptr<core::Engine> make_approle_engine();

}  // namespace coffer::engines
