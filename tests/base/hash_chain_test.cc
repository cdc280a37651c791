#include <boost/test/unit_test.hpp>

#include "base/hash_chain.h"

namespace coffer {
namespace {

BOOST_AUTO_TEST_SUITE(hash_chain)

BOOST_AUTO_TEST_CASE(a_link_is_read_back_as_it_was_written) {
  HashChain chain;
  const std::string line = R"({"time":"t","a":"\",\"chain\":{"})";
  HashChain::Link link = chain.next(line);
  link.mark = "hmac-sha256:00";
  std::string text;
  HashChain::append(line, link, text);
  BOOST_TEST(text.starts_with(R"({"time":"t",)"));
  std::string back;
  const auto read = HashChain::read(text, back);
  BOOST_REQUIRE(read.ok());
  BOOST_TEST(back == line);
  BOOST_TEST(read->sequence == 1u);
  BOOST_TEST(read->previous == std::string(64, '0'));
  BOOST_TEST(read->hash == link.hash);
  BOOST_TEST(read->mark == "hmac-sha256:00");
  BOOST_TEST(HashChain::fits(*read, back));
  BOOST_TEST(!HashChain::fits(*read, R"({"time":"u"})"));
}

BOOST_AUTO_TEST_CASE(each_link_holds_the_one_before) {
  HashChain chain;
  const auto first = chain.next("{}");
  const auto second = chain.next("{}");
  BOOST_TEST(second.previous == first.hash);
  BOOST_TEST(second.hash != first.hash);
  HashChain other;
  other.resume(first);
  BOOST_TEST(other.next("{}").hash == second.hash);
}

// Pinned: SHA-256 over sixty-four zeros, "1:" and the line.
BOOST_AUTO_TEST_CASE(the_hash_is_as_documented) {
  HashChain chain;
  BOOST_TEST(chain.next("{}").hash == "353296f771093b6ff062ee2389905f1960c356bf2fa5915e347c14a1e6c90f1c");
}

BOOST_AUTO_TEST_CASE(a_line_without_a_link_is_told) {
  std::string line;
  for (const char* text : {"", "{}", R"({"a":1,"chain":{"sequence":x}})", R"({"a":1,"chain":{"sequence":1}})",
                           R"({"a":1,"chain":{"sequence":1,"previous":"zz","hash":"","mark":""}})"})
    BOOST_TEST(!HashChain::read(text, line).ok(), text);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer
