#include "store/wal.h"

#include <boost/test/unit_test.hpp>

#include <map>
#include <random>
#include <thread>

#include "base/model_disk.h"
#include "store/memory_log.h"
#include "store/wal_recovery.h"
#include "tests/mutant_on.h"
#include "tests/store/temp_folder.h"

namespace coffer::store {
namespace {

constexpr const char* kFolder = "/log";
constexpr WalOptions kSmall{.segment_bytes = 64u << 10};

LogRecord record(std::uint64_t index, std::uint64_t term, std::string payload = "payload") {
  return {Index(index), Term(term), 1, std::make_shared<const std::string>(std::move(payload))};
}

std::unique_ptr<WriteAheadLog> open(Disk& disk, const std::string& folder = kFolder) {
  auto log = WriteAheadLog::open(disk, folder, kSmall);
  BOOST_REQUIRE_MESSAGE(log.ok(), log.status().message());
  return std::move(*log);
}

Status append_one(Log& log, std::uint64_t term, std::string payload = "payload") {
  return log.append(std::vector<LogRecord>{record(log.last_index().get() + 1, term, std::move(payload))});
}

void append_synced(Log& log, int count, std::uint64_t term = 1) {
  for (int i = 0; i < count; ++i) {
    BOOST_REQUIRE(append_one(log, term).ok());
    BOOST_REQUIRE(log.sync().ok());
  }
}

std::string first_segment(ModelDisk& disk) { return std::string(kFolder) + "/" + disk.list(kFolder)->front(); }

void require_same(const Log& a, const Log& b) {
  BOOST_TEST((a.last_index() == b.last_index()));
  BOOST_TEST((a.last_term() == b.last_term()));
  const Index first = std::max(a.first_index(), b.first_index());
  if (first > a.last_index())
    return;
  const auto left = a.read(first, a.last_index(), SIZE_MAX);
  const auto right = b.read(first, b.last_index(), SIZE_MAX);
  BOOST_REQUIRE_MESSAGE(left.ok(), left.status().message());
  BOOST_REQUIRE(right.ok());
  BOOST_REQUIRE(left->size() == right->size());
  for (std::size_t i = 0; i < left->size(); ++i) {
    const LogRecord& x = (*left)[i];
    const LogRecord& y = (*right)[i];
    BOOST_TEST((x.index == y.index && x.term == y.term && x.kind == y.kind && *x.payload == *y.payload));
    BOOST_TEST((*a.term_at(x.index) == x.term));
  }
}

// A page cache over another disk. While writeback fails, written blocks stay readable but never reach the disk below,
// syncs fail, and afterwards the blocks count as clean: a later sync succeeds without them, unless they are written
// again.
class ForgetfulCache final : public Disk {
 public:
  explicit ForgetfulCache(Disk& below) : below_(below) {}
  void fail_writeback(bool on) { failing_ = on; }
  void forget() { clean_.clear(); }

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    COFFER_ASSIGN(auto file, below_.open(path, mode));
    return std::unique_ptr<File>(std::make_unique<CachedFile>(*this, path, std::move(file)));
  }
  Status make_folder(const std::string& path) override { return below_.make_folder(path); }
  Status sync_folder(const std::string& path) override { return below_.sync_folder(path); }
  Status rename(const std::string& from, const std::string& to) override { return below_.rename(from, to); }
  Status remove(const std::string& path) override { return below_.remove(path); }
  Result<std::vector<std::string>> list(const std::string& folder) override { return below_.list(folder); }
  Result<bool> exists(const std::string& path) override { return below_.exists(path); }
  Result<std::unique_ptr<FolderLock>> lock_folder(const std::string& folder) override {
    return below_.lock_folder(folder);
  }
  Result<std::uint64_t> free_bytes(const std::string& folder) override { return below_.free_bytes(folder); }

 private:
  class CachedFile final : public File {
   public:
    CachedFile(ForgetfulCache& cache, const std::string& path, std::unique_ptr<File> file)
        : cache_(cache), clean_(cache.clean_[path]), file_(std::move(file)) {}
    Result<std::size_t> read_at(std::uint64_t offset, std::span<char> out) const override {
      COFFER_ASSIGN(const std::size_t got, file_->read_at(offset, out));
      for (std::uint64_t i = 0; i < got; ++i) {
        const auto block = clean_.find((offset + i) / kWalBlockBytes);
        if (block != clean_.end())
          out[i] = block->second[(offset + i) % kWalBlockBytes];
      }
      return got;
    }
    Status write_at(std::uint64_t offset, std::string_view bytes) override {
      BOOST_REQUIRE(offset % kWalBlockBytes == 0 && bytes.size() % kWalBlockBytes == 0);
      for (std::uint64_t i = 0; i < bytes.size(); i += kWalBlockBytes) {
        clean_.erase((offset + i) / kWalBlockBytes);
        if (cache_.failing_)
          clean_[(offset + i) / kWalBlockBytes] = bytes.substr(i, kWalBlockBytes);
      }
      return cache_.failing_ ? ok_status() : file_->write_at(offset, bytes);
    }
    Status append(std::string_view bytes) override { return file_->append(bytes); }
    Status preallocate(std::uint64_t size) override { return file_->preallocate(size); }
    Status truncate(std::uint64_t size) override { return file_->truncate(size); }
    Status sync_data() override {
      return cache_.failing_ ? Status(Code::kIo, "Input/output error") : file_->sync_data();
    }
    Result<std::uint64_t> size() const override { return file_->size(); }

   private:
    ForgetfulCache& cache_;
    std::map<std::uint64_t, std::string>& clean_;
    std::unique_ptr<File> file_;
  };

  Disk& below_;
  bool failing_ = false;
  std::map<std::string, std::map<std::uint64_t, std::string>> clean_;  // path, block
};

BOOST_AUTO_TEST_SUITE(store_wal)

BOOST_AUTO_TEST_CASE(a_fresh_log_is_empty) {
  ModelDisk disk(1);
  const auto log = open(disk);
  BOOST_TEST((log->last_index() == Index(0)));
  BOOST_TEST((log->first_index() == Index(1)));
  BOOST_TEST((*log->term_at(Index(0)) == Term(0)));
  BOOST_TEST((log->read(Index(1), Index(1), 100).code() == Code::kNotFound));
  BOOST_TEST(log->sync().ok());
  BOOST_TEST(disk.list(kFolder)->empty());
}

BOOST_AUTO_TEST_CASE(what_was_synced_is_there_after_opening_again) {
  ModelDisk disk(2);
  {
    const auto log = open(disk);
    BOOST_REQUIRE(append_one(*log, 1, "one").ok());
    BOOST_REQUIRE(append_one(*log, 3, std::string(200000, 'x')).ok());
    BOOST_REQUIRE(log->save_hard_state({Term(3), 7, Index(1), 9}).ok());
    BOOST_REQUIRE(log->sync().ok());
    BOOST_REQUIRE(append_one(*log, 3, "").ok());
    BOOST_REQUIRE(log->sync().ok());
    BOOST_REQUIRE(append_one(*log, 4, "lost").ok());
  }
  disk.power_cut({});
  const auto log = open(disk);
  BOOST_TEST(log->last_index().get() == 3u);
  BOOST_TEST(log->last_term().get() == 3u);
  const HardState hard = log->hard_state();
  BOOST_TEST((hard.term == Term(3) && hard.voted_for == 7 && hard.commit == Index(1) && hard.incarnation == 9));
  const auto records = log->read(Index(1), Index(3), SIZE_MAX);
  BOOST_REQUIRE(records.ok());
  BOOST_TEST(*(*records)[0].payload == "one");
  BOOST_TEST((*records)[1].payload->size() == 200000u);
  BOOST_TEST((*records)[2].payload->empty());
  BOOST_TEST(log->read(Index(1), Index(3), 1)->size() == 1u);
}

// Random calls on the log and on one in memory; now and then everything is synced and opened again.
BOOST_AUTO_TEST_CASE(it_behaves_as_the_log_in_memory) {
  ModelDisk disk(3);
  std::mt19937_64 random(3);
  auto log = open(disk);
  MemoryLog model;
  std::uint64_t term = 1;
  for (int step = 0; step < 4000; ++step) {
    const std::uint64_t first = model.first_index().get(), last = model.last_index().get();
    switch (random() % 12) {
      case 0: {
        const std::uint64_t from = first + random() % (last + 2 - first);
        BOOST_REQUIRE(log->truncate_from(Index(from)).ok());
        BOOST_REQUIRE(model.truncate_from(Index(from)).ok());
        term += random() % 2;
        break;
      }
      case 1:
        BOOST_REQUIRE(log->sync().ok());
        break;
      case 2:
        BOOST_REQUIRE(log->cut_below(Index(first + (last + 1 - first) / 2)).ok());
        BOOST_REQUIRE(model.cut_below(log->first_index()).ok());
        break;
      case 3:
        if (random() % 20 == 0) {
          BOOST_REQUIRE(log->reset_to(Index(last + 10), Term(term)).ok());
          BOOST_REQUIRE(model.reset_to(Index(last + 10), Term(term)).ok());
        }
        break;
      case 4:
        if (random() % 5 == 0) {
          BOOST_REQUIRE(log->save_hard_state({Term(term), random() % 3, Index(last), 1}).ok());
          BOOST_REQUIRE(log->sync().ok());
          log = open(disk);
          require_same(*log, model);
        }
        break;
      default: {
        std::vector<LogRecord> records;
        for (std::uint64_t i = random() % 4; i > 0; --i)
          records.push_back(record(last + 1 + records.size(), term, std::string(random() % 2000, 'p')));
        BOOST_REQUIRE(log->append(records).ok());
        BOOST_REQUIRE(model.append(records).ok());
      }
    }
  }
  require_same(*log, model);
  BOOST_TEST(log->segments() < 40u);
}

BOOST_AUTO_TEST_CASE(cutting_frees_whole_segments_and_keeps_promises) {
  ModelDisk disk(4);
  auto log = open(disk);
  BOOST_REQUIRE(log->save_hard_state({Term(1), 5, Index(0), 3}).ok());
  append_synced(*log, 100);
  const std::uint64_t before = log->segments();
  BOOST_TEST(before > 3u);
  BOOST_REQUIRE(log->cut_below(Index(60)).ok());
  BOOST_TEST(log->segments() < before);
  BOOST_TEST(log->first_index().get() > 1u);
  BOOST_TEST(log->first_index().get() <= 60u);
  const Index first = log->first_index();
  log = open(disk);
  BOOST_TEST((log->first_index() == first));
  BOOST_TEST(log->hard_state().voted_for == 5u);
  BOOST_TEST((*log->term_at(Index(first.get() - 1)) == Term(1)));
  BOOST_TEST((log->term_at(Index(first.get() - 2)).code() == Code::kNotFound));
}

BOOST_AUTO_TEST_CASE(a_torn_last_frame_is_dropped) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    ModelDisk disk(seed);
    {
      const auto log = open(disk);
      append_synced(*log, 3);
      BOOST_REQUIRE(append_one(*log, 1, std::string(9000, 'z')).ok());
      disk.power_off_after(1);
      BOOST_REQUIRE(!log->sync().ok());
    }
    disk.power_cut({.torn_permille = 900});
    const auto log = open(disk);
    BOOST_TEST(log->last_index().get() >= 3u);
    BOOST_TEST(log->last_index().get() <= 4u);
    append_synced(*log, 2);
  }
}

BOOST_AUTO_TEST_CASE(a_flipped_bit_in_a_committed_record_is_refused) {
  for (std::uint64_t offset = 0; offset < 5 * kWalBlockBytes; offset += 13) {
    ModelDisk disk(5);
    {
      const auto log = open(disk);
      for (int i = 0; i < 5; ++i)
        BOOST_REQUIRE(append_one(*log, 1, std::string(600, 'v')).ok() && log->sync().ok());
    }
    const std::string path = first_segment(disk);
    BOOST_REQUIRE(disk.flip_bit(path, offset, static_cast<unsigned>(offset)));
    const auto log = WriteAheadLog::open(disk, kFolder, kSmall);
    if (log.ok()) {
      // Only padding between frames may be damaged without harm.
      BOOST_TEST(offset % kWalBlockBytes > (offset < kWalBlockBytes ? 70u : 640u));
      BOOST_TEST((*log)->last_index().get() == 5u);
      continue;
    }
    BOOST_TEST((log.code() == Code::kDataLoss));
    BOOST_TEST(log.status().message().find(path) != std::string::npos);
    BOOST_TEST(log.status().message().find("offset " + std::to_string(offset / kWalBlockBytes * kWalBlockBytes)) !=
               std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(the_last_frame_of_a_segment_is_guarded_by_the_next_segment) {
  ModelDisk disk(6);
  {
    const auto log = open(disk);
    append_synced(*log, 16);  // a segment holds 15 frames
    BOOST_REQUIRE(log->segments() == 2u);
  }
  BOOST_REQUIRE(disk.flip_bit(first_segment(disk), 15 * kWalBlockBytes + 41, 1));
  const auto log = WriteAheadLog::open(disk, kFolder, kSmall);
  BOOST_REQUIRE((log.code() == Code::kDataLoss));
  BOOST_TEST(log.status().message().find("offset " + std::to_string(15 * kWalBlockBytes)) != std::string::npos);
}

// A write that landed on another frame's place: whole, but not where it belongs.
BOOST_AUTO_TEST_CASE(a_misplaced_frame_is_refused) {
  ModelDisk disk(6);
  {
    const auto log = open(disk);
    append_synced(*log, 3);
  }
  const std::string path = first_segment(disk);
  std::string frame(kWalBlockBytes, '\0');
  const auto file = std::move(*disk.open(path, OpenMode::kReadWrite));
  BOOST_REQUIRE(file->read_at(kWalBlockBytes, frame).ok());
  BOOST_REQUIRE(file->write_at(3 * kWalBlockBytes, frame).ok());
  BOOST_TEST((WriteAheadLog::open(disk, kFolder, kSmall).code() == Code::kDataLoss));
}

BOOST_AUTO_TEST_CASE(a_flipped_bit_is_refused_on_read) {
  ModelDisk disk(7);
  const auto log = open(disk);
  append_synced(*log, 5);
  BOOST_REQUIRE(disk.flip_bit(first_segment(disk), 2 * kWalBlockBytes + 50, 3));
  BOOST_TEST(log->read(Index(1), Index(1), 1).ok());
  const auto damaged = log->read(Index(2), Index(2), 1);
  BOOST_TEST((damaged.code() == Code::kDataLoss));
  BOOST_TEST(damaged.status().message().find("offset 8192") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_missing_segment_in_the_middle_leaves_the_newer_ones_only) {
  ModelDisk disk(8);
  {
    const auto log = open(disk);
    append_synced(*log, 60);
    BOOST_REQUIRE(log->segments() >= 4u);
  }
  BOOST_REQUIRE(disk.remove(std::string(kFolder) + "/" + wal_segment_name(2)).ok());
  const auto log = open(disk);
  BOOST_TEST(log->last_index().get() == 60u);
  BOOST_TEST(log->first_index().get() > 20u);
}

BOOST_AUTO_TEST_CASE(a_failed_sync_is_final) {
  ModelDisk disk(9);
  const auto log = open(disk);
  append_synced(*log, 2);
  BOOST_REQUIRE(append_one(*log, 1).ok());
  disk.fail_syncs(true);
  BOOST_TEST((log->sync().code() == Code::kIo));
  disk.fail_syncs(false);
  BOOST_TEST((log->sync().code() == Code::kIo));
  BOOST_TEST(!append_one(*log, 1).ok());
  BOOST_TEST(!log->save_hard_state({}).ok());
  BOOST_TEST(!log->truncate_from(Index(2)).ok());
  BOOST_TEST(!log->cut_below(Index(2)).ok());
  BOOST_TEST(!log->reset_to(Index(2), Term(2)).ok());
}

// The frame whose sync failed is found again in memory, as the first of all, within a segment, and as the first of a
// later segment.
BOOST_AUTO_TEST_CASE(a_frame_that_only_the_page_cache_holds_is_written_again) {
  for (const int before : {0, 1, 2, 15}) {
    for (const int after : {0, 1, 2}) {
      ModelDisk disk(11);
      ForgetfulCache cache(disk);
      {
        const auto log = open(cache);
        append_synced(*log, before);
        cache.fail_writeback(true);
        BOOST_REQUIRE(append_one(*log, 1).ok());
        BOOST_REQUIRE((log->sync().code() == Code::kIo));
        cache.fail_writeback(false);
      }
      {
        const auto log = open(cache);
        BOOST_REQUIRE(log->last_index().get() == static_cast<std::uint64_t>(before) + 1);
        append_synced(*log, after);
      }
      cache.forget();
      disk.power_cut({});
      BOOST_TEST(open(cache)->last_index().get() == static_cast<std::uint64_t>(before + 1 + after));
    }
  }
}

// One synced frame is all that the newest segment holds: no frame behind it tells that its header was whole once.
BOOST_AUTO_TEST_CASE(a_flipped_bit_in_the_header_of_a_segment_with_one_frame_is_refused) {
  for (const int frames : {1, 16}) {  // a segment holds 15
    for (std::uint64_t bit = 0; bit < 76 * 8; ++bit) {
      ModelDisk disk(12);
      {
        const auto log = open(disk);
        append_synced(*log, frames);
      }
      const std::string path = std::string(kFolder) + "/" + disk.list(kFolder)->back();
      BOOST_REQUIRE(disk.flip_bit(path, bit / 8, static_cast<unsigned>(bit % 8)));
      const auto log = WriteAheadLog::open(disk, kFolder, kSmall);
      BOOST_REQUIRE((log.code() == Code::kDataLoss));
      BOOST_REQUIRE(log.status().message().find(path) != std::string::npos);
      BOOST_REQUIRE(*disk.exists(path));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_final_and_loses_nothing_acknowledged) {
  ModelDisk disk(10);
  std::uint64_t acknowledged = 0;
  {
    const auto log = open(disk);
    disk.set_free_bytes(200000);
    while (append_one(*log, 1).ok() && log->sync().ok())
      ++acknowledged;
    BOOST_TEST(acknowledged > 10u);
    BOOST_TEST(!append_one(*log, 1).ok());
  }
  disk.set_free_bytes(1u << 30);
  BOOST_TEST(open(disk)->last_index().get() >= acknowledged);
}

BOOST_AUTO_TEST_CASE(appending_goes_on_while_another_thread_syncs) {
  const testing::TempFolder folder;
  const auto log = open(posix_disk(), folder.path());
  std::atomic<bool> stop{false};
  std::thread syncer([&] {
    while (!stop.load())
      COFFER_CHECK(log->sync().ok());  // Boost's checks are not for other threads
  });
  for (std::uint64_t i = 1; i <= 20000; ++i) {
    BOOST_REQUIRE(append_one(*log, 1, std::to_string(i)).ok());
    if (i % 100 == 0) {
      const std::uint64_t at = i / 2 + 1;
      const auto found = log->read(Index(std::max(at, log->first_index().get())), Index(i), 4096);
      BOOST_REQUIRE(found.ok());
      BOOST_REQUIRE(*found->front().payload == std::to_string(found->front().index.get()));
    }
    if (i % 1000 == 0)
      BOOST_REQUIRE(log->cut_below(Index(i / 2)).ok());
  }
  stop.store(true);
  syncer.join();
  BOOST_REQUIRE(log->sync().ok());
  BOOST_TEST(open(posix_disk(), folder.path())->last_index().get() == 20000u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::store
