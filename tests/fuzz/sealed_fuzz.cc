// module: seal/barrier.cc seal/envelope.cc seal/keyring.cc seal/seal_config.cc seal/shamir.cc
// Everything that seal/ reads from a store or a person: sealed values, keyrings, seal configurations, envelopes, share
// texts. The first byte of the input says which. What authentication would stop is authenticated here, so that the
// decoder behind it is reached.
#include <algorithm>
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
#include "seal/init.h"
#include "seal/keyring.h"
#include "seal/seal_config.h"
#include "seal/shamir.h"
#include "seal/static_seal.h"
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
  crypto::xaes_seal(root_key().reveal().first<32>(), nonce,
                    {std::span(reinterpret_cast<const std::uint8_t*>(aad.data()), aad.size())},
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

// An envelope as it stands, which no key opens, and one around the input, whole and with a byte changed.
void envelope(std::string_view input) {
  std::vector<seal::EnvelopeKey> keys;
  keys.push_back({"id", root_key().clone()});
  (void)seal::envelope_key_id(input);
  COFFER_CHECK(!seal::open_envelope(keys, input, "context").ok());

  testing::SeededRandom random(4);
  std::string sealed = seal::seal_envelope(keys[0], SecretBytes::copy_of(input.substr(0, 2048)), input, random).value();
  COFFER_CHECK(seal::open_envelope(keys, sealed, input).value().size() == std::min<std::size_t>(input.size(), 2048));
  const std::size_t at = input.empty() ? 0 : static_cast<std::uint8_t>(input.back()) % sealed.size();
  sealed[at] = static_cast<char>(sealed[at] ^ 0x20);
  COFFER_CHECK(!seal::open_envelope(keys, sealed, input).ok());
}

// Two settings split at the first line end; references lead to the second.
void static_seal(std::string_view input) {
  const std::string_view first = input.substr(0, input.find('\n'));
  const std::string_view second = first.size() < input.size() ? input.substr(first.size() + 1) : "";
  seal::StaticSealOptions options;
  if (second.size() % 2 == 0) {
    options.current_key = SecretBytes::copy_of(first);
    options.previous_key = SecretBytes::copy_of(second);
    options.previous_key_id = "previous";
  } else {
    options.keys.push_back(SecretBytes::copy_of(first));
    options.keys.push_back(SecretBytes::copy_of(second));
  }
  const auto made = seal::make_static_seal(
      options, [&](std::string_view) { return Result<SecretBytes>(SecretBytes::copy_of(second)); });
  if (!made.ok())
    return;
  testing::SeededRandom random(5);
  const std::string wrapped = (*made)->wrap(root_key(), "context", random).value();
  COFFER_CHECK((*made)->unwrap(wrapped, "context").value().equals(root_key()));
}

// The input decides the counts, then two bytes a step: which share is handed in, and whether and where it is changed.
void ceremony(std::string_view input) {
  if (input.size() < 2)
    return;
  testing::SeededRandom random(6);
  const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(input[at]); };
  const auto made = seal::initialize({.secret = {byte(0) % 6u, byte(1) % 5u}}, nullptr, nullptr, WallTime(), random);
  if (!made.ok())
    return;
  seal::UnsealCeremony unseal(seal::SealConfig::decode(made->config_record).value(), made->keyring_record);
  bool changed = false;  // one of those handed in since the start
  for (std::size_t at = 2; at + 1 < input.size() && at < 64; at += 2) {
    SecretBytes share = made->shares[byte(at) % made->shares.size()].clone();
    const std::uint8_t change = byte(at + 1);
    if (change >= 128)
      share.reveal_mutable()[change % share.size()] ^= 1;
    const unsigned before = unseal.progress().have;
    changed = (before != 0 && changed) || change >= 128;
    const auto step = unseal.submit(share, random);
    const unsigned now = unseal.progress().have;
    COFFER_CHECK(now <= before + 1);
    if (step.ok() && step->has_value()) {
      COFFER_CHECK(!changed && now == 0 && (*step)->root_key.equals(made->root_key));
    } else if (!step.ok()) {
      COFFER_CHECK(changed && now == 0);
    }
  }
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
  constexpr std::array kTargets = {sealed_value, keyring, seal_config, envelope, shares, static_seal, ceremony};
  kTargets[data[0] % kTargets.size()](input);
  return 0;
}
