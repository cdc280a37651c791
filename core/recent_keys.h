// The index at which each recently proposed key was proposed last, down to a low-water mark. Points are looked up by a
// 64-bit hash (two keys that share one conflict for nothing, which is harmless); a range is compared with the keys
// proposed since the view, which are few.
//
// Threads: one. Memory: 16 bytes a slot for twice `keys_max` slots, and each key with 14 bytes about it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/strong.h"
#include "core/txn.h"

namespace coffer::core {

class RecentKeys {
 public:
  // `seed` is secret, so that nobody can choose keys whose hashes meet.
  RecentKeys(std::size_t keys_max, std::uint64_t seed);

  // Forgets everything; views below `mark` cannot be judged.
  void reset(Index mark);
  Index mark() const noexcept { return mark_; }

  // Indexes only grow.
  void note(Index index, std::span<const store::Op> ops);
  // Forgets the oldest notes above the bound, none above `limit`.
  void trim(Index limit);

  // Never 0.
  std::uint64_t hash(std::string_view key) const noexcept;
  // 0 when the key was not proposed since the mark.
  Index last(std::uint64_t hash) const noexcept;
  struct Hit {
    Index index;
    std::uint64_t hash;
  };
  // The latest proposal above `view` of a key in `range`.
  std::optional<Hit> last_in(const KeyRange& range, Index view) const;

 private:
  struct Slot {
    std::uint64_t hash = 0;  // 0: free
    Index index;
  };
  // Notes one after the other: index (u64), number of keys (u32), each key after its length (u16).
  struct Block {
    Index first;
    std::string bytes;
  };
  class Reader;
  static constexpr std::size_t kBlockBytes = 4u << 10;  // a block takes notes until it has so many

  Slot* find(std::uint64_t hash) noexcept;
  void erase(Slot* slot) noexcept;
  void grow();

  const std::size_t keys_max_;
  const std::uint64_t seed_;
  std::vector<Slot> slots_;  // open addressing; a power of two
  std::size_t mask_;
  std::size_t keys_ = 0;       // in all notes, at least the used slots
  std::deque<Block> blocks_;   // by index
  std::size_t forgotten_ = 0;  // bytes of the first block that are trimmed already
  Index noted_;                // the newest note
  Index mark_;
};

}  // namespace coffer::core
