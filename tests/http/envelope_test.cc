#include "http/envelope.h"

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "http/answer.h"
#include "http/tls.h"

namespace coffer::http {
namespace {

using core::Exchange;
using json::Value;

void kv_read(Exchange& exchange) {
  exchange.response.data = Value::raw(R"({"data":{"n":1.10},"metadata":{"version":1}})");
  exchange.response.mount_type = "kv";
}
void nothing(Exchange&) {}
void login(Exchange& exchange) {
  core::Auth auth;
  auth.client_token = "hvs.x";
  auth.accessor = "acc";
  auth.policies = auth.token_policies = {"app", "default"};
  auth.lease_duration = std::chrono::hours(1);
  auth.renewable = auth.orphan = true;
  exchange.response.auth = auth;
  exchange.response.warnings = {"be careful"};
  exchange.response.mount_type = "token";
}
void wrapped(Exchange& exchange) {
  core::WrapInfo wrap;
  wrap.token = "hvs.w";
  wrap.accessor = "wacc";
  wrap.ttl = std::chrono::minutes(5);
  wrap.creation_time = WallTime(Nanos(1'767'323'045'000'000'006));
  wrap.creation_path = "secret/data/a";
  exchange.response.wrap_info = wrap;
}
void mounts(Exchange& exchange) {
  auto& arena = exchange.arena;
  exchange.response.data = json::ObjectBuilder(arena)
                               .add("secret/", json::ObjectBuilder(arena).add("type", "kv").build())
                               .add("data", json::ObjectBuilder(arena).add("type", "odd").build())
                               .build();
  exchange.response.data_also_top_level = true;
  exchange.response.lease_id = "database/creds/x/1";
  exchange.response.lease_duration = std::chrono::seconds(60);
  exchange.response.renewable = true;
  exchange.response.mount_type = "system";
}
void missing(Exchange& exchange) { exchange.response.status = 404; }
void deleted_version(Exchange& exchange) {
  exchange.response.status = 404;
  exchange.response.data = Value::raw(R"({"data":null,"metadata":{"deletion_time":"2026-01-02T03:04:05Z"}})");
  exchange.response.mount_type = "kv";
}
void failed_with_data(Exchange& exchange) {
  exchange.response.status = 400;
  exchange.response.errors = {"no \"x\""};
  exchange.response.warnings = {"w"};
  exchange.response.data = Value::raw(R"({"y":1})");
}
void sealed(Exchange& exchange) {
  exchange.response.status = 503;
  exchange.response.bare = true;
  exchange.response.data = json::ObjectBuilder(exchange.arena).add("sealed", true).build();
}

BOOST_AUTO_TEST_SUITE(envelope)

BOOST_AUTO_TEST_CASE(golden) {
  std::ifstream file("tests/golden/http/envelopes.jsonl");
  BOOST_REQUIRE(file);
  for (auto* make : {kv_read, nothing, login, wrapped, mounts, missing, deleted_version, failed_with_data, sealed}) {
    Exchange exchange;
    exchange.request.id = "11111111-2222-4333-8444-555555555555";
    make(exchange);
    const int status = answer_status(exchange.response);
    std::string body;
    write_body(exchange, status, body);
    if (status != 204) {
      BOOST_REQUIRE(!body.empty() && body.back() == '\n');
      body.pop_back();
    }
    std::string line;
    std::getline(file, line);
    BOOST_TEST(std::to_string(status) + " " + body == line);
  }
}

BOOST_AUTO_TEST_CASE(a_whole_answer) {
  Exchange exchange;
  sealed(exchange);
  std::string scratch, out;
  write_answer(exchange, {false, true, true, "Fri, 02 Jan 2026 03:04:05 GMT"}, scratch, out);
  BOOST_TEST(out ==
             "HTTP/1.1 503 Service Unavailable\r\nCache-Control: no-store\r\nContent-Type: application/json\r\n"
             "Content-Length: 16\r\n"
             "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\nDate: Fri, 02 Jan 2026 03:04:05 GMT\r\n"
             "Connection: close\r\n\r\n{\"sealed\":true}\n");
  std::string date;
  format_date(WallTime(Nanos(1'767'323'045'999'999'999)), date);
  BOOST_TEST(date == "Fri, 02 Jan 2026 03:04:05 GMT");
}

BOOST_AUTO_TEST_CASE(a_quota_says_when_to_come_back) {
  Exchange exchange;
  core::fail(exchange, 429, "request rate limited");
  std::string scratch, out;
  write_answer(exchange, {}, scratch, out);
  BOOST_TEST(out.find("Retry-After: 1\r\n") != std::string::npos);
  exchange.response = core::Response();
  exchange.response.status = 429;  // a standby's health
  exchange.response.bare = true;
  exchange.response.data = Value::raw("{}");
  out.clear();
  write_answer(exchange, {}, scratch, out);
  BOOST_TEST(out.find("Retry-After") == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::http
