// The JSON body of an answer, in the form that the clients of this API expect.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/request.h"

namespace coffer::http {

// The status that goes out: the response's own, or 200 with a body and 204 without one.
int answer_status(const core::Response& response) noexcept;

// Clients read none after these: one that came would be taken for the next answer. A health check may choose them.
constexpr bool may_have_body(int status) noexcept { return status != 204 && status != 304; }

// Appends the body for that status; nothing for 204. Ends with a line feed as the peer's does, but for raw bodies.
void write_body(const core::Exchange& exchange, int status, std::string& out);

// Appends {"errors":[…]} with at most one error (none when empty).
void write_errors(std::string_view error, std::string& out);

}  // namespace coffer::http
