#include "core/aws_signature.h"

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <span>

#include "base/encoding.h"
#include "base/secret.h"
#include "crypto/hmac.h"

namespace coffer::core::aws {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string_view text_of(const crypto::Digest256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

std::string hex_sum(std::string_view text) { return hex_encode(text_of(crypto::sha256(text))); }

// "20130524T000000Z"
std::string time_text(WallTime now) {
  const std::time_t at = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  std::tm civil{};
  gmtime_r(&at, &civil);
  char text[32];
  return std::string(text, std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &civil));
}

crypto::Digest256 signing_key(std::string_view secret, std::string_view day, std::string_view region,
                              std::string_view service) {
  std::string first = "AWS4";
  first += secret;
  crypto::Digest256 key = crypto::hmac_sha256(bytes_of(first), bytes_of(day));
  wipe(first.data(), first.size());
  for (const std::string_view part : {region, service, std::string_view("aws4_request")})
    key = crypto::hmac_sha256(key, bytes_of(part));
  return key;
}

}  // namespace

std::string encode_uri(std::string_view text, bool slash_stays) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
                       c == '.' || c == '_' || c == '~' || (c == '/' && slash_stays);
    if (plain) {
      out += c;
      continue;
    }
    out += '%';
    out += kHex[static_cast<unsigned char>(c) >> 4];
    out += kHex[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

std::string query_text(NamedTexts query) {
  for (auto& [name, value] : query) {
    name = encode_uri(name, false);
    value = encode_uri(value, false);
  }
  std::ranges::sort(query);
  std::string out;
  for (const auto& [name, value] : query)
    out.append(out.empty() ? "" : "&").append(name).append("=").append(value);
  return out;
}

NamedTexts sign(const SignedRequest& request, const Keys& keys, std::string_view region, std::string_view service,
                WallTime now) {
  const std::string time = time_text(now);
  const std::string day = time.substr(0, 8);
  NamedTexts headers = request.headers;
  headers.emplace_back("x-amz-content-sha256", hex_sum(request.payload));
  const std::string payload_sum = headers.back().second;
  headers.emplace_back("x-amz-date", time);
  if (!keys.session_token.empty())
    headers.emplace_back("x-amz-security-token", keys.session_token);
  NamedTexts all = headers;
  all.emplace_back("host", request.host);
  std::ranges::sort(all);
  std::string lines;
  std::string names;
  for (const auto& [name, value] : all) {
    lines.append(name).append(":").append(value).append("\n");
    names.append(names.empty() ? "" : ";").append(name);
  }
  const std::string canonical = request.method + "\n" + request.path + "\n" + query_text(request.query) + "\n" + lines +
                                "\n" + names + "\n" + payload_sum;
  const std::string scope = day + "/" + std::string(region) + "/" + std::string(service) + "/aws4_request";
  const std::string to_sign = std::string(kAlgorithm) + "\n" + time + "\n" + scope + "\n" + hex_sum(canonical);
  const crypto::Digest256 key = signing_key(keys.secret_access_key, day, region, service);
  const crypto::Digest256 signature = crypto::hmac_sha256(key, bytes_of(to_sign));
  headers.emplace_back("authorization", std::string(kAlgorithm) + " Credential=" + keys.access_key_id + "/" + scope +
                                            ", SignedHeaders=" + names +
                                            ", Signature=" + hex_encode(text_of(signature)));
  return headers;
}

}  // namespace coffer::core::aws
