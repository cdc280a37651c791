// The host's own addresses, and which of them others are told when the configuration names none (SRV-09, SRV-10).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace coffer::server {

struct HostAddress {
  std::string interface;
  std::string ip;  // IPv6 without brackets
  bool v6 = false;
  bool loopback = false;
  bool link_local = false;
  bool is_private = false;  // RFC 1918, RFC 6598, fc00::/7
};

// Of the interfaces that are up, in the system's order. Empty when it tells none.
std::vector<HostAddress> host_addresses();

// Where others reach what listens on `host`: `host` itself; when that is every address (0.0.0.0, ::), the first private
// IPv4 address, else the first IPv4 address of no loopback, else such an IPv6 address, else 127.0.0.1.
std::string advertised_host(const std::string& host, const std::vector<HostAddress>& own);

// "10.0.0.1" and 8200 to "10.0.0.1:8200"; IPv6 in brackets.
std::string host_with_port(const std::string& host, unsigned port);

// Replaces each {{ GetPrivateIP }}, {{ GetPublicIP }} and {{ GetInterfaceIP "eth0" }} in `text`; other text stays.
// kInvalid for any other template, and when the host has no such address.
Result<std::string> expand_addresses(std::string_view text, const std::vector<HostAddress>& own);
// Whether its templates can be understood, whatever the host.
Status check_address_templates(std::string_view text);

}  // namespace coffer::server
