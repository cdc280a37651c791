// auth/token/create and create-orphan.
#pragma once

#include "core/call.h"
#include "core/path_table.h"

namespace coffer::core {

std::vector<PathSpec> token_create_specs();

// What an answer tells of a token; `text` is empty where the server does not know it.
Auth auth_of(json::Arena& arena, const TokenRecord& record, std::string_view text);

}  // namespace coffer::core
