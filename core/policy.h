// ACL policies as people write them, and the built-in ones. A Policy is plain data; core/acl.h makes decisions out of
// several.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/hcl.h"
#include "base/status.h"

namespace coffer::core {

// Bits of a CapabilitySet.
enum class Capability : std::uint16_t {
  kDeny = 1 << 0,
  kCreate = 1 << 1,
  kRead = 1 << 2,
  kUpdate = 1 << 3,
  kDelete = 1 << 4,
  kList = 1 << 5,
  kSudo = 1 << 6,
  kPatch = 1 << 7,
  kScan = 1 << 8,
  kSubscribe = 1 << 9,
  kRecover = 1 << 10,
};
using CapabilitySet = std::uint16_t;

constexpr CapabilitySet bit(Capability capability) noexcept { return static_cast<CapabilitySet>(capability); }

// "read" → kRead; nothing for a word that is no capability.
std::optional<Capability> capability_named(std::string_view name);
// The names in alphabetical order, as sys/capabilities answers; "deny" alone when the set is empty or holds deny.
std::vector<std::string_view> capability_names(CapabilitySet set);

// Parameter name in lower case → the values that are named; no values means any. "*" stands for every other parameter.
using ParameterRules = std::map<std::string, std::vector<hcl::Node>, std::less<>>;

// One group of people of whom so many must agree.
struct ApprovalFactor {
  std::string name;
  CapabilitySet controlled = 0;          // 0: every capability
  std::vector<std::string> group_ids;
  std::vector<std::string> group_names;
  std::uint32_t approvals = 1;
};

// A `control_group`: who has to agree before a request is done, and for how long it waits.
struct Approval {
  Nanos ttl{0};
  std::vector<ApprovalFactor> factors;   // empty: nobody
  bool concerns(Capability capability) const noexcept;
};

// What a path grants beyond its capabilities.
struct Constraints {
  ParameterRules allowed_parameters;
  ParameterRules denied_parameters;
  std::vector<std::string> required_parameters;
  Nanos min_wrapping_ttl{0};  // 0: none
  Nanos max_wrapping_ttl{0};
  std::int64_t pagination_limit = 0;     // most names that a list answers with; 0: any number
  // Where each name of a list leads, with {{ .path }} and {{ .key }} in it: who may not go there does not see the name.
  std::vector<std::string> keys_filters;
  Approval approval;                     // that a request waits for
  bool empty() const noexcept;
};

struct PathRule {
  std::string path;             // as written, without a leading '/'; with its '*' and '+'
  CapabilitySet capabilities = 0;  // deny stands alone
  std::shared_ptr<const Constraints> constraints;  // null: none
  std::vector<std::string> event_types;  // with `subscribe`: which may be heard of, with '*' for any text
  bool templated = false;       // holds {{…}}, see acl.h
  WallTime expires = WallTime::max();  // from then on it is as if it were not there
  std::uint32_t line = 0;       // of the policy's text
};

struct Policy {
  std::string name;
  std::vector<PathRule> paths;
};

// Reads HCL or JSON. kInvalid names the line, path, key or capability that is wrong. Refused: unknown keys and
// capabilities, "+*", and constraints that this server does not enforce (a policy that seems to restrict and does not
// would be worse than none).
Result<Policy> parse_policy(std::string_view name, std::string_view text);

inline constexpr std::string_view kDefaultPolicyName = "default";
inline constexpr std::string_view kRootPolicyName = "root";
inline constexpr std::size_t kPolicyNameBytesMax = 256;
// The text that `default` starts with; operators may replace it. `root` has no text and cannot be written.
std::string_view default_policy_text() noexcept;

// Names that a policy may have: one canonical segment without upper-case letters, not "root" (advisory D6). Every door
// that takes a policy name uses this.
Status check_policy_name(std::string_view name);

}  // namespace coffer::core
