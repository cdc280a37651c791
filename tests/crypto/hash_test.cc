#include "crypto/hkdf.h"
#include "crypto/hmac.h"
#include "crypto/sha256.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <thread>
#include <vector>

#include "tests/crypto/fake_random.h"
#include "tests/crypto/hex.h"

using coffer::SecretBytes;
using namespace coffer::crypto;
using namespace coffer::testing;

BOOST_AUTO_TEST_SUITE(hash)

BOOST_AUTO_TEST_CASE(sha256_gives_the_standards_examples) {
  BOOST_TEST(to_hex(sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  BOOST_TEST(to_hex(sha256("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

BOOST_AUTO_TEST_CASE(incremental_equals_one_shot_at_every_cut) {
  SeededRandom random(1);
  Bytes data(200);
  BOOST_REQUIRE(random.fill(data).ok());
  const Digest256 whole = sha256(std::span<const std::uint8_t>(data));
  for (std::size_t cut = 0; cut <= data.size(); ++cut) {
    Sha256 hash;
    hash.update(std::span(data).first(cut)).update(std::span(data).subspan(cut));
    BOOST_REQUIRE(hash.finish() == whole);
    hash.update("abc");
    BOOST_REQUIRE(hash.finish() == sha256("abc"));
  }
}

// RFC 4231, cases 1, 2, 3, 6 and 7.
BOOST_AUTO_TEST_CASE(hmac_gives_the_standards_examples) {
  const auto mac = [](const Bytes& key, const Bytes& message) {
    return to_hex(HmacKey(std::span<const std::uint8_t>(key)).mac(std::span<const std::uint8_t>(message)));
  };
  BOOST_TEST(mac(Bytes(20, 0x0b), from_text("Hi There")) ==
             "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  BOOST_TEST(mac(from_text("Jefe"), from_text("what do ya want for nothing?")) ==
             "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  BOOST_TEST(mac(Bytes(20, 0xaa), Bytes(50, 0xdd)) ==
             "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
  BOOST_TEST(mac(Bytes(131, 0xaa), from_text("Test Using Larger Than Block-Size Key - Hash Key First")) ==
             "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

BOOST_AUTO_TEST_CASE(hmac_agrees_with_the_library_for_all_lengths) {
  SeededRandom random(2);
  for (std::size_t key_size = 0; key_size < 140; key_size += 7) {
    Bytes key(key_size), message(key_size * 3 % 150);
    BOOST_REQUIRE(random.fill(key).ok() && random.fill(message).ok());
    Digest256 expected;
    unsigned size = 0;
    const std::uint8_t nothing = 0;
    BOOST_REQUIRE(HMAC(EVP_sha256(), key.empty() ? &nothing : key.data(), static_cast<int>(key.size()), message.data(),
                       message.size(), expected.data(), &size) != nullptr);
    const HmacKey prepared{std::span<const std::uint8_t>(key)};
    BOOST_REQUIRE(prepared.mac(std::span<const std::uint8_t>(message)) == expected);
    const std::size_t cut = message.size() / 2;
    BOOST_REQUIRE(prepared.mac({std::span(message).first(cut), std::span(message).subspan(cut)}) == expected);
  }
}

BOOST_AUTO_TEST_CASE(hmac_verify_refuses_every_flipped_bit_and_short_tags) {
  const HmacKey key(SecretBytes::copy_of("key"));
  const Bytes message = from_text("message");
  Digest256 tag = key.mac(std::span<const std::uint8_t>(message));
  BOOST_TEST(key.verify(message, tag));
  BOOST_TEST(key.verify(message, std::span(tag).first(16)));
  BOOST_TEST(!key.verify(message, std::span(tag).first(15)));
  BOOST_TEST(!key.verify(message, {}));
  for (std::size_t bit = 0; bit < 256; ++bit) {
    tag[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    BOOST_REQUIRE(!key.verify(message, tag));
    tag[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
  }
}

BOOST_AUTO_TEST_CASE(one_prepared_key_serves_many_threads) {
  const HmacKey key(SecretBytes::copy_of("shared"));
  const Digest256 expected = key.mac("message");
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int& count : wrong) {
    threads.emplace_back([&key, &expected, &count] {
      for (int i = 0; i < 5000; ++i)
        count += key.mac("message") == expected ? 0 : 1;
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  BOOST_TEST(wrong == std::vector<int>(4, 0), boost::test_tools::per_element());
}

// RFC 5869, cases 1 to 3.
BOOST_AUTO_TEST_CASE(hkdf_gives_the_standards_examples) {
  const auto text = [](const Bytes& bytes) { return std::string(bytes.begin(), bytes.end()); };
  const Bytes secret(22, 0x0b);
  BOOST_TEST(to_hex(hkdf_sha256(secret, from_hex("000102030405060708090a0b0c"), text(from_hex("f0f1f2f3f4f5f6f7f8f9")),
                                42).reveal()) ==
             "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  BOOST_TEST(to_hex(hkdf_sha256(secret, {}, "", 42).reveal()) ==
             "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

BOOST_AUTO_TEST_SUITE_END()
