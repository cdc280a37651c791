#include "core/policy_explain.h"

#include "core/token_record.h"

namespace coffer::core {
namespace {

std::string listed(const std::vector<std::string_view>& names) {
  std::string out;
  for (const std::string_view name : names)
    out.append(out.empty() ? "" : ", ").append(name);
  return out;
}

std::string place(const RuleSource& source) {
  return "policy \"" + source.policy + "\", line " + std::to_string(source.line);
}

}  // namespace

Explanation explain(const PolicyStore& policies, std::string_view joined, const TemplateValues& values,
                    std::string_view path, Capability wanted, WallTime now) {
  Explanation out;
  if (has_policy(joined, kRootPolicyName)) {
    out.root = out.allowed = out.sudo = true;
    return out;
  }
  const std::vector<std::shared_ptr<const Policy>> list = policies.policies_of(joined);
  const std::shared_ptr<const Acl> acl = Acl::compile(list, values, now);
  const Decision decision = acl->allows(path, wanted);
  out.allowed = decision.allowed;
  out.sudo = decision.sudo;
  out.capabilities = decision.capabilities;
  const std::optional<std::string> rule = acl->deciding_rule(path, wanted);
  out.rule = rule.value_or("");
  for (const std::shared_ptr<const Policy>& policy : list)
    for (const PathRule& one : policy->paths) {
      if (one.expires <= now)
        continue;
      const std::optional<std::string> filled = Acl::filled_path(one, values);
      const bool lost = !filled && (one.capabilities & bit(Capability::kDeny)) != 0;
      out.unresolved |= lost;
      if (lost || (rule && filled == rule))
        out.sources.push_back({policy->name, one.line, one.capabilities});
    }
  if (out.unresolved)
    std::erase_if(out.sources, [](const RuleSource& source) {
      return (source.capabilities & bit(Capability::kDeny)) == 0;
    });
  return out;
}

std::string explanation_text(const Explanation& explanation, std::string_view joined,
                             std::optional<Capability> wanted) {
  if (explanation.root)
    return "the root policy allows everything";
  if (explanation.unresolved)
    return place(explanation.sources.front()) +
           ": a template of a denied path has no value for this token, so everything is denied";
  if (explanation.rule.empty())
    return "no rule of the policies " + listed(split_policies(joined)) + " matches";
  std::string text;
  for (const RuleSource& source : explanation.sources)
    text.append(text.empty() ? "" : "; ").append(place(source));
  text.append(": path \"").append(explanation.rule).append("\" ");
  const bool denies = explanation.capabilities == 0 || (explanation.capabilities & bit(Capability::kDeny)) != 0;
  if (denies)
    return text + "denies";
  text.append("grants ").append(listed(capability_names(explanation.capabilities)));
  if (explanation.allowed)
    return text;
  return text + ", not " + (wanted ? std::string(name_of(*wanted)) : "create or update");
}

std::string_view name_of(Capability capability) { return capability_names(bit(capability)).front(); }

}  // namespace coffer::core
