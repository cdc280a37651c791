#include <boost/test/unit_test.hpp>

#include <fstream>
#include <sstream>

#include "base/encoding.h"
#include "core/audit_format.h"
#include "tests/core/audit_fixture.h"
#include "tests/mutant_on.h"

namespace coffer {
namespace {

using core::AuditFormatter;
using core::AuditLine;
using core::AuditOptions;
using core::AuditPhase;
using testing::AuditedRead;
using testing::ScopedMutant;

std::string golden(const std::string& name) {
  std::ifstream in("tests/golden/" + name);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string both_lines(const AuditOptions& options, AuditedRead& read, std::string_view error = {}) {
  const AuditFormatter formatter(testing::test_salt(), options, "v1.21.0+builtin.coffer");
  AuditLine line;
  formatter.append(*read.exchange, AuditPhase::kRequest, read.facts, read.now, {}, line);
  formatter.append(*read.exchange, AuditPhase::kResponse, read.facts, read.now + Nanos(436297), error, line);
  return line.text;
}

std::string hash_of(std::string_view text) {
  const core::AuditHasher hasher(testing::test_salt());
  std::string quoted;
  hasher.append_quoted(text, quoted);
  BOOST_TEST(quoted == "\"" + hasher.hash(text) + "\"");
  return hasher.hash(text);
}

BOOST_AUTO_TEST_SUITE(audit_format)

BOOST_AUTO_TEST_CASE(the_lines_of_a_read_are_pinned) {
  AuditedRead read;
  BOOST_TEST(both_lines(AuditOptions(), read) == golden("audit_read.jsonl"));
}

BOOST_AUTO_TEST_CASE(every_line_is_json_and_ends_once) {
  AuditedRead read;
  std::istringstream lines(both_lines(AuditOptions(), read, "a \"quoted\"\nerror"));
  std::string line;
  int count = 0;
  for (; std::getline(lines, line); ++count)
    BOOST_TEST(json::Document::parse(line).ok(), line);
  BOOST_TEST(count == 2);
}

BOOST_AUTO_TEST_CASE(hashes_are_hmac_sha256_of_the_text) {
  const crypto::HmacKey key(testing::test_salt());
  std::vector<std::string> texts = {"",
                                    "0",
                                    "7",
                                    "42",
                                    "255",
                                    "256",
                                    "007",
                                    "00",
                                    "-1",
                                    "true",
                                    "false",
                                    "null",
                                    "x",
                                    "1.10",
                                    "truE",
                                    "v",
                                    std::string(1000, 'y')};
  for (const std::string& text : texts) {
    const crypto::Digest256 digest = key.mac(text);
    const std::string hex = hex_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
    BOOST_TEST(hash_of(text) == "hmac-sha256:" + hex);
  }
}

BOOST_AUTO_TEST_CASE(the_second_line_says_of_the_request_what_it_is_now) {
  const AuditFormatter formatter(testing::test_salt(), AuditOptions(), "");
  AuditedRead read;
  AuditLine line;
  formatter.append(*read.exchange, AuditPhase::kRequest, read.facts, read.now, {}, line);
  read.facts.mount_accessor = "kv_other";
  formatter.append(*read.exchange, AuditPhase::kResponse, read.facts, read.now, {}, line);
  BOOST_TEST(line.text.find("kv_c800f02b") < line.text.find('\n'));
  BOOST_TEST(line.text.find("kv_other") > line.text.find('\n'));
  BOOST_TEST(line.text.find("kv_c800f02b", line.text.find('\n')) == std::string::npos);
}

BOOST_AUTO_TEST_CASE(another_exchange_in_the_same_memory_is_not_mistaken) {
  const AuditFormatter formatter(testing::test_salt(), AuditOptions(), "");
  AuditedRead read;
  AuditLine line;
  std::string token = "first-token";
  std::string id = "00000000-0000-4000-8000-000000000001";
  read.exchange->request.token = token;
  read.exchange->request.id = id;
  formatter.append(*read.exchange, AuditPhase::kRequest, read.facts, read.now, {}, line);
  token = "other-token";
  id = "00000000-0000-4000-8000-000000000002";
  formatter.append(*read.exchange, AuditPhase::kResponse, read.facts, read.now, {}, line);
  BOOST_TEST(line.text.find(hash_of("other-token")) != std::string::npos);
}

BOOST_AUTO_TEST_CASE(tokens_handed_out_and_wrapped_are_hashed) {
  AuditedRead read;
  core::Response& response = read.exchange->response;
  core::Auth auth;
  auth.client_token = "hvs.new-token";
  auth.accessor = "new-accessor";
  auth.policies = {"default"};
  auth.metadata = *json::parse_copy(read.exchange->arena, R"({"user":"carol"})");
  auth.lease_duration = std::chrono::minutes(2);
  response.auth = auth;
  core::WrapInfo wrap;
  wrap.token = "hvs.wrapping-token";
  wrap.accessor = "wrapping-accessor";
  wrap.wrapped_accessor = "wrapped-accessor";
  wrap.ttl = std::chrono::seconds(60);
  wrap.creation_time = read.now;
  wrap.creation_path = "secret/data/a/b";
  response.wrap_info = wrap;
  const std::string lines = both_lines(AuditOptions(), read);
  for (const char* text :
       {"hvs.new-token", "new-accessor", "hvs.wrapping-token", "wrapping-accessor", "wrapped-accessor", "carol"}) {
    BOOST_TEST(lines.find(hash_of(text)) != std::string::npos, text);
    BOOST_TEST(lines.find("\"" + std::string(text) + "\"") == std::string::npos, text);
  }
  BOOST_TEST(lines.find(R"("token_ttl":120)") != std::string::npos);
  BOOST_TEST(lines.find(R"("wrap_info":{"ttl":60,)") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_is_not_known_is_not_told) {
  AuditedRead read;
  read.facts = core::AuditFacts();
  read.exchange->response = core::Response();
  const std::string lines = both_lines(AuditOptions(), read, "permission denied");
  BOOST_TEST(lines.find(R"("auth":{"token_type":"default"},"request":{"id":"2b83dec2-3dc4-461a-a60e-b78bb3a877c7",)"
                        R"("operation":"read","client_token":"hmac-sha256:)") != std::string::npos);
  BOOST_TEST(lines.find(R"("response":{},"error":"permission denied"})") != std::string::npos);
  BOOST_TEST(lines.find("mount_point") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(operations_have_the_names_that_policies_use) {
  const auto printed = [](core::Operation operation, bool creates) {
    AuditedRead read;
    read.exchange->request.operation = operation;
    read.facts.creates = creates;
    const std::string lines = both_lines(AuditOptions(), read);
    const std::size_t at = lines.find(R"("operation":")") + 13;
    return lines.substr(at, lines.find('"', at) - at);
  };
  BOOST_TEST(printed(core::Operation::kRead, false) == "read");
  BOOST_TEST(printed(core::Operation::kWrite, true) == "create");
  BOOST_TEST(printed(core::Operation::kWrite, false) == "update");
  BOOST_TEST(printed(core::Operation::kDelete, false) == "delete");
  BOOST_TEST(printed(core::Operation::kList, false) == "list");
  BOOST_TEST(printed(core::Operation::kPatch, false) == "patch");
}

BOOST_AUTO_TEST_CASE(lists_are_hashed_and_can_be_counted_instead) {
  AuditedRead read;
  read.exchange->request.operation = core::Operation::kList;
  read.exchange->response.data = *json::parse_copy(read.exchange->arena, R"({"keys":["a","b/"],"key_info":{"a":{}},)"
                                                                         R"("other":["a"]})");
  BOOST_TEST(both_lines(AuditOptions(), read).find(R"("keys":["hmac-sha256:)") != std::string::npos);
  AuditOptions elided;
  elided.elide_list_responses = true;
  BOOST_TEST(both_lines(elided, read).find(R"("data":{"keys":2,"key_info":1,)"
                                           R"("other":["hmac-sha256:)") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(options_of_one_device_are_its_own) {
  AuditedRead read;
  AuditOptions plain_accessor;
  plain_accessor.hmac_accessor = false;
  const std::string shown = both_lines(plain_accessor, read);
  BOOST_TEST(shown.find(R"("accessor":"9JHN8Q3cx0jsFsjkJ0OgyzFZ")") != std::string::npos);
  BOOST_TEST(shown.find("hvs.CAES") == std::string::npos);
  AuditOptions raw;
  raw.log_raw = true;
  const std::string all = both_lines(raw, read);
  BOOST_TEST(all.find("hmac-sha256:") == std::string::npos);
  BOOST_TEST(all.find(R"("data":{"k":"v","n":1.10})") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(raw_bodies_are_hashed) {
  AuditedRead read;
  read.exchange->response = core::Response();
  read.exchange->response.content_type = "application/pem-certificate-chain";
  read.exchange->response.raw_body = "canary-body";
  const std::string lines = both_lines(AuditOptions(), read);
  BOOST_TEST(lines.find("canary-body") == std::string::npos);
  BOOST_TEST(lines.find(hash_of("canary-body")) != std::string::npos);
}

BOOST_AUTO_TEST_CASE(damaged_raw_text_does_not_leak) {
  AuditedRead read;
  read.exchange->response.data = json::Value::raw(R"({"k":"canary-)");
  const std::string lines = both_lines(AuditOptions(), read);
  BOOST_TEST(lines.find("canary") == std::string::npos);
  BOOST_TEST(lines.find(R"("data":"unreadable")") != std::string::npos);
}

// Advisories H1 and H5: a canary of 128 bits in every field and in every type of value. Numbers count: a number may be
// a secret.
struct Canaries {
  Canaries() {
    core::Exchange& exchange = *read.exchange;
    exchange.request.token = text("token");
    exchange.request.data = data("request");
    read.facts.accessor = text("accessor");
    exchange.response.data = json::Value::raw(exchange.arena.copy(json_text("raw response")));
    core::Auth auth;
    auth.client_token = text("client token");
    auth.accessor = text("auth accessor");
    auth.metadata = data("metadata");
    exchange.response.auth = auth;
    core::WrapInfo wrap;
    wrap.token = text("wrapping token");
    wrap.accessor = text("wrapping accessor");
    wrap.wrapped_accessor = text("wrapped accessor");
    exchange.response.wrap_info = wrap;
  }
  // 32 decimal digits, so that one canary serves as text and as number.
  std::string fresh() {
    all.push_back("7" + std::string(30 - std::to_string(all.size()).size(), '3') + std::to_string(all.size()) + "1");
    return all.back();
  }
  std::string_view text(std::string_view) { return read.exchange->arena.copy("hvs." + fresh()); }
  std::string json_text(std::string_view) {
    return R"({"string":")" + fresh() + R"(","number":)" + fresh() + R"(,"fraction":0.)" + fresh() +
           R"(,)"
           R"("list":[")" +
           fresh() + R"(",)" + fresh() + R"(],"map":{"deep":{"er":[{"s":")" + fresh() + R"(","n":)" + fresh() +
           R"(}]}},)"
           R"("base64":"QUJD)" +
           fresh() + R"(","escaped":"\u0022)" + fresh() + R"(\n","time":"2026-11-22T02:40:04.)" + fresh() +
           R"(Z",)"
           R"("null":null,"bool":true})";
  }
  json::Value data(std::string_view where) { return *json::parse_copy(read.exchange->arena, json_text(where)); }
  std::size_t found_in(const std::string& lines) const {
    std::size_t found = 0;
    for (const std::string& canary : all)
      found += lines.find(canary) != std::string::npos;
    return found;
  }
  AuditedRead read;
  std::vector<std::string> all;
};

BOOST_AUTO_TEST_CASE(h1_h5_no_canary_reaches_a_line) {
  Canaries canaries;
  BOOST_TEST(canaries.all.size() == 37);
  const std::string lines = both_lines(AuditOptions(), canaries.read);
  BOOST_TEST(canaries.found_in(lines) == 0);
  // Not even booleans: a flag of a policy is a value like others.
  BOOST_TEST(lines.find(R"("bool":true)") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(h1_mutant_is_found) {
  const ScopedMutant on(Mutant::kAuditTokenInClear);
  Canaries canaries;
  BOOST_TEST(canaries.found_in(both_lines(AuditOptions(), canaries.read)) != 0);
}

BOOST_AUTO_TEST_CASE(h5_mutant_is_found) {
  const ScopedMutant on(Mutant::kAuditOnlyStringsHashed);
  Canaries canaries;
  const std::string lines = both_lines(AuditOptions(), canaries.read);
  BOOST_TEST(canaries.found_in(lines) != 0);
  BOOST_TEST(lines.find(R"("bool":true)") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer
