#include <boost/test/unit_test.hpp>

#include "core/settings.h"

namespace coffer::core {
namespace {

BOOST_AUTO_TEST_SUITE(settings)

BOOST_AUTO_TEST_CASE(each_record_is_read_back_and_deleting_it_gives_the_default) {
  ServerSettings given;
  given.audited_headers =
      std::make_shared<const ServerSettings::AuditedHeaders>(ServerSettings::AuditedHeaders{{"a", true}, {"b", false}});
  given.cors_enabled = given.cors_credentials = true;
  given.cors_origins = {"https://a.example"};
  given.cors_headers = {"X-A", "X-B"};
  given.ui_headers["X-U"] = {"1", "2"};
  given.metrics_enabled = false;
  ServerSettings read;
  const std::string headers = encode_audited_headers(given);
  const std::string cors = encode_cors(given);
  const std::string ui = encode_ui_headers(given);
  const std::string metrics = encode_metrics(given);
  BOOST_TEST(take_setting(kAuditedHeadersRecord, &headers, read).ok());
  BOOST_TEST(take_setting(kCorsRecord, &cors, read).ok());
  BOOST_TEST(take_setting(kUiHeadersRecord, &ui, read).ok());
  BOOST_TEST(take_setting(kMetricsRecord, &metrics, read).ok());
  BOOST_TEST((*read.audited_headers == *given.audited_headers));
  BOOST_TEST((read.cors_enabled && read.cors_credentials && !read.metrics_enabled));
  BOOST_TEST(read.cors_origins == given.cors_origins);
  BOOST_TEST(read.cors_headers == given.cors_headers);
  BOOST_TEST((read.ui_headers == given.ui_headers));
  for (const std::string_view name : {kAuditedHeadersRecord, kCorsRecord, kUiHeadersRecord, kMetricsRecord})
    BOOST_TEST(take_setting(name, nullptr, read).ok());
  BOOST_TEST((read.audited_headers == nullptr && !read.cors_enabled && read.cors_origins.empty()));
  BOOST_TEST((read.ui_headers.empty() && read.metrics_enabled));
}

BOOST_AUTO_TEST_CASE(a_damaged_record_is_told) {
  ServerSettings read;
  for (const std::string& damaged : {std::string(), std::string("\x02"), std::string("\x01\x05")}) {
    BOOST_TEST((take_setting(kAuditedHeadersRecord, &damaged, read).code() == Code::kDataLoss));
    BOOST_TEST((take_setting(kCorsRecord, &damaged, read).code() == Code::kDataLoss));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::core
