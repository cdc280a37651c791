// module: core/policy.cc core/acl.cc core/acl_constraints.cc
// The last line is a path, what comes before it a policy. What parses is compiled, asked, and compared with the oracle.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/json.h"
#include "base/path.h"
#include "core/acl.h"
#include "tests/core/acl_oracle.h"

namespace {

using namespace coffer;

void compare(const core::Policy& policy, const core::Acl& acl, const std::string& path) {
  testing::AclOracle oracle;
  for (const core::PathRule& rule : policy.paths) {
    if (rule.templated)
      return;
    oracle.add(rule.path, rule.capabilities);
  }
  oracle.prepare();
  for (const core::Capability capability :
       {core::Capability::kRead, core::Capability::kList, core::Capability::kUpdate}) {
    const core::Decision decision = acl.allows(path, capability);
    COFFER_CHECK(decision.capabilities == oracle.decide(path, capability == core::Capability::kList).capabilities);
    COFFER_CHECK(!decision.allowed || (decision.capabilities & core::bit(core::Capability::kDeny)) == 0);
    const json::Document data = json::Document::parse(R"({"name":"x","n":5,"list":["a"],"Other":true})").value();
    for (const std::optional<Nanos> ttl : {std::optional<Nanos>(), std::optional<Nanos>(std::chrono::seconds(60))}) {
      (void)core::check_constraints(decision, capability, data.root, ttl).ok();
      (void)core::check_constraints(decision, capability, json::Value::null(), ttl).ok();
      (void)core::check_constraints(decision, capability, json::Value::raw("{}"), ttl).ok();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t line = input.rfind('\n');
  const std::string_view text = input.substr(0, line == std::string_view::npos ? 0 : line);
  const std::string path(line == std::string_view::npos ? input : input.substr(line + 1));
  (void)core::check_policy_name(path).ok();
  Result<core::Policy> policy = core::parse_policy("fuzzed", text);
  if (!policy.ok())
    return 0;
  const auto shared = std::make_shared<const core::Policy>(*std::move(policy));
  const std::shared_ptr<const core::Policy> policies[] = {shared, shared};
  const core::TemplateValues values = [&](std::string_view expression) {
    return expression.empty() ? std::nullopt : std::optional<std::string>(path);
  };
  const auto acl = core::Acl::compile(policies, values);
  (void)core::capability_names(acl->capabilities(path).capabilities);
  (void)acl->has_access_below(path + "/");
  if (CanonicalPath::from_text(path).ok())
    compare(*shared, *acl, path);
  return 0;
}
