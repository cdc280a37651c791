#include "core/cidr.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/split.h"

namespace coffer::core {
namespace {

constexpr std::size_t kAddressTextMax = 64;

struct Address {
  std::array<std::uint8_t, 16> bytes{};
  bool v4 = false;
};

std::optional<Address> parse_address(std::string_view text) {
  if (text.size() > 1 && text.front() == '[' && text.back() == ']')
    text = text.substr(1, text.size() - 2);
  if (text.empty() || text.size() >= kAddressTextMax)
    return std::nullopt;
  char copy[kAddressTextMax] = {};
  text.copy(copy, text.size());
  if (std::strlen(copy) != text.size())
    return std::nullopt;
  Address address;
  if (inet_pton(AF_INET, copy, address.bytes.data() + 12) == 1) {
    address.bytes[10] = address.bytes[11] = 0xff;
    address.v4 = true;
    return address;
  }
  if (inet_pton(AF_INET6, copy, address.bytes.data()) == 1)
    return address;
  return std::nullopt;
}

}  // namespace

std::optional<Cidr> Cidr::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::optional<Address> address = parse_address(text.substr(0, slash));
  if (!address)
    return std::nullopt;
  Cidr cidr;
  cidr.bytes = address->bytes;
  if (slash == std::string_view::npos)
    return cidr;
  const std::string_view digits = text.substr(slash + 1);
  const unsigned most = address->v4 ? 32 : 128;
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() || bits > most)
    return std::nullopt;
  cidr.prefix = address->v4 ? 96 + bits : bits;
  return cidr;
}

bool Cidr::contains(const std::array<std::uint8_t, 16>& address) const noexcept {
  const unsigned whole = prefix / 8;
  if (std::memcmp(bytes.data(), address.data(), whole) != 0)
    return false;
  const unsigned rest = prefix % 8;
  return rest == 0 || ((bytes[whole] ^ address[whole]) >> (8 - rest)) == 0;
}

bool in_networks(std::string_view address, std::span<const std::string> networks) {
  if (networks.empty())
    return true;
  const std::optional<Address> from = parse_address(address);
  if (!from)
    return false;
  for (const std::string& network : networks)
    if (const std::optional<Cidr> cidr = Cidr::parse(network); cidr && cidr->contains(from->bytes))
      return true;
  return false;
}

bool in_networks(std::string_view address, std::string_view joined) {
  if (joined.empty())
    return true;
  const std::optional<Address> from = parse_address(address);
  for (std::string_view network; from && take_item(joined, network);)
    if (const std::optional<Cidr> cidr = Cidr::parse(network); cidr && cidr->contains(from->bytes))
      return true;
  return false;
}

std::vector<std::string> common_networks(std::string_view joined, std::span<const std::string> networks) {
  std::vector<std::string> common;
  for (std::string_view text; take_item(joined, text);) {
    const std::optional<Cidr> one = Cidr::parse(text);
    for (const std::string& other_text : networks) {
      const std::optional<Cidr> other = Cidr::parse(other_text);
      if (!one || !other)
        continue;
      if (one->contains(*other))
        common.push_back(other_text);
      else if (other->contains(*one))
        common.emplace_back(text);
    }
  }
  std::sort(common.begin(), common.end());
  common.erase(std::unique(common.begin(), common.end()), common.end());
  return common;
}

std::string site_of(std::string_view address) {
  if (address.find(':') == std::string_view::npos)
    return std::string(address);
  const std::optional<Address> parsed = parse_address(address);
  static const std::optional<Cidr> mapped = Cidr::parse("::ffff:0:0/96");
  if (!parsed || mapped->contains(parsed->bytes))
    return std::string(address);
  return std::string(parsed->bytes.begin(), parsed->bytes.begin() + 8);
}

}  // namespace coffer::core
