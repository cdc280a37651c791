// Which of the host's addresses others are told (server/addresses.h).
#include <boost/test/unit_test.hpp>

#include <algorithm>

#include "server/addresses.h"

namespace coffer::server {
namespace {

const std::vector<HostAddress> kHost{
    {.interface = "lo", .ip = "127.0.0.1", .loopback = true},
    {.interface = "lo", .ip = "::1", .v6 = true, .loopback = true},
    {.interface = "eth0", .ip = "203.0.113.7"},
    {.interface = "eth0", .ip = "fe80::1", .v6 = true, .link_local = true},
    {.interface = "eth1", .ip = "10.1.2.3", .is_private = true},
    {.interface = "eth2", .ip = "2001:db8::1", .v6 = true},
};

std::string expanded(std::string_view text) {
  const Result<std::string> out = expand_addresses(text, kHost);
  return out.ok() ? *out : "! " + out.status().message();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(addresses)

BOOST_AUTO_TEST_CASE(every_address_is_told_as_one) {
  BOOST_TEST(advertised_host("0.0.0.0", kHost) == "10.1.2.3");
  BOOST_TEST(advertised_host("::", kHost) == "10.1.2.3");
  BOOST_TEST(advertised_host("192.0.2.1", kHost) == "192.0.2.1");
  BOOST_TEST(advertised_host("0.0.0.0", {kHost[0], kHost[2]}) == "203.0.113.7");
  BOOST_TEST(advertised_host("0.0.0.0", {kHost[0], kHost[3], kHost[5]}) == "2001:db8::1");
  BOOST_TEST(advertised_host("0.0.0.0", {kHost[0], kHost[1]}) == "127.0.0.1");
  BOOST_TEST(advertised_host("0.0.0.0", {}) == "127.0.0.1");
  BOOST_TEST(host_with_port("2001:db8::1", 8201) == "[2001:db8::1]:8201");
  BOOST_TEST(host_with_port("10.1.2.3", 8201) == "10.1.2.3:8201");
}

BOOST_AUTO_TEST_CASE(templates) {
  BOOST_TEST(expanded("https://{{ GetPrivateIP }}:8200") == "https://10.1.2.3:8200");
  BOOST_TEST(expanded("https://{{GetPublicIP}}:8200") == "https://203.0.113.7:8200");
  BOOST_TEST(expanded("{{ GetInterfaceIP \"eth2\" }}") == "[2001:db8::1]");
  BOOST_TEST(expanded("{{ GetInterfaceIP \"eth0\" }}") == "203.0.113.7");
  BOOST_TEST(expanded("https://a:1") == "https://a:1");
  BOOST_TEST(expanded("{{ GetInterfaceIP \"eth9\" }}").find("no address") != std::string::npos);
  for (const char* bad : {"{{ GetAllInterfaces | sort \"name\" }}", "{{ GetInterfaceIP }}", "{{ GetPrivateIP \"x\" }}",
                          "{{", "{{}}", "{{ GetPrivateIP"}) {
    BOOST_TEST((expand_addresses(bad, kHost).code() == Code::kInvalid), bad);
    BOOST_TEST((check_address_templates(bad).code() == Code::kInvalid), bad);
  }
  BOOST_TEST(check_address_templates("https://{{ GetInterfaceIP \"eth9\" }}:8200").ok());
}

BOOST_AUTO_TEST_CASE(the_host_has_a_loopback) {
  const std::vector<HostAddress> own = host_addresses();
  BOOST_TEST(std::ranges::any_of(own, &HostAddress::loopback));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::server
