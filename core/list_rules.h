// What policies say of the answers of lists: how many names one may hold, and that names are left out which lead to
// where the caller may not go.
#pragma once

#include <string_view>

#include "core/acl.h"
#include "core/request.h"

namespace coffer::core {

// Whether `rules` (null: none) say anything of lists.
bool bounds_lists(const Constraints* rules) noexcept;

// The request's data with the limit that holds for it. The request passed check_constraints.
json::Value bounded_list_data(json::Arena& arena, const Constraints& rules, const json::Value& data);

// Leaves out of `keys` and `key_info` what the caller may not see, and then what is too many. `path` is the list's as
// `acl` sees it, with its final '/'. A name that ends in '/' needs the list or scan capability where it leads, any
// other one read. A list that is left without names answers as an empty one does.
void bound_list_answer(json::Arena& arena, const Acl& acl, const Constraints& rules, std::string_view path,
                       const json::Value& data, Response& response);

}  // namespace coffer::core
