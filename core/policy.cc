#include "core/policy.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/mutant.h"
#include "base/path.h"
#include "base/time_text.h"
#include "core/policy_keys.h"

namespace coffer::core {
namespace {

struct Name {
  std::string_view text;
  Capability capability;
};

// In alphabetical order of the names.
constexpr Name kNames[] = {
    {"create", Capability::kCreate},   {"delete", Capability::kDelete}, {"deny", Capability::kDeny},
    {"list", Capability::kList},       {"patch", Capability::kPatch},   {"read", Capability::kRead},
    {"recover", Capability::kRecover}, {"scan", Capability::kScan},     {"subscribe", Capability::kSubscribe},
    {"sudo", Capability::kSudo},       {"update", Capability::kUpdate},
};

// `policy = "write"`, the spelling that came before capabilities.
struct OldName {
  std::string_view text;
  CapabilitySet set;
};
constexpr CapabilitySet kOldRead = bit(Capability::kRead) | bit(Capability::kList);
constexpr CapabilitySet kOldWrite =
    kOldRead | bit(Capability::kCreate) | bit(Capability::kUpdate) | bit(Capability::kDelete);
constexpr OldName kOldNames[] = {{"deny", bit(Capability::kDeny)},
                                 {"read", kOldRead},
                                 {"write", kOldWrite},
                                 {"sudo", kOldWrite | bit(Capability::kSudo)}};

constexpr std::string_view kDefaultText =
    R"hcl(# What every token may do unless it was created without this policy: look after itself and after what was
# handed to it. Operators may change this text.

# The token itself.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}

# What a path allows to this token.
path "sys/capabilities-self" {
  capabilities = ["update"]
}

# The entity behind the token, by its id and by its name.
path "identity/entity/id/{{identity.entity.id}}" {
  capabilities = ["read"]
}
path "identity/entity/name/{{identity.entity.name}}" {
  capabilities = ["read"]
}

# Which mounts there are, as far as the token reaches into them; the web page needs it before login data is shown.
path "sys/internal/ui/resultant-acl" {
  capabilities = ["read"]
}

# Leases, by an id that the holder knows: the old path and the new one.
path "sys/renew" {
  capabilities = ["update"]
}
path "sys/leases/renew" {
  capabilities = ["update"]
}
path "sys/leases/lookup" {
  capabilities = ["update"]
}

# A drawer of the token's own.
path "cubbyhole/*" {
  capabilities = ["create", "read", "update", "delete", "list"]
}

# Wrapped answers.
path "sys/wrapping/wrap" {
  capabilities = ["update"]
}
path "sys/wrapping/lookup" {
  capabilities = ["update"]
}
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}

# Helpers that touch nothing stored.
path "sys/tools/hash" {
  capabilities = ["update"]
}
path "sys/tools/hash/*" {
  capabilities = ["update"]
}

# The state of a request for approval, by an accessor that the requester holds.
path "sys/control-group/request" {
  capabilities = ["update"]
}

# Logging in to applications through this server's identity provider.
path "identity/oidc/provider/+/authorize" {
  capabilities = ["read", "update"]
}
)hcl";

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  return out;
}

// Reads one `path` block.
class PathReader {
 public:
  explicit PathReader(const hcl::Block& block) : block_(block) {
    rule_.path = block.labels.front();
    rule_.line = block.at.line;
  }

  Result<PathRule> run() {
    COFFER_TRY(read_path());
    Constraints constraints;
    for (const hcl::Item& item : block_.body->items)
      COFFER_TRY(read_item(item, constraints));
    if (rule_.capabilities & bit(Capability::kDeny))
      rule_.capabilities = bit(Capability::kDeny);
    constexpr CapabilitySet kLists = bit(Capability::kList) | bit(Capability::kScan);
    if (!constraints.keys_filters.empty() && (rule_.capabilities & kLists) == 0)
      return fail(block_.at, "list_scan_response_keys_filter_path needs to be used on a path with the list capability");
    if (constraints.min_wrapping_ttl.count() != 0 && constraints.max_wrapping_ttl.count() != 0 &&
        constraints.max_wrapping_ttl < constraints.min_wrapping_ttl)
      return fail(block_.at, "max_wrapping_ttl cannot be less than min_wrapping_ttl");
    if (!constraints.empty())
      rule_.constraints = std::make_shared<const Constraints>(std::move(constraints));
    return std::move(rule_);
  }

 private:
  Status fail(hcl::Position at, std::string_view message) const {
    return hcl::error_at(at, "path \"" + block_.labels.front() + "\": " + std::string(message));
  }

  Status read_path() {
    std::string& path = rule_.path;
    if (path.starts_with('/'))
      path.erase(0, 1);
    if (path.find("+*") != std::string::npos)
      return fail(block_.at, "invalid use of wildcards ('+*' is forbidden)");
    const std::size_t open = path.find("{{");
    rule_.templated = open != std::string::npos;
    std::size_t at = 0;
    while ((at = path.find("{{", at)) != std::string::npos) {
      const std::size_t close = path.find("}}", at);
      if (close == std::string::npos || path.substr(at + 2, close - at - 2).find("{{") != std::string::npos)
        return fail(block_.at, "a template has no '}}'");
      at = close + 2;
    }
    return ok_status();
  }

  Status read_item(const hcl::Item& item, Constraints& constraints) {
    const hcl::Node& value = item.value;
    if (item.key == "comment")
      return ok_status();
    if (item.key == "capabilities")
      return read_capabilities(item);
    if (item.key == "policy")
      return read_old_policy(item);
    if (item.key == "allowed_parameters")
      return read_parameters(item, constraints.allowed_parameters);
    if (item.key == "denied_parameters")
      return read_parameters(item, constraints.denied_parameters);
    if (item.key == "required_parameters")
      return strings(item, [&](const hcl::Node& node) {
        constraints.required_parameters.push_back(lower(node.text));
        return ok_status();
      });
    if (item.key == "subscribe_event_types")
      return strings(item, [&](const hcl::Node& node) {
        if (node.text.empty())
          return fail(node.at, "\"subscribe_event_types\" holds an empty text");
        rule_.event_types.push_back(node.text);
        return ok_status();
      });
    if (item.key == "min_wrapping_ttl")
      return read_ttl(item, constraints.min_wrapping_ttl);
    if (item.key == "max_wrapping_ttl")
      return read_ttl(item, constraints.max_wrapping_ttl);
    if (item.key == "expiration")
      return read_expiration(item);
    if (item.key == "pagination_limit")
      return read_limit(item, constraints.pagination_limit);
    if (item.key == "list_scan_response_keys_filter_path")
      return read_filter(item, constraints);
    if (item.key == "control_group")
      return read_approval(item, constraints.approval);
    static constexpr std::string_view kNotEnforced[] = {"mfa_methods"};
    if (std::find(std::begin(kNotEnforced), std::end(kNotEnforced), item.key) != std::end(kNotEnforced))
      return fail(value.at, "\"" + item.key + "\" is not enforced by this server");
    return fail(item.at, "invalid key \"" + item.key + "\"");
  }

  template <typename Fn>
  Status strings(const hcl::Item& item, Fn each) {
    if (item.value.kind == hcl::Kind::kString)
      return each(item.value);
    if (item.value.kind != hcl::Kind::kList || item.is_block)
      return fail(item.at, "\"" + item.key + "\" must be a list of texts");
    for (const hcl::Node& node : item.value.list) {
      if (node.kind != hcl::Kind::kString)
        return fail(node.at, "\"" + item.key + "\" must be a list of texts");
      COFFER_TRY(each(node));
    }
    return ok_status();
  }

  Status read_capabilities(const hcl::Item& item) {
    return strings(item, [&](const hcl::Node& node) {
      for (const Name& name : kNames) {
        if (name.text == node.text) {
          rule_.capabilities |= bit(name.capability);
          return ok_status();
        }
      }
      return fail(node.at, "invalid capability \"" + node.text + "\"");
    });
  }

  Status read_old_policy(const hcl::Item& item) {
    for (const OldName& name : kOldNames) {
      if (item.value.kind == hcl::Kind::kString && name.text == item.value.text) {
        rule_.capabilities |= name.set;
        return ok_status();
      }
    }
    return fail(item.value.at, "invalid policy; expected deny, read, write or sudo");
  }

  Status read_parameters(const hcl::Item& item, ParameterRules& out) {
    if (item.value.kind != hcl::Kind::kObject)
      return fail(item.at, "\"" + item.key + "\" must be a map of lists");
    for (const hcl::Item& parameter : item.value.items) {
      if (parameter.value.kind != hcl::Kind::kList)
        return fail(parameter.at, "\"" + item.key + "\": \"" + parameter.key + "\" must be a list");
      std::vector<hcl::Node>& values = out[lower(parameter.key)];
      values.insert(values.end(), parameter.value.list.begin(), parameter.value.list.end());
    }
    return ok_status();
  }

  Status read_ttl(const hcl::Item& item, Nanos& out) {
    const hcl::Node& value = item.value;
    if (value.kind == hcl::Kind::kString || value.kind == hcl::Kind::kNumber) {
      if (const auto ttl = parse_duration(value.text); ttl.ok() && ttl->count() >= 0) {
        out = *ttl;
        return ok_status();
      }
    }
    return fail(value.at, "\"" + item.key + "\" must be a duration such as 60 or \"1h\"");
  }

  Status read_expiration(const hcl::Item& item) {
    const Result<WallTime> at = expiration_of(item.value);
    if (!at.ok())
      return fail(item.value.at, "\"expiration\" must be a time such as \"2030-01-02T03:04:05Z\"");
    rule_.expires = *at;
    return ok_status();
  }

  Status read_limit(const hcl::Item& item, std::int64_t& out) {
    if (whole_number(item.value, 0, INT32_MAX, out))
      return ok_status();
    return fail(item.value.at, "\"pagination_limit\" must be a whole number, not negative");
  }

  Status read_filter(const hcl::Item& item, Constraints& constraints) {
    if (item.value.kind != hcl::Kind::kString)
      return fail(item.value.at, "\"" + item.key + "\" must be a text");
    if (item.value.text.empty())
      return ok_status();
    const Status status = check_keys_filter(item.value.text);
    if (!status.ok())
      return fail(item.value.at, "\"" + item.key + "\" " + status.message());
    constraints.keys_filters = {item.value.text};
    return ok_status();
  }

  Status read_approval(const hcl::Item& item, Approval& out) {
    const Status status = parse_approval(item.value, out);
    return status.ok() ? status : fail(item.value.at, "control_group: " + status.message());
  }

  const hcl::Block& block_;
  PathRule rule_;
};

}  // namespace

bool Constraints::empty() const noexcept {
  return allowed_parameters.empty() && denied_parameters.empty() && required_parameters.empty() &&
         min_wrapping_ttl.count() == 0 && max_wrapping_ttl.count() == 0 && pagination_limit == 0 &&
         keys_filters.empty() && approval.factors.empty();
}

bool Approval::concerns(Capability capability) const noexcept {
  return std::any_of(factors.begin(), factors.end(), [capability](const ApprovalFactor& factor) {
    return factor.controlled == 0 || (factor.controlled & bit(capability)) != 0;
  });
}

std::optional<Capability> capability_named(std::string_view name) {
  for (const Name& one : kNames)
    if (one.text == name)
      return one.capability;
  return std::nullopt;
}

std::vector<std::string_view> capability_names(CapabilitySet set) {
  if (set == 0 || (set & bit(Capability::kDeny)))
    return {"deny"};
  std::vector<std::string_view> out;
  for (const Name& name : kNames) {
    if (set & bit(name.capability))
      out.push_back(name.text);
  }
  return out;
}

Result<Policy> parse_policy(std::string_view name, std::string_view text) {
  constexpr std::string_view kContext = "failed to parse policy";
  const Result<hcl::Node> root = hcl::parse(text);
  if (!root.ok())
    return root.status().with_context(kContext);
  Policy policy;
  policy.name = name;
  for (const hcl::Item& item : root->items) {
    if (item.key != "path" && item.key != "name")
      return hcl::error_at(item.at, "invalid key \"" + item.key + "\"").with_context(kContext);
  }
  const auto blocks = hcl::blocks(*root, "path", 1);
  if (!blocks.ok())
    return blocks.status().with_context(kContext);
  for (const hcl::Block& block : *blocks) {
    Result<PathRule> rule = PathReader(block).run();
    if (!rule.ok())
      return rule.status().with_context(kContext);
    policy.paths.push_back(*std::move(rule));
  }
  return policy;
}

std::string_view default_policy_text() noexcept { return kDefaultText; }

Status check_policy_name(std::string_view name) {
  if (const Status canonical = check_canonical_name(name); !canonical.ok() && !mutant(Mutant::kPolicyNameUnchecked))
    return Status(Code::kInvalid, "policy name: " + canonical.message());
  if (name.size() > kPolicyNameBytesMax)
    return Status(Code::kInvalid, "policy name: longer than " + std::to_string(kPolicyNameBytesMax) + " bytes");
  if (name == kRootPolicyName)
    return Status(Code::kInvalid, "policy name: \"root\" is built in");
  if (has_upper_ascii(name))
    return Status(Code::kInvalid, "policy name: upper-case letters are not allowed");
  return ok_status();
}

}  // namespace coffer::core
