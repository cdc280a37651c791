// auth/token/: create, look up, renew and revoke tokens.
#pragma once

#include <memory>

#include "core/engine.h"

namespace coffer::core {

// Immutable, any thread.
std::unique_ptr<Engine> make_token_engine();

}  // namespace coffer::core
