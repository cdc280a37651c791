// Loads and then commits a known row of states to an LMDB state file and marks each in the trace of the preloaded
// recorder.
// Usage: coffer_lmdb_writer FILE SEED COMMITS
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>

#include "store/lmdb_state.h"
#include "store/overlay.h"
#include "tests/store/preload/workload.h"

namespace {

coffer::Status load(coffer::store::LmdbState& state, std::uint64_t seed) {
  coffer::store::LmdbState::Load into(state);
  coffer::store::SetHash hash(state.hash_key());
  for (const auto& [key, value] : coffer::testing::workload_load(seed)) {
    hash.add(key, value);
    COFFER_TRY(into.put(key, value));
  }
  return into.finish(hash.sum());
}

}  // namespace

int main(int argc, char** argv) {
  using namespace coffer;  // NOLINT
  if (argc != 4)
    return 2;
  const auto mark = reinterpret_cast<void (*)(std::uint64_t)>(::dlsym(RTLD_DEFAULT, "coffer_record_mark"));
  if (mark == nullptr) {
    std::fprintf(stderr, "the recorder is not preloaded\n");
    return 2;
  }
  auto state = store::LmdbState::create(argv[1], {}, system_random());
  if (!state.ok()) {
    std::fprintf(stderr, "%s\n", state.status().message().c_str());
    return 1;
  }
  const std::uint64_t seed = std::strtoull(argv[2], nullptr, 10);
  if (const Status status = load(**state, seed); !status.ok()) {
    std::fprintf(stderr, "%s\n", status.message().c_str());
    return 1;
  }
  mark(0);
  const std::uint64_t commits = std::strtoull(argv[3], nullptr, 10);
  for (std::uint64_t commit = 1; commit <= commits; ++commit) {
    store::Generation generation;
    for (const store::Op& op : testing::workload_ops(seed, commit))
      generation.put(Index(commit), op.key, op.value ? std::optional<std::string_view>(*op.value) : std::nullopt);
    if (const Status status = (*state)->commit(generation, Index(commit)); !status.ok()) {
      std::fprintf(stderr, "%s\n", status.message().c_str());
      return 1;
    }
    mark(commit);
  }
  return 0;
}
