#include "core/recent_keys.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/codec.h"

namespace coffer::core {
namespace {

__extension__ using Wide = unsigned __int128;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
  const auto product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t load(const char* from, std::size_t size) noexcept {
  std::uint64_t value = 0;
  std::memcpy(&value, from, size);
  return value;
}

}  // namespace

// Walks the notes of a block, oldest first.
class RecentKeys::Reader {
 public:
  Reader(std::string_view bytes, std::size_t at) : bytes_(bytes), in_(bytes.substr(at)) {}
  bool more() const noexcept { return in_.left() > 0; }
  std::size_t at() const noexcept { return bytes_.size() - in_.left(); }

  Index next_index() const noexcept { return Index(load_u64(bytes_.data() + at())); }
  // The next note: its index, and `f` called with each of its keys.
  template <typename F>
  Index note(F f) {
    const Index index(in_.u64());
    for (std::uint32_t keys = in_.u32(); keys > 0; --keys) {
      const std::size_t size = in_.u16();
      f(index, in_.raw(size));
    }
    COFFER_CHECK(in_.ok());
    return index;
  }

 private:
  std::string_view bytes_;
  ByteReader in_;
};

RecentKeys::RecentKeys(std::size_t keys_max, std::uint64_t seed)
    : keys_max_(keys_max), seed_(seed), slots_(std::bit_ceil(keys_max * 2)), mask_(slots_.size() - 1) {
  COFFER_CHECK(keys_max > 0);
}

std::uint64_t RecentKeys::hash(std::string_view key) const noexcept {
  std::uint64_t h = seed_ ^ (key.size() * 0x9e3779b97f4a7c15u);
  const char* at = key.data();
  std::size_t left = key.size();
  for (; left > 16; at += 16, left -= 16)
    h = mix(load(at, 8) ^ 0xa0761d6478bd642fu, load(at + 8, 8) ^ h);
  const std::size_t first = left < 8 ? left : 8;
  h = mix(load(at, first) ^ 0xe7037ed1a0b428dbu, load(at + first, left - first) ^ h);
  h = mix(h, 0x8ebc6af09c88c6e3u);
  return h == 0 ? 1 : h;
}

void RecentKeys::reset(Index mark) {
  blocks_.clear();
  forgotten_ = keys_ = 0;
  std::fill(slots_.begin(), slots_.end(), Slot());
  noted_ = Index(0);
  mark_ = mark;
}

void RecentKeys::note(Index index, std::span<const store::Op> ops) {
  COFFER_CHECK(noted_ < index);
  noted_ = index;
  if (blocks_.empty() || blocks_.back().bytes.size() >= kBlockBytes) {
    blocks_.push_back({index, {}});
    blocks_.back().bytes.reserve(kBlockBytes + 256);
  }
  std::string& bytes = blocks_.back().bytes;
  ByteWriter out(bytes);
  out.u64(index.get()).u32(static_cast<std::uint32_t>(ops.size()));
  for (const store::Op& op : ops) {
    COFFER_CHECK(op.key.size() <= limits::kStoreKeyBytesMax);
    out.u16(static_cast<std::uint16_t>(op.key.size())).raw(op.key);
  }
  keys_ += ops.size();
  while (keys_ * 2 > slots_.size())
    grow();
  for (const store::Op& op : ops) {
    const std::uint64_t h = hash(op.key);
    *find(h) = {h, index};
  }
}

// The table has room for all that is noted: more than half of it full means that nothing could be trimmed for long.
void RecentKeys::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  mask_ = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.hash != 0)
      *find(slot.hash) = slot;
  }
}

void RecentKeys::trim(Index limit) {
  while (keys_ > keys_max_ && !blocks_.empty()) {
    Reader reader(blocks_.front().bytes, forgotten_);
    while (keys_ > keys_max_ && reader.more()) {
      if (reader.next_index() > limit)
        return;
      mark_ = reader.note([this](Index index, std::string_view key) {
        --keys_;
        if (Slot* slot = find(hash(key)); slot->hash != 0 && slot->index == index)
          erase(slot);
      });
      forgotten_ = reader.at();
    }
    if (reader.more())
      return;
    blocks_.pop_front();
    forgotten_ = 0;
  }
}

RecentKeys::Slot* RecentKeys::find(std::uint64_t hash) noexcept {
  std::size_t at = hash & mask_;
  while (slots_[at].hash != 0 && slots_[at].hash != hash)
    at = (at + 1) & mask_;
  return &slots_[at];
}

// Moves followers of the probe sequence back, so that no marks of deleted slots are needed.
void RecentKeys::erase(Slot* slot) noexcept {
  std::size_t hole = static_cast<std::size_t>(slot - slots_.data());
  std::size_t at = hole;
  for (;;) {
    at = (at + 1) & mask_;
    if (slots_[at].hash == 0)
      break;
    const std::size_t home = slots_[at].hash & mask_;
    if (((at - home) & mask_) >= ((at - hole) & mask_)) {
      slots_[hole] = slots_[at];
      hole = at;
    }
  }
  slots_[hole] = Slot();
}

Index RecentKeys::last(std::uint64_t hash) const noexcept {
  const Slot* slot = const_cast<RecentKeys*>(this)->find(hash);
  return slot->hash == 0 ? Index(0) : slot->index;
}

std::optional<RecentKeys::Hit> RecentKeys::last_in(const KeyRange& range, Index view) const {
  for (std::size_t i = blocks_.size(); i-- > 0;) {
    std::optional<Hit> hit;
    for (Reader reader(blocks_[i].bytes, i == 0 ? forgotten_ : 0); reader.more();) {
      reader.note([&](Index index, std::string_view key) {
        if (index > view && key >= range.first && (range.last.empty() || key < range.last))
          hit = Hit{index, hash(key)};
      });
    }
    if (hit || blocks_[i].first <= view)
      return hit;
  }
  return std::nullopt;
}

}  // namespace coffer::core
