#include <boost/test/unit_test.hpp>

#include <atomic>
#include <fstream>
#include <future>
#include <map>
#include <random>
#include <sys/stat.h>
#include <thread>

#include "base/disk.h"
#include "store/current.h"
#include "store/key.h"
#include "store/memory_backend.h"
#include "store/overlay.h"
#include "store/state_backend.h"
#include "tests/mutant_on.h"
#include "tests/store/temp_folder.h"

namespace coffer::store {
namespace {

using Model = std::map<std::string, std::string>;

std::string key(int number) {
  return make_key(KeyClass::kShared, NamespaceId(0), MountId(1), "k" + std::to_string(number));
}

Model all_of(const View& view) {
  Model found;
  const auto cursor = view.cursor();
  BOOST_REQUIRE(cursor.ok());
  for (auto more = (*cursor)->seek(""); ; more = (*cursor)->next()) {
    BOOST_REQUIRE(more.ok());
    if (!*more)
      break;
    found.emplace((*cursor)->key(), (*cursor)->value());
  }
  return found;
}

void require_same(const Backend& backend, const Model& model) {
  const auto view = backend.view();
  BOOST_REQUIRE(view.ok());
  BOOST_TEST((all_of(**view) == model));
  std::string value;
  for (const auto& [key, expected] : model) {
    const auto there = (*view)->get(key, value);
    BOOST_REQUIRE(there.ok());
    BOOST_TEST(*there);
    BOOST_TEST(value == expected);
  }
  BOOST_TEST(!*(*view)->get("\x01no such key", value));
}

std::unique_ptr<StateBackend> open_backend(const std::string& folder, const StateBackendOptions& options) {
  auto state = open_state(posix_disk(), folder, LmdbOptions{}, system_random());
  BOOST_REQUIRE_MESSAGE(state.ok(), state.status().message());
  return std::make_unique<StateBackend>(std::move(*state), options);
}

// Random puts and deletes on a backend and a model beside it.
class Writer {
 public:
  Writer(Backend& backend, std::uint64_t seed) : backend_(backend), random_(seed), index_(backend.applied_index()) {}

  void entry() {
    std::vector<Op> ops;
    for (std::size_t i = random_() % 5; i > 0; --i) {
      const std::string where = key(static_cast<int>(random_() % 200));
      if (random_() % 4 == 0) {
        ops.push_back({where, std::nullopt});
        model.erase(where);
      } else {
        ops.push_back({where, std::string(random_() % 300, 'v') + std::to_string(random_())});
        model[where] = *ops.back().value;
      }
    }
    index_ = index_.next();
    backend_.apply(index_, ops);
  }

  Model model;

 private:
  Backend& backend_;
  std::mt19937_64 random_;
  Index index_;
};

BOOST_AUTO_TEST_SUITE(store_state)

BOOST_AUTO_TEST_CASE(overlay_and_table_together_hold_what_was_applied) {
  const testing::TempFolder folder;
  const StateBackendOptions small{.generation_bytes_max = 20000};
  Model at_end;
  Index last;
  {
    const auto backend = open_backend(folder.path(), small);
    Writer writer(*backend, 1);
    for (int i = 0; i < 3000; ++i) {
      writer.entry();
      if (i % 7 == 0)
        backend->publish(nullptr);
      if (i % 50 == 0)
        BOOST_REQUIRE(backend->flush_step().ok());
      if (i % 500 == 0) {
        backend->publish(nullptr);
        require_same(*backend, writer.model);
      }
    }
    backend->publish(nullptr);
    while (!backend->freeze())
      BOOST_REQUIRE(backend->flush_step().ok());
    BOOST_REQUIRE(backend->flush_step().ok());
    BOOST_TEST((backend->durable_index() == backend->applied_index()));
    require_same(*backend, writer.model);
    at_end = writer.model;
    last = backend->applied_index();
  }
  const auto backend = open_backend(folder.path(), small);
  BOOST_TEST((backend->applied_index() == last));
  require_same(*backend, at_end);
  auto pass = backend->scrub_step(17);
  while (pass.ok() && !*pass)
    pass = backend->scrub_step(17);
  BOOST_TEST(pass.ok());
}

BOOST_AUTO_TEST_CASE(a_view_sees_nothing_later) {
  const testing::TempFolder folder;
  const auto backend = open_backend(folder.path(), {});
  backend->apply(Index(1), std::vector<Op>{{key(1), "old"}});
  backend->publish(nullptr);
  const auto view = std::move(*backend->view());
  backend->apply(Index(2), std::vector<Op>{{key(1), "new"}, {key(2), "more"}});
  std::string value;
  BOOST_TEST((*backend->view())->index().get() == 1u);
  backend->publish(nullptr);
  BOOST_REQUIRE(backend->freeze());
  BOOST_REQUIRE(*backend->flush_step());
  BOOST_TEST(*view->get(key(1), value));
  BOOST_TEST(value == "old");
  BOOST_TEST(!*view->get(key(2), value));
  BOOST_TEST(all_of(*view).size() == 1u);
  BOOST_TEST(all_of(**backend->view()).size() == 2u);
}

BOOST_AUTO_TEST_CASE(pressure_rises_when_both_generations_are_full_and_falls_after_a_flush) {
  const testing::TempFolder folder;
  const auto backend = open_backend(folder.path(), {.generation_keys_max = 2});
  std::uint64_t index = 0;
  for (int i = 0; i < 6; ++i) {
    backend->apply(Index(++index), std::vector<Op>{{key(i), "v"}});
    backend->publish(nullptr);
  }
  BOOST_TEST(backend->flush_pressure());
  BOOST_TEST(*backend->flush_step());
  backend->tick(BootTime{});
  BOOST_TEST(!backend->flush_pressure());
}

BOOST_AUTO_TEST_CASE(an_old_generation_is_flushed_though_it_is_small) {
  const testing::TempFolder folder;
  const auto backend = open_backend(folder.path(), {});
  backend->apply(Index(1), std::vector<Op>{{key(1), "v"}});
  backend->publish(nullptr);
  const BootTime start{std::chrono::seconds(100)};
  backend->tick(start);
  BOOST_TEST(!*backend->flush_step());
  backend->tick(start + limits::kOverlayGenerationAgeMax);
  BOOST_TEST(*backend->flush_step());
  BOOST_TEST(backend->durable_index().get() == 1u);
}

BOOST_AUTO_TEST_CASE(entries_that_write_nothing_become_durable_too) {
  const testing::TempFolder folder;
  const auto backend = open_backend(folder.path(), {});
  backend->apply(Index(1), std::vector<Op>{{key(1), "v"}});
  backend->apply(Index(2), {});
  backend->publish(nullptr);
  BOOST_REQUIRE(backend->freeze() && *backend->flush_step());
  BOOST_TEST(backend->durable_index().get() == 2u);
  backend->apply(Index(3), {});
  backend->publish(nullptr);
  BOOST_REQUIRE(backend->freeze() && *backend->flush_step());
  BOOST_TEST(backend->durable_index().get() == 3u);
  BOOST_TEST((backend->freeze() && !*backend->flush_step()));
}

// A table that commits a later state between the moment a reader loads its publication and the moment it begins to
// read.
struct TornReads {
  std::uint64_t checked = 0;
  std::uint64_t torn = 0;
};

TornReads race_readers_with_flusher(std::uint64_t entries) {
  const testing::TempFolder folder;
  const auto backend = open_backend(folder.path(), {.generation_keys_max = 1});
  backend->apply(Index(1), std::vector<Op>{{key(1), "1"}, {key(2), "1"}});
  backend->publish(nullptr);
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> checked{0}, torn{0};
  const auto reader = [&] {
    std::string value;
    while (!stop.load()) {
      const auto view = std::move(*backend->view());
      // Every entry writes its index to one of the two keys and, at every second one, to both: what a view at i finds
      // is known.
      const std::uint64_t index = view->index().get();
      const std::string first = *view->get(key(1), value) ? value : "";
      const std::string second = *view->get(key(2), value) ? value : "";
      checked.fetch_add(1);
      if (first != std::to_string(index) || second != std::to_string(index - (index + 1) % 2))
        torn.fetch_add(1);
    }
  };
  std::thread one(reader), two(reader);
  std::thread flusher([&] {
    while (!stop.load())
      COFFER_CHECK(backend->flush_step().ok());  // Boost's checks are not for other threads
  });
  for (std::uint64_t i = 2; i <= entries; ++i) {
    std::vector<Op> ops{{key(1), std::to_string(i)}};
    if (i % 2 == 1)
      ops.push_back({key(2), std::to_string(i)});
    backend->apply(Index(i), ops);
    backend->publish(nullptr);
  }
  stop.store(true);
  one.join();
  two.join();
  flusher.join();
  return {checked.load(), torn.load()};
}

BOOST_AUTO_TEST_CASE(no_view_is_torn_while_the_flusher_runs) {
  const TornReads reads = race_readers_with_flusher(200000);
  BOOST_TEST(reads.checked > 1000u);
  BOOST_TEST(reads.torn == 0u);
}

// Lets a commit slip in at the worst moment, so that the race above does not have to be lucky.
class CommittingTable final : public StateTable {
 public:
  explicit CommittingTable(std::unique_ptr<StateTable> inner) : inner_(std::move(inner)) {}
  Result<StateReader*> acquire() override {
    if (before_read)
      std::exchange(before_read, nullptr)();
    return inner_->acquire();
  }
  void release(StateReader* reader) noexcept override { inner_->release(reader); }
  Status commit(const Generation& generation, Index applied) override { return inner_->commit(generation, applied); }
  Index durable_index() const override { return inner_->durable_index(); }
  Result<bool> scrub_step(std::size_t records_max) override { return inner_->scrub_step(records_max); }
  std::function<void()> before_read;

 private:
  const std::unique_ptr<StateTable> inner_;
};

bool view_is_torn() {
  const testing::TempFolder folder;
  auto state = open_state(posix_disk(), folder.path(), LmdbOptions{}, system_random());
  auto owned = std::make_unique<CommittingTable>(std::move(*state));
  CommittingTable& table = *owned;
  StateBackend backend(std::move(owned), {});
  backend.apply(Index(1), std::vector<Op>{{key(1), "1"}});
  backend.publish(nullptr);
  BOOST_REQUIRE(backend.freeze() && *backend.flush_step());
  backend.tick(BootTime{});  // the table alone holds index 1
  table.before_read = [&] {
    backend.apply(Index(2), std::vector<Op>{{key(1), "2"}});
    backend.publish(nullptr);
    BOOST_REQUIRE(backend.freeze() && *backend.flush_step());
  };
  const auto view = std::move(*backend.view());
  std::string value;
  BOOST_REQUIRE(*view->get(key(1), value));
  return value != std::to_string(view->index().get());
}

BOOST_AUTO_TEST_CASE(a_commit_between_overlay_and_table_starts_the_view_over) {
  BOOST_TEST(!view_is_torn());
  const testing::ScopedMutant mutant(Mutant::kOverlayBeforeStateUnchecked);
  BOOST_TEST(view_is_torn());
}

BOOST_AUTO_TEST_CASE(files_are_private_whatever_the_umask) {
  const testing::TempFolder folder;
  const mode_t before = ::umask(0777);
  BOOST_REQUIRE(posix_disk().make_folder(folder.path() + "/data").ok());
  const auto lock = posix_disk().lock_folder(folder.path() + "/data");
  const auto state = open_state(posix_disk(), folder.path() + "/data", LmdbOptions{}, system_random());
  ::umask(before);
  BOOST_REQUIRE_MESSAGE(lock.ok() && state.ok(), state.status().message());
  const auto mode_of = [&](const std::string& name) {
    struct stat info {};
    BOOST_REQUIRE(::stat((folder.path() + "/" + name).c_str(), &info) == 0);
    return info.st_mode & 07777;
  };
  BOOST_TEST(mode_of("data") == 0700u);
  for (const char* name : {"data/LOCK", "data/CURRENT", "data/state-000001.mdb", "data/state-000001.mdb-lock"})
    BOOST_TEST(mode_of(name) == 0600u);
  BOOST_TEST((posix_disk().lock_folder(folder.path() + "/data").code() == Code::kUnavailable));
}

BOOST_AUTO_TEST_CASE(a_full_map_grows_during_the_commit) {
  const testing::TempFolder folder;
  auto state = open_state(posix_disk(), folder.path(), LmdbOptions{.map_bytes = 1u << 20}, system_random());
  BOOST_REQUIRE(state.ok());
  StateBackend backend(std::move(*state), {});
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    std::string value;
    while (!stop.load()) {
      const auto view = backend.view();
      COFFER_CHECK(view.ok());
      COFFER_CHECK((*view)->get(key(1), value).ok());
    }
  });
  for (std::uint64_t i = 1; i <= 20; ++i) {
    std::vector<Op> ops;
    for (int k = 0; k < 100; ++k)
      ops.push_back({key(static_cast<int>(i) * 100 + k), std::string(4000, 'x')});
    backend.apply(Index(i), ops);
    backend.publish(nullptr);
    BOOST_REQUIRE(backend.freeze());
    const auto flushed = backend.flush_step();
    BOOST_TEST_REQUIRE(flushed.ok(), flushed.status().message());
  }
  stop.store(true);
  reader.join();
  BOOST_TEST(all_of(**backend.view()).size() == 2000u);
}

// Those that do not fit into the pool any more go; the commit waits for all of them.
BOOST_AUTO_TEST_CASE(a_map_grows_with_more_readers_than_the_pool_holds) {
  const testing::TempFolder folder;
  auto state = open_state(posix_disk(), folder.path(), LmdbOptions{.map_bytes = 1u << 20}, system_random());
  BOOST_REQUIRE(state.ok());
  StateTable& table = **state;
  constexpr std::size_t kHalf = 64;
  std::vector<ReaderHold> first, second;
  for (std::size_t i = 0; i < 2 * kHalf; ++i) {
    const auto reader = table.acquire();
    BOOST_REQUIRE(reader.ok());
    (i < kHalf ? first : second).emplace_back(table, **reader);
  }
  Generation generation;
  for (int k = 0; k < 500; ++k)
    generation.put(Index(1), key(k), std::string(4000, 'x'));
  auto commit = std::async(std::launch::async, [&] { return table.commit(generation, Index(1)); });
  first.clear();
  // Long enough for the commit to collect the first half many times over, and it may not end.
  BOOST_TEST((commit.wait_for(std::chrono::milliseconds(50)) == std::future_status::timeout));
  second.clear();
  BOOST_TEST(commit.get().ok());
  BOOST_TEST((table.durable_index() == Index(1)));
  const auto reader = table.acquire();
  BOOST_REQUIRE(reader.ok());
  const ReaderHold hold(table, **reader);
  std::string value;
  BOOST_TEST(*hold->get(key(499), value));
}

BOOST_AUTO_TEST_CASE(memory_follows_records_and_not_writes) {
  MemoryBackend backend;
  for (std::uint64_t i = 1; i <= 10000; ++i) {
    backend.apply(Index(i), std::vector<Op>{{key(1), std::to_string(i)},
                                            {key(static_cast<int>(i)), "x"},
                                            {key(static_cast<int>(i) - 1), std::nullopt}});
    backend.publish(nullptr);
  }
  BOOST_TEST(backend.versions_held() < 20u);
}

BOOST_AUTO_TEST_CASE(the_memory_store_holds_what_was_applied) {
  MemoryBackend backend;
  Writer writer(backend, 2);
  for (int i = 0; i < 2000; ++i) {
    writer.entry();
    if (i % 100 == 0) {
      backend.publish(nullptr);
      require_same(backend, writer.model);
    }
  }
  backend.publish(nullptr);
  const Model before = writer.model;
  const auto view = std::move(*backend.view());
  for (int i = 0; i < 500; ++i) {
    writer.entry();
    backend.publish(nullptr);
  }
  BOOST_TEST((all_of(*view) == before));
  require_same(backend, writer.model);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::store
