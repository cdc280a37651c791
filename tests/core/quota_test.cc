// Quotas: how often requests come, how many leases there are.
#include <boost/test/unit_test.hpp>

#include <map>

#include "core/cidr.h"
#include "core/quota_count.h"
#include "tests/core/core_fixture.h"
#include "tests/core/fake_outside.h"
#include "tests/mutant_on.h"

namespace coffer::core::testing {
namespace {

using namespace std::chrono_literals;

std::string header(const Answer& answer, std::string_view name) {
  for (const auto& [key, value] : answer.headers)
    if (key == name)
      return value;
  return "none";
}

BOOST_AUTO_TEST_SUITE(quotas)

BOOST_FIXTURE_TEST_CASE(a_rate_is_kept, CoreFixture) {
  BOOST_TEST(write("sys/quotas/rate-limit/kv", R"({"path":"secret/","rate":3,"interval":"10s"})").status == 204);
  for (int i = 0; i < 3; ++i)
    BOOST_TEST(write("secret/data/a", R"({"data":{"a":"b"}})").status == 200);
  const Answer refused = read("secret/data/a");
  BOOST_TEST(refused.status == 429);
  BOOST_TEST(refused.text("errors|0") == "request path \"secret/data/a\": rate limit quota exceeded");
  BOOST_TEST(header(refused, "Retry-After") != "none");
  BOOST_TEST(header(refused, "X-Ratelimit-Limit") == "none");
  BOOST_TEST(read("sys/mounts").status == 200);  // elsewhere nothing counts
  advance(10s);
  BOOST_TEST(read("secret/data/a").status == 200);
  const Answer shown = read("sys/quotas/rate-limit/kv");
  BOOST_TEST(shown.text("data|rate") == "3");
  BOOST_TEST(shown.text("data|interval") == "10");
  BOOST_TEST(shown.text("data|group_by") == "ip");
  BOOST_TEST(shown.text("data|type") == "rate-limit");
  BOOST_TEST(list("sys/quotas/rate-limit").text("data|keys|0") == "kv");
  BOOST_TEST(erase("sys/quotas/rate-limit/kv").status == 204);
  for (int i = 0; i < 10; ++i)
    BOOST_TEST(read("secret/data/a").status == 200);
  BOOST_TEST(read("sys/quotas/rate-limit/kv").status == 404);
  BOOST_TEST(list("sys/quotas/rate-limit").status == 404);
}

BOOST_FIXTURE_TEST_CASE(c4_bad_tokens_and_batches_are_counted_too, CoreFixture) {
  BOOST_TEST(write("secret/data/a", R"({"data":{"a":"b"}})").status == 200);
  BOOST_TEST(write("sys/quotas/rate-limit/kv", R"({"path":"secret/","rate":3,"interval":"10s"})").status == 204);
  for (int i = 0; i < 3; ++i)
    BOOST_TEST(read("secret/data/a", "wrong").status == 403);
  BOOST_TEST(read("secret/data/a", "wrong").status == 429);
  BOOST_TEST(read("secret/data/a").status == 429);
  advance(10s);
  const Answer batch = write(
      "sys/batch", R"({"paths":["secret/data/a","secret/data/b","secret/data/c","secret/data/d","secret/data/e"]})");
  BOOST_TEST(batch.body.find("rate limit quota exceeded") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(the_most_specific_rule_holds, CoreFixture) {
  BOOST_TEST(write("sys/quotas/rate-limit/all", R"({"rate":1000})").status == 204);
  const std::string_view one = R"({"path":"secret/data/one","rate":1,"interval":"1m"})";
  BOOST_TEST(write("sys/quotas/rate-limit/one", one).status == 204);
  BOOST_TEST(write("sys/quotas/rate-limit/kv", R"({"path":"secret","rate":2,"interval":"1m"})").status == 204);
  BOOST_TEST(write("sys/quotas/rate-limit/star", R"({"path":"secret/data/s*","rate":0.5,"interval":"1m"})").status ==
             204);
  BOOST_TEST(read("sys/quotas/rate-limit/star").text("data|rate") == "0.5");
  BOOST_TEST(read("secret/data/one").status == 404);
  BOOST_TEST(read("secret/data/one").status == 429);
  BOOST_TEST(read("secret/data/two").status == 404);
  BOOST_TEST(read("secret/data/two").status == 404);
  BOOST_TEST(read("secret/data/two").status == 429);
  BOOST_TEST(read("secret/data/s1").status == 404);
  advance(1min);
  const int again = read("secret/data/s2").status;
  BOOST_TEST((again == 429 || again == 404));
  advance(2min);
  BOOST_TEST(read("secret/data/s2").status == 404);
}

BOOST_FIXTURE_TEST_CASE(whoever_exceeds_is_blocked, CoreFixture) {
  BOOST_TEST(write("sys/quotas/config", R"({"enable_rate_limit_response_headers":true})").status == 204);
  const std::string_view rule = R"({"path":"secret/","rate":1,"interval":"1s","block_interval":"1m"})";
  BOOST_TEST(write("sys/quotas/rate-limit/kv", rule).status == 204);
  const Answer first = read("secret/data/a");
  BOOST_TEST(first.status == 404);
  BOOST_TEST(header(first, "X-Ratelimit-Limit") == "1");
  BOOST_TEST(header(first, "X-Ratelimit-Remaining") == "0");
  BOOST_TEST(header(read("secret/data/a"), "Retry-After") == "60");
  advance(30s);
  BOOST_TEST(read("secret/data/a").status == 429);
  advance(31s);
  BOOST_TEST(read("secret/data/a").status == 404);
}

BOOST_FIXTURE_TEST_CASE(exempt_paths_are_exempt, CoreFixture) {  // advisory C6
  BOOST_TEST(write("sys/quotas/config", R"({"rate_limit_exempt_paths":["secret/data/free"]})").status == 204);
  BOOST_TEST(write("sys/quotas/rate-limit/kv", R"({"path":"secret/","rate":1,"interval":"1h"})").status == 204);
  for (int i = 0; i < 5; ++i)
    BOOST_TEST(read("secret/data/free").status == 404);
  // What is derived anew is the same.
  auto view = backend.view();
  BOOST_TEST(deriver->start(**view, root_key.clone()).ok());
  backend.publish(deriver->attachment());
  for (int i = 0; i < 5; ++i)
    BOOST_TEST(read("secret/data/free").status == 404);
  BOOST_TEST(read("sys/quotas/config").text("data|rate_limit_exempt_paths|0") == "secret/data/free");
  const coffer::testing::ScopedMutant on(Mutant::kQuotaExemptionsLost);
  read("secret/data/free");
  BOOST_TEST(read("secret/data/free").status == 429);
}

// What the head says is enough to refuse a request, and it is counted once (advisory C4).
BOOST_FIXTURE_TEST_CASE(c4_a_rate_is_judged_by_the_head, CoreFixture) {
  const auto admitted = [this](std::string_view path) {
    Exchange exchange;
    exchange.request.operation = Operation::kWrite;
    exchange.request.path = *CanonicalPath::from_text(path);
    exchange.request.token = "root";
    exchange.request.remote_address = "127.0.0.1";
    const bool in = pipeline->admit(exchange);
    BOOST_TEST(in == pipeline->admit(exchange));  // of one request, asked again
    return in;
  };
  BOOST_TEST(admitted("secret/data/a"));
  BOOST_TEST(write("sys/quotas/rate-limit/kv", R"({"path":"secret/","rate":2,"interval":"1h"})").status == 204);
  BOOST_TEST(admitted("secret/data/a"));
  BOOST_TEST(write("secret/data/a", R"({"data":{"a":"b"}})").status == 200);
  BOOST_TEST(!admitted("secret/data/a"));
  BOOST_TEST(write("secret/data/a", R"({"data":{"a":"b"}})").status == 429);
  BOOST_TEST(write("secret/data/a", "{}", "a guess").status == 429);
  BOOST_TEST(admitted("sys/mounts/x"));
  BOOST_TEST(write("sys/auth/approle", R"({"type":"approle"})").status == 204);
  // A role's count of leases has nothing to do with how often somebody comes.
  BOOST_TEST(write("sys/quotas/rate-limit/any", R"({"path":"auth/approle/","rate":1,"interval":"1h"})").status == 204);
  const std::string_view leases = R"({"path":"auth/approle/","role":"r","max_leases":1})";
  BOOST_TEST(write("sys/quotas/lease-count/role", leases).status == 204);
  BOOST_TEST(admitted("auth/approle/login"));
  BOOST_TEST(!admitted("auth/approle/login"));
  BOOST_TEST(erase("sys/quotas/rate-limit/any").status == 204);
  // A role that stands in the body is judged when that was read.
  const std::string_view of_role = R"({"path":"auth/approle/","role":"r","rate":1,"interval":"1h"})";
  BOOST_TEST(write("sys/quotas/rate-limit/role", of_role).status == 204);
  BOOST_TEST(admitted("auth/approle/login"));
  BOOST_TEST(admitted("auth/approle/login"));
  const coffer::testing::ScopedMutant on(Mutant::kQuotaAfterBody);
  BOOST_TEST(admitted("secret/data/a"));
}

BOOST_FIXTURE_TEST_CASE(logins_by_role_id_count_as_their_role, CoreFixture) {
  BOOST_TEST(write("sys/auth/approle", R"({"type":"approle"})").status == 204);
  std::map<std::string, std::string> bodies;
  for (const std::string name : {"few", "many"}) {
    write("auth/approle/role/" + name, R"({"bind_secret_id":false,"secret_id_bound_cidrs":"127.0.0.0/8"})");
    bodies[name] =
        "{\"role_id\":\"" + read("auth/approle/role/" + name + "/role-id").text("data|role_id") + "\"}";
    BOOST_TEST(write("auth/approle/login", bodies[name], "").status == 200);
  }
  const std::string_view of_role = R"({"path":"auth/approle/","role":"few","rate":1,"interval":"1h"})";
  BOOST_TEST(write("sys/quotas/rate-limit/role", of_role).status == 204);
  BOOST_TEST(write("auth/approle/login", bodies["few"], "").status == 200);
  BOOST_TEST(write("auth/approle/login", bodies["few"], "").status == 429);
  for (int i = 0; i < 3; ++i)
    BOOST_TEST(write("auth/approle/login", bodies["many"], "").status == 200);
  BOOST_TEST(write("auth/approle/login", R"({"role_id":"nobody"})", "").status == 400);
}

// Who has a network of 64 bits has no more than whoever has one address.
BOOST_AUTO_TEST_CASE(a_network_of_ipv6_is_one_client) {
  BOOST_TEST(site_of("192.0.2.7") == "192.0.2.7");
  BOOST_TEST(site_of("2001:db8:1:2::7") == site_of("2001:db8:1:2:ffff::8"));
  BOOST_TEST(site_of("2001:db8:1:2::7") != site_of("2001:db8:1:3::7"));
  BOOST_TEST(site_of("::ffff:192.0.2.7") != site_of("::ffff:192.0.2.8"));
  BOOST_TEST(site_of("no:address") == "no:address");
  QuotaRecord record;
  record.name = "all";
  record.rate_thousandths = 2000;
  record.interval = 1s;
  const QuotaSet set({{record, std::make_shared<RateCounter>(), std::make_shared<LeaseCount>()}}, {});
  const auto allowed = [&](std::string_view address) {
    return set.take("", "secret/a", "", [] { return std::string_view(); }, address, WallTime(1h))->allowed;
  };
  BOOST_TEST((allowed("2001:db8::1") && allowed("2001:db8::2") && !allowed("2001:db8::3")));
  BOOST_TEST(allowed("2001:db8:0:1::3"));
}

BOOST_FIXTURE_TEST_CASE(bad_quotas_are_refused, CoreFixture) {
  for (const std::string_view body :
       {R"({})", R"({"rate":0})", R"({"rate":-1})", R"({"rate":"x"})", R"({"rate":1e300})",
        R"({"rate":1,"interval":"-1s"})", R"({"rate":1,"group_by":"moon"})", R"({"rate":1,"path":"nowhere/"})",
        R"({"rate":1,"role":"r"})", R"({"rate":1,"path":"secret/","role":"r"})", R"({"rate":1,"block_interval":-5})",
        R"({"rate":[1]})", R"({"rate":1,"path":7})"})
    BOOST_TEST(write("sys/quotas/rate-limit/bad", body).status == 400, body);
  BOOST_TEST(write("sys/quotas/rate-limit/bad", "{}").text("errors|0") == "'rate' is invalid");
  for (const std::string_view body : {R"({})", R"({"max_leases":0})", R"({"max_leases":-2})", R"({"max_leases":"x"})"})
    BOOST_TEST(write("sys/quotas/lease-count/bad", body).status == 400, body);
  BOOST_TEST(list("sys/quotas/rate-limit").status == 404);
  BOOST_TEST(write("sys/quotas/rate-limit/a", R"({"rate":1,"path":"secret/"})").status == 204);
  BOOST_TEST(write("sys/quotas/rate-limit/b", R"({"rate":2,"path":"secret"})").text("errors|0") ==
             "quota rule with similar properties exists under the name \"a\"");
}

BOOST_FIXTURE_TEST_CASE(leases_are_counted, CoreFixture) {
  FakeOutside outside;
  const std::unique_ptr<Engine> engine = make_fake_engine(outside);
  engines.add(*engine, MountTable::kSecret, true);
  BOOST_TEST(write("sys/mounts/fake", R"({"type":"fake"})").status == 204);
  std::string first = read("fake/inside/a").lease_id;
  BOOST_TEST(write("sys/quotas/lease-count/fake", R"({"path":"fake/","max_leases":3})").status == 204);
  BOOST_TEST(count_leases_of_a_quota(services));
  BOOST_TEST(!count_leases_of_a_quota(services));
  BOOST_TEST(read("fake/inside/b").status == 200);
  BOOST_TEST(read("fake/inside/c").status == 200);
  BOOST_TEST(read("sys/quotas/lease-count/fake").text("data|counter") == "3");
  const Answer refused = read("fake/inside/d");
  BOOST_TEST(refused.status == 429);
  BOOST_TEST(refused.text("errors|0") == "request path \"fake/inside/d\": lease count quota exceeded");
  BOOST_TEST(records(store::KeyClass::kClusterLocal, MountId(0), "lease/rec/") == 3);
  BOOST_TEST(write("sys/leases/revoke", R"({"sync":true,"lease_id":")" + first + "\"}").status == 204);
  BOOST_TEST(read("sys/quotas/lease-count/fake").text("data|counter") == "2");
  BOOST_TEST(read("fake/inside/d").status == 200);
  // Tokens have leases too.
  BOOST_TEST(write("sys/quotas/lease-count/tokens", R"({"path":"auth/token/","max_leases":2})").status == 204);
  BOOST_TEST(count_leases_of_a_quota(services));
  token(R"(["default"])");
  token(R"(["default"])");
  BOOST_TEST(write("auth/token/create", R"({"policies":["default"]})").status == 429);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::core::testing
