#include "server/addresses.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <functional>
#include <memory>

namespace coffer::server {
namespace {

bool is_private_v4(std::uint32_t ip) {
  return (ip >> 24) == 10 || (ip >> 20) == (172u << 4 | 1) || (ip >> 16) == (192u << 8 | 168) ||
         (ip >> 22) == (100u << 2 | 1);
}

HostAddress address_v4(const sockaddr_in& from) {
  HostAddress out;
  char text[INET_ADDRSTRLEN] = {};
  inet_ntop(AF_INET, &from.sin_addr, text, sizeof text);
  out.ip = text;
  const std::uint32_t ip = ntohl(from.sin_addr.s_addr);
  out.loopback = (ip >> 24) == 127;
  out.link_local = (ip >> 16) == (169u << 8 | 254);
  out.is_private = is_private_v4(ip);
  return out;
}

HostAddress address_v6(const sockaddr_in6& from) {
  HostAddress out;
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(AF_INET6, &from.sin6_addr, text, sizeof text);
  out.ip = text;
  out.v6 = true;
  out.loopback = IN6_IS_ADDR_LOOPBACK(&from.sin6_addr);
  out.link_local = IN6_IS_ADDR_LINKLOCAL(&from.sin6_addr);
  out.is_private = (from.sin6_addr.s6_addr[0] & 0xfe) == 0xfc;
  return out;
}

using Wanted = std::function<bool(const HostAddress&)>;

const HostAddress* first_of(const std::vector<HostAddress>& own, const Wanted& wanted) {
  const auto found = std::ranges::find_if(own, wanted);
  return found == own.end() ? nullptr : &*found;
}

bool reaches_out(const HostAddress& one) { return !one.loopback && !one.link_local; }

// The text between the braces, without the spaces around it.
struct AddressTemplate {
  std::string name;
  std::string argument;  // without its quotes
};

Result<AddressTemplate> parse_template(std::string_view body) {
  const auto trimmed = [](std::string_view text) {
    while (text.starts_with(' '))
      text.remove_prefix(1);
    while (text.ends_with(' '))
      text.remove_suffix(1);
    return text;
  };
  body = trimmed(body);
  const std::size_t space = body.find(' ');
  AddressTemplate out{std::string(body.substr(0, space)), {}};
  std::string_view argument = space == std::string_view::npos ? std::string_view() : trimmed(body.substr(space));
  const bool quoted = argument.size() > 2 && argument.starts_with('"') && argument.ends_with('"');
  const bool plain = (out.name == "GetPrivateIP" || out.name == "GetPublicIP") && argument.empty();
  if (!plain && !(out.name == "GetInterfaceIP" && quoted))
    return Status(Code::kInvalid, "the template {{ " + std::string(body) +
                                      " }} is not supported: use GetPrivateIP, GetPublicIP or GetInterfaceIP \"NAME\"");
  if (quoted)
    out.argument = argument.substr(1, argument.size() - 2);
  return out;
}

const HostAddress* find_address(const AddressTemplate& wanted, const std::vector<HostAddress>& own) {
  if (wanted.name == "GetPrivateIP")
    return first_of(own, [](const HostAddress& one) { return !one.v6 && one.is_private; });
  if (wanted.name == "GetPublicIP")
    return first_of(own, [](const HostAddress& one) { return reaches_out(one) && !one.v6 && !one.is_private; });
  const auto of = [&wanted](bool v6) {
    return [&wanted, v6](const HostAddress& one) { return one.interface == wanted.argument && one.v6 == v6; };
  };
  const HostAddress* v4 = first_of(own, of(false));
  return v4 != nullptr ? v4 : first_of(own, of(true));
}

// `each` gives the text for a template.
Result<std::string> replaced(std::string_view text,
                             const std::function<Result<std::string>(const AddressTemplate&)>& each) {
  std::string out;
  while (true) {
    const std::size_t begin = text.find("{{");
    out += text.substr(0, begin);
    if (begin == std::string_view::npos)
      return out;
    const std::size_t end = text.find("}}", begin);
    if (end == std::string_view::npos)
      return Status(Code::kInvalid, "a template is not closed by }}");
    COFFER_ASSIGN(const AddressTemplate one, parse_template(text.substr(begin + 2, end - begin - 2)));
    COFFER_ASSIGN(const std::string by, each(one));
    out += by;
    text.remove_prefix(end + 2);
  }
}

}  // namespace

std::vector<HostAddress> host_addresses() {
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0)
    return {};
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(first, freeifaddrs);
  std::vector<HostAddress> out;
  for (const ifaddrs* one = first; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || (one->ifa_flags & IFF_UP) == 0)
      continue;
    if (one->ifa_addr->sa_family == AF_INET)
      out.push_back(address_v4(*reinterpret_cast<const sockaddr_in*>(one->ifa_addr)));
    else if (one->ifa_addr->sa_family == AF_INET6)
      out.push_back(address_v6(*reinterpret_cast<const sockaddr_in6*>(one->ifa_addr)));
    else
      continue;
    out.back().interface = one->ifa_name;
  }
  return out;
}

std::string advertised_host(const std::string& host, const std::vector<HostAddress>& own) {
  if (host != "0.0.0.0" && host != "::")
    return host;
  const Wanted wanted[] = {[](const HostAddress& one) { return !one.v6 && one.is_private && reaches_out(one); },
                           [](const HostAddress& one) { return !one.v6 && reaches_out(one); },
                           [](const HostAddress& one) { return reaches_out(one); }};
  for (const Wanted& each : wanted)
    if (const HostAddress* found = first_of(own, each); found != nullptr)
      return found->ip;
  return "127.0.0.1";
}

std::string host_with_port(const std::string& host, unsigned port) {
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + std::to_string(port);
}

Result<std::string> expand_addresses(std::string_view text, const std::vector<HostAddress>& own) {
  return replaced(text, [&own](const AddressTemplate& one) -> Result<std::string> {
    const HostAddress* found = find_address(one, own);
    if (found == nullptr)
      return Status(Code::kInvalid, "this host has no address for the template " + one.name);
    return found->v6 ? "[" + found->ip + "]" : found->ip;
  });
}

Status check_address_templates(std::string_view text) {
  return replaced(text, [](const AddressTemplate&) { return Result<std::string>(std::string("127.0.0.1")); }).status();
}

}  // namespace coffer::server
