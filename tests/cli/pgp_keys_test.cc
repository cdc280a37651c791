#include "cli/pgp_keys.h"

#include <boost/test/unit_test.hpp>
#include <random>

#include "base/encoding.h"

namespace coffer::cli {
namespace {

// A packet of a tag with a body of so many bytes, by either format of RFC 4880, 4.2.
std::string packet(unsigned tag, std::size_t size, unsigned form) {
  std::string out;
  const auto put = [&out](std::size_t value) { out.push_back(static_cast<char>(value)); };
  const bool old = form < 3 && tag < 16;
  if (old && form == 0 && size < 256) {
    put(0x80 | tag << 2);
    put(size);
  } else if (old && form <= 1 && size < 65536) {
    put(0x80 | tag << 2 | 1);
    put(size >> 8);
    put(size & 255);
  } else if (old) {
    put(0x80 | tag << 2 | 2);
    for (const int shift : {24, 16, 8, 0})
      put(size >> shift & 255);
  } else if (size < 192) {
    put(0xC0 | tag);
    put(size);
  } else if (size < 8384) {
    put(0xC0 | tag);
    put(((size - 192) >> 8) + 192);
    put((size - 192) & 255);
  } else {
    put(0xC0 | tag);
    put(255);
    for (const int shift : {24, 16, 8, 0})
      put(size >> shift & 255);
  }
  for (std::size_t i = 0; i < size; ++i)
    put(i % 3 == 0 ? 0x99 : i);  // looks like the beginning of a key wherever a line ends
  return out;
}

std::string some_key(std::mt19937_64& random) {
  std::string out = packet(6, 50 + random() % 400, static_cast<unsigned>(random() % 4));
  for (const unsigned tag : {13u, 2u, 14u, 2u})
    out += packet(tag, 1 + random() % 9000, static_cast<unsigned>(random() % 4));
  return out;
}

std::string armoured(const std::string& key) {
  std::string out = "-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: a key\n\n";
  const std::string text = base64_encode(key);
  for (std::size_t i = 0; i < text.size(); i += 64)
    out += text.substr(i, 64) + "\n";
  return out + "=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n";
}

std::string wrapped(const std::string& bytes, std::size_t columns) {
  const std::string text = base64_encode(bytes);
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += columns)
    out += text.substr(i, columns) + "\n";
  return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(pgp_keys_test)

BOOST_AUTO_TEST_CASE(D_3_keys_in_one_file) {
  std::mt19937_64 random(20'261'123);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> keys;
    std::string text;
    for (std::size_t i = 0; i <= random() % 5; ++i) {
      const std::string key = some_key(random);
      keys.push_back(base64_encode(key));
      const std::size_t columns[] = {76, 64, 1'000'000};
      const std::size_t width = columns[random() % 3];
      switch (random() % 3) {
        case 0: text += wrapped(key, width); break;
        case 1: text += wrapped(armoured(key), width); break;
        default: text += armoured(key);
      }
      if (random() % 4 == 0)
        text += "\r\n";
    }
    const Result<std::vector<std::string>> found = split_pgp_keys(text);
    BOOST_REQUIRE_MESSAGE(found.ok(), (found.ok() ? "" : found.status().message()));
    BOOST_TEST(*found == keys, boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_key) {
  for (const std::string_view text :
       {"", "\n\n", "hello", "aGVsbG8=", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmSBh\n",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nmSBh\n-----END PGP PRIVATE KEY BLOCK-----\n"})
    BOOST_TEST((split_pgp_keys(text).code() == Code::kInvalid));
  const std::string second = wrapped(packet(6, 60, 0), 76) + "aGVsbG8gdGhlcmU=!\n";
  BOOST_TEST((split_pgp_keys(second).code() == Code::kInvalid));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::cli
