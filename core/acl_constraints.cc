// Parameters and wrapping TTLs that a policy allows, the slow half of a decision.
#include <algorithm>
#include <charconv>
#include <string>

#include "base/mutant.h"
#include "core/acl.h"

namespace coffer::core {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return out;
}

// '*' at one end or both stands for anything there.
bool globs(std::string_view pattern, std::string_view text) noexcept {
  if (pattern.size() < 2)
    return pattern == text;
  const bool front = pattern.front() == '*';
  const bool back = pattern.back() == '*';
  if (front)
    pattern.remove_prefix(1);
  if (back)
    pattern.remove_suffix(1);
  if (front && back)
    return text.find(pattern) != std::string_view::npos;
  if (front)
    return text.ends_with(pattern);
  return back ? text.starts_with(pattern) : text == pattern;
}

bool equal(const hcl::Node& rule, const json::Value& value) {
  switch (value.kind()) {
    case json::Kind::kString: return rule.kind == hcl::Kind::kString && globs(rule.text, value.as_string());
    case json::Kind::kNumber: return rule.kind == hcl::Kind::kNumber && rule.text == value.number_text();
    case json::Kind::kBool: return rule.kind == hcl::Kind::kBool && rule.text == (value.as_bool() ? "true" : "false");
    case json::Kind::kArray:
      return rule.kind == hcl::Kind::kList &&
             std::equal(rule.list.begin(), rule.list.end(), value.elements().begin(), value.elements().end(), equal);
    case json::Kind::kNull:
    case json::Kind::kObject:
    case json::Kind::kRaw: return false;
  }
  return false;
}

bool listed(const std::vector<hcl::Node>& values, const json::Value& value) {
  return values.empty() ||
         std::any_of(values.begin(), values.end(), [&](const hcl::Node& rule) { return equal(rule, value); });
}

Status denied(std::string_view what) { return Status(Code::kDenied, std::string(what)); }

Status check_wrapping(const Constraints& rules, std::optional<Nanos> ttl) {
  const Nanos min = rules.min_wrapping_ttl;
  const Nanos max = rules.max_wrapping_ttl;
  if (min.count() == 0 && max.count() == 0)
    return ok_status();
  // Rules of several policies may have been merged into a range that holds nothing; then nothing is allowed.
  if (!ttl.has_value())
    return denied("the policy asks for a wrapped response");
  if ((max.count() > 0 && *ttl > max) || *ttl < min)
    return denied("the wrapping TTL is outside what the policy allows");
  return ok_status();
}

Status check_parameter(const Constraints& rules, const json::Member& member) {
  const std::string name = lower(member.key());
  if (const auto at = rules.denied_parameters.find(name);
      at != rules.denied_parameters.end() && listed(at->second, member.value))
    return denied("parameter \"" + name + "\" is denied by the policy");
  const ParameterRules& allowed = rules.allowed_parameters;
  if (allowed.empty() || (allowed.size() == 1 && allowed.contains("*")))
    return ok_status();
  const auto at = allowed.find(name);
  if (at == allowed.end() ? !allowed.contains("*") : !listed(at->second, member.value))
    return denied("parameter \"" + name + "\" is not allowed by the policy");
  return ok_status();
}

}  // namespace

// The `limit` of a list that a policy bounds. What is no number is none that keeps to the bound (advisory C5).
Status check_limit(const Constraints& rules, const json::Value& data) {
  const json::Value* given = data.find("limit");
  if (given == nullptr || given->is_null()) {
    const std::vector<std::string>& required = rules.required_parameters;
    return std::find(required.begin(), required.end(), "limit") == required.end()
               ? ok_status()
               : denied("the policy requires parameter \"limit\"");
  }
  const std::string_view text = given->is_string() ? given->as_string()
                                                   : given->is_number() ? given->number_text() : std::string_view("x");
  std::int64_t limit = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
  const bool number = error == std::errc() && end == text.data() + text.size() && !text.empty();
  if (!number || limit < 0 || limit > rules.pagination_limit)
    return denied("parameter \"limit\" is outside what the policy allows");
  return ok_status();
}

Status check_constraints(const Decision& decision, Capability capability, const json::Value& data,
                         std::optional<Nanos> wrap_ttl) {
  if (decision.constraints == nullptr)
    return ok_status();
  const Constraints& rules = *decision.constraints;
  COFFER_TRY(check_wrapping(rules, wrap_ttl));
  const bool lists = capability == Capability::kList || capability == Capability::kScan;
  if (lists && rules.pagination_limit > 0 && !mutant(Mutant::kPaginationUnchecked))
    return check_limit(rules, data);
  constexpr CapabilitySet kLooksAtParameters =
      bit(Capability::kCreate) | bit(Capability::kRead) | bit(Capability::kUpdate) | bit(Capability::kPatch);
  if (!(bit(capability) & kLooksAtParameters))
    return ok_status();
  const bool has_rules =
      !rules.allowed_parameters.empty() || !rules.denied_parameters.empty() || !rules.required_parameters.empty();
  if (data.is_raw() && has_rules)
    return denied("the policy limits parameters and these cannot be looked at");
  for (const std::string& name : rules.required_parameters) {
    if (data.find(name) == nullptr)
      return denied("the policy requires parameter \"" + name + "\"");
  }
  if (data.size() != 0 && rules.denied_parameters.contains("*"))
    return denied("the policy denies all parameters");
  for (const json::Member& member : data.members())
    COFFER_TRY(check_parameter(rules, member));
  return ok_status();
}

}  // namespace coffer::core
