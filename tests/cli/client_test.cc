#include <boost/test/unit_test.hpp>

#include <algorithm>

#include "tests/cli/fake.h"

namespace coffer::cli {
namespace {

using testing::Ran;
using testing::World;

std::string header(const HttpRequest& request, const std::string& name) {
  for (const auto& [key, value] : request.headers) {
    if (key == name)
      return value;
  }
  return "";
}

constexpr const char* kDenied = R"({"errors":["1 error occurred:\n\t* permission denied\n\n"]})";

BOOST_AUTO_TEST_SUITE(client)

BOOST_AUTO_TEST_CASE(errors_in_vaults_words) {
  World world;
  world.answer(kDenied, 403);
  Ran ran = world.run({"read", "secret/data/a"});
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(ran.out == "");
  BOOST_TEST(ran.err == "Error reading secret/data/a: Error making API request.\n\n"
                        "URL: GET http://127.0.0.1:8200/v1/secret/data/a\nCode: 403. "
                        "Errors:\n\n* 1 error occurred:\n\t* permission denied\n\n\n");
}

BOOST_AUTO_TEST_CASE(several_errors_and_raw_bodies) {
  World world;
  world.answer(R"({"errors":["one","two"]})", 400);
  BOOST_TEST(world.run({"write", "-ns=team", "a", "b=c"}).err ==
             "Error writing data to a: Error making API request.\n\nNamespace: team/\n"
             "URL: PUT http://127.0.0.1:8200/v1/a\nCode: 400. Errors:\n\n* one\n* two\n");
  world.answer("Client sent an HTTP request to an HTTPS server.\n", 400);
  BOOST_TEST(world.run({"read", "a"}).err ==
             "Error reading a: Error making API request.\n\nURL: GET http://127.0.0.1:8200/v1/a\n"
             "Code: 400. Raw Message:\n\nClient sent an HTTP request to an "
             "HTTPS server.\n\n");
}

BOOST_AUTO_TEST_CASE(a_dead_lease_is_explained_to_people) {
  World world;
  world.answer(R"({"errors":["lease not found"]})", 400);
  BOOST_TEST(world.run({"write", "sys/leases/lookup", "lease_id=x"}).err.ends_with("* lease not found or expired\n"));
  world.answer(R"({"errors":["lease not found"]})", 400);
  BOOST_TEST(world.run({"write", "other/path", "a=b"}).err.ends_with("* lease not found\n"));
}

BOOST_AUTO_TEST_CASE(no_answer) {
  World world;
  world.wire.answers.push_back({.failure = "dial tcp 127.0.0.1:8200: connect: connection refused"});
  Ran ran = world.run({"status"});
  BOOST_TEST(ran.code == 1);
  BOOST_TEST(ran.err ==
             "Error checking seal status: Get \"http://127.0.0.1:8200/v1/sys/seal-status\": dial tcp 127.0.0.1:8200: "
             "connect: connection refused\n");
}

BOOST_AUTO_TEST_CASE(headers_and_options) {
  World world;
  world.env["VAULT_NAMESPACE"] = "/a/b";
  world.env["VAULT_CACERT"] = "/ca.pem";
  world.env["VAULT_SKIP_VERIFY"] = "true";
  world.env["VAULT_TLS_SERVER_NAME"] = "vault.example";
  world.env["VAULT_CLIENT_TIMEOUT"] = "5s";
  world.env["VAULT_HTTP_PROXY"] = "http://proxy:3128";
  world.answer(R"({"data":{"a":"b"}})");
  BOOST_TEST(
      world.run({"read", "-wrap-ttl=60", "-header=X-Own=1", "-mfa=id:code", "-policy-override", "-token=other", "p"})
          .code == 0);
  BOOST_REQUIRE(world.wire.requests.size() == 1u);
  const HttpRequest& request = world.wire.requests[0];
  BOOST_TEST(header(request, "X-Vault-Token") == "other");
  BOOST_TEST(header(request, "X-Vault-Request") == "true");
  BOOST_TEST(header(request, "X-Vault-Namespace") == "a/b/");
  BOOST_TEST(header(request, "X-Vault-Wrap-Ttl") == "1m0s");
  BOOST_TEST(header(request, "X-Vault-Mfa") == "id:code");
  BOOST_TEST(header(request, "X-Vault-Policy-Override") == "true");
  BOOST_TEST(header(request, "X-Own") == "1");
  BOOST_TEST(world.wire.options.ca_cert == "/ca.pem");
  BOOST_TEST(world.wire.options.skip_verify);
  BOOST_TEST(world.wire.options.server_name == "vault.example");
  BOOST_TEST((world.wire.options.timeout == std::chrono::seconds(5)));
  BOOST_TEST(world.wire.options.proxy == "http://proxy:3128");
}

BOOST_AUTO_TEST_CASE(refused_settings) {
  World world;
  BOOST_TEST(world.run({"read", "-header=x-vault-foo=1", "p"}).err ==
             "failed to setup Headers[x-vault-foo]: Header starting by 'X-Vault-' are for internal usage only\n");
  BOOST_TEST(world.run({"read", "-header=A=1\r\nB: 2", "p"}).code == 2);
  BOOST_TEST(world.run({"read", "-token=a\nb", "p"}).code == 2);
  BOOST_TEST(world.run({"read", "-address=127.0.0.1:8200", "p"}).code == 2);
  world.env["VAULT_MAX_RETRIES"] = "many";
  BOOST_TEST(world.run({"read", "p"}).err == "failed to read environment: VAULT_MAX_RETRIES is not a whole number\n");
  BOOST_TEST(world.wire.requests.empty());
}

BOOST_AUTO_TEST_CASE(where_the_token_comes_from) {
  World world;
  world.env.erase("VAULT_TOKEN");
  world.helper_token = "stored";
  world.answer(R"({"data":{"a":"b"}})");
  world.run({"read", "p"});
  BOOST_TEST(header(world.wire.requests[0], "X-Vault-Token") == "stored");
  BOOST_TEST(world.run({"print", "token"}).out == "stored\n");
  world.env["VAULT_TOKEN"] = "variable";
  BOOST_TEST(world.run({"print", "token"}).out == "variable\n");
  BOOST_TEST(world.run({"print", "token", "-token=flag"}).out == "flag\n");
}

BOOST_AUTO_TEST_CASE(no_retries_unless_asked_for) {
  World world;
  world.answer(R"({"errors":["busy"]})", 503);
  BOOST_TEST(world.run({"read", "p"}).code == 2);
  BOOST_TEST(world.wire.requests.size() == 1u);
  world.env["VAULT_MAX_RETRIES"] = "2";
  world.wire.requests.clear();
  world.answer(R"({"errors":["busy"]})", 503);
  world.answer(R"({"errors":["stale"]})", 412);
  world.answer(R"({"data":{"a":"b"}})");
  BOOST_TEST(world.run({"read", "p"}).code == 0);
  BOOST_TEST(world.wire.requests.size() == 3u);
  BOOST_REQUIRE(world.wire.sleeps.size() == 2u);
  BOOST_TEST((world.wire.sleeps[0] == std::chrono::milliseconds(1000)));
  BOOST_TEST((world.wire.sleeps[1] == std::chrono::milliseconds(1500)));
  world.wire.requests.clear();
  world.answer(R"({"errors":["no"]})", 501);
  world.run({"read", "p"});
  world.answer(R"({"errors":["no"]})", 400);
  world.run({"read", "p"});
  BOOST_TEST(world.wire.requests.size() == 2u);
}

BOOST_AUTO_TEST_CASE(one_redirect) {
  World world;
  world.wire.answers.push_back({.status = 307, .location = "http://leader:8200/v1/p"});
  world.answer(R"({"data":{"a":"b"}})");
  BOOST_TEST(world.run({"write", "p", "k=v"}).code == 0);
  BOOST_TEST(world.wire.requests[1].url == "http://leader:8200/v1/p");
  BOOST_TEST(world.wire.requests[1].body == R"({"k":"v"})");
  world.wire.answers.push_back({.status = 307, .location = "http://leader:8200/v1/p"});
  BOOST_TEST(world.run({"read", "-address=https://standby:8200", "p"}).err.find("protocol downgrade") !=
             std::string::npos);
  world.wire.requests.clear();
  world.wire.answers.push_back({.status = 307, .location = "http://leader:8200/v1/p"});
  world.run({"read", "-disable-redirects", "p"});
  BOOST_TEST(world.wire.requests.size() == 1u);
}

BOOST_AUTO_TEST_CASE(plain_http_at_the_default_address) {
  World world;
  world.env.erase("VAULT_ADDR");
  world.wire.answers.push_back({.failure = std::string(kPlainHttpAnswer)});
  world.answer(R"({"data":{"a":"b"}})");
  Ran ran = world.run({"read", "-field=a", "p"});
  BOOST_TEST(ran.code == 0);
  BOOST_TEST(ran.out == "b");
  BOOST_TEST(ran.err.starts_with("WARNING! VAULT_ADDR and -address are unset"));
  BOOST_TEST(world.wire.requests[1].url == "http://127.0.0.1:8200/v1/p");
}

BOOST_AUTO_TEST_CASE(no_plain_http_where_https_was_chosen) {
  for (bool by_flag : {true, false}) {
    World world;
    world.env.erase("VAULT_ADDR");
    std::vector<std::string> args = {"read", "p"};
    if (by_flag)
      args.insert(args.begin() + 1, "-address=https://127.0.0.1:8200");
    else
      world.env["VAULT_ADDR"] = "https://127.0.0.1:8200";
    world.wire.answers.push_back({.failure = std::string(kPlainHttpAnswer)});
    BOOST_TEST(world.run(args).code == 2);
    BOOST_TEST(world.wire.requests.size() == 1u);
  }
}

BOOST_AUTO_TEST_CASE(unix_socket) {
  World world;
  world.answer(R"({"data":{"a":"b"}})");
  world.run({"read", "-address=unix:///run/vault.sock", "p"});
  BOOST_TEST(world.wire.options.unix_socket == "/run/vault.sock");
  BOOST_TEST(world.wire.requests[0].url == "http://localhost/v1/p");
}

BOOST_AUTO_TEST_CASE(print_instead_of_asking) {
  World world;
  Ran ran = world.run({"write", "-output-curl-string", "a b", "q=it's <x>"});
  BOOST_TEST(ran.code == 0);
  BOOST_TEST(ran.out ==
             "curl -X PUT -H \"X-Vault-Request: true\" -H \"X-Vault-Token: $(vault print token)\" -d "
             "'{\"q\":\"it'\"'\"'s \\u003cx\\u003e\"}' "
             "\"http://127.0.0.1:8200/v1/a%20b\"\n");
  BOOST_TEST(world.run({"token", "lookup", "-output-policy"}).out ==
             "path \"auth/token/lookup-self\" {\n  capabilities = [\"read\"]\n}\n");
  BOOST_TEST(world.run({"audit", "enable", "-output-policy", "file"}).out ==
             "path \"sys/audit/file\" {\n  capabilities = [\"create\", \"update\", \"sudo\"]\n}\n");
  BOOST_TEST(world.run({"list", "-output-policy", "cubbyhole"}).out ==
             "path \"cubbyhole\" {\n  capabilities = [\"list\"]\n}\n");
  ran = world.run({"read", "-output-curl-string"});
  BOOST_TEST(ran.code == 1);
  BOOST_TEST(ran.err == "Not enough arguments (expected 1, got 0)\nUnable to generate cURL string from command\n");
  BOOST_TEST(world.wire.requests.empty());
}

BOOST_AUTO_TEST_CASE(an_answer_that_is_no_json) {
  World world;
  world.answer("<html>");
  Ran ran = world.run({"read", "p"});
  BOOST_TEST(ran.code == 2);
  BOOST_TEST(ran.err == "Error reading p: the answer to GET http://127.0.0.1:8200/v1/p is not JSON\n");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::cli
