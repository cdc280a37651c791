#include "crypto/scrypt.h"

#include <boost/test/unit_test.hpp>
#include <string_view>

#include "base/encoding.h"

namespace coffer::crypto {
namespace {

std::string key(std::string_view passphrase, std::string_view salt, const ScryptCost& cost) {
  const auto bytes = [](std::string_view text) {
    return std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  };
  const Result<SecretBytes> out = scrypt(bytes(passphrase), bytes(salt), cost, 64);
  return out.ok() ? hex_encode(out->reveal_text()) : out.status().message();
}

// RFC 7914, section 12.
BOOST_AUTO_TEST_CASE(scrypt_vectors) {
  BOOST_TEST(key("password", "NaCl", {10, 8, 16}) == "the cost of the key derivation is out of range");
  BOOST_TEST(key("", "", {4, 1, 1}) ==
             "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
             "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906");
  BOOST_TEST(key("pleaseletmein", "SodiumChloride", {14, 8, 1}) ==
             "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
             "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887");
}

}  // namespace
}  // namespace coffer::crypto
