// Everything that seal/ reads from a store or a person: sealed values, keyrings, seal configurations, envelopes, share texts. The
// first byte of the input says which. What authentication would stop is authenticated here, so that the decoder behind it is reached.
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "crypto/sha256.h"
#include "crypto/xaes.h"
#include "seal/barrier.h"
#include "seal/envelope.h"
#include "seal/keyring.h"
#include "seal/seal_config.h"
#include "seal/shamir.h"
#include "seal/unseal.h"
#include "tests/crypto/fake_random.h"

namespace {

using namespace coffer;

const SecretBytes& root_key() {
  static const SecretBytes key = SecretBytes::copy_of(std::string(32, 'r'));
  return key;
}

const std::shared_ptr<const seal::Barrier>& barrier() {
  static const auto made = [] {
    testing::SeededRandom random(1);
    return seal::Barrier::create(seal::Keyring::create(KeyringId(0), WallTime(), random).value());
  }();
  return made;
}

// A value as it stands, which must not open, and one that was sealed with a byte changed.
void sealed_value(std::string_view input) {
  std::vector<std::uint8_t> out(seal::Barrier::plaintext_size(input));
  COFFER_CHECK(!barrier()->open("path", input, out).ok());

  testing::SeededRandom random(2);
  auto session = barrier()->begin(random).value();
  std::string sealed;
  COFFER_CHECK(session.seal(input, input, sealed).ok());
  out.resize(input.size());
  COFFER_CHECK(barrier()->open(input, sealed, out).ok());
  COFFER_CHECK(out.empty() || std::memcmp(out.data(), input.data(), input.size()) == 0);
  const std::size_t at = input.empty() ? 0 : static_cast<std::uint8_t>(input[0]) % sealed.size();
  sealed[at] = static_cast<char>(sealed[at] ^ 0x10);
  COFFER_CHECK(!barrier()->open(input, sealed, out).ok());
}

void keyring(std::string_view input) {
  (void)seal::Keyring::open(input, KeyringId(0), root_key()).ok();

  // The input as the plaintext of a record that authenticates.
  std::string record("\1\0\0\0\0", 5);
  const std::string aad = "coffer keyring" + record;
  const std::array<std::uint8_t, crypto::kXaesNonceBytes> nonce{1};
  record.append(reinterpret_cast<const char*>(nonce.data()), nonce.size());
  const std::size_t body = record.size();
  record.resize(body + input.size() + crypto::kGcmTagBytes);
  crypto::xaes_seal(root_key().reveal().first<32>(), nonce, {std::span(reinterpret_cast<const std::uint8_t*>(aad.data()), aad.size())},
                    std::span(reinterpret_cast<const std::uint8_t*>(input.data()), input.size()),
                    reinterpret_cast<std::uint8_t*>(record.data()) + body);
  const auto opened = seal::Keyring::open(record, KeyringId(0), root_key());
  if (!opened.ok())
    return;
  testing::SeededRandom random(3);
  const auto again = seal::Keyring::open((*opened)->seal(root_key(), random).value(), KeyringId(0), root_key()).value();
  COFFER_CHECK(again->term_count() == (*opened)->term_count());
}

void seal_config(std::string_view input) {
  (void)seal::SealConfig::decode(input).ok();
  const crypto::Digest256 digest = crypto::sha256(input);
  const std::string record = std::string(input).append(reinterpret_cast<const char*>(digest.data()), 8);
  const auto decoded = seal::SealConfig::decode(record);
  if (decoded.ok())
    COFFER_CHECK(decoded->encode() == record);
}

void envelope(std::string_view input) {
  std::vector<seal::EnvelopeKey> keys;
  keys.push_back({"id", root_key().clone()});
  (void)seal::envelope_key_id(input);
  COFFER_CHECK(!seal::open_envelope(keys, input, "context").ok());
}

void shares(std::string_view input) {
  (void)seal::parse_share(input).ok();
  // Cut into shares of up to eight bytes.
  std::vector<SecretBytes> parts;
  for (std::size_t at = 0; at < input.size() && parts.size() < 300; at += 8)
    parts.push_back(SecretBytes::copy_of(input.substr(at, 8)));
  const auto combined = seal::shamir_combine(parts);
  if (combined.ok())
    COFFER_CHECK(combined->size() + 1 == parts[0].size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr std::array kTargets = {sealed_value, keyring, seal_config, envelope, shares};
  kTargets[data[0] % kTargets.size()](input);
  return 0;
}
