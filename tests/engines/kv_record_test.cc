#include <boost/test/unit_test.hpp>

#include <fstream>

#include "base/encoding.h"
#include "engines/kv/record.h"

namespace coffer::engines::kv {
namespace {

Head full_head() {
  Head head;
  head.newest.cas_required = true;
  head.newest.metadata_cas_required = true;
  head.metadata_version = 5;
  head.newest.version = {4, WallTime(Nanos(1795315230824367385)), WallTime(Nanos(1795318830824367385)), false, {}};
  head.newest.custom_metadata = R"({"owner":"team"})";
  head.newest.data = R"({"a":1.10})";
  head.created = WallTime(Nanos(1795315000000000000));
  head.updated = head.newest.version.created;
  head.oldest = 1;
  head.max_versions = 300;
  head.delete_version_after = std::chrono::hours(1);
  head.older = {{1, head.created, {}, true, {}},
                {2, head.created, head.updated, false, {}},
                {3, head.created, {}, false, R"({"a":1})", "userpass-alice", "5f3c"}};
  return head;
}

bool equal(const Version& a, const Version& b) {
  return a.number == b.number && a.created == b.created && a.deletion == b.deletion && a.destroyed == b.destroyed &&
         a.kept == b.kept && a.author == b.author && a.entity == b.entity;
}

BOOST_AUTO_TEST_SUITE(kv_record)

BOOST_AUTO_TEST_CASE(a_head_is_pinned) {
  std::string record;
  encode(full_head(), record);
  std::ifstream in("tests/golden/kv_head.hex");
  std::string pinned;
  in >> pinned;
  BOOST_TEST(hex_encode(record) == pinned);
}

BOOST_AUTO_TEST_CASE(what_is_written_is_read) {
  const Head head = full_head();
  std::string record;
  encode(head, record);
  const Result<Head> read = decode_head(record);
  BOOST_REQUIRE(read.ok());
  BOOST_TEST(read->newest.cas_required);
  BOOST_TEST(read->newest.metadata_cas_required);
  BOOST_TEST(read->metadata_version == 5u);
  BOOST_TEST(equal(read->newest.version, head.newest.version));
  BOOST_TEST(read->newest.custom_metadata == head.newest.custom_metadata);
  BOOST_TEST(read->newest.data == head.newest.data);
  BOOST_TEST((read->created == head.created && read->updated == head.updated));
  BOOST_TEST(read->oldest == 1u);
  BOOST_TEST(read->max_versions == 300u);
  BOOST_TEST((read->delete_version_after == std::chrono::hours(1)));
  BOOST_REQUIRE(read->older.size() == 3u);
  BOOST_TEST(equal(read->older[0], head.older[0]));
  BOOST_TEST(equal(read->older[1], head.older[1]));
  BOOST_TEST(equal(read->older[2], head.older[2]));
  const Result<Newest> newest = decode_newest(record);
  BOOST_REQUIRE(newest.ok());
  BOOST_TEST(newest->data == head.newest.data);
}

BOOST_AUTO_TEST_CASE(damage_is_told_and_never_read_past) {
  std::string record;
  encode(full_head(), record);
  for (std::size_t size = 0; size < record.size(); ++size)
    BOOST_TEST((decode_head(std::string_view(record).substr(0, size)).code() == Code::kDataLoss));
  BOOST_TEST((decode_head(record + "x").code() == Code::kDataLoss));
  for (std::size_t i = 0; i < record.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = record;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      const Result<Head> read = decode_head(changed);
      if (read.ok()) {
        std::string again;
        encode(*read, again);
        BOOST_TEST(again == changed);
      }
    }
}

BOOST_AUTO_TEST_CASE(a_tombstone_comes_back) {
  std::string record;
  encode(Tombstone{WallTime(Nanos(77)), full_head()}, record);
  const Result<Tombstone> read = decode_tombstone(record);
  BOOST_REQUIRE(read.ok());
  BOOST_TEST((read->purge_at == WallTime(Nanos(77))));
  BOOST_TEST(equal(read->head.older[2], full_head().older[2]));
  for (std::size_t size = 0; size < record.size(); ++size)
    BOOST_TEST((decode_tombstone(std::string_view(record).substr(0, size)).code() == Code::kDataLoss));
}

BOOST_AUTO_TEST_CASE(a_configuration_comes_back) {
  std::string record;
  encode(Config{true, 7, std::chrono::minutes(3)}, record);
  const Result<Config> read = decode_config(record);
  BOOST_REQUIRE(read.ok());
  BOOST_TEST(read->cas_required);
  BOOST_TEST(read->max_versions == 7u);
  BOOST_TEST((read->delete_version_after == std::chrono::minutes(3)));
  BOOST_TEST(!read->versions_stay);
  record.clear();
  encode(Config{.versions_stay = true}, record);
  BOOST_TEST(decode_config(record)->versions_stay);
  BOOST_TEST(!decode_config(record)->cas_required);
  record.clear();
  encode(Config{.metadata_cas_required = true, .deleted_metadata_retention = Nanos{5}}, record);
  BOOST_TEST(decode_config(record)->metadata_cas_required);
  BOOST_TEST((decode_config(record)->deleted_metadata_retention == Nanos{5}));
  record[1] = 8;
  BOOST_TEST((decode_config(record).code() == Code::kDataLoss));
  BOOST_TEST((decode_config("").code() == Code::kDataLoss));
  BOOST_TEST((decode_data("").code() == Code::kDataLoss));
  BOOST_TEST((decode_data("\x02{}").code() == Code::kDataLoss));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::engines::kv
