#include <openssl/evp.h>

#include "crypto/aes_gcm.h"
#include "crypto/random.h"
#include "crypto/xaes.h"
#include "tests/crypto/fake_random.h"
#include "tests/crypto/hex.h"
#include "tests/mutant_on.h"

using namespace coffer;
using namespace coffer::crypto;
using namespace coffer::testing;

namespace {

AesKeyView key_view(const Bytes& key) { return std::span(key).first<kAesKeyBytes>(); }

Bytes xseal(const Bytes& key, const Bytes& nonce, const Bytes& aad, const Bytes& plaintext) {
  Bytes out(plaintext.size() + kGcmTagBytes);
  xaes_seal(key_view(key), std::span(nonce).first<kXaesNonceBytes>(), {aad}, plaintext, out.data());
  return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(aead)

// The two examples of the C2SP specification.
BOOST_AUTO_TEST_CASE(xaes_gives_the_published_examples) {
  const Bytes nonce = from_text("ABCDEFGHIJKLMNOPQRSTUVWX");
  const Bytes plaintext = from_text("XAES-256-GCM");
  BOOST_TEST(to_hex(xaes_derive(key_view(Bytes(32, 1)), std::span(nonce).first<kXaesPrefixBytes>()).reveal()) ==
             "c8612c9ed53fe43e8e005b828a1631a0bbcb6ab2f46514ec4f439fcfd0fa969b");
  BOOST_TEST(to_hex(xseal(Bytes(32, 1), nonce, {}, plaintext)) ==
             "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271");
  BOOST_TEST(to_hex(xseal(Bytes(32, 3), nonce, from_text("c2sp.org/XAES-256-GCM"), plaintext)) ==
             "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d");
}

// The specification's accumulated test: inputs of random sizes from a SHAKE-128 stream, all ciphertexts hashed.
BOOST_AUTO_TEST_CASE(xaes_gives_the_published_accumulated_digest) {
  constexpr int kRounds = 10000;
  Bytes stream(kRounds * (32 + 24 + 2 + 2 * 255));
  EVP_MD_CTX* source = EVP_MD_CTX_new();
  EVP_MD_CTX* sink = EVP_MD_CTX_new();
  BOOST_REQUIRE(EVP_DigestInit_ex(source, EVP_shake128(), nullptr) == 1);
  BOOST_REQUIRE(EVP_DigestFinalXOF(source, stream.data(), stream.size()) == 1);
  BOOST_REQUIRE(EVP_DigestInit_ex(sink, EVP_shake128(), nullptr) == 1);
  std::size_t at = 0;
  const auto take = [&](std::size_t size) {
    at += size;
    return Bytes(stream.begin() + static_cast<long>(at - size), stream.begin() + static_cast<long>(at));
  };
  for (int round = 0; round < kRounds; ++round) {
    const Bytes key = take(32), nonce = take(24);
    const Bytes plaintext = take(take(1)[0]);
    const Bytes aad = take(take(1)[0]);
    const Bytes sealed = xseal(key, nonce, aad, plaintext);
    Bytes opened(plaintext.size());
    BOOST_REQUIRE(xaes_open(key_view(key), std::span(nonce).first<kXaesNonceBytes>(), {aad}, sealed, opened.data()));
    BOOST_REQUIRE(opened == plaintext);
    BOOST_REQUIRE(EVP_DigestUpdate(sink, sealed.data(), sealed.size()) == 1);
  }
  Bytes digest(32);
  BOOST_REQUIRE(EVP_DigestFinalXOF(sink, digest.data(), digest.size()) == 1);
  EVP_MD_CTX_free(source);
  EVP_MD_CTX_free(sink);
  BOOST_TEST(to_hex(digest) == "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939");
}

// Test case 16 of the GCM specification: AES-256 with associated data.
BOOST_AUTO_TEST_CASE(gcm_gives_the_specifications_example) {
  const Bytes key = from_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  const Bytes nonce = from_hex("cafebabefacedbaddecaf888");
  const Bytes aad = from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const Bytes plaintext = from_hex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
      "ba637b39");
  AesGcm gcm;
  gcm.set_key(key_view(key));
  Bytes sealed(plaintext.size() + kGcmTagBytes);
  const auto nonce_view = std::span(nonce).first<kGcmNonceBytes>();
  gcm.seal(nonce_view, {aad}, plaintext, sealed.data());
  BOOST_TEST(to_hex(std::span(sealed).last(16)) == "76fc6ece0f4e1768cddf8853bb2d551b");

  // Associated data in two pieces is the same string, and one context does both directions alternately.
  Bytes again(sealed.size());
  for (int i = 0; i < 3; ++i) {
    gcm.seal(nonce_view, {std::span(aad).first(3), std::span(aad).subspan(3)}, plaintext, again.data());
    BOOST_TEST(again == sealed);
    Bytes opened(plaintext.size());
    BOOST_TEST(gcm.open(nonce_view, {aad}, sealed, opened.data()));
    BOOST_TEST(opened == plaintext);
  }
}

BOOST_AUTO_TEST_CASE(gcm_refuses_every_flipped_bit_and_leaves_no_plaintext) {
  AesGcm gcm;
  gcm.set_key(key_view(Bytes(32, 9)));
  const Bytes nonce(12, 1), aad = from_text("aad"), plaintext = from_text("attack at dawn");
  const auto nonce_view = std::span(nonce).first<kGcmNonceBytes>();
  Bytes sealed(plaintext.size() + kGcmTagBytes);
  gcm.seal(nonce_view, {aad}, plaintext, sealed.data());
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    Bytes bad = sealed;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    Bytes opened(plaintext.size(), 0x55);
    BOOST_REQUIRE(!gcm.open(nonce_view, {aad}, bad, opened.data()));
    BOOST_REQUIRE(opened == Bytes(plaintext.size(), 0));
  }
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    Bytes opened(plaintext.size());
    BOOST_REQUIRE(!gcm.open(nonce_view, {aad}, std::span(sealed).first(size), opened.data()));
  }
  Bytes opened(plaintext.size());
  BOOST_TEST(gcm.open(nonce_view, {aad}, sealed, opened.data()));
}

BOOST_AUTO_TEST_CASE(empty_plaintext_is_authenticated) {
  AesGcm gcm;
  gcm.set_key(key_view(Bytes(32, 9)));
  const Bytes nonce(12, 1), aad = from_text("aad"), other = from_text("aae");
  Bytes sealed(kGcmTagBytes);
  const auto nonce_view = std::span(nonce).first<kGcmNonceBytes>();
  gcm.seal(nonce_view, {aad}, {}, sealed.data());
  BOOST_TEST(gcm.open(nonce_view, {aad}, sealed, nullptr));
  BOOST_TEST(!gcm.open(nonce_view, {other}, sealed, nullptr));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(random_draws)

namespace {

bool failed_draw_is_refused() {
  for (const auto how : {FailingRandom::How::kError, FailingRandom::How::kShortRead}) {
    FailingRandom random(0, how);
    Bytes out(12, 0x77);
    if (draw(random, out).ok() || out != Bytes(12, 0))
      return false;
  }
  return true;
}

bool zeros_are_refused() {
  FailingRandom random(0, FailingRandom::How::kZeros);
  Bytes out(12);
  return !draw(random, out).ok();
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_failed_or_dead_source_is_an_error) {
  BOOST_TEST(failed_draw_is_refused());
  BOOST_TEST(zeros_are_refused());
  SeededRandom good(3);
  const auto secret = draw_secret(good, 32);
  BOOST_TEST(secret.ok());
}

BOOST_AUTO_TEST_CASE(the_assertions_notice_their_mutants) {
  {
    const ScopedMutant on(Mutant::kRandomFailureIgnored);
    BOOST_TEST(!failed_draw_is_refused());
  }
  const ScopedMutant on(Mutant::kZeroNonceAccepted);
  BOOST_TEST(!zeros_are_refused());
}

BOOST_AUTO_TEST_SUITE_END()
