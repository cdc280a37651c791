#include "store/overlay.h"

#include <cstring>
#include <functional>
#include <new>
#include <sys/mman.h>

#include "base/check.h"

namespace coffer::store {
namespace {

constexpr std::size_t kBlockBytes = 256u << 10;

}  // namespace

struct Generation::Version {
  Version* older;
  std::uint64_t index;
  std::uint32_t size;
  bool deleted;

  char* data() noexcept { return reinterpret_cast<char*>(this + 1); }
  const char* data() const noexcept { return reinterpret_cast<const char*>(this + 1); }
};

// Followed in memory by `height` links, then the key's bytes.
struct Generation::Node {
  std::atomic<Version*> newest;
  Node* bucket_next;
  std::uint64_t hash;
  std::uint32_t key_size;
  std::uint32_t height;

  std::atomic<Node*>* links() noexcept { return reinterpret_cast<std::atomic<Node*>*>(this + 1); }
  const std::atomic<Node*>* links() const noexcept { return reinterpret_cast<const std::atomic<Node*>*>(this + 1); }
  std::string_view key() const noexcept { return {reinterpret_cast<const char*>(links() + height), key_size}; }
};

std::uint64_t overlay_hash(std::string_view key) noexcept { return std::hash<std::string_view>()(key); }

Generation::Mapping::Mapping(std::size_t size)
    : data_(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)), size_(size) {
  COFFER_CHECK(data_ != MAP_FAILED);
}

Generation::Mapping::~Mapping() {
  if (data_ != nullptr)
    ::munmap(data_, size_);
}

// Zero bytes are null pointers.
Generation::Generation()
    : bucket_memory_(kBuckets * sizeof(std::atomic<Node*>)),
      buckets_(static_cast<std::atomic<Node*>*>(bucket_memory_.data())) {
  static_assert(std::atomic<Node*>::is_always_lock_free && sizeof(std::atomic<Node*>) == sizeof(Node*));
}
Generation::~Generation() = default;

void* Generation::allocate(std::size_t size) {
  size = (size + 7) & ~std::size_t{7};
  bytes_.store(bytes() + size, std::memory_order_relaxed);
  if (size > kBlockBytes / 4) {
    blocks_.emplace_back(size);
    return blocks_.back().data();
  }
  if (size > block_left_) {
    blocks_.emplace_back(kBlockBytes);
    block_at_ = static_cast<char*>(blocks_.back().data());
    block_left_ = kBlockBytes;
  }
  void* taken = block_at_;
  block_at_ += size;
  block_left_ -= size;
  return taken;
}

// Heights are drawn from the key's hash: a table is the same in every run, and no random source is needed.
int Generation::pick_height(std::uint64_t hash) const noexcept {
  std::uint64_t bits = hash * 0x9e3779b97f4a7c15ull;
  int height = 1;
  while (height < kHeightMax && (bits & 3u) == 0) {
    ++height;
    bits >>= 2;
  }
  return height;
}

Generation::Node* Generation::find_node(std::uint64_t hash, std::string_view key) const noexcept {
  Node* node = buckets_[hash % kBuckets].load(std::memory_order_acquire);
  while (node != nullptr && (node->hash != hash || node->key() != key))
    node = node->bucket_next;
  return node;
}

Generation::Node* Generation::lower_bound(std::string_view key, Node** before) const noexcept {
  Node* last = nullptr;  // stands for head_
  Node* at = nullptr;
  for (int level = kHeightMax - 1; level >= 0; --level) {
    at = last == nullptr ? head_[level].load(std::memory_order_acquire)
                         : last->links()[level].load(std::memory_order_acquire);
    while (at != nullptr && at->key() < key) {
      last = at;
      at = at->links()[level].load(std::memory_order_acquire);
    }
    if (before != nullptr)
      before[level] = last;
  }
  return at;
}

Generation::Node* Generation::insert(std::uint64_t hash, std::string_view key) {
  Node* before[kHeightMax];
  lower_bound(key, before);
  const int height = pick_height(hash);
  void* memory = allocate(sizeof(Node) + sizeof(std::atomic<Node*>) * static_cast<std::size_t>(height) + key.size());
  std::atomic<Node*>& bucket = buckets_[hash % kBuckets];
  Node* node = new (memory) Node{{nullptr},
                                 bucket.load(std::memory_order_relaxed),
                                 hash,
                                 static_cast<std::uint32_t>(key.size()),
                                 static_cast<std::uint32_t>(height)};
  for (int level = 0; level < height; ++level)
    new (&node->links()[level]) std::atomic<Node*>(nullptr);
  std::memcpy(const_cast<char*>(node->key().data()), key.data(), key.size());
  for (int level = 0; level < height; ++level) {
    std::atomic<Node*>& link = before[level] == nullptr ? head_[level] : before[level]->links()[level];
    node->links()[level].store(link.load(std::memory_order_relaxed), std::memory_order_relaxed);
    link.store(node, std::memory_order_release);
  }
  bucket.store(node, std::memory_order_release);
  keys_.store(keys() + 1, std::memory_order_relaxed);
  return node;
}

void Generation::put(Index index, std::string_view key, const std::optional<std::string_view>& value) {
  COFFER_CHECK(index.get() >= last_index_.load(std::memory_order_relaxed));
  COFFER_CHECK(!key.empty());
  const std::uint64_t hash = overlay_hash(key);
  Node* node = find_node(hash, key);
  if (node == nullptr)
    node = insert(hash, key);
  const std::string_view bytes = value.value_or(std::string_view());
  auto* version = new (allocate(sizeof(Version) + bytes.size()))
      Version{node->newest.load(std::memory_order_relaxed), index.get(), static_cast<std::uint32_t>(bytes.size()),
              !value.has_value()};
  if (!bytes.empty())
    std::memcpy(version->data(), bytes.data(), bytes.size());
  node->newest.store(version, std::memory_order_release);
  last_index_.store(index.get(), std::memory_order_release);
}

std::optional<Found> Generation::visible(const Node& node, Index index) noexcept {
  const Version* version = node.newest.load(std::memory_order_acquire);
  while (version != nullptr && version->index > index.get())
    version = version->older;
  if (version == nullptr)
    return std::nullopt;
  return Found{version->deleted, {version->data(), version->size}};
}

std::optional<Found> Generation::find(std::uint64_t hash, std::string_view key, Index index) const noexcept {
  const Node* node = find_node(hash, key);
  return node == nullptr ? std::nullopt : visible(*node, index);
}

void GenerationCursor::settle() {
  while (node_ != nullptr && !(found_ = Generation::visible(*node_, index_)))
    node_ = node_->links()[0].load(std::memory_order_acquire);
}

void GenerationCursor::seek(std::string_view key) {
  node_ = generation_->lower_bound(key, nullptr);
  settle();
}

void GenerationCursor::next() {
  node_ = node_->links()[0].load(std::memory_order_acquire);
  settle();
}

std::string_view GenerationCursor::key() const noexcept { return node_->key(); }

}  // namespace coffer::store
