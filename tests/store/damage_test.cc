// A damaged store is refused, or found by the scrub, and the message says which file and what to do.
#include <boost/test/unit_test.hpp>

#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sys/resource.h>

#include "base/disk.h"
#include "store/current.h"
#include "store/flush_thread.h"
#include "store/key.h"
#include "store/overlay.h"
#include "store/snapshot.h"
#include "store/state_backend.h"
#include "store/watermark.h"
#include "base/model_disk.h"
#include "tests/store/temp_folder.h"

namespace coffer::store {
namespace {

std::string key(int number) {
  return make_key(KeyClass::kShared, NamespaceId(0), MountId(1), "record-" + std::to_string(number));
}

std::string value_of(int number) {
  std::string value(200, static_cast<char>('a' + number % 26));
  value += std::to_string(number);
  return value;
}

// While it stands, no file of this process grows beyond `bytes`.
class SmallFiles {
 public:
  explicit SmallFiles(rlim_t bytes) : handler_(::signal(SIGXFSZ, SIG_IGN)) {
    BOOST_REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    const rlimit small{bytes, before_.rlim_max};
    BOOST_REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  }
  ~SmallFiles() {
    BOOST_CHECK(::setrlimit(RLIMIT_FSIZE, &before_) == 0);
    ::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*const handler_)(int);
};

// 500 records at index 1; returns the file's path.
std::string make_state(const std::string& folder) {
  auto state = open_state(posix_disk(), folder, {}, system_random());
  BOOST_REQUIRE(state.ok());
  Generation generation;
  for (int i = 0; i < 500; ++i)
    generation.put(Index(1), key(i), value_of(i));
  BOOST_REQUIRE((*state)->commit(generation, Index(1)).ok());
  return (*state)->path();
}

std::string content_of(const std::string& path) { return *read_file(posix_disk(), path, 1u << 30); }
void overwrite(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

Status scrub_all(StateTable& table) {
  while (true) {
    COFFER_ASSIGN(const bool done, table.scrub_step(64));
    if (done)
      return ok_status();
  }
}

void require_says(const Status& status, const std::string& file) {
  BOOST_TEST((status.code() == Code::kDataLoss), status.message());
  BOOST_TEST(status.message().find(file) != std::string::npos, status.message());
  BOOST_TEST(status.message().find("backup") != std::string::npos, status.message());
}

BOOST_AUTO_TEST_SUITE(store_damage)

BOOST_AUTO_TEST_CASE(a_flipped_bit_in_a_value_is_refused_when_read_and_found_by_the_scrub) {
  const testing::TempFolder folder;
  const std::string path = make_state(folder.path());
  std::string bytes = content_of(path);
  const std::string value = value_of(7);
  const std::size_t at = bytes.find(value);
  BOOST_REQUIRE(at != std::string::npos);
  bytes[at + 100] = static_cast<char>(bytes[at + 100] ^ 4);
  overwrite(path, bytes);
  const auto state = LmdbState::open(path, {});
  BOOST_REQUIRE(state.ok());
  {
    const ReaderHold reader(**state, **(*state)->acquire());
    std::string out;
    BOOST_TEST(*reader->get(key(8), out));
    require_says(reader->get(key(7), out).status(), path);
  }
  require_says(scrub_all(**state), path);
}

// LMDB finds a record by its key, so one with a flipped key is lost without a trace but for the set hash.
BOOST_AUTO_TEST_CASE(a_flipped_bit_in_a_key_is_found_by_the_scrub) {
  const testing::TempFolder folder;
  const std::string path = make_state(folder.path());
  std::string bytes = content_of(path);
  const std::size_t at = bytes.find("record-77");
  BOOST_REQUIRE(at != std::string::npos);
  bytes[at + 8] = static_cast<char>(bytes[at + 8] ^ 1);  // "record-76": the same key as its neighbour, or out of order
  overwrite(path, bytes);
  const auto state = LmdbState::open(path, {});
  BOOST_REQUIRE(state.ok());
  require_says(scrub_all(**state), path);
}

// An old leaf page in place of the new one is whole and fits every record's own checksum.
BOOST_AUTO_TEST_CASE(a_stale_page_is_found_by_the_set_hash) {
  const testing::TempFolder folder;
  const std::string path = make_state(folder.path());
  const std::string before = content_of(path);
  {
    const auto state = std::move(*open_state(posix_disk(), folder.path(), {}, system_random()));
    for (std::uint64_t i = 2; i < 6; ++i) {  // pages are used again two commits later
      Generation generation;
      generation.put(Index(i), key(7), "new " + std::to_string(i));
      BOOST_REQUIRE(state->commit(generation, Index(i)).ok());
    }
    BOOST_REQUIRE(scrub_all(*state).ok());
  }
  std::string after = content_of(path);
  // The page of record 7 under its newest place, filled with the records as they were.
  const std::size_t fresh = after.find("new 5") / 4096 * 4096;
  const std::size_t old = before.find(value_of(7)) / 4096 * 4096;
  BOOST_REQUIRE(fresh != old);
  for (std::size_t i = 16; i < 4096; ++i)  // all but the page's own number
    after[fresh + i] = before[old + i];
  overwrite(path, after);
  const auto state = LmdbState::open(path, {});
  BOOST_REQUIRE(state.ok());
  require_says(scrub_all(**state), path);
}

BOOST_AUTO_TEST_CASE(the_scrub_keeps_up_with_commits_beside_it) {
  const testing::TempFolder folder;
  make_state(folder.path());
  const auto state = std::move(*open_state(posix_disk(), folder.path(), {}, system_random()));
  std::uint64_t index = 1;
  int passes = 0;
  for (int step = 0; step < 400; ++step) {
    const auto done = state->scrub_step(37);
    BOOST_TEST_REQUIRE(done.ok(), done.status().message());
    passes += *done ? 1 : 0;
    Generation generation;
    ++index;
    for (int i = 0; i < 20; ++i) {
      const int number = (step * 31 + i * 17) % 700;
      if (i % 3 == 0)
        generation.put(Index(index), key(number), std::nullopt);
      else
        generation.put(Index(index), key(number), std::to_string(step));
    }
    BOOST_REQUIRE(state->commit(generation, Index(index)).ok());
  }
  BOOST_TEST(passes > 5);
}

BOOST_AUTO_TEST_CASE(a_state_file_that_was_cut_short_is_refused) {
  const testing::TempFolder folder;
  const std::string path = make_state(folder.path());
  const std::string bytes = content_of(path);
  overwrite(path, std::string_view(bytes).substr(0, bytes.size() / 2));
  require_says(LmdbState::open(path, {}).status(), path);
  overwrite(path, std::string(8192, 'x'));
  require_says(LmdbState::open(path, {}).status(), path);
  overwrite(path, "");
  BOOST_TEST(!LmdbState::open(path, {}).ok());
}

BOOST_AUTO_TEST_CASE(a_missing_or_damaged_current_is_refused) {
  const testing::TempFolder folder;
  const std::string path = make_state(folder.path());
  const std::string current = folder.path() + "/CURRENT";
  const std::string good = content_of(current);
  const auto opened = [&] { return open_state(posix_disk(), folder.path(), {}, system_random()).status(); };
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    overwrite(current, bad);
    require_says(opened(), current);
  }
  overwrite(current, good + std::string(1000, '\n'));
  require_says(opened(), current);
  BOOST_REQUIRE(posix_disk().remove(current).ok());
  require_says(opened(), current);
  overwrite(current, good);
  BOOST_REQUIRE(posix_disk().rename(path, path + ".away").ok());
  require_says(opened(), path);
  BOOST_REQUIRE(posix_disk().rename(path + ".away", path).ok());
  BOOST_TEST(opened().ok());
}

BOOST_AUTO_TEST_CASE(a_first_start_that_was_interrupted_starts_again) {
  const testing::TempFolder folder;
  { BOOST_REQUIRE(LmdbState::create(folder.path() + "/state-000001.mdb", {}, system_random()).ok()); }
  BOOST_TEST(open_state(posix_disk(), folder.path(), {}, system_random()).ok());
  overwrite(folder.path() + "/state-000009.mdb", "left over");
  BOOST_TEST(open_state(posix_disk(), folder.path(), {}, system_random()).ok());
  BOOST_TEST(!*posix_disk().exists(folder.path() + "/state-000009.mdb"));
}

// A write that LMDB cannot make is final, and what was there stays.
BOOST_AUTO_TEST_CASE(a_failed_commit_is_final) {
  const testing::TempFolder folder;
  const std::string path = make_state(folder.path());
  {
    StateBackend backend(std::move(*open_state(posix_disk(), folder.path(), {}, system_random())), {});
    backend.apply(Index(2), std::vector<Op>{{key(1), std::string(3u << 20, 'x')}});
    backend.publish(nullptr);
    BOOST_REQUIRE(backend.freeze());
    const auto flushed = [&] {
      const SmallFiles small(1u << 20);
      return backend.flush_step();
    }();
    BOOST_TEST((flushed.code() == Code::kIo));
    BOOST_TEST(flushed.status().message().find(path) != std::string::npos);
    BOOST_TEST(backend.durable_index().get() == 1u);
    BOOST_TEST(!backend.table().commit(Generation(), Index(3)).ok());
    BOOST_TEST(!backend.scrub_step(1).ok());
  }
  const auto again = open_state(posix_disk(), folder.path(), {}, system_random());
  BOOST_REQUIRE(again.ok());
  BOOST_TEST((*again)->durable_index().get() == 1u);
}

BOOST_AUTO_TEST_CASE(a_snapshot_becomes_the_next_state) {
  const testing::TempFolder folder, other;
  make_state(folder.path());
  make_state(other.path());
  const std::string spool = folder.path() + "/spool";
  SnapshotMeta meta{.applied = Index(0), .term = Term(4), .hash_key = {1, 2, 3}, .extra = "group"};
  {
    StateBackend backend(std::move(*open_state(posix_disk(), folder.path(), {}, system_random())), {});
    backend.apply(Index(9), std::vector<Op>{{key(1), "changed"}, {key(2), std::nullopt}});
    backend.publish(nullptr);
    const auto file = std::move(*posix_disk().open(spool, OpenMode::kCreateNew));
    BOOST_REQUIRE(write_snapshot(**backend.view(), meta, *file).ok());
  }
  const auto read = [&] { return SnapshotReader::open(std::move(*posix_disk().open(spool, OpenMode::kRead)), spool); };
  const auto snapshot = read();
  BOOST_REQUIRE(snapshot.ok());
  BOOST_TEST((*snapshot)->meta().extra == "group");
  BOOST_TEST(((*snapshot)->meta().applied == Index(9) && (*snapshot)->meta().term == Term(4)));
  {
    const auto state = install_snapshot(posix_disk(), other.path(), {}, system_random(), **snapshot);
    BOOST_TEST_REQUIRE(state.ok(), state.status().message());
    BOOST_TEST((*state)->summary().records == 499u);
  }
  const auto state = open_state(posix_disk(), other.path(), {}, system_random());
  BOOST_REQUIRE(state.ok());
  BOOST_TEST((*state)->path().find("state-000002.mdb") != std::string::npos);
  BOOST_TEST((*state)->durable_index().get() == 9u);
  BOOST_TEST(((*state)->hash_key() == meta.hash_key));
  BOOST_TEST(scrub_all(**state).ok());
  const ReaderHold reader(**state, **(*state)->acquire());
  std::string value;
  BOOST_TEST((*reader->get(key(1), value) && value == "changed"));
  BOOST_TEST(!*reader->get(key(2), value));
}

BOOST_AUTO_TEST_CASE(a_damaged_snapshot_changes_nothing) {
  const testing::TempFolder folder;
  make_state(folder.path());
  const std::string spool = folder.path() + "/spool";
  {
    StateBackend backend(std::move(*open_state(posix_disk(), folder.path(), {}, system_random())), {});
    const auto file = std::move(*posix_disk().open(spool, OpenMode::kCreateNew));
    BOOST_REQUIRE(write_snapshot(**backend.view(), {}, *file).ok());
  }
  const std::string good = content_of(spool);
  const auto install = [&](std::string_view bytes) {
    overwrite(spool, bytes);
    COFFER_ASSIGN(auto file, posix_disk().open(spool, OpenMode::kRead));
    COFFER_ASSIGN(const auto snapshot, SnapshotReader::open(std::move(file), spool));
    return install_snapshot(posix_disk(), folder.path(), {}, system_random(), *snapshot).status();
  };
  for (std::size_t at = 0; at < good.size(); at += good.size() / 40) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 16);
    BOOST_TEST((install(bad).code() == Code::kDataLoss));
    BOOST_TEST((install(std::string_view(good).substr(0, at)).code() == Code::kDataLoss));
  }
  BOOST_TEST((install(good + '\0').code() == Code::kDataLoss));
  BOOST_TEST(**read_current(posix_disk(), folder.path()) == "state-000001.mdb");
  BOOST_TEST(install(good).ok());
  BOOST_TEST(**read_current(posix_disk(), folder.path()) == "state-000002.mdb");
}

// Not even when each chunk and the sum over all records fit.
BOOST_AUTO_TEST_CASE(a_snapshot_out_of_order_is_refused) {
  const testing::TempFolder folder;
  make_state(folder.path());
  const std::string spool = folder.path() + "/spool";
  const std::string long_value(100'000, 'v');  // ends a chunk
  for (const auto& [first, second] : {std::pair(2, 1), std::pair(1, 1)})
    for (const std::string& value : {std::string("short"), long_value}) {
      const auto file = std::move(*posix_disk().open(spool, OpenMode::kCreateOrEmpty));
      const auto writer = std::move(*SnapshotWriter::begin(*file, {}));
      BOOST_REQUIRE(writer->add(key(first), value).ok());
      BOOST_REQUIRE(writer->add(key(second), value).ok());
      BOOST_REQUIRE(writer->finish().ok());
      const auto snapshot =
          std::move(*SnapshotReader::open(std::move(*posix_disk().open(spool, OpenMode::kRead)), spool));
      const auto state = install_snapshot(posix_disk(), folder.path(), {}, system_random(), *snapshot);
      BOOST_TEST((state.code() == Code::kDataLoss));
    }
  BOOST_TEST(**read_current(posix_disk(), folder.path()) == "state-000001.mdb");
}

std::string large_value(std::uint64_t i) { return std::string(256u << 10, 'v') + std::to_string(i); }

// Records 100 to 199: more than one transaction of the load, and more than the map that it begins with.
std::string write_large_snapshot(const testing::TempFolder& folder) {
  std::string spool = folder.path() + "/spool";
  const auto file = std::move(*posix_disk().open(spool, OpenMode::kCreateNew));
  const auto writer = std::move(*SnapshotWriter::begin(*file, {.applied = Index(9)}));
  for (std::uint64_t i = 100; i < 200; ++i)
    BOOST_REQUIRE(writer->add(key(i), large_value(i)).ok());
  BOOST_REQUIRE(writer->finish().ok());
  return spool;
}

BOOST_AUTO_TEST_CASE(a_large_snapshot_becomes_the_next_state) {
  const testing::TempFolder folder;
  make_state(folder.path());
  const std::string spool = write_large_snapshot(folder);
  const auto snapshot = std::move(*SnapshotReader::open(std::move(*posix_disk().open(spool, OpenMode::kRead)), spool));
  BOOST_REQUIRE(
      install_snapshot(posix_disk(), folder.path(), {.map_bytes = 1u << 20}, system_random(), *snapshot).ok());
  const auto state = std::move(*open_state(posix_disk(), folder.path(), {}, system_random()));
  BOOST_TEST(state->summary().records == 100u);
  BOOST_TEST((state->durable_index() == Index(9)));
  BOOST_TEST(scrub_all(*state).ok());
  const ReaderHold reader(*state, **state->acquire());
  std::string found;
  BOOST_TEST((*reader->get(key(150), found) && found == large_value(150)));
}

// The reader is far ahead of the thread that writes by then, or waits for it.
BOOST_AUTO_TEST_CASE(a_snapshot_that_cannot_be_written_changes_nothing) {
  const testing::TempFolder folder;
  make_state(folder.path());
  const std::string spool = write_large_snapshot(folder);
  const auto install = [&] {
    const auto snapshot =
        std::move(*SnapshotReader::open(std::move(*posix_disk().open(spool, OpenMode::kRead)), spool));
    return install_snapshot(posix_disk(), folder.path(), {}, system_random(), *snapshot).status();
  };
  for (const rlim_t bytes : {rlim_t{1} << 20, rlim_t{10} << 20, rlim_t{24} << 20}) {
    const SmallFiles small(bytes);
    BOOST_TEST((install().code() == Code::kIo));
    BOOST_TEST(**read_current(posix_disk(), folder.path()) == "state-000001.mdb");
    BOOST_TEST(!*posix_disk().exists(folder.path() + "/state-000002.mdb"));
  }
  BOOST_TEST(install().ok());
  BOOST_TEST(**read_current(posix_disk(), folder.path()) == "state-000002.mdb");
}

BOOST_AUTO_TEST_CASE(the_flush_thread_commits_scrubs_and_reports_damage) {
  const testing::TempFolder folder;
  const std::string path = make_state(folder.path());
  std::string bytes = content_of(path);
  const std::size_t at = bytes.find("record-77");
  bytes[at + 8] = static_cast<char>(bytes[at + 8] ^ 1);
  overwrite(path, bytes);
  StateBackend backend(std::move(*open_state(posix_disk(), folder.path(), {}, system_random())), {});
  std::mutex mutex;
  std::condition_variable reported;
  Status failure;
  FlushThread thread(
      backend,
      [&](const Status& status) {
        const std::lock_guard lock(mutex);
        failure = status;
        reported.notify_one();
      },
      std::chrono::seconds(0));
  std::unique_lock lock(mutex);
  BOOST_REQUIRE(reported.wait_for(lock, std::chrono::seconds(30), [&] { return !failure.ok(); }));
  require_says(failure, path);
}

BOOST_AUTO_TEST_CASE(writes_are_refused_before_the_disk_is_full) {
  ModelDisk disk(1);
  DiskWatermark watermark(disk, "/data", 1000);
  disk.set_free_bytes(1000);
  watermark.measure();
  BOOST_TEST(watermark.check().ok());
  disk.set_free_bytes(999);
  watermark.measure();
  BOOST_TEST((watermark.check().code() == Code::kUnavailable));
  disk.set_free_bytes(1500);
  watermark.measure();
  BOOST_TEST(!watermark.check().ok());
  disk.set_free_bytes(2000);
  watermark.measure();
  BOOST_TEST(watermark.check().ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::store
