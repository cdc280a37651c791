// Networks that a token or a login is bound to: RFC 4632 and RFC 4291 notation, or one address. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coffer::core {

struct Cidr {
  std::array<std::uint8_t, 16> bytes{};  // an IPv4 address as ::ffff:a.b.c.d
  unsigned prefix = 128;                 // bits of `bytes` that count

  // An address counts as a network of itself. Nothing when `text` is neither.
  static std::optional<Cidr> parse(std::string_view text);
  bool contains(const std::array<std::uint8_t, 16>& address) const noexcept;
  // Whether all of `other` lies in this one.
  bool contains(const Cidr& other) const noexcept { return prefix <= other.prefix && contains(other.bytes); }
};

// Whether `address` (text, without a port) lies in one of the networks; true when there are none. What cannot be read
// lies in none.
bool in_networks(std::string_view address, std::span<const std::string> networks);
// The same for networks joined by commas.
bool in_networks(std::string_view address, std::string_view joined);

// Whom `address` counts as where clients are told apart: itself, but for one of IPv6 its network of 64 bits, which is
// one client's own (RFC 6177): whoever has that has more addresses than can be counted.
std::string site_of(std::string_view address);

// What lies in a network of each; `joined` by commas.
std::vector<std::string> common_networks(std::string_view joined, std::span<const std::string> networks);

}  // namespace coffer::core
