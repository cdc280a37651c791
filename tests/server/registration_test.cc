// What a catalogue of services is told, and when (server/registration.h).
#include <boost/test/unit_test.hpp>

#include "server/registration.h"

namespace coffer::server {
namespace {

constexpr NodeFace kSealed{.initialized = true};
constexpr NodeFace kStandby{.initialized = true, .sealed = false};
constexpr NodeFace kActive{.initialized = true, .sealed = false, .active = true};

BootTime at(std::int64_t millis) { return BootTime{std::chrono::milliseconds(millis)}; }
Result<core::WebAnswer> status(int code) { return core::WebAnswer{code, {}, {}}; }

Registration consul() { return Registration(RegistrationOptions{}, "https://10.0.0.5:8200", "1.21.0"); }

// Path of the request that is due at that moment and goes well, or nothing.
std::string step(Registration& registration, const NodeFace& face, std::int64_t millis, int code = 200) {
  const auto request = registration.due(face, at(millis));
  if (!request)
    return {};
  registration.told(status(code), at(millis));
  return request->url.substr(request->url.find("/v1/") + 4);
}

constexpr std::string_view kRegister = "agent/service/register";
constexpr std::string_view kCheck = "agent/check/update/vault:10.0.0.5:8200:vault-sealed-check";

}  // namespace

BOOST_AUTO_TEST_SUITE(registration)

BOOST_AUTO_TEST_CASE(registered_then_checked) {
  Registration one = consul();
  BOOST_TEST(!one.farewell().has_value());
  BOOST_TEST(step(one, kSealed, 0) == kRegister);
  BOOST_TEST(step(one, kSealed, 0) == kCheck);
  BOOST_TEST(step(one, kSealed, 2'499) == "");
  BOOST_TEST(step(one, kSealed, 2'500) == kCheck);
  // What changed is told at once.
  BOOST_TEST(step(one, kActive, 2'600) == kRegister);
  BOOST_TEST(step(one, kActive, 2'600) == kCheck);
  BOOST_REQUIRE(one.farewell().has_value());
  BOOST_TEST(one.farewell()->url == "http://127.0.0.1:8500/v1/agent/service/deregister/vault:10.0.0.5:8200");
}

BOOST_AUTO_TEST_CASE(failures_wait_longer_and_longer) {
  Registration one = consul();
  std::int64_t now = 0;
  for (const std::int64_t pause : {1'000, 2'000, 4'000, 8'000, 16'000, 30'000, 30'000}) {
    BOOST_TEST(step(one, kStandby, now, 500) == kRegister);
    BOOST_TEST(step(one, kActive, now + pause - 1) == "");
    now += pause;
  }
  BOOST_TEST(step(one, kStandby, now) == kRegister);
  BOOST_TEST(step(one, kStandby, now) == kCheck);
  // An agent that forgot the service is told of it again.
  BOOST_TEST(step(one, kStandby, now + 2'500, 404) == kCheck);
  BOOST_TEST(one.farewell().has_value());  // a check that failed for another reason leaves it registered
  BOOST_TEST(step(one, kStandby, now + 3'500) == kRegister);
}

BOOST_AUTO_TEST_CASE(labels_of_a_pod) {
  RegistrationOptions options;
  options.kind = RegistrationOptions::Kind::kKubernetes;
  options.api_server = "https://10.96.0.1:443";
  options.name_space = "secrets";
  options.pod_name = "vault-0";
  options.account_folder = "/nowhere";
  Registration one(options, "http://10.0.0.5:8200", "1.21.0");
  const auto request = one.due(kStandby, at(0));
  BOOST_REQUIRE(request.has_value());
  BOOST_TEST(request->url == "https://10.96.0.1:443/api/v1/namespaces/secrets/pods/vault-0");
  BOOST_TEST(request->body ==
             R"({"metadata":{"labels":{"vault-active":"false","vault-initialized":"true","vault-perf-standby":"false",)"
             R"("vault-sealed":"false","vault-version":"1.21.0"}}})");
  one.told(status(200), at(0));
  BOOST_TEST(!one.due(kStandby, at(100'000)).has_value());
  BOOST_TEST(one.due(kActive, at(100'000)).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::server
