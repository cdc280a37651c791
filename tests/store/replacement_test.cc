// The state is replaced by a snapshot while views and the flusher are at work on the old one.
#include "store/replacement.h"

#include <boost/test/unit_test.hpp>

#include "base/disk.h"
#include "store/current.h"
#include "store/key.h"
#include "tests/store/temp_folder.h"

namespace coffer::store {
namespace {

std::string key(std::string_view name) { return make_key(KeyClass::kShared, NamespaceId(0), MountId(1), name); }

std::optional<std::string> value(const View& view, std::string_view name) {
  std::string out;
  return std::move(view.get(key(name), out)).value() ? std::optional(out) : std::nullopt;
}

void put(Backend& backend, Index index, std::string_view name, std::string_view text) {
  const Op op{key(name), std::string(text)};
  backend.apply(index, {&op, 1});
  backend.publish(nullptr);
}

// A snapshot of "there" = "new", as of `index`.
std::unique_ptr<SnapshotReader> snapshot(const std::string& path, Index index) {
  SnapshotMeta meta;
  meta.applied = index;
  meta.term = Term(4);
  meta.hash_key[0] = 7;
  const auto file = std::move(posix_disk().open(path, OpenMode::kCreateOrEmpty)).value();
  const auto writer = std::move(SnapshotWriter::begin(*file, meta)).value();
  BOOST_REQUIRE(writer->add(key("there"), "new").ok());
  BOOST_REQUIRE(writer->finish().ok());
  return std::move(SnapshotReader::open(std::move(posix_disk().open(path, OpenMode::kRead)).value(), path)).value();
}

// Renames take effect, and a folder's sync then fails.
class FolderSyncFails final : public Disk {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    return posix_disk().open(path, mode);
  }
  Status make_folder(const std::string& path) override { return posix_disk().make_folder(path); }
  Status sync_folder(const std::string& path) override {
    return failing ? Status(Code::kIo, "Input/output error") : posix_disk().sync_folder(path);
  }
  Status rename(const std::string& from, const std::string& to) override { return posix_disk().rename(from, to); }
  Status remove(const std::string& path) override { return posix_disk().remove(path); }
  Result<std::vector<std::string>> list(const std::string& folder) override { return posix_disk().list(folder); }
  Result<bool> exists(const std::string& path) override { return posix_disk().exists(path); }
  Result<std::unique_ptr<FolderLock>> lock_folder(const std::string& folder) override {
    return posix_disk().lock_folder(folder);
  }
  Result<std::uint64_t> free_bytes(const std::string& folder) override { return posix_disk().free_bytes(folder); }

  bool failing = false;
};

struct OnDisk {
  OnDisk() { open(); }
  void open() {
    target.reset();
    backend.reset();
    auto table = std::move(open_state(posix_disk(), folder.path(), small(), system_random())).value();
    const SetHashKey hash_key = table->hash_key();
    backend = std::make_unique<StateBackend>(std::move(table), StateBackendOptions{});
    target = std::make_unique<DiskTarget>(disk, folder.path(), small(), system_random(), *backend, hash_key);
  }
  static LmdbOptions small() { return {.map_bytes = 64u << 20}; }
  std::size_t state_files() const {
    std::size_t count = 0;
    const std::vector<std::string> names = std::move(posix_disk().list(folder.path())).value();
    for (const std::string& name : names)
      count += state_file_number(name).has_value() ? 1 : 0;
    return count;
  }

  FolderSyncFails disk;
  testing::TempFolder folder;
  testing::TempFolder elsewhere;
  std::string path = elsewhere.path() + "/snapshot";
  std::unique_ptr<StateBackend> backend;
  std::unique_ptr<DiskTarget> target;
};

BOOST_AUTO_TEST_SUITE(replacement)

BOOST_FIXTURE_TEST_CASE(the_new_state_stands_after_publish_and_after_a_restart, OnDisk) {
  put(*backend, Index(1), "gone", "old");
  const auto before = std::move(backend->view()).value();
  const auto reader = snapshot(path, Index(9));
  auto prepared = std::move(target->prepare(*reader)).value();
  put(*backend, Index(2), "gone", "older still");  // goes on meanwhile
  const auto state = std::move(prepared->take_over()).value();
  BOOST_TEST((state->index() == Index(9)));
  BOOST_TEST(value(*state, "there").value() == "new");
  BOOST_TEST((backend->applied_index() == Index(9)));
  BOOST_TEST((std::move(backend->view()).value()->index() == Index(2)));  // nobody sees it yet
  backend->publish(nullptr);
  const auto after = std::move(backend->view()).value();
  BOOST_TEST((after->index() == Index(9)));
  BOOST_TEST(!value(*after, "gone").has_value());
  BOOST_TEST(value(*before, "gone").value() == "old");
  BOOST_TEST(!value(*before, "there").has_value());
  BOOST_TEST((backend->durable_index() == Index(9)));
  BOOST_TEST((target->hash_key() == reader->meta().hash_key));
  put(*backend, Index(10), "next", "1");
  BOOST_TEST(value(*std::move(backend->view()).value(), "next").value() == "1");
  prepared.reset();
  open();
  BOOST_TEST((backend->applied_index() == Index(9)));
  BOOST_TEST(value(*std::move(backend->view()).value(), "there").value() == "new");
  BOOST_TEST(state_files() == 1u);
}

// CURRENT may name the new one by then.
BOOST_FIXTURE_TEST_CASE(a_switch_that_fails_takes_no_state_away, OnDisk) {
  put(*backend, Index(1), "gone", "old");
  const auto reader = snapshot(path, Index(9));
  auto prepared = std::move(target->prepare(*reader)).value();
  disk.failing = true;
  BOOST_TEST(!prepared->take_over().ok());
  disk.failing = false;
  prepared.reset();
  open();
  BOOST_TEST(value(*std::move(backend->view()).value(), "there").value() == "new");
  BOOST_TEST(state_files() == 1u);
}

// A generation of the old state is on its way to the disk.
BOOST_FIXTURE_TEST_CASE(the_flusher_does_not_mix_the_two, OnDisk) {
  put(*backend, Index(1), "gone", "old");
  BOOST_TEST(backend->freeze());
  const auto reader = snapshot(path, Index(9));
  auto prepared = std::move(target->prepare(*reader)).value();
  BOOST_REQUIRE(prepared->take_over().ok());
  backend->publish(nullptr);
  BOOST_TEST(!std::move(backend->flush_step()).value());
  put(*backend, Index(10), "next", "1");
  BOOST_TEST(backend->freeze());
  BOOST_TEST((backend->durable_index() == Index(9)));
  BOOST_TEST(std::move(backend->flush_step()).value());
  BOOST_TEST((backend->durable_index() == Index(10)));
  open();
  const auto view = std::move(backend->view()).value();
  BOOST_TEST(value(*view, "next").value() == "1");
  BOOST_TEST(!value(*view, "gone").has_value());
}

BOOST_FIXTURE_TEST_CASE(one_that_is_not_used_leaves_nothing, OnDisk) {
  put(*backend, Index(1), "here", "1");
  const auto reader = snapshot(path, Index(9));
  auto prepared = std::move(target->prepare(*reader)).value();
  BOOST_TEST(state_files() == 2u);
  prepared.reset();
  BOOST_TEST(state_files() == 1u);
  BOOST_TEST(value(*std::move(backend->view()).value(), "here").value() == "1");
  // Damaged: cut short.
  const auto again = snapshot(path, Index(9));
  const auto file = std::move(posix_disk().open(path, OpenMode::kReadWrite)).value();
  BOOST_REQUIRE(file->truncate(std::move(file->size()).value() - 3).ok());
  BOOST_TEST((target->prepare(*again).code() == Code::kDataLoss));
  BOOST_TEST(state_files() == 1u);
}

// As a restore does it: at an index of the log, with records of its own, and while another snapshot is at hand.
BOOST_FIXTURE_TEST_CASE(a_state_may_stand_at_another_index_than_it_was_written_at, OnDisk) {
  put(*backend, Index(20), "gone", "old");
  const auto first = snapshot(path, Index(9));
  auto staged = std::move(target->prepare(*first)).value();
  const auto second = snapshot(elsewhere.path() + "/other", Index(30));
  auto other = std::move(target->prepare(*second)).value();
  BOOST_TEST(state_files() == 3u);
  const std::vector<Op> ops{{key("there"), std::nullopt}, {key("added"), "1"}};
  BOOST_REQUIRE(staged->take_over(Index(21), ops).ok());
  backend->publish(nullptr);
  staged.reset();
  BOOST_TEST((backend->applied_index() == Index(21)));
  BOOST_TEST((backend->durable_index() == Index(21)));
  const auto third = snapshot(path, Index(40));
  BOOST_REQUIRE(target->prepare(*third).ok());  // removes what nobody needs, and neither of the two
  BOOST_REQUIRE(other->take_over().ok());
  backend->publish(nullptr);
  BOOST_TEST(value(*std::move(backend->view()).value(), "there").value() == "new");
  other.reset();
  open();
  BOOST_TEST((backend->applied_index() == Index(30)));
  const auto view = std::move(backend->view()).value();
  BOOST_TEST(!value(*view, "added").has_value());
  BOOST_TEST(state_files() == 1u);
}

BOOST_AUTO_TEST_CASE(memory_is_replaced_as_well) {
  const testing::TempFolder folder;
  MemoryBackend backend;
  MemoryTarget target(backend);
  put(backend, Index(1), "gone", "old");
  put(backend, Index(2), "gone", "older still");
  const auto before = std::move(backend.view()).value();
  const auto reader = snapshot(folder.path() + "/snapshot", Index(9));
  auto prepared = std::move(target.prepare(*reader)).value();
  const auto state = std::move(prepared->take_over()).value();
  BOOST_TEST(value(*state, "there").value() == "new");
  BOOST_TEST((std::move(backend.view()).value()->index() == Index(2)));
  backend.publish(nullptr);
  BOOST_TEST(!value(*std::move(backend.view()).value(), "gone").has_value());
  BOOST_TEST(value(*before, "gone").value() == "older still");
  for (std::uint64_t index = 10; index < 20; ++index)
    put(backend, Index(index), "there", std::to_string(index));
  BOOST_TEST(value(*std::move(backend.view()).value(), "there").value() == "19");
  BOOST_TEST(value(*state, "there").value() == "new");
  BOOST_TEST(backend.versions_held() < 12u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::store
