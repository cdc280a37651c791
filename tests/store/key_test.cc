#include "store/key.h"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <vector>

namespace coffer::store {
namespace {

std::string key(std::string_view rest) { return make_key(KeyClass::kShared, NamespaceId(7), MountId(9), rest); }

BOOST_AUTO_TEST_SUITE(store_key)

BOOST_AUTO_TEST_CASE(ids_stand_in_number_order) {
  const std::string low = make_key(KeyClass::kShared, NamespaceId(1), MountId(255), "z");
  const std::string high = make_key(KeyClass::kShared, NamespaceId(1), MountId(256), "a");
  const std::string local = make_key(KeyClass::kClusterLocal, NamespaceId(0), MountId(0), "");
  BOOST_TEST((low < high));
  BOOST_TEST((high < local));
}

BOOST_AUTO_TEST_CASE(a_key_is_read_back) {
  const std::string stored = key("data/a/b");
  const auto head = parse_key(stored);
  BOOST_REQUIRE(head.ok());
  BOOST_TEST((head->cls == KeyClass::kShared));
  BOOST_TEST(head->ns.get() == 7u);
  BOOST_TEST(head->mount.get() == 9u);
  BOOST_TEST(head->rest == "data/a/b");
  BOOST_TEST((parse_key("\x09zzzzzzzzz").code() == Code::kDataLoss));
  BOOST_TEST((parse_key("abc").code() == Code::kDataLoss));
}

BOOST_AUTO_TEST_CASE(only_long_keys_are_shortened) {
  const std::string longest(limits::kStoreKeyPlainBytesMax - kKeyHeadBytes, 'x');
  BOOST_TEST(!is_shortened(key(longest)));
  BOOST_TEST(key(longest).size() == limits::kStoreKeyPlainBytesMax);
  const std::string one_more = key(longest + "x");
  BOOST_TEST(is_shortened(one_more));
  BOOST_TEST(one_more.size() == kShortenedKeyBytes);
  BOOST_TEST(one_more != key(longest + "y"));
  BOOST_TEST((one_more.substr(0, kShortenedPrefixBytes) == key(longest).substr(0, kShortenedPrefixBytes)));
}

BOOST_AUTO_TEST_CASE(a_plain_key_cannot_pose_as_a_shortened_one) {
  const std::string posing =
      full_key(KeyClass::kShared, NamespaceId(7), MountId(9), "").append(kShortenedPrefixBytes - kKeyHeadBytes, 'x') +
      kShortenedMark + std::string(32, 'h');
  BOOST_TEST(stored_key(posing) != posing);
}

BOOST_AUTO_TEST_CASE(a_prefix_range_holds_every_key_that_begins_so) {
  const std::string folder(600, 'f');
  for (const std::string& prefix : {std::string("a/"), folder.substr(0, 431), folder}) {
    const KeyRange range = range_of_prefix(full_key(KeyClass::kShared, NamespaceId(7), MountId(9), prefix));
    for (const std::string& tail : {std::string(), std::string("b"), std::string(500, 'z')}) {
      const std::string stored = key(prefix + tail);
      BOOST_TEST((stored >= range.begin && stored < range.end));
    }
  }
  BOOST_TEST(prefix_end("a\xff\xff") == "b");
  BOOST_TEST(prefix_end("\xff") == "");
}

BOOST_AUTO_TEST_CASE(a_long_name_travels_inside_the_record) {
  const std::string name(700, 'n');
  const std::string opened = long_record_head(name) + "the value";
  const auto split = split_long_record(opened);
  BOOST_REQUIRE(split.ok());
  BOOST_TEST(split->rest == name);
  BOOST_TEST(split->value == "the value");
  BOOST_TEST((split_long_record("\xff").code() == Code::kDataLoss));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::store
