#include "seal/envelope.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "crypto/aes_gcm.h"
#include "crypto/hkdf.h"
#include "seal/seal.h"
#include "tests/crypto/fake_random.h"
#include "tests/mutant_on.h"
#include "tests/seal/golden.h"

using namespace coffer;
using namespace coffer::seal;
using namespace coffer::testing;

namespace {

std::vector<EnvelopeKey> make_keys(int count) {
  std::vector<EnvelopeKey> keys;
  for (int i = 0; i < count; ++i)
    keys.push_back({"key-" + std::to_string(i), SecretBytes::copy_of(std::string(32, static_cast<char>('a' + i)))});
  return keys;
}

const SecretBytes& root_key() {
  static const SecretBytes key = SecretBytes::copy_of("0123456789abcdef0123456789abcdef");
  return key;
}

// GF(2^128) as GCM orders its bits: the first bit of the first byte is the coefficient of 1.
using Block = std::array<std::uint8_t, 16>;

Block operator^(Block a, const Block& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    a[i] ^= b[i];
  return a;
}

Block multiply(const Block& a, Block b) {
  Block product{};
  for (int bit = 0; bit < 128; ++bit) {
    if (a[static_cast<std::size_t>(bit / 8)] >> (7 - bit % 8) & 1)
      product = product ^ b;
    const bool carry = b[15] & 1;
    for (std::size_t i = 15; i > 0; --i)
      b[i] = static_cast<std::uint8_t>(b[i] >> 1 | b[i - 1] << 7);
    b[0] >>= 1;
    if (carry)
      b[0] ^= 0xe1;
  }
  return product;
}

Block invert(const Block& a) {  // a^(2^128 - 2)
  Block power = a, result{};
  result[0] = 0x80;
  for (int i = 1; i < 128; ++i) {
    power = multiply(power, power);
    result = multiply(result, power);
  }
  return result;
}

struct GcmKey {
  explicit GcmKey(const SecretBytes& key, std::span<const std::uint8_t> salt)
      : both(crypto::hkdf_sha256(key.reveal(), salt, "coffer envelope 1", 64)) {
    gcm.set_key(both.reveal().first<32>());
  }
  // The tag of a given ciphertext: GCM encrypts by XOR, so sealing the right plaintext gives it.
  Block tag(const Bytes& aad, const Bytes& ciphertext) {
    Bytes pad(ciphertext.size() + 16), sealed(ciphertext.size() + 16);
    const std::array<std::uint8_t, 12> nonce{};
    gcm.seal(nonce, {aad}, Bytes(ciphertext.size(), 0), pad.data());
    Bytes plaintext(ciphertext.size());
    for (std::size_t i = 0; i < plaintext.size(); ++i)
      plaintext[i] = pad[i] ^ ciphertext[i];
    gcm.seal(nonce, {aad}, plaintext, sealed.data());
    Block out;
    std::copy(sealed.end() - 16, sealed.end(), out.begin());
    return out;
  }
  SecretBytes both;
  crypto::AesGcm gcm;
};

Bytes aad_of(std::string_view id, std::string_view context) {
  Bytes aad{1, static_cast<std::uint8_t>(id.size())};
  aad.insert(aad.end(), id.begin(), id.end());
  for (const int shift : {24, 16, 8, 0})
    aad.push_back(static_cast<std::uint8_t>(context.size() >> shift));
  aad.insert(aad.end(), context.begin(), context.end());
  return aad;
}

// A ciphertext of two blocks whose tag is right under both keys: the tag is affine in the first block, so the two tags'
// difference is c + C·d, and d is seen by flipping one known bit.
std::string two_key_envelope(const EnvelopeKey& a, const EnvelopeKey& b, std::string_view context, bool commit_to_a) {
  const Bytes salt(32, 0x11);
  GcmKey first(a.key, salt), second(b.key, salt);
  const Bytes aad = aad_of(a.id, context);
  Bytes ciphertext(32, 0);
  const Block at_zero = first.tag(aad, ciphertext) ^ second.tag(aad, ciphertext);
  ciphertext[0] = 0x80;  // the field's 1
  const Block slope = first.tag(aad, ciphertext) ^ second.tag(aad, ciphertext) ^ at_zero;
  const Block solution = multiply(at_zero, invert(slope));
  std::copy(solution.begin(), solution.end(), ciphertext.begin());
  const Block tag = first.tag(aad, ciphertext);
  BOOST_REQUIRE(tag == second.tag(aad, ciphertext));

  std::string out("\x01", 1);
  out += static_cast<char>(a.id.size());
  out += a.id;
  out.append(salt.begin(), salt.end());
  const auto commitment = (commit_to_a ? first : second).both.reveal().subspan(32);
  out.append(commitment.begin(), commitment.end());
  out.append(ciphertext.begin(), ciphertext.end());
  out.append(tag.begin(), tag.end());
  return out;
}

std::vector<EnvelopeKey> only(const EnvelopeKey& key) {
  std::vector<EnvelopeKey> out;
  out.push_back({key.id, key.key.clone()});
  return out;
}

bool two_key_ciphertexts_open_under_one_key_only() {
  const auto keys = make_keys(2);
  for (const bool commit_to_a : {true, false}) {
    const std::string crafted = two_key_envelope(keys[0], keys[1], "context", commit_to_a);
    const bool a = open_envelope(only(keys[0]), crafted, "context").ok();
    const bool b = open_envelope(only(keys[1]), crafted, "context").ok();
    if (a != commit_to_a || b == commit_to_a)
      return false;
  }
  return true;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(envelope)

BOOST_AUTO_TEST_CASE(any_of_the_keys_opens_what_it_made) {
  SeededRandom random(1);
  const auto keys = make_keys(4);
  for (const EnvelopeKey& key : keys) {
    const std::string sealed = seal_envelope(key, root_key(), "context", random).value();
    BOOST_TEST(envelope_key_id(sealed) == key.id);
    BOOST_TEST(open_envelope(keys, sealed, "context").value().equals(root_key()));
    BOOST_CHECK(open_envelope(keys, sealed, "other").code() == Code::kDataLoss);
    // Renamed in the configuration, it is still found.
    std::vector<EnvelopeKey> renamed = only(keys[1]);
    renamed.push_back({"new name", key.key.clone()});
    BOOST_TEST(open_envelope(renamed, sealed, "context").value().equals(root_key()));
  }
}

BOOST_AUTO_TEST_CASE(other_keys_are_told_from_damage) {
  SeededRandom random(2);
  const auto keys = make_keys(3);
  const std::string sealed = seal_envelope(keys[0], root_key(), "context", random).value();
  BOOST_CHECK(open_envelope(std::span(keys).subspan(1), sealed, "context").code() == Code::kDenied);
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    std::string bad = sealed;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    const Code code = open_envelope(keys, bad, "context").code();
    BOOST_REQUIRE((code == Code::kDataLoss || code == Code::kDenied));
  }
  for (std::size_t size = 0; size < sealed.size(); ++size)
    BOOST_REQUIRE(!open_envelope(keys, sealed.substr(0, size), "context").ok());
  BOOST_CHECK(open_envelope(keys, std::string(kEnvelopeBytesMax + 1, 1), "context").code() == Code::kDataLoss);
}

BOOST_AUTO_TEST_CASE(a_ciphertext_made_for_two_keys_opens_under_the_committed_one) {
  BOOST_TEST(two_key_ciphertexts_open_under_one_key_only());
  const ScopedMutant on(Mutant::kKeyCommitmentUnchecked);
  BOOST_TEST(!two_key_ciphertexts_open_under_one_key_only());
}

BOOST_AUTO_TEST_CASE(a_failing_random_source_wraps_nothing) {
  const auto keys = make_keys(1);
  for (const auto how : {FailingRandom::How::kError, FailingRandom::How::kShortRead, FailingRandom::How::kZeros}) {
    FailingRandom random(0, how);
    BOOST_TEST(!seal_envelope(keys[0], root_key(), "context", random).ok());
  }
}

BOOST_AUTO_TEST_CASE(the_layout_is_the_documented_one) {
  const auto golden = read_golden("static_seal");
  SeededRandom random(3);
  const EnvelopeKey key{golden.at("key_id"), SecretBytes::copy_of(golden.at("key"))};
  const SecretBytes secret = SecretBytes::copy_of(golden.at("secret"));
  BOOST_TEST(hex_of(seal_envelope(key, secret, golden.at("context"), random).value()) == hex_of(golden.at("envelope")));
  const auto opened = open_envelope(only(key), golden.at("envelope"), golden.at("context"));
  BOOST_TEST((opened.ok() && opened->equals(secret)));
}

BOOST_AUTO_TEST_SUITE_END()
