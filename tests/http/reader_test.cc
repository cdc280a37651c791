#include <boost/test/unit_test.hpp>

#include "core/pipeline_state.h"
#include "http/request_reader.h"
#include "tests/http/fixture.h"

namespace coffer::http {
namespace {

using testing::Seen;
using Step = RequestReader::Step;

struct Outcome {
  Step step = Step::kMore;
  Seen seen;
  Refusal refusal;
  std::size_t used = 0;
  bool stays = false;  // not to be forwarded
};

// Feeds `text` in pieces of `piece` bytes, as a connection does.
Outcome feed(std::string_view text, std::size_t piece, const Config& config = {}) {
  BodyBudget budget(config.limits.small_bodies_bytes, config.limits.large_bodies_bytes);
  RequestReader reader(config, budget);
  core::Exchange exchange;
  Outcome outcome;
  std::string held;
  bool head = true;
  for (std::size_t at = 0; at < text.size() && outcome.step == Step::kMore; at += piece) {
    held.append(text.substr(at, piece));
    std::size_t used = 0;
    if (head) {
      outcome.step = reader.scan_head(held, used);
      held.erase(0, used);
      outcome.used += used;
      if (outcome.step != Step::kReady)
        continue;
      head = false;
      outcome.step = reader.begin(held, exchange, used);
    } else {
      outcome.step = reader.more(held, used);
    }
    held.erase(0, used);
    outcome.used += used;
  }
  outcome.seen = testing::see(exchange.request);
  outcome.stays = exchange.pipeline && exchange.pipeline->stays;
  outcome.refusal = reader.refusal();
  reader.reset();
  BOOST_TEST(budget.held() == 0u);
  return outcome;
}

// The same whatever the pieces.
Outcome read(std::string_view text, const Config& config = {}) {
  const Outcome whole = feed(text, text.size(), config);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{100}}) {
    const Outcome other = feed(text, piece, config);
    BOOST_TEST((other.step == whole.step));
    BOOST_TEST(other.seen.path == whole.seen.path);
    BOOST_TEST(other.seen.data == whole.seen.data);
    BOOST_TEST(other.refusal.status == whole.refusal.status);
  }
  return whole;
}

std::string get(std::string_view target) { return "GET " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n\r\n"; }

std::string post(std::string_view body, std::string_view headers = "") {
  return "POST /v1/secret/data/a HTTP/1.1\r\nHost: x\r\n" + std::string(headers) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

BOOST_AUTO_TEST_SUITE(request_reader)

BOOST_AUTO_TEST_CASE(methods_become_operations) {
  const std::pair<const char*, const char*> cases[] = {{"GET", "read"},   {"HEAD", "read"}, {"LIST", "list"},
                                                       {"POST", "write"}, {"PUT", "write"}, {"DELETE", "delete"}};
  for (const auto& [method, operation] : cases) {
    const Outcome outcome = read(std::string(method) + " /v1/secret/data/a HTTP/1.1\r\n\r\n");
    BOOST_TEST((outcome.step == Step::kDone), method);
    BOOST_TEST(outcome.seen.operation == operation);
  }
  const Outcome patch = read("PATCH /v1/a HTTP/1.1\r\nContent-Type: application/merge-patch+json; charset=utf-8\r\n"
                             "Content-Length: 2\r\n\r\n{}");
  BOOST_TEST(patch.seen.operation == "patch");
  BOOST_TEST(patch.seen.content_type == "application/merge-patch+json");
  BOOST_TEST(read("PATCH /v1/a HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}").refusal.status == 415);
  BOOST_TEST(read("OPTIONS /v1/a HTTP/1.1\r\n\r\n").refusal.status == 405);
  BOOST_TEST(read("list /v1/a HTTP/1.1\r\n\r\n").refusal.status == 405);
}

BOOST_AUTO_TEST_CASE(a_delete_has_fields_in_query_and_body) {
  const auto erase = [](std::string_view target, std::string_view body) {
    return read("DELETE " + std::string(target) + " HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) +
                "\r\n\r\n" + std::string(body));
  };
  BOOST_TEST(erase("/v1/a", R"({"nonce":"n"})").seen.data == R"({"nonce":"n"})");
  BOOST_TEST(erase("/v1/a?versions=1", R"({"nonce":"n"})").seen.data == R"({"versions":"1","nonce":"n"})");
  BOOST_TEST(erase("/v1/a?versions=1", "").seen.data == R"({"versions":"1"})");
  BOOST_TEST(erase("/v1/a?versions=1", " null ").seen.data == R"({"versions":"1"})");
  BOOST_TEST(erase("/v1/a?nonce=1", R"({"nonce":"n"})").refusal.status == 400);
  BOOST_TEST(erase("/v1/a", "[1]").refusal.status == 400);
  BOOST_TEST(erase("/v1/a", "{").refusal.status == 400);
}

BOOST_AUTO_TEST_CASE(a_client_may_forbid_forwarding) {
  const auto stays = [](const char* header) {
    return read("GET /v1/a HTTP/1.1\r\n" + std::string(header) + "\r\n").stays;
  };
  BOOST_TEST(stays("X-Vault-No-Request-Forwarding: true\r\n"));
  BOOST_TEST(stays("x-vault-no-request-forwarding: 1\r\n"));
  BOOST_TEST(!stays("X-Vault-No-Request-Forwarding:\r\n"));
  BOOST_TEST(!stays(""));
}

BOOST_AUTO_TEST_CASE(list_is_of_a_folder) {
  BOOST_TEST(read(get("/v1/secret/metadata?list=true")).seen.path == "secret/metadata/");
  BOOST_TEST(read(get("/v1/secret/metadata/?list=1")).seen.operation == "list");
  BOOST_TEST(read(get("/v1/secret/metadata?list=false")).seen.operation == "read");
  BOOST_TEST(read("LIST /v1/secret/metadata/a HTTP/1.1\r\n\r\n").seen.path == "secret/metadata/a/");
  BOOST_TEST(read(get("/v1/sys/mounts?help=1")).seen.operation == "help");
}

BOOST_AUTO_TEST_CASE(query_parameters_become_data) {
  BOOST_TEST(read(get("/v1/a?version=2&x=%41+b&list=true")).seen.data == R"({"version":"2","x":"A b"})");
  BOOST_TEST(read(get("/v1/a?x=1&y=2&x=3")).seen.data == R"({"x":["1","3"],"y":"2"})");
  BOOST_TEST(read(get("/v1/a?flag")).seen.data == R"({"flag":""})");
  BOOST_TEST(read(get("/v1/a?")).seen.data == "null");
  BOOST_TEST(read(get("/v1/a?x=%zz")).refusal.status == 400);
  BOOST_TEST(read(get("/v1/a?x=%ff")).refusal.status == 400);
  BOOST_TEST(read(get("/v1/a?=1")).refusal.status == 400);
  std::string many = "/v1/a?";
  for (int i = 0; i < 300; ++i)
    many += "p" + std::to_string(i) + "=1&";
  BOOST_TEST(read(get(many)).refusal.status == 400);
  // A write's query says nothing.
  BOOST_TEST(read("POST /v1/a?version=2 HTTP/1.1\r\nContent-Length: 7\r\n\r\n{\"a\":1}").seen.data == R"({"a":1})");
}

BOOST_AUTO_TEST_CASE(headers) {
  const Outcome outcome = read(
      "GET /v1/a HTTP/1.1\r\nx-vault-token: hvs.abc\r\nX-VAULT-NAMESPACE: /team/a/\r\nX-Vault-Wrap-TTL: 1h30m\r\n"
      "X-Vault-Request: true\r\n\r\n");
  BOOST_TEST(outcome.seen.token == "hvs.abc");
  BOOST_TEST(outcome.seen.namespace_path == "team/a");
  BOOST_TEST((outcome.seen.wrap_ttl == Nanos(std::chrono::minutes(90))));
  BOOST_TEST(read("GET /v1/a HTTP/1.1\r\nAuthorization: Bearer abc\r\n\r\n").seen.token == "abc");
  BOOST_TEST(read("GET /v1/a HTTP/1.1\r\nAuthorization: Bearer abc\r\nX-Vault-Token: def\r\n\r\n").seen.token == "def");
  BOOST_TEST(read("GET /v1/a HTTP/1.1\r\nAuthorization: Basic abc\r\n\r\n").seen.token == "");
  BOOST_TEST(read("GET /v1/a HTTP/1.1\r\nX-Vault-Wrap-TTL: 60\r\n\r\n").seen.wrap_ttl.count() == 60'000'000'000);
  BOOST_TEST(read("GET /v1/a HTTP/1.1\r\nX-Vault-Wrap-TTL: 0\r\n\r\n").seen.wrap_ttl.count() == -1);
  BOOST_TEST(read("GET /v1/a HTTP/1.1\r\nX-Vault-Wrap-TTL: soon\r\n\r\n").refusal.status == 400);
  BOOST_TEST(read("GET /v1/a HTTP/1.1\r\nX-Vault-Wrap-TTL: -1s\r\n\r\n").refusal.status == 400);
  BOOST_TEST(read("GET /v1/a HTTP/1.1\r\nX-Vault-Namespace: a/../b\r\n\r\n").refusal.status == 400);
  BOOST_TEST(read("GET /v1/a HTTP/1.1\r\nX-Vault-Token: a\r\nX-Vault-Token: b\r\n\r\n").refusal.status == 400);
  BOOST_TEST((read("GET /v1/a HTTP/1.1\r\nX-Vault-Token: a\r\nX-Vault-Token: a\r\n\r\n").step == Step::kDone));
  Config strict;
  strict.require_request_header = true;
  BOOST_TEST(read(get("/v1/a"), strict).refusal.status == 412);
  BOOST_TEST((read("GET /v1/a HTTP/1.1\r\nX-Vault-Request: true\r\n\r\n", strict).step == Step::kDone));
}

BOOST_AUTO_TEST_CASE(bodies) {
  BOOST_TEST(read(post(R"({"data":{"n":1.10,"big":123456789012345678901234567890}})")).seen.data ==
             R"({"data":{"n":1.10,"big":123456789012345678901234567890}})");
  BOOST_TEST(read(post("")).seen.data == "null");
  BOOST_TEST(read(post(" \r\n")).seen.data == "null");
  BOOST_TEST(read(post("null")).seen.data == "null");
  // curl says that it sends a form.
  const char* form = "Content-Type: application/x-www-form-urlencoded\r\n";
  BOOST_TEST(read(post(R"({"role_id":"a"})", form)).seen.data == R"({"role_id":"a"})");
  BOOST_TEST(read(post("role_id=a&secret_id=b%20c", form)).seen.data == R"({"role_id":"a","secret_id":"b c"})");
  for (const char* bad : {"{", "[]", "1", "\"x\"", "{\"a\":1}x", "{\"a\":1,\"a\":2}", "\xff"})
    BOOST_TEST(read(post(bad)).refusal.status == 400, bad);
  const std::string chunked =
      "POST /v1/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n"
      "X-Vault-Token: late\r\n\r\n";
  const Outcome outcome = read(chunked);
  BOOST_TEST(outcome.seen.data == R"({"a":1})");
  BOOST_TEST(outcome.seen.token == "");
  BOOST_TEST(outcome.used == chunked.size());
}

BOOST_AUTO_TEST_CASE(one_request_at_a_time) {
  const std::string first = post("{\"a\":1}");
  const Outcome outcome = feed(first + get("/v1/b"), 4096);
  BOOST_TEST((outcome.step == Step::kDone));
  BOOST_TEST(outcome.used == first.size());
  BOOST_TEST(outcome.seen.path == "secret/data/a");
}

BOOST_AUTO_TEST_CASE(paths) {
  BOOST_TEST(read(get("/v1/secret/data/a%20b")).seen.path == "secret/data/a b");
  BOOST_TEST(read(get("http://host:8200/v1/a")).seen.path == "a");
  for (const char* bad : {"/v1/a//b", "/v1/a/../b", "/v1/a/%2e%2e/b", "/v1/a/./b", "/v1/a%00", "/v1/a%5cb", "/v1/%ff",
                          "/v1/a%252e", "/v1/a#b", "*", "http://host", "v1/a"})
    BOOST_TEST(read(get(bad)).refusal.status == 400, bad);
  for (const char* none : {"/", "/ui", "/ui/", "/v1", "/v2/a", "/metrics"})
    BOOST_TEST(read(get(none)).refusal.status == 404, none);
}

BOOST_AUTO_TEST_CASE(malformed_heads_are_refused) {
  const std::string_view cases[] = {"\x16\x03\x01\x02\x00",
                                    "GET\r\n\r\n",
                                    "GET /v1/a\r\n\r\n",
                                    "GET /v1/a HTTP/2.0\r\n\r\n",
                                    "GET /v1/a HTTP/1.1 \r\n\r\n",
                                    "GET  /v1/a HTTP/1.1\r\n\r\n",
                                    "GET /v1/a HTTP/1.1\r\nno colon\r\n\r\n",
                                    "GET /v1/a HTTP/1.1\r\nA : b\r\n\r\n",
                                    "GET /v1/a HTTP/1.1\r\n: b\r\n\r\n",
                                    "GET /v1/a HTTP/1.1\r\nA: \x01\r\n\r\n",
                                    "POST /v1/a HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                                    "POST /v1/a HTTP/1.1\r\nContent-Length: 1x\r\n\r\n",
                                    "POST /v1/a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                                    "POST /v1/a HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                                    "POST /v1/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
                                    "POST /v1/a HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                                    "POST /v1/a HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n",
                                    "POST /v1/a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
                                    "POST /v1/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
                                    "POST /v1/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{xxxx\r\n"};
  for (const std::string_view text : cases) {
    const Outcome outcome = read(text);
    BOOST_TEST((outcome.step == Step::kRefused), text);
    BOOST_TEST(outcome.refusal.status == 400, text);
  }
}

BOOST_AUTO_TEST_CASE(limits_before_parsing) {
  Config config;
  config.limits.header_bytes = 200;
  config.limits.body_bytes = 1000;
  config.limits.tokenless_body_bytes = 10;
  const std::string long_header = "GET /v1/a HTTP/1.1\r\nA: " + std::string(300, 'x') + "\r\n\r\n";
  BOOST_TEST(read(long_header, config).refusal.status == 431);
  BOOST_TEST(read(long_header.substr(0, 250), config).refusal.status == 431);
  BOOST_TEST(read(post(std::string(11, ' ')), config).refusal.status == 413);
  BOOST_TEST((read(post(std::string(10, ' ')), config).step == Step::kDone));
  BOOST_TEST((read(post(std::string(11, ' '), "X-Vault-Token: t\r\n"), config).step == Step::kDone));
  BOOST_TEST(read(post(std::string(1001, ' '), "X-Vault-Token: t\r\n"), config).refusal.status == 413);
  const std::string chunked = "POST /v1/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n        \r\n8\r\n"
                              "        \r\n0\r\n\r\n";
  BOOST_TEST(read(chunked, config).refusal.status == 413);
  BOOST_TEST(
      read("POST /v1/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", config).refusal.status ==
      413);
  // Chunk extensions and trailers have no end of their own.
  const std::string endless = "POST /v1/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a=" + std::string(5000, 'x');
  BOOST_TEST(feed(endless, 100, config).refusal.status == 400);
}

BOOST_AUTO_TEST_CASE(refusals_never_repeat_what_was_sent) {
  for (const std::string& text : {get("/v1/hunter2/../x"), post("{\"hunter2\":\"hunter2\",}"), get("/v1/a?hunter2=%zz"),
                                  std::string("GET /v1/a HTTP/1.1\r\nX-Vault-Wrap-TTL: hunter2\r\n\r\n"),
                                  std::string("GET /v1/a HTTP/1.1\r\nX-Vault-Namespace: hunter2//x\r\n\r\n")}) {
    const Outcome outcome = read(text);
    BOOST_TEST(outcome.refusal.status == 400);
    BOOST_TEST(outcome.refusal.text.find("hunter2") == std::string::npos);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::http
