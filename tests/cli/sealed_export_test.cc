#include "cli/sealed_export.h"

#include <boost/test/unit_test.hpp>

namespace coffer::cli {
namespace {

constexpr crypto::ScryptCost kCheap{4, 8, 1};

SecretBytes phrase(std::string_view text) { return SecretBytes::copy_of(text); }

std::string sealed(std::string_view text) {
  const Result<std::string> out = seal_export(text, phrase("correct horse"), system_random(), kCheap);
  BOOST_REQUIRE(out.ok());
  return *out;
}

BOOST_AUTO_TEST_SUITE(sealed_exports)

BOOST_AUTO_TEST_CASE(open_with_the_passphrase_alone) {
  for (const std::string text : {std::string(), std::string("{\"a\":{\"b\":\"c\"}}\n"), std::string(100'000, 'x')}) {
    const std::string out = sealed(text);
    BOOST_TEST(is_sealed_export(out));
    const Result<SecretBytes> back = open_export(out, phrase("correct horse"));
    BOOST_REQUIRE(back.ok());
    BOOST_TEST(std::string(back->reveal_text()) == text);
    BOOST_TEST((open_export(out, phrase("correct horsf")).code() == Code::kDenied));
  }
  BOOST_TEST(sealed("same") != sealed("same"));
}

BOOST_AUTO_TEST_CASE(what_was_changed_is_refused) {
  const std::string out = sealed("hunter2");
  BOOST_TEST(out.find("hunter2") == std::string::npos);
  for (std::size_t i = 23; i < out.size(); ++i) {
    std::string other = out;
    other[i] = other[i] == 'A' ? 'B' : 'A';
    BOOST_TEST(!open_export(other, phrase("correct horse")).ok(), i);
  }
  BOOST_TEST((open_export(out.substr(0, 40), phrase("x")).code() == Code::kInvalid));
  BOOST_TEST((open_export("{}", phrase("x")).code() == Code::kInvalid));
}

BOOST_AUTO_TEST_CASE(costs_beyond_reason_are_refused) {
  BOOST_TEST((crypto::scrypt({}, {}, {21, 8, 1}, 32).code() == Code::kInvalid));
  BOOST_TEST((crypto::scrypt({}, {}, {0, 8, 1}, 32).code() == Code::kInvalid));
  BOOST_TEST((crypto::scrypt({}, {}, {10, 255, 1}, 32).code() == Code::kInvalid));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::cli
