#include "server/aws_kms.h"

#include <boost/test/unit_test.hpp>
#include <map>

#include "base/encoding.h"
#include "base/json.h"

namespace coffer::server {
namespace {

constexpr std::string_view kArn = "arn:aws:kms:us-east-1:111122223333:key/one";

// The service: what it encrypted is a number of a text that it keeps, and `spoilt` answers in its place.
struct Service {
  Result<core::WebAnswer> operator()(const core::WebRequest& request) {
    asked.push_back(request);
    if (spoilt)
      return *spoilt;
    Arena arena;
    const json::Value fields = json::parse(arena, request.body).value();
    const std::string blob(fields.string_or("CiphertextBlob", ""));
    if (fields.find("Plaintext") != nullptr) {
      const std::string made = base64_encode("sealed " + std::to_string(texts.size()));
      texts[made] = fields.string_or("Plaintext", "");
      return answer(200, R"({"KeyId":")" + std::string(kArn) + R"(","CiphertextBlob":")" + made + R"("})");
    }
    if (blob.empty())
      return answer(200, R"({"KeyMetadata":{"KeyState":")" + state + R"("}})");
    if (fields.string_or("KeyId", "") != kArn)
      return answer(400, R"({"__type":"IncorrectKeyException"})");
    if (!texts.contains(blob))
      return answer(400, R"({"__type":"InvalidCiphertextException"})");
    return answer(200, R"({"KeyId":")" + std::string(kArn) + R"(","Plaintext":")" + texts[blob] + R"("})");
  }

  static core::WebAnswer answer(int status, std::string body) { return {status, {}, std::move(body)}; }

  std::vector<core::WebRequest> asked;
  std::map<std::string, std::string> texts;
  std::string state = "Enabled";
  std::optional<Result<core::WebAnswer>> spoilt;
};

struct Fixture {
  static AwsKmsSettings settings() {
    AwsKmsSettings out;
    out.region = "us-east-1";
    out.key_id = "alias/unseal";
    out.identity.access_key = "AKIDEXAMPLE";
    out.identity.secret_key = SecretBytes::copy_of(std::string_view("secret key"));
    return out;
  }
  std::unique_ptr<seal::KeyWrapper> seal() {
    return seal::make_remote_seal(make_aws_kms_key(settings(), std::ref(service), clock).value());
  }

  Service service;
  ManualClock clock;
  SecretBytes key = SecretBytes::copy_of(std::string_view("a root key of thirty-two bytes!!"));
};

BOOST_FIXTURE_TEST_SUITE(aws_kms, Fixture)

BOOST_AUTO_TEST_CASE(what_it_wraps_opens_in_its_context_and_the_service_never_sees_it) {
  const auto one = seal();
  const std::string wrapped = one->wrap(key, "here", system_random()).value();
  BOOST_TEST(one->kind() == "awskms");
  BOOST_TEST(one->automatic());
  BOOST_TEST(seal()->unwrap(wrapped, "here")->equals(key));
  BOOST_TEST((one->unwrap(wrapped, "there").code() == Code::kDataLoss));
  for (const core::WebRequest& request : service.asked) {
    BOOST_TEST(request.url == "https://kms.us-east-1.amazonaws.com/");
    BOOST_TEST(request.body.find(base64_encode(key.reveal_text())) == std::string::npos);
    BOOST_TEST(!request.skip_verify);
  }
  for (std::size_t at = 0; at < wrapped.size(); ++at) {
    std::string changed = wrapped;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    BOOST_TEST(!one->unwrap(changed, "here").ok());
    BOOST_TEST(!one->unwrap(wrapped.substr(0, at), "here").ok());
  }
}

BOOST_AUTO_TEST_CASE(a_service_that_answers_wrongly_is_refused) {
  const auto one = seal();
  const std::string wrapped = one->wrap(key, "here", system_random()).value();
  const auto with = [&](int status, std::string body) { service.spoilt = Service::answer(status, std::move(body)); };
  for (const std::string& body : {std::string(), std::string("[]"), std::string("{}"), std::string("{\"KeyId\":1}"),
                                  R"({"KeyId":")" + std::string(kArn) + R"(","Plaintext":"?"})",
                                  std::string(R"({"KeyId":"arn:of/another","Plaintext":"AAAA","CiphertextBlob":""})"),
                                  R"({"KeyId":"a","CiphertextBlob":")" + std::string(4000, 'A') + R"("})"}) {
    with(200, body);
    BOOST_TEST((one->unwrap(wrapped, "here").code() == Code::kUnavailable), body);
    BOOST_TEST((one->wrap(key, "here", system_random()).code() == Code::kUnavailable), body);
  }
  // Of the right form, and another key.
  with(200, R"({"KeyId":")" + std::string(kArn) + R"(","Plaintext":")" + base64_encode(std::string(32, 'x')) + R"("})");
  BOOST_TEST((one->unwrap(wrapped, "here").code() == Code::kDenied));
}

BOOST_AUTO_TEST_CASE(refusals_name_the_setting_and_never_the_service_s_text) {
  const auto one = seal();
  const std::string wrapped = one->wrap(key, "here", system_random()).value();
  const auto refused = [&](int status, const std::string& type) {
    service.spoilt = Service::answer(status, R"({"__type":")" + type + R"(","message":"SECRET of it"})");
    const Status told = one->unwrap(wrapped, "here").status();
    BOOST_TEST(told.message().find("SECRET") == std::string::npos);
    return told;
  };
  BOOST_TEST((refused(400, "InvalidCiphertextException").code() == Code::kDataLoss));
  BOOST_TEST((refused(400, "IncorrectKeyException").code() == Code::kDenied));
  for (const auto& [type, setting] : {std::pair("com.amazonaws.kms#AccessDeniedException", "kms_key_id"),
                                      std::pair("NotFoundException", "region"),
                                      std::pair("DisabledException", "kms_key_id"),
                                      std::pair("UnrecognizedClientTokenException", "access_key"),
                                      std::pair("ExpiredTokenException", "session_token"),
                                      std::pair("IncompleteSignature", "secret_key")}) {
    const Status told = refused(400, type);
    BOOST_TEST((told.code() == Code::kUnavailable));
    BOOST_TEST(told.message().find(setting) != std::string::npos, told.message());
  }
  BOOST_TEST(refused(400, "<script>").message() == "seal \"awskms\": the key service answered 400");
}

BOOST_AUTO_TEST_CASE(what_has_no_answer_is_asked_twice) {
  const auto one = seal();
  service.spoilt = Service::answer(503, "");
  BOOST_TEST((one->check().code() == Code::kUnavailable));
  BOOST_TEST(service.asked.size() == 2u);
  service.spoilt = Status(Code::kUnavailable, "no route");
  BOOST_TEST(one->check().message() == "seal \"awskms\": no route");
  BOOST_TEST(service.asked.size() == 4u);
  service.spoilt = Service::answer(429, "");
  BOOST_TEST(!one->check().ok());
  BOOST_TEST(service.asked.size() == 5u);
  service.spoilt.reset();
  BOOST_TEST(one->check().ok());
  service.state = "PendingDeletion";
  BOOST_TEST((one->check().code() == Code::kUnavailable));
}

BOOST_AUTO_TEST_CASE(settings_are_checked_before_anything_is_asked) {
  const auto refused = [this](auto change) {
    AwsKmsSettings changed = settings();
    change(changed);
    const auto made = make_aws_kms_key(std::move(changed), std::ref(service), clock);
    BOOST_TEST((made.code() == Code::kInvalid));
    return std::string(made.status().message());
  };
  BOOST_TEST(refused([](auto& s) { s.key_id = "a\r\nb"; }).find("kms_key_id") != std::string::npos);
  BOOST_TEST(refused([](auto& s) { s.region = "evil.example/"; }).find("region") != std::string::npos);
  BOOST_TEST(refused([](auto& s) { s.identity.access_key = "a b"; }).find("access_key") != std::string::npos);
  for (const char* endpoint : {"ftp://kms", "https://", "https://a/b", "https://u@h", "a b", "http://kms.example.com",
                               "http://127.0.0.1@evil", "http://127.0.0.1.evil"})
    BOOST_TEST(refused([&](auto& s) { s.endpoint = endpoint; }).find("endpoint") != std::string::npos, endpoint);
  for (const auto& [written, url] : {std::pair("kms.example.com", "https://kms.example.com/"),
                                     std::pair("https://kms.example.com:443/", "https://kms.example.com/"),
                                     std::pair("http://127.0.0.1:4566", "http://127.0.0.1:4566/")}) {
    AwsKmsSettings changed = settings();
    changed.endpoint = written;
    BOOST_TEST(make_aws_kms_key(std::move(changed), std::ref(service), clock).value()->check().ok());
    BOOST_TEST(service.asked.back().url == url);
  }
  BOOST_TEST(service.asked.size() == 3u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::server
