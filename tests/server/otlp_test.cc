#include <boost/test/unit_test.hpp>

#include "base/json.h"
#include "server/otlp.h"

namespace coffer::server {
namespace {

BOOST_AUTO_TEST_SUITE(otlp)

BOOST_AUTO_TEST_CASE(endpoints_are_split) {
  TracingOptions options;
  options.endpoint = "http://127.0.0.1:4318/v1/traces";
  BOOST_TEST(split_endpoint(options).ok());
  BOOST_TEST(options.host == "127.0.0.1");
  BOOST_TEST(options.port == "4318");
  BOOST_TEST(options.path == "/v1/traces");
  options.endpoint = "http://[::1]:99/x";
  BOOST_TEST(split_endpoint(options).ok());
  BOOST_TEST(options.host == "::1");
  BOOST_TEST(options.port == "99");
  options.endpoint = "http://collector";
  BOOST_TEST(split_endpoint(options).ok());
  BOOST_TEST(options.port == "4318");
  for (const char* wrong : {"", "https://a:1", "http://", "http://a:b", "http://a:1/ x", "a:1"}) {
    options.endpoint = wrong;
    BOOST_TEST(!split_endpoint(options).ok(), wrong);
  }
}

// Every byte of one export of one request.
BOOST_AUTO_TEST_CASE(an_export_is_as_the_protocol_has_it) {
  core::FinishedRequest request;
  for (std::uint8_t i = 0; i < 16; ++i)
    request.trace_id[i] = i;
  request.parent_span = 0xb7ad6b7169203331;
  request.mount_point = "secret/";
  request.mount_type = "kv";
  request.request_id = "00010203-0405-0607-0809-0a0b0c0d0e0f";
  request.status = 503;
  request.times.began = 1000;
  request.times.token = 2000;
  request.times.ended = 5000;
  TracingOptions options;
  options.service_name = "svc";
  std::string text = otlp_json({request}, 7, options);
  const auto mask = [&text](std::string_view name, std::size_t digits) {
    for (std::size_t at = 0; (at = text.find(name, at)) != std::string::npos; at += name.size())
      text.replace(at + name.size(), digits, "#");
  };
  mask(R"("spanId":")", 16);
  const auto version = text.find(R"("service.version","value":{"stringValue":")");
  BOOST_REQUIRE(version != std::string::npos);
  const std::string own = text.substr(version + 42, text.find('"', version + 42) - version - 42);
  for (std::size_t at = 0; (at = text.find(own, at)) != std::string::npos;)
    text.replace(at, own.size(), "V");
  const auto parent = text.rfind(R"("parentSpanId":")");
  text.replace(parent + 16, 16, "#");
  BOOST_TEST(
      text ==
      R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"svc"}},)"
      R"({"key":"service.version","value":{"stringValue":"V"}}]},)"
      R"("scopeSpans":[{"scope":{"name":"coffer","version":"V"},)"
      R"("spans":[{"traceId":"000102030405060708090a0b0c0d0e0f","spanId":"#","parentSpanId":"b7ad6b7169203331",)"
      R"("name":"read kv","kind":2,"startTimeUnixNano":"1007","endTimeUnixNano":"5007","attributes":[)"
      R"({"key":"coffer.request_id","value":{"stringValue":"00010203-0405-0607-0809-0a0b0c0d0e0f"}},)"
      R"({"key":"coffer.operation","value":{"stringValue":"read"}},)"
      R"({"key":"coffer.mount_point","value":{"stringValue":"secret/"}},)"
      R"({"key":"coffer.mount_type","value":{"stringValue":"kv"}},)"
      R"({"key":"coffer.surface","value":{"stringValue":"http"}},)"
      R"({"key":"http.response.status_code","value":{"intValue":"503"}}],"status":{"code":2}},)"
      R"({"traceId":"000102030405060708090a0b0c0d0e0f","spanId":"#","parentSpanId":"#","name":"route","kind":1,)"
      R"("startTimeUnixNano":"1007","endTimeUnixNano":"2007","attributes":[],"status":{}}]}]}]})");
}

BOOST_AUTO_TEST_CASE(a_ratio_samples_by_the_trace) {
  Result<std::unique_ptr<Logger>> logger = Logger::open({});
  BOOST_REQUIRE(logger.ok());
  TracingOptions options;
  options.endpoint = "http://127.0.0.1:1";
  BOOST_REQUIRE(split_endpoint(options).ok());
  options.sample_ratio = 0.25;
  const OtlpExporter exporter(options, system_clock(), **logger);
  int wanted = 0;
  for (int i = 0; i < 4096; ++i) {
    std::array<std::uint8_t, 16> id{};
    for (std::size_t j = 0; j < 8; ++j)
      id[8 + j] = static_cast<std::uint8_t>((static_cast<unsigned>(i) * 2654435761u) >> (8 * (j % 4)));
    wanted += exporter.wants(id, nullptr) ? 1 : 0;
  }
  BOOST_TEST(wanted > 700);
  BOOST_TEST(wanted < 1400);
  const bool yes = true;
  const bool no = false;
  BOOST_TEST(exporter.wants({}, &yes));
  BOOST_TEST(!exporter.wants({}, &no));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::server
