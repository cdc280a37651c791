// The bytes of docs/formats/{log,state,current,snapshot}.md, pinned. COFFER_WRITE_GOLDEN=1 writes them anew, for a
// reviewer to see.
#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <fstream>

#include "base/crc32c.h"
#include "base/model_disk.h"
#include "store/current.h"
#include "store/key.h"
#include "store/overlay.h"
#include "store/set_hash.h"
#include "store/snapshot.h"
#include "store/wal.h"
#include "store/wal_recovery.h"
#include "tests/store/temp_folder.h"

namespace coffer::store {
namespace {

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
    text += (i + 1) % 32 == 0 || i + 1 == bytes.size() ? '\n' : ' ';
  }
  return text;
}

void require_golden(const std::string& name, const std::string& found) {
  const std::string path = "tests/golden/store/" + name;
  if (std::getenv("COFFER_WRITE_GOLDEN") != nullptr)
    std::ofstream(path, std::ios::trunc) << found;
  const auto expected = read_file(posix_disk(), path, 1u << 20);
  BOOST_TEST_REQUIRE(expected.ok(), expected.status().message());
  BOOST_TEST(found == *expected);
}

std::string without_padding(std::string bytes) {
  bytes.resize(bytes.find_last_not_of('\0') + 1);
  return bytes;
}

// A random source that counts: files made with it are the same each time.
class CountingRandom final : public RandomSource {
 public:
  Status fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out)
      byte = ++last_;
    return ok_status();
  }

 private:
  std::uint8_t last_ = 0;
};

BOOST_AUTO_TEST_SUITE(store_golden)

BOOST_AUTO_TEST_CASE(a_log_segment) {
  ModelDisk disk(1);
  {
    const auto log = std::move(*WriteAheadLog::open(disk, "/log", {.segment_bytes = 16384}));
    const auto payload = [](const char* text) { return std::make_shared<const std::string>(text); };
    BOOST_REQUIRE(log->reset_to(Index(200), Term(3)).ok());
    BOOST_REQUIRE(log->append(std::vector<LogRecord>{{Index(201), Term(3), 1, payload("first")},
                                                     {Index(202), Term(4), 2, payload("")}})
                      .ok());
    BOOST_REQUIRE(log->save_hard_state({Term(4), 7, Index(201), 2}).ok());
    BOOST_REQUIRE(log->sync().ok());
    BOOST_REQUIRE(log->truncate_from(Index(202)).ok());
    BOOST_REQUIRE(log->append(std::vector<LogRecord>{{Index(202), Term(5), 1, payload("instead")}}).ok());
    BOOST_REQUIRE(log->sync().ok());
  }
  const std::string bytes = *read_file(disk, "/log/" + wal_segment_name(1), 1u << 20);
  std::string found;
  for (std::size_t at = 0; at < 3 * kWalBlockBytes; at += kWalBlockBytes)
    found += "offset " + std::to_string(at) + "\n" + hex(without_padding(bytes.substr(at, kWalBlockBytes)));
  require_golden("log.hex", found);
}

BOOST_AUTO_TEST_CASE(current) {
  ModelDisk disk(1);
  BOOST_REQUIRE(write_current(disk, "/data", "state-000042.mdb").ok());
  require_golden("current.txt", *read_file(disk, "/data/CURRENT", 1000));
  BOOST_TEST(**read_current(disk, "/data") == "state-000042.mdb");
}

BOOST_AUTO_TEST_CASE(a_snapshot) {
  ModelDisk disk(1);
  const auto file = std::move(*disk.open("/spool", OpenMode::kCreateNew));
  const SnapshotMeta meta{Index(9), Term(2), {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, "extra"};
  const auto writer = std::move(*SnapshotWriter::begin(*file, meta));
  BOOST_REQUIRE(writer->add(make_key(KeyClass::kShared, NamespaceId(0), MountId(1), "a"), "sealed a").ok());
  BOOST_REQUIRE(writer->add(make_key(KeyClass::kClusterLocal, NamespaceId(0), MountId(2), "b"), "").ok());
  BOOST_REQUIRE(writer->finish().ok());
  require_golden("snapshot.hex", hex(*read_file(disk, "/spool", 1000)));
}

// The records as LMDB holds them; LMDB's own pages are its format.
BOOST_AUTO_TEST_CASE(a_state) {
  const testing::TempFolder folder;
  CountingRandom random;
  const std::string path = folder.path() + "/state-000001.mdb";
  {
    const auto state = std::move(*LmdbState::create(path, {}, random));
    Generation generation;
    generation.put(Index(5), make_key(KeyClass::kShared, NamespaceId(0), MountId(1), "a"), "sealed a");
    generation.put(Index(6), make_key(KeyClass::kClusterLocal, NamespaceId(0), MountId(2), std::string(600, 'b')),
                   "long");
    BOOST_REQUIRE(state->commit(generation, Index(6)).ok());
  }
  std::string found;
  const std::string file = *read_file(posix_disk(), path, 1u << 20);
  // The newest root's leaf page: node headers of 8 bytes (size, flags, key size), the key, the record.
  for (const std::string& key :
       {std::string("\0format", 7), std::string("\0summary", 8),
        make_key(KeyClass::kShared, NamespaceId(0), MountId(1), "a"),
        make_key(KeyClass::kClusterLocal, NamespaceId(0), MountId(2), std::string(600, 'b'))}) {
    const std::size_t at = file.rfind(key);
    BOOST_REQUIRE(at != std::string::npos);
    const std::size_t size = static_cast<unsigned char>(file[at - 8]) + 256u * static_cast<unsigned char>(file[at - 7]);
    found += "key\n" + hex(key) + "record\n" + hex(file.substr(at + key.size(), size));
  }
  require_golden("state.hex", found);
}

BOOST_AUTO_TEST_CASE(siphash_is_the_published_one) {
  SetHashKey key;
  for (std::uint8_t i = 0; i < key.size(); ++i)
    key[i] = i;
  const auto text = [&](std::string_view bytes) {
    const Hash128 hash = siphash128(key, bytes);
    return hex({reinterpret_cast<const char*>(&hash), sizeof hash});
  };
  BOOST_TEST(text("") == "a3 81 7f 04 ba 25 a8 e6 6d f6 72 14 c7 55 02 93\n");
  BOOST_TEST(text({"\0", 1}) == "da 87 c1 d8 6b 99 af 44 34 76 59 11 9b 22 fc 45\n");
  BOOST_TEST((keyed_hash(key, "ab", "c") == siphash128(key, std::string_view("\2\0\0\0abc", 7))));
}

BOOST_AUTO_TEST_CASE(a_set_hash_depends_on_the_records_alone) {
  const SetHashKey key{7};
  SetHash sum(key), other(key);
  sum.add("a", "1");
  sum.add("b", "2");
  other.add("b", "2");
  other.add("c", "3");
  other.add("a", "1");
  BOOST_TEST((sum.sum() != other.sum()));
  other.remove("c", "3");
  BOOST_TEST((sum.sum() == other.sum()));
  BOOST_TEST((keyed_hash(key, "ab", "c") != keyed_hash(key, "a", "bc")));
}

BOOST_AUTO_TEST_CASE(crc32c_is_the_published_one) {
  BOOST_TEST(crc32c("123456789") == 0xe3069283u);
  BOOST_TEST(crc32c_portable("123456789") == 0xe3069283u);
  BOOST_TEST(crc32c(std::string(32, '\0')) == 0x8a9136aau);
  const std::string text(1001, 'q');
  for (std::size_t size = 0; size < text.size(); size += 7)
    BOOST_TEST(crc32c(std::string_view(text).substr(0, size), 9) ==
               crc32c_portable(std::string_view(text).substr(0, size), 9));
  BOOST_TEST(crc32c("6789", crc32c("12345")) == crc32c("123456789"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::store
