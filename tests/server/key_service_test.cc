// What the seals of key services share, and each of the services' answers that are none.
#include "server/key_service.h"

#include <boost/test/unit_test.hpp>

#include "base/encoding.h"
#include "server/azure_key_vault.h"
#include "server/gcp_kms.h"
#include "server/transit_seal.h"

namespace coffer::server {
namespace {

using namespace std::chrono_literals;

struct Web {
  Result<core::WebAnswer> operator()(const core::WebRequest& request) {
    asked.push_back(request);
    if (answers.empty())
      return Status(Code::kUnavailable, "no route");
    const core::WebAnswer answer = answers.front();
    if (answers.size() > 1)
      answers.erase(answers.begin());
    return answer;
  }
  void says(std::vector<std::pair<int, std::string>> all) {
    answers.clear();
    for (auto& [status, body] : all)
      answers.push_back({status, {}, std::move(body)});
  }
  std::string header(std::size_t request, std::string_view name) const {
    for (const auto& [known, value] : asked.at(request).headers)
      if (known == name)
        return value;
    return {};
  }

  std::vector<core::WebRequest> asked;
  std::vector<core::WebAnswer> answers;  // the last one goes on
};

struct Fixture {
  TokenKeeper keeper(std::vector<std::pair<std::string, Nanos>> tokens) {
    return TokenKeeper(
        [this, tokens]() -> Result<TokenKeeper::Token> {
          const auto& [text, lifetime] = tokens.at(std::min(fetched++, tokens.size() - 1));
          return TokenKeeper::Token{SecretBytes::copy_of(text), lifetime};
        },
        clock);
  }
  static core::WebRequest request() {
    core::WebRequest out;
    out.method = "POST";
    out.url = "https://host/";
    out.body = "secret body";
    return out;
  }

  Web web;
  ManualClock clock;
  std::size_t fetched = 0;
  KeyService service{"some", std::ref(web)};
  SecretBytes key = SecretBytes::copy_of(std::string_view("a root key of thirty-two bytes!!"));
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(key_service, Fixture)

BOOST_AUTO_TEST_CASE(a_host_is_asked_over_tls_unless_it_is_this_machine) {
  for (const auto& [text, url] : {std::pair("a.example", "https://a.example"), std::pair("https://a:443/", "https://a"),
                                  std::pair("https://a:8443", "https://a:8443"),
                                  std::pair("http://127.0.0.1:80", "http://127.0.0.1"),
                                  std::pair("http://localhost:8200/", "http://localhost:8200")})
    BOOST_TEST(service.url_of("endpoint", text).value() == url);
  for (const char* text : {"", "/", "http://a.example", "http://127.0.0.1.example", "http://localhost@a.example",
                           "ftp://a", "https://a/b", "https://a?b", "a b", "https://"}) {
    const auto refused = service.url_of("endpoint", text);
    BOOST_TEST((refused.code() == Code::kInvalid), text);
    BOOST_TEST(refused.status().message().starts_with("seal \"some\": endpoint "), refused.status().message());
  }
}

BOOST_AUTO_TEST_CASE(fields_of_a_form_are_escaped) {
  BOOST_TEST(form_of({{"a", "x y&z=/:+%"}, {"b", ""}, {"c", "\xc3\xa9-_."}}) ==
             "a=x%20y%26z%3D%2F%3A%2B%25&b=&c=%C3%A9-_.");
}

BOOST_AUTO_TEST_CASE(what_fails_for_no_reason_of_its_own_is_asked_twice) {
  json::Arena arena;
  BOOST_TEST((service.ask(arena, &Fixture::request).code() == Code::kUnavailable));
  BOOST_TEST(web.asked.size() == 2u);
  web.says({{503, ""}, {200, R"({"a":"b"})"}});
  const auto answer = service.ask(arena, &Fixture::request);
  BOOST_TEST(answer->fields.string_or("a", "") == "b");
  BOOST_TEST((web.asked.back().time_max == KeyService::kCallTimeMax));
  web.asked.clear();
  web.says({{400, "[]"}, {200, "{}"}});
  BOOST_TEST(service.ask(arena, &Fixture::request)->status == 400);
  BOOST_TEST(web.asked.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_refused_token_is_fetched_anew_once) {
  json::Arena arena;
  TokenKeeper tokens = keeper({{"one", 1h}, {"two", 1h}});
  web.says({{401, "{}"}, {200, "{}"}});
  BOOST_TEST(service.ask_with(tokens, arena, &Fixture::request)->status == 200);
  BOOST_TEST(web.header(0, "Authorization") == "Bearer one");
  BOOST_TEST(web.header(1, "Authorization") == "Bearer two");
  web.says({{401, "{}"}});
  BOOST_TEST(service.ask_with(tokens, arena, &Fixture::request)->status == 401);
  BOOST_TEST(web.asked.size() == 4u);
}

BOOST_AUTO_TEST_CASE(a_token_is_kept_until_a_minute_before_its_end) {
  TokenKeeper tokens = keeper({{"one", 10min}, {"two", 30s}, {"three", 1h}});
  BOOST_TEST(tokens.header().value() == "Bearer one");
  clock.advance(8min + 59s);
  BOOST_TEST(tokens.header().value() == "Bearer one");
  clock.advance(1s);
  BOOST_TEST(tokens.header().value() == "Bearer two");
  BOOST_TEST(tokens.header().value() == "Bearer three");
}

BOOST_AUTO_TEST_CASE(an_answer_without_a_token_is_none) {
  json::Arena arena;
  const auto token = [&](std::string body) {
    web.says({{200, std::move(body)}});
    return token_of(service, *service.ask(arena, &Fixture::request));
  };
  BOOST_TEST((token(R"({"access_token":"t","expires_in":3599})")->lifetime == 3599s));
  BOOST_TEST((token(R"({"access_token":"t","expires_in":"86399"})")->lifetime == 86399s));
  BOOST_TEST((token(R"({"access_token":"t","expires_in":99999999})")->lifetime == 24h));
  for (const char* body : {"", "[]", "{}", R"({"access_token":"t"})", R"({"access_token":"","expires_in":1})",
                           R"({"access_token":"t","expires_in":0})", R"({"access_token":"t","expires_in":"1x"})",
                           R"({"access_token":"a\r\nB: c","expires_in":60})", R"({"access_token":7,"expires_in":60})"})
    BOOST_TEST((token(body).code() == Code::kUnavailable), body);
}

BOOST_AUTO_TEST_CASE(a_word_of_the_service_is_shown_if_it_is_one) {
  json::Arena arena;
  const auto word = [&](std::string body) {
    web.says({{400, std::move(body)}});
    return service.ask(arena, &Fixture::request)->word();
  };
  BOOST_TEST(word(R"({"error":"invalid_client","error_description":"SECRET"})") == "invalid_client");
  BOOST_TEST(word(R"({"error":{"code":"Forbidden","message":"SECRET"}})") == "Forbidden");
  BOOST_TEST(word(R"({"error":{"code":403,"status":"PERMISSION_DENIED"}})") == "PERMISSION_DENIED");
  BOOST_TEST(word(R"({"__type":"com.amazonaws.kms#NotFoundException"})") == "NotFoundException");
  for (const char* body : {"", "[]", R"({"error":["a"]})", R"({"error":"<script>"})", R"({"error":"two words"})"})
    BOOST_TEST(word(body) == "", body);
  BOOST_TEST(word(R"({"error":")" + std::string(1000, 'a') + R"("})").size() == 64u);
}

BOOST_AUTO_TEST_CASE(what_was_encrypted_names_its_key) {
  const std::string packed = KeyService::pack({"name/1", "blob"});
  BOOST_TEST(service.unpack(packed)->name == "name/1");
  BOOST_TEST(service.unpack(packed)->blob == "blob");
  for (std::size_t size = 0; size < packed.size(); ++size)
    BOOST_TEST((service.unpack(packed.substr(0, size)).code() == Code::kDataLoss));
  for (const auto& [name, blob] :
       {std::pair(std::string(), std::string("b")), std::pair(std::string("n"), std::string()),
        std::pair(std::string("a b"), std::string("b")), std::pair(std::string(513, 'n'), std::string("b")),
        std::pair(std::string("n"), std::string(1025, 'b'))})
    BOOST_TEST((service.unpack(KeyService::pack({name, blob})).code() == Code::kDataLoss));
}

// Each of the three, with answers of the right status that are none: nothing is taken, and nothing is called damaged.
BOOST_AUTO_TEST_CASE(answers_that_are_none_are_refused) {
  std::vector<std::unique_ptr<seal::RemoteKey>> keys;
  AzureSettings azure;
  azure.vault_name = "vault";
  azure.key_name = "key";
  keys.push_back(make_azure_key(std::move(azure), std::ref(web), clock).value());
  GcpSettings gcp;
  gcp.project = gcp.region = gcp.key_ring = gcp.crypto_key = "a";
  keys.push_back(make_gcp_key(std::move(gcp), std::ref(web), clock).value());
  TransitSettings transit;
  transit.address = "https://other.example";
  transit.token = SecretBytes::copy_of(std::string_view("token"));
  transit.key_name = "key";
  keys.push_back(make_transit_key(std::move(transit), std::ref(web)).value());
  const std::string token = R"({"access_token":"t","expires_in":3599)";
  for (const auto& one : keys) {
    for (const std::string& body :
         {std::string("}"), std::string(R"(,"kid":"https://v/keys/k/1","value":"?"})"),
          std::string(R"(,"kid":"https://v/keys/k/../1","value":"AAAA"})"),
          std::string(R"(,"kid":"k","value":"AAAA"})"),
          std::string(R"(,"name":"projects/other/cryptoKeyVersions/1","ciphertext":"AAAA"})"),
          std::string(R"(,"data":{"ciphertext":"AAAA"}})"), std::string(R"(,"data":{"ciphertext":7}})"),
          R"(,"data":{"ciphertext":"vault:v1:)" + std::string(2000, 'A') + R"("}})"}) {
      web.says({{200, token + body}});
      BOOST_TEST((one->encrypt(key).code() == Code::kUnavailable), body);
      const std::string name = one->kind() == kAzureKind ? "key/1" : "projects/a/key";
      BOOST_TEST((one->decrypt(KeyService::pack({name, "vault:v1:AAAA"})).code() == Code::kUnavailable), body);
    }
    const std::string own = one->kind() == kAzureKind ? "key/1"
                            : one->kind() == kGcpKind ? "projects/a/locations/a/keyRings/a/cryptoKeys/a"
                                                      : "transit/key";
    BOOST_TEST(one->is_current(KeyService::pack({own, "blob"})));
    for (const std::string& other : {std::string("keys/1"), std::string("a/key"), own + "x", std::string()})
      BOOST_TEST(one->is_current(KeyService::pack({other, "blob"})) ==
                 (one->kind() == kAzureKind && other == own + "x"));
    for (const char* name : {"..", "a/../../b", "/a/b", "a/b/", "projects/../a"})
      BOOST_TEST((one->decrypt(KeyService::pack({name, "vault:v1:AAAA"})).code() == Code::kDataLoss), name);
    for (const core::WebRequest& request : web.asked)
      BOOST_TEST(!request.skip_verify);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::server
