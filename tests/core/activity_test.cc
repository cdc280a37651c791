// Client counts: who is seen, how it is counted, and what is refused while writes pile up.
#include "core/activity.h"

#include <boost/test/unit_test.hpp>

#include "core/layout.h"
#include "tests/core/core_fixture.h"

namespace coffer::core::testing {
namespace {

using namespace std::chrono_literals;

struct ActivityFixture : CoreFixture {
  ActivityFixture() : writer(services, log) {
    services.activity = &log;
    BOOST_REQUIRE_EQUAL(write("sys/auth/userpass", R"({"type":"userpass"})").status, 204);
    for (const char* name : {"a", "b"})
      BOOST_REQUIRE_EQUAL(write("auth/userpass/users/" + std::string(name), R"({"password":"p"})").status, 204);
  }
  std::string login(const std::string& name) {
    return write("auth/userpass/login/" + name, R"({"password":"p"})", "").text("auth|client_token");
  }
  void write_down() {
    for (int i = 0; i < 4; ++i) {
      clock.advance(10s);
      writer.tick(clock.boot_now());
    }
  }
  std::size_t stored() { return records(store::KeyClass::kClusterLocal, MountId(0), "activity/"); }

  ActivityLog log;
  ActivityWriter writer;
};

BOOST_FIXTURE_TEST_SUITE(activity, ActivityFixture)

BOOST_AUTO_TEST_CASE(months) {
  const WallTime at(std::chrono::seconds(1'704'067'199));  // 2023-12-31T23:59:59Z
  BOOST_TEST(month_of(at) == 202312u);
  BOOST_TEST(month_of(at + 1s) == 202401u);
  BOOST_TEST(month_after(202312) == 202401u);
  BOOST_TEST(month_after(202401, -13) == 202212u);
  BOOST_TEST((month_begins(202401) == at + 1s));
}

BOOST_AUTO_TEST_CASE(entities_and_tokens_are_counted_once) {
  const std::string a = login("a");
  const std::string again = login("a");
  const std::string b = login("b");
  const std::string one = token(R"(["default"])");
  const std::string two = token(R"(["default"])");  // may do the same: one client
  for (int i = 0; i < 3; ++i)
    for (const std::string& text : {a, again, b, one, two, std::string("root")})
      BOOST_TEST(read("auth/token/lookup-self", text).status == 200);
  BOOST_TEST(log.pending() == 3u);
  write_down();
  BOOST_TEST(log.pending() == 0u);
  BOOST_TEST(stored() == 3u);
  const Answer month = read("sys/internal/counters/activity/monthly");
  BOOST_TEST(month.text("data|clients") == "3");
  BOOST_TEST(month.text("data|entity_clients") == "2");
  BOOST_TEST(month.text("data|non_entity_clients") == "1");
  BOOST_TEST(month.text("data|by_namespace|0|namespace_id") == "root");
  BOOST_TEST(read("sys/internal/counters/entities").text("data|counters|entities|total") == "2");
  const Answer lines = read("sys/internal/counters/activity/export");
  BOOST_TEST(lines.status == 200);
  BOOST_TEST(read("sys/license/status").status == 200);
}

BOOST_AUTO_TEST_CASE(another_state_counts_anew) {
  const std::string a = login("a");
  const std::string b = login("b");
  BOOST_TEST(read("auth/token/lookup-self", a).status == 200);
  write_down();
  BOOST_TEST(read("auth/token/lookup-self", b).status == 200);
  BOOST_TEST(log.pending() == 1u);
  log.forget();
  BOOST_TEST(log.pending() == 0u);
  BOOST_TEST(read("auth/token/lookup-self", a).status == 200);
  BOOST_TEST(log.pending() == 1u);
}

BOOST_AUTO_TEST_CASE(a_new_month_counts_anew_and_a_report_once) {
  const std::string a = login("a");
  BOOST_TEST(read("auth/token/lookup-self", a).status == 200);
  write_down();
  advance(24h * 27);
  const std::string later = login("a");
  const std::string b = login("b");
  advance(24h * 4);
  BOOST_TEST(read("auth/token/lookup-self", later).status == 200);
  BOOST_TEST(read("auth/token/lookup-self", b).status == 200);
  write_down();
  BOOST_TEST(stored() == 3u);
  const Answer all = read("sys/internal/counters/activity");
  BOOST_TEST(all.text("data|total|clients") == "2");
  BOOST_TEST(all.at("data|months").size() == 12u);
  BOOST_TEST(all.text("data|months|11|counts|clients") == "2");
  BOOST_TEST(all.text("data|months|11|new_clients|counts|clients") == "1");
  BOOST_TEST(all.text("data|months|10|counts|clients") == "1");
  for (const char* period : {R"({"start_time":"9","end_time":"8"})", R"({"start_time":"soon"})"})
    BOOST_TEST(request(Operation::kRead, "sys/internal/counters/activity", period).status == 400);
}

BOOST_AUTO_TEST_CASE(a_namespace_sees_itself_and_what_is_below) {
  for (const char* ns : {"x", "y"}) {
    BOOST_TEST(write("sys/namespaces/" + std::string(ns)).status == 200);
    const std::string made =
        request(Operation::kWrite, "auth/token/create", R"({"policies":["default"]})", "root", {}, ns)
            .text("auth|client_token");
    BOOST_TEST(request(Operation::kRead, "auth/token/lookup-self", {}, made, {}, ns).status == 200);
  }
  write_down();
  const auto clients = [this](std::string_view ns) {
    return request(Operation::kRead, "sys/internal/counters/activity/monthly", {}, "root", {}, ns).text("data|clients");
  };
  BOOST_TEST(clients("") == "2");
  BOOST_TEST(clients("x") == "1");
  BOOST_TEST(request(Operation::kWrite, "sys/internal/counters/config", R"({"enabled":"disable"})", "root", {}, "x")
                 .status == 400);
}

BOOST_AUTO_TEST_CASE(what_is_configured_holds) {
  BOOST_TEST(read("sys/internal/counters/config").text("data|retention_months") == "48");
  BOOST_TEST(read("sys/internal/counters/activity").status == 204);
  BOOST_TEST(write("sys/internal/counters/config", R"({"enabled":"perhaps"})").status == 400);
  BOOST_TEST(write("sys/internal/counters/config", R"({"retention_months":0})").status == 400);
  BOOST_TEST(write("sys/internal/counters/config", R"({"enabled":"disable"})").status == 204);
  BOOST_TEST(read("auth/token/lookup-self", login("a")).status == 200);
  write_down();
  BOOST_TEST(stored() == 0u);
  BOOST_TEST(write("sys/internal/counters/config", R"({"enabled":"enable","retention_months":2})").status == 204);
  BOOST_TEST(read("auth/token/lookup-self", login("a")).status == 200);
  write_down();
  BOOST_TEST(stored() == 1u);
  advance(24h * 100);
  write_down();
  BOOST_TEST(stored() == 0u);
}

BOOST_AUTO_TEST_CASE(writes_are_refused_while_they_pile_up) {
  committer.busy = true;
  const Answer refused = write("secret/data/x", R"({"data":{"a":1}})");
  BOOST_TEST(refused.status == 503);
  bool told = false;
  for (const auto& [name, value] : refused.headers)
    told = told || (name == "Retry-After" && value == "1");
  BOOST_TEST(told);
  BOOST_TEST(read("secret/config").status == 200);
  BOOST_TEST(write("sys/policies/acl/x", R"({"policy":"path \"x\" { capabilities = [\"read\"] }"})").status == 204);
  committer.busy = false;
  BOOST_TEST(write("secret/data/x", R"({"data":{"a":1}})").status == 200);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::core::testing
