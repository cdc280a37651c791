// `user_lockout` blocks: after how many failed logins, and for how long, a name is locked out.
#include <algorithm>
#include <array>

#include "server/config.h"
#include "server/config_section.h"

namespace coffer::server {
namespace {

constexpr std::array<std::string_view, 4> kTypes{"all", "userpass", "ldap", "approle"};
constexpr std::int64_t kThresholdMax = 1'000'000;

Status read_rule(Section& section, core::LockoutRule& rule) {
  std::int64_t threshold = static_cast<std::int64_t>(rule.threshold);
  COFFER_TRY(section.number("lockout_threshold", 1, kThresholdMax, threshold));
  rule.threshold = static_cast<std::uint64_t>(threshold);
  COFFER_TRY(section.duration("lockout_duration", rule.duration));
  COFFER_TRY(section.duration("lockout_counter_reset", rule.counter_reset));
  return section.flag("disable_lockout", rule.disabled);
}

}  // namespace

Status read_lockouts(const hcl::Node& root, const std::string& file, Config& config) {
  const auto blocks = hcl::blocks(root, "user_lockout", 1);
  if (!blocks.ok())
    return blocks.status().with_context("error loading configuration from " + file);
  for (const hcl::Block& block : *blocks) {
    const std::string& type = block.labels[0];
    if (std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end())
      return config_error(file, block.at, "user_lockout: the label must be all, userpass, ldap or approle");
    Section section(*block.body, file, "user_lockout \"" + type + "\"");
    core::LockoutRule rule;
    COFFER_TRY(read_rule(section, rule));
    section.warn_unknown(config.warnings);
    if (!config.lockouts.emplace(type, rule).second)
      return config_error(file, block.at, section.name() + ": is declared twice");
  }
  return ok_status();
}

}  // namespace coffer::server
