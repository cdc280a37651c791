#include <boost/test/unit_test.hpp>
#include <string>

#include "server/options.h"

namespace coffer::server {
namespace {

BOOST_AUTO_TEST_SUITE(options)

// A configuration in a variable, as containers have it.
RunOptions configured(const std::string& text) {
  RunOptions run;
  run.variable = [text](const std::string& name) -> std::optional<std::string> {
    return name == "VAULT_LOCAL_CONFIG" ? std::optional(text) : std::nullopt;
  };
  return run;
}

const std::string kBase = "storage \"inmem\" {}\nlistener \"tcp\" { tls_disable = true }\n";

BOOST_AUTO_TEST_CASE(flags_win_over_the_configured_log) {
  RunOptions run = configured(kBase + "log_level = \"notice\"\nlog_format = \"json\"\nlog_file = \"/tmp/a\"");
  Result<StartOptions> start = start_options(run);
  BOOST_REQUIRE_MESSAGE(start.ok(), start.status().message());
  BOOST_TEST((start->log.level == LogLevel::kInfo));
  BOOST_TEST(start->log.json);
  BOOST_TEST(start->log.file == "/tmp/a");
  run.log_level = "WARNING";
  run.log_format = "standard";
  run.log_file = "/tmp/b";
  start = start_options(run);
  BOOST_REQUIRE_MESSAGE(start.ok(), start.status().message());
  BOOST_TEST((start->log.level == LogLevel::kWarn));
  BOOST_TEST(!start->log.json);
  BOOST_TEST(start->log.file == "/tmp/b");
}

BOOST_AUTO_TEST_CASE(the_shortest_time_of_a_request_counts) {
  using std::chrono::seconds;
  const auto times = [](const std::string& text) {
    const Result<StartOptions> start = start_options(configured("storage \"inmem\" {}\n" + text));
    BOOST_REQUIRE_MESSAGE(start.ok(), start.status().message());
    return std::pair(start->app.http.timeouts.request, start->app.rpc.request);
  };
  const std::string tcp = "listener \"tcp\" {\n tls_disable = true\n address = \"127.0.0.1:8200\"\n";
  const std::string grpc = "listener \"grpc\" {\n tls_disable = true\n";
  BOOST_TEST((times(tcp + "}").first == Nanos(seconds(90))));
  BOOST_TEST((times("default_max_request_duration = \"5s\"\n" + tcp + "}").first == Nanos(seconds(5))));
  // A listener's own counts, be it longer.
  BOOST_TEST((times(tcp + "max_request_duration = \"200s\"\n}").first == Nanos(seconds(200))));
  const auto both = times(tcp + "max_request_duration = \"7s\"\n}\n" + grpc + "max_request_duration = \"3s\"\n}");
  BOOST_TEST((both.first == Nanos(seconds(7))));
  BOOST_TEST((both.second == Nanos(seconds(3))));
}

BOOST_AUTO_TEST_CASE(a_wrong_log_flag_is_named) {
  RunOptions run;
  run.dev = true;
  run.log_level = "loud";
  BOOST_TEST(start_options(run).status().message() == "-log-level: expected trace, debug, info, warn or error");
  run.log_level = "debug";
  run.log_format = "xml";
  BOOST_TEST(start_options(run).status().message() == "-log-format: expected standard or json");
}

BOOST_AUTO_TEST_CASE(listeners_keep_what_is_said_of_tls) {
  const Result<StartOptions> start = start_options(configured(R"(storage "inmem" {}
    listener "tcp" {
      tls_cert_file = "/c"
      tls_key_file = "/k"
      tls_client_ca_file = "/ca"
      tls_require_and_verify_client_cert = true
      tls_min_version = "tls13"
    }
    listener "grpc" {
      tls_cert_file = "/c2"
      tls_key_file = "/k2"
      tls_disable_client_certs = true
    })"));
  BOOST_REQUIRE_MESSAGE(start.ok(), start.status().message());
  const std::optional<crypto::TlsFiles>& http = start->app.http.listeners.at(0).tls;
  BOOST_REQUIRE(http.has_value());
  BOOST_TEST(http->cert_file == "/c");
  BOOST_TEST(http->client_ca_file == "/ca");
  BOOST_TEST(http->require_client_cert);
  BOOST_TEST((http->min_version == crypto::TlsVersion::k13));
  const std::optional<crypto::TlsFiles>& grpc = start->app.rpc.listeners.at(0).tls;
  BOOST_REQUIRE(grpc.has_value());
  BOOST_TEST(grpc->key_file == "/k2");
  BOOST_TEST(!grpc->ask_client_cert);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::server
