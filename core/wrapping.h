// Response wrapping: an answer is kept in the cubbyhole of a new single-use token, and the client gets that token
// instead.
#pragma once

#include "core/call.h"
#include "core/path_table.h"

namespace coffer::core {

inline constexpr std::string_view kNoWrappingToken = "wrapping token is not valid or does not exist";

// Replaces the answer by a wrapping token that holds it. An answer without body stays as it is.
Status wrap_response(CallContext& ctx, Nanos ttl);

// sys/wrapping/…
std::vector<PathSpec> wrapping_specs();

// Answers with a wrapping token of `policy` that holds nothing yet; its hash.
Result<std::string_view> answer_with_wrapper(CallContext& ctx, Nanos ttl, std::string_view policy);

}  // namespace coffer::core
