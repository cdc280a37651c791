// What the recorded process commits, as a function of seed and commit number, so that the driver knows every state that
// may be found.
#pragma once

#include <map>
#include <random>
#include <string>
#include <vector>

#include "store/backend.h"
#include "store/key.h"

namespace coffer::testing {

inline std::string workload_key(std::uint64_t number) {
  return store::make_key(store::KeyClass::kShared, NamespaceId(0), MountId(1), std::to_string(number));
}

// What the file is loaded with before the first commit.
inline std::map<std::string, std::string> workload_load(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::map<std::string, std::string> records;
  for (std::uint64_t i = 0; i < 300; i += 1 + random() % 3)
    records[workload_key(i)] = std::string(random() % 900, static_cast<char>('a' + random() % 26));
  return records;
}

inline std::vector<store::Op> workload_ops(std::uint64_t seed, std::uint64_t commit) {
  std::mt19937_64 random(seed * 1000003 + commit);
  std::vector<store::Op> ops;
  for (std::uint64_t i = 1 + random() % 40; i > 0; --i) {
    store::Op op;
    op.key = workload_key(random() % 300);
    if (random() % 4 != 0)
      op.value = std::string(random() % (random() % 20 == 0 ? 9000 : 700), static_cast<char>('a' + random() % 26));
    ops.push_back(std::move(op));
  }
  return ops;
}

}  // namespace coffer::testing
