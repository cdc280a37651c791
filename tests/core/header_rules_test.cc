// Headers that mounts are tuned to pass, states that clients show, and lists that policies bound.
#include <boost/test/unit_test.hpp>

#include "base/encoding.h"
#include "base/split.h"
#include "core/list_rules.h"
#include "core/mount_headers.h"
#include "core/policy_keys.h"
#include "core/policy_store.h"
#include "core/state_index.h"
#include "core/token_record.h"

using namespace coffer;
using namespace coffer::core;

namespace {

WallTime at(int seconds) { return WallTime(std::chrono::seconds(seconds)); }

std::shared_ptr<const PolicyEntry> entry_of(std::string_view name, std::string text, WallTime expires) {
  PolicyEntry entry;
  entry.text = std::move(text);
  entry.expires = expires;
  auto decoded = decode_policy(name, encode_policy(entry));
  BOOST_TEST_REQUIRE(decoded.ok(), decoded.status().message());
  return *decoded;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(header_rules)

BOOST_AUTO_TEST_CASE(engines_see_what_their_mount_lets_through) {
  const HeaderLine last{"x-Trace", "3"};
  const HeaderLine token{"X-Vault-Token", "t", &last};
  const HeaderLine login{"X-Vault-Inline-Auth-Parameter-a", "p", &token};
  const HeaderLine bearer{"authorization", "b", &login};
  const HeaderLine other{"X-Other", "2", &bearer};
  const HeaderLine first{"X-TRACE", "1", &other};
  Request request;
  request.headers = &first;
  MountTuning tuning;
  BOOST_TEST(passed_headers(request, tuning).empty());
  tuning.passthrough_request_headers = {"X-Trace", "X-Vault-Token", "Authorization", "X-Vault-Inline-Auth-Parameter-a"};
  const auto passed = passed_headers(request, tuning);
  BOOST_TEST_REQUIRE(passed.size() == 2u);
  BOOST_TEST(passed[0]->value == "1");
  BOOST_TEST(passed[1]->value == "3");
}

BOOST_AUTO_TEST_CASE(answers_keep_what_their_mount_may_set) {
  Response response;
  response.headers = {{"Replay-Nonce", "n"}, {"Set-Cookie", "c"}};
  MountTuning tuning;
  tuning.allowed_response_headers = {"replay-nonce"};
  keep_allowed_headers(tuning, response);
  BOOST_TEST_REQUIRE(response.headers.size() == 1u);
  BOOST_TEST(response.headers[0].first == "Replay-Nonce");
  keep_allowed_headers({}, response);
  BOOST_TEST(response.headers.empty());
}

BOOST_AUTO_TEST_CASE(a_later_state_is_told_from_a_foreign_one) {
  const TokenHasher hasher(SecretBytes(32));
  SecretBytes key(32);
  key.reveal_mutable()[0] = 1;
  const TokenHasher stranger(key);
  const std::string five = state_text(hasher, Index(5));
  const std::string nine = state_text(hasher, Index(9));
  const std::string foreign = state_text(stranger, Index(5));
  const HeaderLine of_five{"", five};
  const HeaderLine both{"", nine, &of_five};
  BOOST_TEST((check_states(hasher, nullptr, Index(1)) == StateCheck::kHeld));
  BOOST_TEST((check_states(hasher, &of_five, Index(5)) == StateCheck::kHeld));
  BOOST_TEST((check_states(hasher, &of_five, Index(4)) == StateCheck::kLater));
  BOOST_TEST((check_states(hasher, &both, Index(8)) == StateCheck::kLater));
  BOOST_TEST((check_states(hasher, &both, Index(9)) == StateCheck::kHeld));
  for (const std::string& text : {foreign, std::string("x"), std::string(), base64_encode("v1:a:5:5:b"),
                                  base64_encode("v1:5"), base64_encode(":"), base64_encode("::")}) {
    const HeaderLine line{"", text};
    BOOST_TEST((check_states(hasher, &line, Index(100)) == StateCheck::kForeign), text);
  }
}

BOOST_AUTO_TEST_CASE(a_list_is_compiled_anew_when_a_rule_ends) {
  PolicyStore::Entries entries;
  entries["a"] = entry_of("a", R"(path "x" { capabilities = ["read"] expiration = 100 }
path "y" { capabilities = ["read"] })", at(200));
  entries["{{"] = entry_of("b", R"(path "t/{{identity.entity.id}}" { capabilities = ["read"] expiration = 100 })",
                           WallTime::max());
  const PolicyStore store(std::move(entries));
  const auto reads = [&](std::string_view path, int now) {
    std::shared_ptr<const Acl> owner;
    return store.acl("a", owner, at(now)).allows(path, Capability::kRead).allowed;
  };
  for (int round = 0; round < 2; ++round) {
    BOOST_TEST(reads("x", 99));
    BOOST_TEST(!reads("x", 100));
    BOOST_TEST(reads("y", 199));
    BOOST_TEST(!reads("y", 200));
  }
  BOOST_TEST(store.find("a", at(199)) != nullptr);
  BOOST_TEST(store.find("a", at(200)) == nullptr);
  const TemplateValues values = [](std::string_view) { return std::optional<std::string>("e"); };
  for (const auto& [now, allowed] : {std::pair(99, true), std::pair(100, false), std::pair(98, true)}) {
    std::shared_ptr<const Acl> owner;
    BOOST_TEST(store.acl("{{", owner, at(now), values).allows("t/e", Capability::kRead).allowed == allowed);
  }
}

BOOST_AUTO_TEST_CASE(filters_name_path_and_key) {
  BOOST_TEST(filled_keys_filter("{{ .path }}{{.key}}/x", "a/", "b") == "a/b/x");
  for (const std::string_view good : {"{{.key}}", "x/{{ .key }}", "{{ .path }}{{ .key }}"})
    BOOST_TEST(check_keys_filter(good).ok(), good);
  for (const std::string_view bad :
       {"", "x", "{{ .path }}", "{{ .key", "{{ if .key }}{{ .key }}{{ end }}", "{{key}}{{.key}}"})
    BOOST_TEST(!check_keys_filter(bad).ok(), bad);
}

BOOST_AUTO_TEST_CASE(items_between_commas) {
  const auto items = [](std::string_view text) {
    std::string out;
    for (std::string_view item; take_item(text, item);)
      out.append(item).append("|");
    return out;
  };
  BOOST_TEST(items("") == "");
  BOOST_TEST(items(",, ,") == "");
  BOOST_TEST(items(" a, b c ,,d") == "a|b c|d|");
}

BOOST_AUTO_TEST_SUITE_END()
