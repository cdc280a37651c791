// The read path of the state: a view, a get from overlay and from LMDB, lists; the cell that a view starts from, beside
// its alternatives; and what a commit of one full generation costs.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

#include "base/disk.h"
#include "store/current.h"
#include "store/key.h"
#include "store/memory_backend.h"
#include "store/overlay.h"
#include "store/published.h"
#include "store/state_backend.h"

namespace {

using namespace coffer;         // NOLINT
using namespace coffer::store;  // NOLINT

constexpr std::size_t kValueBytes = 340;

std::string key(std::uint64_t number) {
  return make_key(KeyClass::kShared, NamespaceId(0), MountId(3),
                  "metadata/app/team-" + std::to_string(number % 97) + "/secret-" + std::to_string(number));
}

// A state with `records` in LMDB; one for each size, made at first use.
class Fixture {
 public:
  explicit Fixture(std::uint64_t records) : records_(records) {
    std::string pattern = (std::filesystem::temp_directory_path() / "coffer-bench-XXXXXX").string();
    COFFER_CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
    StateBackendOptions options;
    options.generation_keys_max = 1u << 20;
    options.generation_bytes_max = 1u << 30;
    backend = std::make_unique<StateBackend>(std::move(*open_state(posix_disk(), path_, {}, system_random())), options);
    std::uint64_t index = 0;
    for (std::uint64_t i = 0; i < records;) {
      std::vector<Op> ops;
      for (int k = 0; k < 1000 && i < records; ++k, ++i)
        ops.push_back({key(i), std::string(kValueBytes, 'v')});
      backend->apply(Index(++index), ops);
      if (i % 50000 == 0 || i == records)
        flush();
    }
  }
  ~Fixture() {
    backend.reset();
    std::filesystem::remove_all(path_);
  }
  void flush() {
    backend->publish(nullptr);
    COFFER_CHECK(backend->freeze() && backend->flush_step().ok());
    backend->tick(BootTime{});
  }
  std::uint64_t number() { return (next_ = next_ * 6364136223846793005ull + 1442695040888963407ull) >> 20; }
  std::string any_key() { return key(number() % records_); }

  std::unique_ptr<StateBackend> backend;

 private:
  std::uint64_t records_;
  std::string path_;
  std::uint64_t next_ = 1;
};

Fixture& fixture(std::uint64_t records) {
  static std::map<std::uint64_t, std::unique_ptr<Fixture>> made;
  auto& one = made[records];
  if (one == nullptr)
    one = std::make_unique<Fixture>(records);
  return *one;
}

// Keys are made outside the measured loop.
std::vector<std::string> some_keys(Fixture& from) {
  std::vector<std::string> keys;
  for (int i = 0; i < 4096; ++i)
    keys.push_back(from.any_key());
  return keys;
}

void view_only(benchmark::State& state) {
  Fixture& with = fixture(10000);
  for (auto _ : state)
    benchmark::DoNotOptimize(with.backend->view());
}
BENCHMARK(view_only);
BENCHMARK(view_only)->Threads(2);

void view_and_get(benchmark::State& state) {
  Fixture& with = fixture(static_cast<std::uint64_t>(state.range(0)));
  const auto keys = some_keys(with);
  std::string value;
  std::size_t i = 0;
  for (auto _ : state) {
    const auto view = std::move(*with.backend->view());
    COFFER_CHECK(*view->get(keys[i++ % keys.size()], value));
  }
}
BENCHMARK(view_and_get)->Arg(10000)->Arg(1000000);

void get_from_table(benchmark::State& state) {
  Fixture& with = fixture(static_cast<std::uint64_t>(state.range(0)));
  const auto keys = some_keys(with);
  const auto view = std::move(*with.backend->view());
  std::string value;
  std::size_t i = 0;
  for (auto _ : state)
    COFFER_CHECK(*view->get(keys[i++ % keys.size()], value));
}
BENCHMARK(get_from_table)->Arg(10000)->Arg(1000000);

void get_from_overlay(benchmark::State& state) {
  Generation generation;
  std::vector<std::string> keys;
  for (std::uint64_t i = 0; i < 30000; ++i) {
    keys.push_back(key(i * 7919));
    generation.put(Index(i + 1), keys.back(), std::string(kValueBytes, 'v'));
  }
  std::string value;
  std::uint64_t i = 0;
  for (auto _ : state) {
    const std::string& wanted = keys[(i += 7919) % keys.size()];
    value = generation.find(overlay_hash(wanted), wanted, Index(1u << 20))->value;
    benchmark::DoNotOptimize(value.data());
  }
}
BENCHMARK(get_from_overlay);

void put_into_overlay(benchmark::State& state) {
  auto generation = std::make_unique<Generation>();
  const std::string value(kValueBytes, 'v');
  std::uint64_t i = 0;
  for (auto _ : state) {
    if (generation->bytes() > (16u << 20))
      generation = std::make_unique<Generation>();
    generation->put(Index(++i), key(i * 7919 % 100000), value);
  }
}
BENCHMARK(put_into_overlay);

void list_hundred(benchmark::State& state) {
  Fixture& with = fixture(10000);
  for (auto _ : state) {
    const auto view = std::move(*with.backend->view());
    const auto cursor = std::move(*view->cursor());
    bool more = *cursor->seek(key(0).substr(0, kKeyHeadBytes));
    for (int i = 0; more && i < 100; ++i) {
      benchmark::DoNotOptimize(cursor->key());
      more = *cursor->next();
    }
  }
  state.SetItemsProcessed(state.iterations() * 100);
}
BENCHMARK(list_hundred);

void memory_view_and_get(benchmark::State& state) {
  MemoryBackend backend;
  std::vector<Op> ops;
  for (std::uint64_t i = 0; i < 10000; ++i)
    ops.push_back({key(i), std::string(kValueBytes, 'v')});
  backend.apply(Index(1), ops);
  backend.publish(nullptr);
  std::string value;
  std::uint64_t i = 0;
  for (auto _ : state)
    COFFER_CHECK(*(*backend.view())->get(ops[(i += 7919) % ops.size()].key, value));
}
BENCHMARK(memory_view_and_get);

// Random updates of a million records: one generation, as full as the defaults allow, committed and synced.
void commit_generation(benchmark::State& state) {
  Fixture& with = fixture(1000000);
  const auto count = static_cast<std::uint64_t>(state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<Op> ops;
    for (std::uint64_t i = 0; i < count; ++i)
      ops.push_back({with.any_key(), std::string(kValueBytes, 'w')});
    with.backend->apply(with.backend->applied_index().next(), ops);
    with.backend->publish(nullptr);
    COFFER_CHECK(with.backend->freeze());
    state.ResumeTiming();
    COFFER_CHECK(with.backend->flush_step().ok());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM") || line.starts_with("RssAnon") || line.starts_with("RssFile"))
      state.counters[line.substr(0, 7)] = std::strtod(line.c_str() + line.find(':') + 1, nullptr) / 1024;
  }
}
BENCHMARK(commit_generation)->Arg(4096)->Arg(32768)->Unit(benchmark::kMillisecond)->Iterations(5);

// The cell: ours, the standard library's, and a mutex.
template <typename Load>
void load_cell(benchmark::State& state, Load load) {
  for (auto _ : state)
    benchmark::DoNotOptimize(load());
}

void cell_published(benchmark::State& state) {
  static Published<std::uint64_t> cell;
  if (state.thread_index() == 0)
    cell.store(std::make_shared<const std::uint64_t>(1));
  load_cell(state, [] { return cell.load(); });
}
void cell_atomic_shared_ptr(benchmark::State& state) {
  static std::atomic<std::shared_ptr<const std::uint64_t>> cell{std::make_shared<const std::uint64_t>(1)};
  load_cell(state, [] { return cell.load(std::memory_order_acquire); });
}
void cell_mutex(benchmark::State& state) {
  static std::mutex mutex;
  static std::shared_ptr<const std::uint64_t> cell = std::make_shared<const std::uint64_t>(1);
  load_cell(state, [] {
    const std::lock_guard lock(mutex);
    return cell;
  });
}
BENCHMARK(cell_published)->Threads(1)->Threads(2)->Threads(4);
BENCHMARK(cell_atomic_shared_ptr)->Threads(1)->Threads(2)->Threads(4);
BENCHMARK(cell_mutex)->Threads(1)->Threads(2)->Threads(4);

}  // namespace
