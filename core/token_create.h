// auth/token/create and create-orphan.
#pragma once

#include "core/call.h"
#include "core/path_table.h"

namespace coffer::core {

std::vector<PathSpec> token_create_specs();

}  // namespace coffer::core
