#include "crypto/es512.h"

#include <boost/test/unit_test.hpp>

#include <string>
#include <vector>

using namespace coffer;
using coffer::crypto::Es512Key;

namespace {

std::unique_ptr<const Es512Key> key_of(std::uint8_t fill) {
  SecretBytes seed(32);
  for (std::uint8_t& byte : seed.reveal_mutable())
    byte = fill;
  auto key = Es512Key::derive(seed);
  BOOST_TEST_REQUIRE(key.ok());
  return std::move(key).value();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(es512)

BOOST_AUTO_TEST_CASE(a_seed_is_a_key) {
  BOOST_TEST(key_of(1)->public_pem().value() == key_of(1)->public_pem().value());
  BOOST_TEST(key_of(1)->public_pem().value() != key_of(2)->public_pem().value());
  BOOST_TEST(key_of(1)->public_pem().value().starts_with("-----BEGIN PUBLIC KEY-----\n"));
}

BOOST_AUTO_TEST_CASE(signs_and_verifies) {
  const auto key = key_of(1);
  const std::string signature = key->sign("message").value();
  BOOST_TEST(signature.size() == crypto::kEs512SignatureBytes);
  BOOST_TEST(key_of(1)->verify("message", signature));
  BOOST_TEST(!key->verify("massage", signature));
  BOOST_TEST(!key_of(2)->verify("message", signature));
  BOOST_TEST(!key->verify("message", signature.substr(1)));
  BOOST_TEST(!key->verify("message", signature + "x"));
  BOOST_TEST(!key->verify("message", ""));
  BOOST_TEST(!key->verify("message", std::string(crypto::kEs512SignatureBytes, '\0')));
  for (std::size_t i = 0; i < signature.size(); i += 7) {
    std::string changed = signature;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    BOOST_TEST(!key->verify("message", changed), "byte " << i);
  }
}

BOOST_AUTO_TEST_SUITE_END()
