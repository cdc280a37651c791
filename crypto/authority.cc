#include "crypto/authority.h"

#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "base/check.h"
#include "crypto/certificate.h"
#include "crypto/derived_key.h"
#include "crypto/hkdf.h"
#include "crypto/random.h"

namespace coffer::crypto {
namespace {

constexpr std::chrono::hours kValidBefore{24};
constexpr std::string_view kNamePrefix = "node-";
constexpr std::string_view kNameSuffix = ".coffer.internal";
constexpr std::size_t kNumberDigits = 16;
constexpr std::string_view kDigits = "0123456789abcdef";

Status failed(const char* what) { return Status(Code::kInternal, std::string("cluster authority: ") + what); }

WallTime end_after(WallTime now, unsigned days) { return now + std::chrono::hours(24) * days; }

std::string hex_of(std::uint64_t number) {
  std::string out(kNumberDigits, '0');
  for (std::size_t i = 0; i < kNumberDigits; ++i)
    out[i] = kDigits[(number >> (4 * (kNumberDigits - 1 - i))) & 0xf];
  return out;
}

// Bytes of a purpose of their own out of a seed, so that a certificate made twice carries the same serial number.
class SeedStream final : public RandomSource {
 public:
  explicit SeedStream(const SecretBytes& seed) : seed_(seed) {}
  Status fill(std::span<std::uint8_t> out) override {
    const SecretBytes bytes =
        hkdf_sha256(seed_.reveal(), {}, "coffer authority " + std::to_string(draws_++), out.size());
    std::ranges::copy(bytes.reveal(), out.begin());
    return ok_status();
  }

 private:
  const SecretBytes& seed_;
  unsigned draws_ = 0;
};

// Its name is its own, so that two authorities can be trusted at a time.
Result<Authority> authority_of(const KeyPtr& key, WallTime now, unsigned days, RandomSource& random) {
  std::array<std::uint8_t, 8> tag{};
  COFFER_TRY(draw(random, tag));
  std::uint64_t number = 0;
  for (const std::uint8_t byte : tag)
    number = number << 8 | byte;
  if (key == nullptr)
    return failed("no key");
  const CertificatePlan plan{"Coffer Cluster " + hex_of(number), now - kValidBefore, end_after(now, days), ""};
  const CertPtr made = make_certificate(plan, key.get(), {key.get(), nullptr}, random);
  if (made == nullptr)
    return failed("no certificate");
  Authority out{pem_of(made.get()), pem_of(key.get())};
  if (out.cert_pem.empty() || out.key_pem.empty())
    return failed("no text form");
  return out;
}

}  // namespace

Result<Authority> derive_authority(const SecretBytes& seed, WallTime now, unsigned days) {
  SeedStream stream(seed);
  return authority_of(derive_p521_key(seed), now, days, stream);
}

Result<Authority> make_authority(WallTime now, unsigned days, RandomSource& random) {
  return authority_of(make_key(), now, days, random);
}

Result<NodeCertificate> issue_node_certificate(const Authority& authority, std::uint64_t node, WallTime now,
                                               unsigned days, RandomSource& random) {
  COFFER_CHECK(node != 0);
  const CertPtr signer = certificate_of(authority.cert_pem);
  const KeyPtr signing_key = key_of(authority.key_pem);
  if (signer == nullptr || signing_key == nullptr || !belongs_to(signing_key.get(), signer.get()))
    return Status(Code::kInvalid, "cluster authority: certificate and key do not belong together");
  const KeyPtr key = make_key();
  if (key == nullptr)
    return failed("no key");
  const std::string name = node_dns_name(node);
  const CertificatePlan plan{name, now - kValidBefore, end_after(now, days), "DNS:" + name};
  const CertPtr made = make_certificate(plan, key.get(), {signing_key.get(), signer.get()}, random);
  if (made == nullptr)
    return failed("no certificate for a node");
  NodeCertificate out{authority.cert_pem, pem_of(made.get()), pem_of(key.get())};
  if (out.cert_pem.empty() || out.key_pem.empty())
    return failed("no text form");
  return out;
}

Status check_node_certificate(const NodeCertificate& certificate, std::uint64_t node) {
  const CertPtr made = certificate_of(certificate.cert_pem);
  const KeyPtr key = key_of(certificate.key_pem);
  if (made == nullptr || key == nullptr || certificate_of(certificate.authority_pem) == nullptr)
    return Status(Code::kInvalid, "cluster certificate: certificate, key or authority is no PEM");
  if (!belongs_to(key.get(), made.get()))
    return Status(Code::kInvalid, "cluster certificate: the key is not the certificate's");
  const std::string name = node_dns_name(node);
  if (X509_check_host(made.get(), name.data(), name.size(), X509_CHECK_FLAG_NO_WILDCARDS, nullptr) != 1)
    return Status(Code::kInvalid, "cluster certificate: it is not for " + name);
  return ok_status();
}

std::string node_dns_name(std::uint64_t node) {
  return std::string(kNamePrefix) + hex_of(node) + std::string(kNameSuffix);
}

std::optional<std::uint64_t> node_of_dns_name(std::string_view name) {
  if (name.size() != kNamePrefix.size() + kNumberDigits + kNameSuffix.size() || !name.starts_with(kNamePrefix) ||
      !name.ends_with(kNameSuffix))
    return std::nullopt;
  std::uint64_t number = 0;
  for (const char c : name.substr(kNamePrefix.size(), kNumberDigits)) {
    const std::size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos)
      return std::nullopt;
    number = number << 4 | digit;
  }
  return number != 0 ? std::optional(number) : std::nullopt;
}

}  // namespace coffer::crypto
