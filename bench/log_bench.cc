// The write-ahead log on this machine's disk, and beside it the ceiling: the same bytes through one write and one
// fdatasync. Entries a second is the figure to read (items_per_second). TMPDIR chooses the disk.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>

#include "base/disk.h"
#include "store/wal.h"

namespace {

using namespace coffer;         // NOLINT
using namespace coffer::store;  // NOLINT

constexpr std::size_t kEntryBytes = 340;

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "coffer-bench-XXXXXX").string();
    COFFER_CHECK(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

void log_append(benchmark::State& state) {
  const Folder folder;
  const auto log = std::move(*WriteAheadLog::open(posix_disk(), folder.path, {}));
  const auto payload = std::make_shared<const std::string>(kEntryBytes, 'e');
  std::vector<LogRecord> batch(static_cast<std::size_t>(state.range(0)));
  std::uint64_t index = 0;
  for (auto _ : state) {
    for (LogRecord& record : batch)
      record = {Index(++index), Term(1), 1, payload};
    COFFER_CHECK(log->append(batch).ok() && log->sync().ok());
    if (index % 4096 < batch.size())
      COFFER_CHECK(log->cut_below(Index(index)).ok());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(index));
}
BENCHMARK(log_append)->Arg(1)->Arg(32)->Arg(128)->UseRealTime()->MinTime(1.0);

// The file wraps around as the log's segments do, so that blocks are allocated but not always written before.
void raw_write_and_sync(benchmark::State& state) {
  const Folder folder;
  const std::string bytes(static_cast<std::size_t>(state.range(0)) * kEntryBytes, 'e');
  std::unique_ptr<File> file;
  std::uint64_t offset = limits::kLogSegmentBytes;
  int files = 0;
  for (auto _ : state) {
    if (offset + bytes.size() > limits::kLogSegmentBytes) {
      if (files > 0)
        COFFER_CHECK(posix_disk().remove(folder.path + "/" + std::to_string(files)).ok());
      file = std::move(*posix_disk().open(folder.path + "/" + std::to_string(++files), OpenMode::kCreateNew));
      COFFER_CHECK(file->preallocate(limits::kLogSegmentBytes).ok() && posix_disk().sync_folder(folder.path).ok());
      offset = 0;
    }
    COFFER_CHECK(file->write_at(offset, bytes).ok() && file->sync_data().ok());
    offset += bytes.size();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(raw_write_and_sync)->Arg(1)->Arg(32)->Arg(128)->UseRealTime()->MinTime(1.0);

// What the log costs besides the disk.
void log_encode_only(benchmark::State& state) {
  const auto payload = std::make_shared<const std::string>(kEntryBytes, 'e');
  std::string frame;
  for (auto _ : state) {
    frame.assign(kFrameHeadBytes, '\0');
    for (std::int64_t i = 0; i < state.range(0); ++i)
      encode_entry(frame, {Index(static_cast<std::uint64_t>(i)), Term(1), 1, payload});
    finish_frame(frame, {1, 1, kWalBlockBytes, static_cast<std::uint32_t>(state.range(0))});
    benchmark::DoNotOptimize(frame.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(log_encode_only)->Arg(1)->Arg(32)->Arg(128);

}  // namespace
