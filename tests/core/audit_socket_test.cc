#include <boost/test/unit_test.hpp>

#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <poll.h>
#include <unistd.h>

#include <filesystem>

#include "core/audit_device.h"
#include "core/audit_socket.h"
#include "tests/core/audit_fixture.h"
#include "tests/mutant_on.h"

namespace coffer {
namespace {

using core::AuditOptions;
using core::AuditTarget;
using core::open_audit_socket;
using Pairs = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view kLine = R"({"time":"2026-11-02T02:40:30.5Z","type":"request"})";

// A socket that listens where the system chose.
struct Listener {
  explicit Listener(int type) : fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    BOOST_REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    if (type == SOCK_STREAM)
      BOOST_REQUIRE(::listen(fd, 8) == 0);
    socklen_t size = sizeof at;
    BOOST_REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) == 0);
    address = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
  }
  ~Listener() { ::close(fd); }
  int fd;
  std::string address;
};

std::string receive(int fd) {
  char buffer[4096];
  pollfd ready{fd, POLLIN, 0};
  BOOST_REQUIRE(::poll(&ready, 1, 10'000) == 1);
  const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
  return std::string(buffer, got > 0 ? static_cast<std::size_t>(got) : 0);
}

AuditOptions options_of(std::string_view kind, const std::string& address) {
  const auto options =
      core::parse_audit_options("socket", Pairs{{"socket_type", std::string(kind)}, {"address", address}});
  BOOST_REQUIRE(options.ok());
  return *options;
}

BOOST_AUTO_TEST_SUITE(audit_socket)

BOOST_AUTO_TEST_CASE(a_syslog_message_is_as_the_daemon_reads_it) {
  const auto options = core::parse_audit_options("syslog", Pairs{{"facility", "AUTH"}, {"tag", "vault"}});
  BOOST_REQUIRE(options.ok());
  BOOST_TEST(core::syslog_message(*options, 42, kLine) == "<38>Nov  2 02:40:30 vault[42]: " + std::string(kLine));
  const Pairs given{{"facility", "local7"}, {"tag", "x"}, {"format", "json"}};
  const auto other = core::parse_audit_options("syslog", given);
  BOOST_REQUIRE(other.ok());
  BOOST_TEST(core::syslog_message(*other, 1, "short") == "<190>x[1]: short");
}

BOOST_AUTO_TEST_CASE(udp_sends_a_datagram_a_line) {
  Listener listener(SOCK_DGRAM);
  auto file = open_audit_socket(options_of("udp", listener.address), {});
  BOOST_REQUIRE(file.ok());
  bool torn = false;
  BOOST_TEST(core::write_all(**file, "one\ntwo\n", torn).ok());
  BOOST_TEST(receive(listener.fd) == "one\n");
  BOOST_TEST(receive(listener.fd) == "two\n");
}

BOOST_AUTO_TEST_CASE(tcp_notices_that_the_other_side_has_gone) {
  Listener listener(SOCK_STREAM);
  auto file = open_audit_socket(options_of("tcp", listener.address), {});
  BOOST_REQUIRE(file.ok());
  const int peer = ::accept(listener.fd, nullptr, nullptr);
  bool torn = false;
  BOOST_TEST(core::write_all(**file, "one\ntwo\n", torn).ok());
  BOOST_TEST(receive(peer) == "one\ntwo\n");
  ::close(peer);
  // The end of the stream is on its way.
  Status status;
  while (status.ok())
    status = core::write_all(**file, "three\n", torn);
  BOOST_TEST((status.code() == Code::kIo));
}

BOOST_AUTO_TEST_CASE(nobody_there) {
  std::string address;
  {
    Listener gone(SOCK_STREAM);
    address = gone.address;
  }
  BOOST_TEST((open_audit_socket(options_of("tcp", address), {}).status().code() == Code::kIo));
  BOOST_TEST(!open_audit_socket(options_of("unix", "/nowhere/x.sock"), {}).ok());
}

BOOST_AUTO_TEST_CASE(a_unix_socket_has_the_folder_rules_of_a_file) {
  char name[] = "/tmp/coffer-socket-XXXXXX";
  const std::filesystem::path folder = ::mkdtemp(name);
  const std::string path = (folder / "a.sock").string();
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  path.copy(at.sun_path, path.size());
  BOOST_REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0 && ::listen(fd, 1) == 0);
  const std::vector<std::string> forbidden{folder.string()};
  BOOST_TEST(open_audit_socket(options_of("unix", path), {}).ok());
  BOOST_TEST(!open_audit_socket(options_of("unix", path), forbidden).ok());
  BOOST_TEST(!core::parse_audit_options("socket", Pairs{{"socket_type", "unix"}, {"address", "/a/../b"}}).ok());
  ::close(fd);
  std::filesystem::remove_all(folder);
}

BOOST_AUTO_TEST_CASE(options_are_checked) {
  const auto wrong = [](std::string_view type, const Pairs& pairs) {
    return !core::parse_audit_options(type, pairs).ok();
  };
  BOOST_TEST(core::parse_audit_options("socket", Pairs{}).status().message() == "address is required");
  BOOST_TEST(wrong("socket", {{"address", "nowhere"}}));
  BOOST_TEST(wrong("socket", {{"address", "a:1"}, {"socket_type", "pigeon"}}));
  BOOST_TEST(wrong("socket", {{"address", "a:1"}, {"write_timeout", "canary"}}));
  BOOST_TEST(wrong("socket", {{"address", "a:1"}, {"write_timeout", "0"}}));
  BOOST_TEST(wrong("socket", {{"address", "a:1"}, {"file_path", "/x"}}));
  BOOST_TEST(wrong("syslog", {{"facility", "canary"}}));
  BOOST_TEST(wrong("syslog", {{"tag", "a b"}}));
  BOOST_TEST(wrong("syslog", {{"mode", "0600"}}));
  BOOST_TEST(wrong("file", {{"file_path", "stdout"}, {"rotate_bytes", "5000"}}));
  BOOST_TEST(wrong("file", {{"file_path", "/a"}, {"rotate_bytes", "1"}}));
  BOOST_TEST(wrong("file", {{"file_path", "/a"}, {"fallback", "true"}, {"filter", "path == a"}}));
  BOOST_TEST(core::parse_audit_options("syslog", Pairs{}).ok());
}

// A line that no datagram can carry is its own request's failure; the lines beside it arrive.
void check_long_line(bool kept_out) {
  Listener listener(SOCK_DGRAM);
  core::AuditEnvironment environment;
  const ManualClock clock;
  environment.clock = &clock;
  core::AuditRegistry registry(environment);
  core::AuditDeviceConfig config;
  config.path = "udp/";
  config.type = "socket";
  config.uuid = "1";
  config.salt = testing::test_salt();
  config.options = {{"address", listener.address}, {"socket_type", "udp"}};
  std::vector<core::AuditDeviceConfig> configs;
  configs.push_back(std::move(config));
  const auto set = registry.build(configs);
  testing::CollectingSink sink;
  const std::string huge(100'000, 'x');
  for (const bool is_long : {true, false}) {
    testing::AuditedRead read;
    if (is_long)
      read.facts.display_name = huge;
    set->prepare(*read.exchange, core::AuditPhase::kRequest, read.facts, read.now, {});
    set->submit(std::move(read.exchange), sink);
    sink.await(is_long ? 1 : 2);
  }
  const auto answers = sink.await(2);
  const bool refused_early = answers[0].message().find("longer than the device takes") != std::string::npos;
  BOOST_TEST(refused_early == kept_out);
  BOOST_TEST(answers[1].ok());
}

BOOST_AUTO_TEST_CASE(a_line_that_fits_no_datagram_fails_alone) {
  check_long_line(true);
  const testing::ScopedMutant mutant(Mutant::kAuditDatagramUnchecked);
  check_long_line(false);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer
