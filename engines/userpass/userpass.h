// The auth method of user names and passwords.
#pragma once

#include <memory>

#include "core/engine.h"

namespace coffer::engines {

// Immutable, any thread.
std::unique_ptr<core::Engine> make_userpass_engine();

}  // namespace coffer::engines
