// Leases: granting, looking up, renewing, revoking; by handlers with and without a call outside.
#include <boost/test/unit_test.hpp>
#include <optional>

#include "core/expiry_driver.h"
#include "core/lease_store.h"
#include "tests/core/core_fixture.h"
#include "tests/core/fake_group.h"
#include "tests/core/fake_outside.h"
#include "tests/mutant_on.h"

namespace coffer::core::testing {
namespace {

using namespace std::chrono_literals;
using coffer::testing::ScopedMutant;

struct LeaseFixture : CoreFixture {
  LeaseFixture() : engine(make_fake_engine(outside)) {
    engines.add(*engine, MountTable::kSecret, true);
    services.calls = &pool;
    BOOST_REQUIRE_EQUAL(write("sys/mounts/fake", R"({"type":"fake"})").status, 204);
    driver = std::make_unique<ExpiryDriver>(services);
    jobs = std::make_unique<JobRunner>(services);
  }
  Answer get(std::string_view path, std::string_view body = {}, std::string_view token = "root") {
    return request(Operation::kRead, path, body, token);
  }
  void pass(Nanos by) {
    advance(by);
    outside.advance(committer.now);
    settle();
  }
  void settle() {
    for (int i = 0; i < 50; ++i) {
      driver->tick();
      jobs->tick();
      pool.run_all();
    }
  }
  // Nothing of any lease is in the state.
  bool clean() {
    for (const std::string_view prefix : {"lease/rec/", "lease/id/fake/", "lease/token/", "lease/bad/"})
      if (records(store::KeyClass::kClusterLocal, MountId(0), prefix) != 0)
        return false;
    return true;
  }
  std::string lease_body(const Answer& answer, std::string_view more = {}) {
    return R"({"lease_id":")" + answer.lease_id + "\"" + std::string(more) + "}";
  }

  FakeOutside outside;
  ManualPool pool;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<ExpiryDriver> driver;
  std::unique_ptr<JobRunner> jobs;
};

BOOST_FIXTURE_TEST_SUITE(leases, LeaseFixture)

BOOST_AUTO_TEST_CASE(granted_looked_up_and_expired) {
  const Answer made = get("fake/inside/a", R"({"ttl":"1h"})");
  BOOST_REQUIRE_EQUAL(made.status, 200);
  BOOST_TEST(made.lease_id.starts_with("fake/inside/a/"));
  BOOST_TEST(made.lease_id.size() == std::string("fake/inside/a/").size() + 24);
  BOOST_TEST(made.lease_duration == 3600);
  const Answer found = write("sys/leases/lookup", lease_body(made));
  BOOST_TEST(found.status == 200);
  BOOST_TEST(found.text("data|id") == made.lease_id);
  BOOST_TEST(found.text("data|ttl") == "3600");
  BOOST_TEST(found.text("data|renewable") == "true");
  BOOST_TEST(found.text("data|last_renewal") == "null");
  BOOST_TEST(found.text("data|path") == "fake/inside/a");
  BOOST_TEST(list("sys/leases/lookup/fake/inside").text("data|keys|0") == "a/");
  BOOST_TEST(records(store::KeyClass::kClusterLocal, MountId(0), "lease/rec/") == 1);
  pass(59min);
  BOOST_TEST(write("sys/leases/lookup", lease_body(made)).status == 200);
  pass(1min);
  const Answer gone = write("sys/leases/lookup", lease_body(made));
  BOOST_TEST(gone.status == 400);
  BOOST_TEST(gone.text("errors|0") == "lease not found");
  BOOST_TEST(clean());
  BOOST_TEST(list("sys/leases/lookup/fake").status == 404);
  const Answer mount = read("sys/internal/ui/mounts/fake/x");
  BOOST_TEST(mount.status == 200);
}

BOOST_AUTO_TEST_CASE(expired_is_refused_before_anything_revokes_it) {
  const Answer made = get("fake/inside/a", R"({"ttl":"1m"})");
  advance(1min);
  BOOST_TEST(write("sys/leases/lookup", lease_body(made)).status == 400);
  BOOST_TEST(write("sys/leases/renew", lease_body(made)).status == 400);
}

BOOST_AUTO_TEST_CASE(renewed_and_capped) {
  const Answer made = get("fake/inside/a", R"({"ttl":"1h","max_ttl":"3h"})");
  pass(30min);
  const Answer renewed = write("sys/leases/renew", lease_body(made, R"(,"increment":"2h")"));
  BOOST_TEST(renewed.status == 200);
  BOOST_TEST(renewed.lease_duration == 7200);
  BOOST_TEST(renewed.lease_id == made.lease_id);
  const Answer capped = write("sys/leases/renew/" + made.lease_id, R"({"increment":"5h"})");
  BOOST_TEST(capped.lease_duration == 9000);
  BOOST_TEST(!capped.at("warnings|0").is_null());
  pass(90min);
  BOOST_TEST(write("sys/leases/lookup", lease_body(made)).status == 200);
  pass(60min);
  BOOST_TEST(clean());
  BOOST_TEST(write("sys/renew", lease_body(made)).text("errors|0") == "lease not found");
  const Answer fixed = get("fake/inside/b", R"({"ttl":"1h","renewable":false})");
  BOOST_TEST(write("sys/leases/renew", lease_body(fixed)).text("errors|0") == "lease is not renewable");
}

BOOST_AUTO_TEST_CASE(ttl_of_the_mount_counts) {  // advisory G8
  BOOST_TEST(write("sys/mounts/fake/tune", R"({"default_lease_ttl":"10m","max_lease_ttl":"20m"})").status == 204);
  BOOST_TEST(get("fake/inside/a").lease_duration == 600);
  BOOST_TEST(get("fake/inside/a", R"({"ttl":"1h"})").lease_duration == 1200);
  const ScopedMutant on(Mutant::kLeaseMountTtlIgnored);
  BOOST_TEST(get("fake/inside/a").lease_duration != 600);
}

BOOST_AUTO_TEST_CASE(made_outside_and_revoked) {
  const Answer made = get("fake/creds/a", R"({"ttl":"1h"})");
  BOOST_REQUIRE_EQUAL(made.status, 200);
  BOOST_TEST(outside.users.count(made.text("data|username")) == 1);
  BOOST_TEST(write("sys/leases/lookup", lease_body(made)).status == 200);
  BOOST_TEST(write("sys/leases/renew", lease_body(made, R"(,"increment":"2h")")).lease_duration == 7200);
  BOOST_TEST(write("sys/leases/revoke", lease_body(made)).status == 202);
  BOOST_TEST(write("sys/leases/lookup", lease_body(made)).status == 400);
  BOOST_TEST(outside.users.size() == 1);
  settle();
  BOOST_TEST(outside.users.empty());
  BOOST_TEST(clean());
}

// A change of voters costs the lease for a round, and may be what the call made.
BOOST_AUTO_TEST_CASE(the_answer_waits_for_a_lease_that_was_lost_during_the_call) {
  FakeGroup group;
  services.group = &group;
  bool comes_back = true;
  group.follow = [&] { committer.lease = comes_back; };
  outside.fate = [&] {
    committer.lease = false;
    return FakeOutside::Fate::kWorks;
  };
  const Answer made = get("fake/creds/a");
  BOOST_TEST(made.status == 200);
  BOOST_TEST(!made.lease_id.empty());
  BOOST_TEST(group.questions == 1u);
  comes_back = false;
  const Answer lost = get("fake/creds/b");
  BOOST_TEST(lost.text("errors|0") == "outcome unknown: the request may or may not take effect");
  BOOST_TEST(lost.lease_id.empty());
  BOOST_TEST(group.questions == 2u);
  committer.lease = true;
  outside.fate = nullptr;
  pass(10min);
  BOOST_TEST(outside.users.size() == 1u);  // what nobody was told of is revoked
}

BOOST_AUTO_TEST_CASE(revoked_before_the_answer) {
  const Answer made = get("fake/creds/a");
  BOOST_TEST(write("sys/leases/revoke", lease_body(made, R"(,"sync":true)")).status == 204);
  BOOST_TEST(outside.users.empty());
  BOOST_TEST(clean());
  BOOST_TEST(write("sys/leases/revoke", lease_body(made, R"(,"sync":true)")).status == 204);
  const Answer other = get("fake/creds/a");
  outside.fate = [] { return FakeOutside::Fate::kFails; };
  BOOST_TEST(write("sys/revoke/" + other.lease_id, R"({"sync":true})").status == 400);
  outside.fate = nullptr;
  pass(10s);
  BOOST_TEST(outside.users.empty());
  BOOST_TEST(clean());
}

BOOST_AUTO_TEST_CASE(what_failed_to_be_made_is_revoked_twice) {
  outside.fate = [] { return FakeOutside::Fate::kLate; };
  outside.set_random([](std::uint64_t below) { return below - 1; });
  const Answer failed = get("fake/creds/a");
  BOOST_TEST(failed.status == 400);
  BOOST_TEST(failed.text("errors|0") == "the system outside did not answer in time");
  outside.fate = nullptr;
  settle();
  BOOST_TEST(records(store::KeyClass::kClusterLocal, MountId(0), "lease/rec/") == 1);
  pass(limits::kOutsideTimeMax);
  BOOST_TEST(outside.users.size() == 1);  // it came late
  pass(limits::kOutsideClockBound + limits::kIntentAgainAfter);
  BOOST_TEST(outside.users.empty());
  BOOST_TEST(clean());
}

BOOST_AUTO_TEST_CASE(irrevocable_after_six_tries) {
  const Answer made = get("fake/creds/a", R"({"ttl":"1m"})");
  outside.fate = [] { return FakeOutside::Fate::kFails; };
  for (int i = 0; i < 40; ++i)
    pass(1min);
  const Answer bad = get("sys/leases", R"({"type":"irrevocable"})");
  BOOST_TEST(bad.text("data|lease_count") == "1");
  BOOST_TEST(bad.text("data|leases|0|lease_id") == made.lease_id);
  BOOST_TEST(bad.text("data|leases|0|error") == "the system outside refused");
  BOOST_TEST(get("sys/leases/count", R"({"type":"irrevocable"})").text("data|lease_count") == "1");
  BOOST_TEST(get("sys/leases/count").status == 400);
  BOOST_TEST(!write("sys/leases/lookup", lease_body(made)).at("data|revoke_error").is_null());
  // An operator asks once more; then by force.
  outside.fate = nullptr;
  BOOST_TEST(write("sys/leases/revoke", lease_body(made)).status == 202);
  settle();
  BOOST_TEST(outside.users.empty());
  BOOST_TEST(clean());
  const Answer other = get("fake/creds/a");
  outside.fate = [] { return FakeOutside::Fate::kFails; };
  BOOST_TEST(write("sys/leases/revoke-force/fake/creds").status == 204);
  BOOST_TEST(clean());
  BOOST_TEST(outside.users.size() == 1);
}

BOOST_AUTO_TEST_CASE(revoked_by_prefix) {
  for (int i = 0; i < 5; ++i)
    BOOST_REQUIRE(get("fake/creds/a").status == 200 && get("fake/creds/ab").status == 200);
  BOOST_TEST(write("sys/leases/revoke-prefix/fake/creds/a", R"({"sync":true})").status == 204);
  BOOST_TEST(outside.users.size() == 5);  // those of "ab" are not below "a/"
  BOOST_TEST(write("sys/leases/revoke-prefix/fake").status == 202);
  settle();
  BOOST_TEST(outside.users.empty());
  BOOST_TEST(clean());
  for (int i = 0; i < 600; ++i)
    BOOST_REQUIRE(get("fake/inside/a" + std::to_string(i)).status == 200);
  BOOST_TEST(write("sys/revoke-prefix/fake").status == 202);
  settle();
  BOOST_TEST(clean());
}

// Whatever stands in a lease's id, it is found by its prefix.
BOOST_AUTO_TEST_CASE(g4_every_id_is_revoked_by_its_prefix) {
  const auto left = [this] {
    for (const std::string_view role : {"a.b", ".a", "a.", "a b", "h", "h.h", "\xc3\xa9", "a+b*c", "0"})
      BOOST_REQUIRE_EQUAL(get("fake/inside/" + std::string(role)).status, 200);
    write("sys/leases/revoke-prefix/fake", R"({"sync":true})");
    settle();
    return records(store::KeyClass::kClusterLocal, MountId(0), "lease/rec/");
  };
  BOOST_TEST(left() == 0u);
  const ScopedMutant on(Mutant::kDottedLeasesKept);
  BOOST_TEST(left() != 0u);
}

// The id of a lease may look as a token's does on the way to its end: what is revoked is what was meant.
BOOST_AUTO_TEST_CASE(g10_a_prefix_never_mixes_tokens_and_leases) {
  const std::string bystander = token(R"(["default"])");
  const std::string name = list("sys/leases/lookup/auth/token/create").text("data|keys|0");
  BOOST_TEST_REQUIRE(name.front() == 'h');
  const auto lives = [&] { return read("auth/token/lookup-self", bystander).status == 200; };
  const auto lease = [&] { BOOST_REQUIRE_EQUAL(get("fake/inside/" + name).status, 200); };
  lease();
  for (const std::string& prefix : {"fake/inside/" + name, std::string("fake/inside"), std::string("fake")}) {
    lease();
    BOOST_TEST(write("sys/leases/revoke-prefix/" + prefix, R"({"sync":true})").status == 204);
    settle();
    BOOST_TEST(clean());
    BOOST_TEST(lives());
    lease();
    BOOST_TEST(write("sys/leases/revoke-force/" + prefix).status == 204);
    settle();
    BOOST_TEST(clean());
    BOOST_TEST(lives());
  }
  // And the other way round: tokens by their prefix, and no lease but theirs.
  const Answer kept = get("fake/inside/a");
  BOOST_TEST(write("sys/leases/revoke-prefix/auth/token/create", R"({"sync":true})").status == 204);
  settle();
  BOOST_TEST(!lives());
  BOOST_TEST(write("sys/leases/lookup", lease_body(kept)).status == 200);
  const std::string other = token(R"(["default"])");
  const std::string again = list("sys/leases/lookup/auth/token/create").text("data|keys|0");
  BOOST_REQUIRE_EQUAL(get("fake/inside/" + again).status, 200);
  const ScopedMutant on(Mutant::kLeasePrefixMixesTokens);
  write("sys/leases/revoke-prefix/fake/inside", R"({"sync":true})");
  settle();
  BOOST_TEST(read("auth/token/lookup-self", other).status != 200);
}

BOOST_AUTO_TEST_CASE(f5_deleting_a_namespace_revokes_first) {
  BOOST_TEST(request(Operation::kWrite, "sys/namespaces/a").status == 200);
  BOOST_TEST(request(Operation::kWrite, "sys/mounts/fake", R"({"type":"fake"})", "root", {}, "a").status == 204);
  for (int i = 0; i < 3; ++i)
    BOOST_TEST(request(Operation::kRead, "fake/creds/a", {}, "root", {}, "a").status == 200);
  BOOST_TEST(outside.users.size() == 3);
  BOOST_TEST(request(Operation::kDelete, "sys/namespaces/a").status < 300);
  settle();
  BOOST_TEST(outside.users.empty());
  settle();
  BOOST_TEST(clean());
  BOOST_TEST(request(Operation::kWrite, "sys/namespaces/a").status == 200);
}

BOOST_AUTO_TEST_CASE(g6_asked_again_it_is_tried_again) {
  const Answer made = get("fake/creds/a");
  outside.fate = [] { return FakeOutside::Fate::kFails; };
  BOOST_TEST(write("sys/leases/revoke", lease_body(made, R"(,"sync":true)")).status == 400);
  BOOST_TEST(write("sys/leases/revoke", lease_body(made, R"(,"sync":true)")).status == 400);
  outside.fate = nullptr;
  BOOST_TEST(outside.users.size() == 1);
  BOOST_TEST(write("sys/leases/revoke", lease_body(made, R"(,"sync":true)")).status == 204);
  BOOST_TEST(outside.users.empty());
  BOOST_TEST(clean());
}

BOOST_AUTO_TEST_CASE(g5_a_last_use_makes_nothing) {
  const std::string_view policy = R"({"policy":"path \"*\" { capabilities = [\"read\",\"update\"] }"})";
  BOOST_TEST(write("sys/policies/acl/all", policy).status == 204);
  for (const std::string_view path : {"fake/creds/a", "fake/inside/a"}) {
    const std::string once = token(R"(["all"])", R"(,"num_uses":1)");
    const Answer refused = get(path, {}, once);
    BOOST_TEST(refused.status == 400);
    BOOST_TEST(refused.text("errors|0") ==
               "Secret cannot be returned; token had one use left, so leased credentials were immediately revoked.");
    BOOST_TEST(outside.users.empty());
    BOOST_TEST(clean());
    BOOST_TEST(get("auth/token/lookup-self", {}, once).status == 403);
  }
}

// What another namespace holds is neither told of nor changed, whichever endpoint is asked (advisory F2).
BOOST_AUTO_TEST_CASE(f2_leases_of_another_namespace_are_none) {
  BOOST_TEST(request(Operation::kWrite, "sys/namespaces/a").status == 200);
  const Answer made = get("fake/creds/a", R"({"ttl":"1h"})");
  const auto in_a = [this](std::string_view path, std::string_view body) {
    return request(Operation::kWrite, path, body, "root", {}, "a");
  };
  const auto untouched = [&] {
    for (const std::string prefix : {"sys/leases/", "sys/"}) {
      in_a(prefix + "revoke", lease_body(made, R"(,"sync":true)"));
      in_a(prefix + "revoke/" + made.lease_id, R"({"sync":true})");
      in_a(prefix + "revoke-prefix/fake", R"({"sync":true})");
      in_a(prefix + "revoke-prefix/" + made.lease_id, R"({"sync":true})");
      in_a(prefix + "revoke-force/fake", "{}");
      in_a(prefix + "revoke-force/" + made.lease_id, "{}");
      if (in_a(prefix + "renew", lease_body(made)).status != 400)
        return false;
      if (in_a(prefix + "renew/" + made.lease_id, "{}").status != 400)
        return false;
    }
    settle();
    return in_a("sys/leases/lookup", lease_body(made)).status == 400 &&
           request(Operation::kList, "sys/leases/lookup/fake", {}, "root", {}, "a").status == 404 &&
           write("sys/leases/lookup", lease_body(made)).text("data|ttl") == "3600" && outside.users.size() == 1;
  };
  BOOST_TEST(untouched());
  const ScopedMutant on(Mutant::kLeaseOfOtherNamespace);
  BOOST_TEST(!untouched());
}

BOOST_AUTO_TEST_CASE(leases_end_with_their_token) {  // advisories G5, F7
  for (const bool planted : {false, true}) {
    std::optional<ScopedMutant> on;
    if (planted)
      on.emplace(Mutant::kLeaseOutlivesToken);
    const std::string_view policy = R"({"policy":"path \"*\" { capabilities = [\"read\",\"update\"] }"})";
    BOOST_TEST(write("sys/policies/acl/all", policy).status == 204);
    const std::string parent = token(R"(["all"])");
    const std::string child = token(R"(["all"])", {}, parent);
    const Answer made = get("fake/creds/a", {}, child);
    BOOST_TEST(made.status == 200);
    BOOST_TEST(get("fake/inside/a", {}, child).status == 200);
    BOOST_TEST(write("auth/token/revoke", R"({"token":")" + parent + "\"}").status == 204);
    settle();
    BOOST_TEST(outside.users.empty() == !planted);
    BOOST_TEST(clean() == !planted);
    if (planted)
      continue;
    // The last use of a token that may be used once takes its lease along.
    const std::string once = token(R"(["all"])", R"(,"num_uses":1)");
    get("fake/inside/a", {}, once);
    settle();
    BOOST_TEST(clean());
  }
}

BOOST_AUTO_TEST_CASE(g2_leases_of_a_batch_token_end_with_it_and_with_its_parent) {
  const std::string_view policy = R"({"policy":"path \"*\" { capabilities = [\"read\",\"update\"] }"})";
  BOOST_TEST(write("sys/policies/acl/all", policy).status == 204);
  const std::string parent = token(R"(["all"])");
  const std::string batch = token(R"(["all"])", R"(,"type":"batch","ttl":"10m")", parent);
  const Answer made = get("fake/inside/a", R"({"ttl":"5h"})", batch);
  BOOST_TEST(made.status == 200);
  BOOST_TEST(made.lease_duration <= 600);
  BOOST_TEST(get("fake/inside/b", R"({"ttl":"5m"})", batch).status == 200);
  BOOST_TEST(write("auth/token/revoke", R"({"token":")" + parent + "\"}").status == 204);
  settle();
  BOOST_TEST(clean());
}

// The call of an intent may be under way when its lease is to be forgotten by force.
BOOST_AUTO_TEST_CASE(force_forgets_no_intent_whose_call_may_still_come) {
  const Answer made = [&] {
    pool.refusing = false;
    outside.fate = [] { return FakeOutside::Fate::kLate; };
    return get("fake/creds/a");
  }();
  BOOST_TEST(made.status >= 400);
  BOOST_TEST(write("sys/leases/revoke-force/fake").status < 300);
  outside.fate = {};
  for (int i = 0; i < 10; ++i)
    pass(1min);
  BOOST_TEST(outside.users.empty());
  BOOST_TEST(clean());
}

BOOST_AUTO_TEST_CASE(tokens_have_leases_too) {
  const std::string made = token(R"(["default"])", R"(,"ttl":"1h")");
  const Answer folder = list("sys/leases/lookup/auth/token/create");
  BOOST_REQUIRE_EQUAL(folder.status, 200);
  const std::string id = "auth/token/create/" + folder.text("data|keys|0");
  const std::string body = R"({"lease_id":")" + id + "\"}";
  const Answer found = write("sys/leases/lookup", body);
  BOOST_TEST(found.status == 200);
  BOOST_TEST(found.text("data|ttl") == "3600");
  BOOST_TEST(write("sys/leases/renew", body).text("errors|0") == "tokens cannot be renewed through this endpoint");
  BOOST_TEST(write("sys/leases/revoke", body).status == 202);
  BOOST_TEST(read("auth/token/lookup-self", made).status == 403);
  BOOST_TEST(list("sys/leases/lookup/auth/token/create").status == 404);
  const std::string other = token(R"(["default"])");
  BOOST_TEST(write("sys/leases/revoke-prefix/auth/token/create").status == 202);
  BOOST_TEST(read("auth/token/lookup-self", other).status == 403);
}

BOOST_AUTO_TEST_CASE(disabling_a_mount_revokes_first) {  // advisories F5, F6
  for (const bool planted : {false, true}) {
    const Answer made = get("fake/creds/a");
    BOOST_TEST(get("fake/inside/a").status == 200);
    std::optional<ScopedMutant> on;
    if (planted)
      on.emplace(Mutant::kMountRemovedBeforeLeases);
    outside.fate = [] { return FakeOutside::Fate::kFails; };
    BOOST_TEST(erase("sys/mounts/fake").status == 204);
    BOOST_TEST(get("fake/creds/a").status == 404);
    BOOST_TEST(list("sys/leases/lookup/fake").status == 200);
    settle();
    outside.fate = nullptr;
    for (int i = 0; i < 10; ++i)
      pass(1min);
    BOOST_TEST(outside.users.empty() == !planted);
    BOOST_TEST((records(store::KeyClass::kShared, MountId(16)) + records(store::KeyClass::kShared, MountId(17))) == 0);
    if (planted)
      break;
    BOOST_TEST(clean());
    BOOST_TEST(deriver->attachment() != nullptr);
    BOOST_TEST(write("sys/mounts/fake", R"({"type":"fake"})").status == 204);
  }
}

BOOST_AUTO_TEST_CASE(every_lease_has_its_place_in_the_order) {  // advisory G2
  const ScopedMutant on(Mutant::kLeaseWithoutExpiry);
  BOOST_TEST(get("fake/inside/a", R"({"ttl":"1m"})").status == 200);
  pass(2min);
  BOOST_TEST(!clean());
}

BOOST_AUTO_TEST_CASE(only_success_counts_as_revoked) {  // advisory G6
  const Answer made = get("fake/creds/a");
  outside.fate = [] { return FakeOutside::Fate::kFails; };
  BOOST_TEST(write("sys/leases/revoke", lease_body(made)).status == 202);
  settle();
  BOOST_TEST(!clean());
  const ScopedMutant on(Mutant::kRevokeErrorIgnored);
  pass(1min);
  BOOST_TEST(clean());
  BOOST_TEST(outside.users.size() == 1);
}

BOOST_AUTO_TEST_CASE(one_stuck_system_does_not_hold_up_others) {
  pool.inline_ = false;
  BOOST_TEST(write("sys/mounts/other", R"({"type":"fake"})").status == 204);
  pool.inline_ = true;
  for (int i = 0; i < 50; ++i)
    BOOST_REQUIRE(get("fake/creds/a", R"({"ttl":"1m"})").status == 200);
  for (int i = 0; i < 50; ++i)
    BOOST_REQUIRE(get("other/inside/" + std::to_string(i), R"({"ttl":"2m"})").status == 200);
  pool.inline_ = false;
  advance(3min);
  for (int i = 0; i < 20; ++i)
    driver->tick();
  BOOST_TEST(pool.tasks.size() == limits::kRevocationsPerMountMax);
  BOOST_TEST(records(store::KeyClass::kClusterLocal, MountId(0), "lease/id/other/") == 0);
  pool.inline_ = true;
  settle();
  BOOST_TEST(outside.users.empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::core::testing
