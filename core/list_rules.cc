#include "core/list_rules.h"

#include <algorithm>
#include <charconv>
#include <unordered_set>

#include "base/mutant.h"
#include "base/path.h"
#include "core/policy_keys.h"

namespace coffer::core {
namespace {

std::int64_t limit_of(const json::Value& data) {
  const json::Value* given = data.find("limit");
  if (given == nullptr)
    return 0;
  const std::string_view text = given->is_string() ? given->as_string()
                                                   : given->is_number() ? given->number_text() : std::string_view();
  std::int64_t limit = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
  return error == std::errc() ? limit : 0;
}

bool may_see(const Acl& acl, const Constraints& rules, std::string_view path, std::string_view key) {
  return std::all_of(rules.keys_filters.begin(), rules.keys_filters.end(), [&](const std::string& filter) {
    const std::string leads_to = filled_keys_filter(filter, path, key);
    if (leads_to.size() > limits::kPathBytesMax)
      return false;
    if (leads_to.ends_with('/'))
      return acl.allows(leads_to, Capability::kList).allowed || acl.allows(leads_to, Capability::kScan).allowed;
    return acl.allows(leads_to, Capability::kRead).allowed;
  });
}

json::Value only_those(json::Arena& arena, const json::Value& info, const std::vector<std::string_view>& kept) {
  const std::unordered_set<std::string_view> names(kept.begin(), kept.end());
  json::ObjectBuilder out(arena, kept.size() + 1);
  for (const json::Member& member : info.members())
    if (names.contains(member.key()))
      out.add(member.key(), member.value);
  return out.build();
}

}  // namespace

bool bounds_lists(const Constraints* rules) noexcept {
  return rules != nullptr && (rules->pagination_limit > 0 || !rules->keys_filters.empty());
}

json::Value bounded_list_data(json::Arena& arena, const Constraints& rules, const json::Value& data) {
  if (rules.pagination_limit == 0 || limit_of(data) > 0 || mutant(Mutant::kPaginationUnchecked))
    return data;
  json::ObjectBuilder out(arena, data.size() + 1);
  for (const json::Member& member : data.members())
    if (member.key() != "limit")
      out.add(member.key(), member.value);
  return out.add("limit", rules.pagination_limit).build();
}

void bound_list_answer(json::Arena& arena, const Acl& acl, const Constraints& rules, std::string_view path,
                       const json::Value& data, Response& response) {
  const json::Value* keys = response.data.find("keys");
  if (response.has_errors() || keys == nullptr || !keys->is_array())
    return;
  const bool filters = !mutant(Mutant::kListFilterIgnored);
  const std::int64_t limit = rules.pagination_limit == 0 || mutant(Mutant::kPaginationUnchecked) ? 0 : limit_of(data);
  std::vector<std::string_view> kept;
  for (const json::Value& key : keys->elements()) {
    if (limit > 0 && kept.size() == static_cast<std::size_t>(limit))
      break;
    if (key.is_string() && (!filters || may_see(acl, rules, path, key.as_string())))
      kept.push_back(key.as_string());
  }
  if (kept.size() == keys->size())
    return;
  if (kept.empty()) {
    response.data = json::Value();
    response.status = 404;
    return;
  }
  json::ObjectBuilder out(arena, response.data.size());
  for (const json::Member& member : response.data.members()) {
    if (member.key() == "keys") {
      json::ArrayBuilder list(arena, kept.size());
      for (const std::string_view key : kept)
        list.add(key);
      out.add("keys", list.build());
    } else if (member.key() == "key_info" && member.value.is_object()) {
      out.add("key_info", only_those(arena, member.value, kept));
    } else if (member.value.is_array() || member.value.is_object()) {
      // What else tells of the names is not known to be in step with them.
      continue;
    } else {
      out.add(member.key(), member.value);
    }
  }
  response.data = out.build();
}

}  // namespace coffer::core
