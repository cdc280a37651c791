// A private store for each token: nobody else can name what is in it, not even root, and it goes when the token goes.
// Records stand below the token's own key, so whoever ends a token erases that range.
#pragma once

#include <memory>
#include <string_view>

#include "core/engine.h"

namespace coffer::engines {

// Immutable, any thread.
std::unique_ptr<core::Engine> make_cubbyhole_engine();

}  // namespace coffer::engines
