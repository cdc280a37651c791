// Why a request is allowed or not: the rule that decides, and where it is written. Slow and thorough; for people who
// ask, never on a request's way unless it was refused.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/acl.h"
#include "core/policy_store.h"

namespace coffer::core {

// A policy's part in the deciding rule.
struct RuleSource {
  std::string policy;
  std::uint32_t line = 0;
  CapabilitySet capabilities = 0;
};

struct Explanation {
  bool allowed = false;             // the capability; sudo is another question
  bool sudo = false;
  bool root = false;
  std::string rule;                 // path of the rule, its templates filled; empty: none matches
  CapabilitySet capabilities = 0;   // that it grants
  bool unresolved = false;          // a deny whose template has no value here denies everything
  std::vector<RuleSource> sources;  // of the rule, or of such denies
};

// `joined` are the policies, as tokens hold them.
Explanation explain(const PolicyStore& policies, std::string_view joined, const TemplateValues& values,
                    std::string_view path, Capability wanted, WallTime now);

// In a sentence: `policy "team", line 3: path "secret/*" grants list, read, not update`. Nothing for `wanted`: a write,
// and it is not told whether that would have created.
std::string explanation_text(const Explanation& explanation, std::string_view joined, std::optional<Capability> wanted);

std::string_view name_of(Capability capability);

}  // namespace coffer::core
