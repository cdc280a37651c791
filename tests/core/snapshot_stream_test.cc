// A saved state on its way out: whose file it is, who may send one, and what ends it.
#include <boost/test/unit_test.hpp>

#include <new>
#include <vector>

#include "base/limits.h"
#include "base/model_disk.h"
#include "core/outside.h"
#include "core/snapshot_stream.h"

namespace coffer::core {
namespace {

void make_file(Disk& disk, const std::string& path) { BOOST_REQUIRE(disk.open(path, OpenMode::kCreateOrEmpty).ok()); }

}  // namespace

BOOST_AUTO_TEST_SUITE(snapshot_stream)

BOOST_AUTO_TEST_CASE(a_saved_state_that_nobody_takes_leaves_no_file) {
  ModelDisk disk(1);
  BOOST_REQUIRE(disk.make_folder("spool").ok());
  make_file(disk, "spool/out-1");
  make_file(disk, "spool/out-2");
  {
    Result<SavedState> saved = SavedState{SpoolFile(disk, "spool/out-1"), Index(1), Term(1)};
    SavedState taken = std::move(saved).value();
    BOOST_TEST(*disk.exists("spool/out-1"));
    taken.file = SpoolFile(disk, "spool/out-2");
    BOOST_TEST(!*disk.exists("spool/out-1"));
  }
  BOOST_TEST(!*disk.exists("spool/out-2"));
}

BOOST_AUTO_TEST_CASE(slots_are_bounded_and_come_back) {
  {
    std::vector<SnapshotSlot> held;
    for (unsigned i = 0; i < limits::kSnapshotStreamsMax; ++i)
      held.push_back(std::move(SnapshotSlot::take()).value());
    BOOST_TEST((SnapshotSlot::take().code() == Code::kUnavailable));
  }
  BOOST_TEST(SnapshotSlot::take().ok());
}

// The client takes nothing, so the thread waits in the middle of the state.
BOOST_AUTO_TEST_CASE(what_is_broken_off_ends_its_thread_and_leaves_no_file) {
  ModelDisk disk(1);
  BOOST_REQUIRE(disk.make_folder("spool").ok());
  const auto keyring = std::move(*seal::Keyring::create(KeyringId(1), WallTime(), system_random()));
  const auto sums = std::make_shared<const SumsSeal>(*keyring);
  std::vector<std::shared_ptr<SnapshotStream>> streams;
  for (const bool kept : {true, false}) {
    const std::string path = kept ? "spool/kept" : "spool/dropped";
    BOOST_REQUIRE((*disk.open(path, OpenMode::kCreateOrEmpty))->write_at(0, std::string(4u << 20, 'x')).ok());
    SavedState saved{SpoolFile(disk, path), Index(1), Term(1)};
    auto source = ArchiveSource::open(disk, std::move(saved), {}, sums);
    BOOST_REQUIRE(source.ok());
    auto stream = SnapshotStream::begin(std::move(*SnapshotSlot::take()), std::move(*source), nullptr);
    BOOST_REQUIRE(stream.ok());
    if (kept)
      streams.push_back(std::move(*stream));
    else
      stream->reset();
    SnapshotStream::stop_all();
  }
  std::string piece;
  BOOST_TEST((streams.front()->next(piece) == ByteStream::Next::kBroken));
  streams.clear();
  BOOST_TEST((!*disk.exists("spool/kept") && !*disk.exists("spool/dropped")));
  std::vector<SnapshotSlot> slots;
  for (unsigned i = 0; i < limits::kSnapshotStreamsMax; ++i) {
    auto slot = SnapshotSlot::take();
    BOOST_REQUIRE(slot.ok());
    slots.push_back(std::move(*slot));
  }
}

BOOST_AUTO_TEST_CASE(a_task_that_runs_out_of_memory_ends_alone) {
  CallThreads threads(1, 4);
  bool next_ran = false;
  BOOST_TEST(threads.submit([] { throw std::bad_alloc(); }));
  BOOST_TEST(threads.submit([&next_ran] { next_ran = true; }));
  threads.stop();
  BOOST_TEST(next_ran);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::core
