// The part of the state that LMDB does not hold yet: a multi-version table, ordered by key, in generations.
//
// A Generation has one writer (the applier) and any number of readers, which take no lock: a node becomes reachable by
// one release store when it is complete, and nothing reachable is changed or freed before the generation itself.
// Readers ignore versions above their index. Memory is taken from the system in blocks and returned with the
// generation, which lives as long as its last shared_ptr.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/strong.h"

namespace coffer::store {

// What an overlay knows of a key at an index: a value, or that it was deleted.
struct Found {
  bool deleted;
  std::string_view value;  // valid as long as the generation
};

// The hash that find() and put() take, so that a lookup in several generations computes it once.
std::uint64_t overlay_hash(std::string_view key) noexcept;

class Generation {
 public:
  Generation();
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  // Writer only. Indexes never decrease. The bytes are copied. A later put of the same key at the same index wins.
  void put(Index index, std::string_view key, const std::optional<std::string_view>& value);

  // Writer only. Entries up to `index` are in, also those that wrote nothing.
  void reach(Index index) noexcept { last_index_.store(index.get(), std::memory_order_release); }

  // Any thread. The newest version at or below `index`; nothing when this generation does not know the key by then.
  std::optional<Found> find(std::uint64_t hash, std::string_view key, Index index) const noexcept;

  // Any thread; what the writer put before handing the generation on.
  Index last_index() const noexcept { return Index(last_index_.load(std::memory_order_acquire)); }
  std::size_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }
  std::size_t keys() const noexcept { return keys_.load(std::memory_order_relaxed); }

 private:
  friend class GenerationCursor;
  struct Version;
  struct Node;
  static constexpr int kHeightMax = 12;
  static constexpr std::size_t kBuckets = 1u << 15;

  void* allocate(std::size_t size);
  Node* insert(std::uint64_t hash, std::string_view key);
  Node* find_node(std::uint64_t hash, std::string_view key) const noexcept;
  // The first node whose key is >= `key`; `before`, if given, receives the last node below it on each level.
  Node* lower_bound(std::string_view key, Node** before) const noexcept;
  int pick_height(std::uint64_t hash) const noexcept;
  static std::optional<Found> visible(const Node& node, Index index) noexcept;

  // Memory straight from the system: zero, taken page by page as it is touched, and given back at once.
  class Mapping {
   public:
    explicit Mapping(std::size_t size);
    Mapping(Mapping&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
    ~Mapping();
    void* data() const noexcept { return data_; }

   private:
    void* data_;
    std::size_t size_;
  };

  std::vector<Mapping> blocks_;   // writer only
  char* block_at_ = nullptr;      // writer only
  std::size_t block_left_ = 0;    // writer only
  Mapping bucket_memory_;
  std::atomic<Node*>* const buckets_;
  std::atomic<Node*> head_[kHeightMax] = {};
  std::atomic<std::uint64_t> last_index_{0};
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::size_t> keys_{0};
};

// Walks the keys of one generation that have a version at or below an index, deleted ones included. Borrows the
// generation.
class GenerationCursor {
 public:
  GenerationCursor(const Generation& generation, Index index) : generation_(&generation), index_(index) {}
  void seek(std::string_view key);
  void next();
  bool valid() const noexcept { return node_ != nullptr; }
  std::string_view key() const noexcept;
  const Found& found() const noexcept { return *found_; }

 private:
  void settle();

  const Generation* generation_;
  Index index_;
  const Generation::Node* node_ = nullptr;
  std::optional<Found> found_;
};

}  // namespace coffer::store
