#include "core/recent_keys.h"

#include <bit>
#include <cstring>

#include "base/check.h"

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

// Calls `f` with each key of a note.
template <typename F>
void for_each_key(const std::string& packed, F f) {
  for (std::size_t at = 0; at < packed.size();) {
    const std::size_t size = static_cast<unsigned char>(packed[at]) | static_cast<unsigned char>(packed[at + 1]) << 8;
    f(std::string_view(packed).substr(at + 2, size));
    at += 2 + size;
  }
}

}  // namespace

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
  for (const Note& note : notes_) {
    for_each_key(note.packed, [this](std::string_view key) {
      if (Slot* slot = find(hash(key)); slot->hash != 0)
        erase(slot);
    });
  }
  notes_.clear();
  keys_ = 0;
  mark_ = mark;
}

void RecentKeys::note(Index index, std::span<const store::Op> ops) {
  COFFER_CHECK(notes_.empty() || notes_.back().index < index);
  std::size_t bytes = 0;
  for (const store::Op& op : ops)
    bytes += op.key.size() + 2;
  Note note{index, static_cast<std::uint32_t>(ops.size()), {}};
  note.packed.reserve(bytes);
  for (const store::Op& op : ops) {
    COFFER_CHECK(op.key.size() <= limits::kStoreKeyBytesMax);
    note.packed.push_back(static_cast<char>(op.key.size() & 0xff));
    note.packed.push_back(static_cast<char>(op.key.size() >> 8));
    note.packed.append(op.key);
  }
  keys_ += ops.size();
  // The table has room for all that is noted: more than half of it full means that nothing could be trimmed for long.
  if (keys_ * 2 > slots_.size()) {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    mask_ = slots_.size() - 1;
    for (const Slot& slot : old) {
      if (slot.hash != 0)
        *find(slot.hash) = slot;
    }
  }
  for (const store::Op& op : ops) {
    const std::uint64_t h = hash(op.key);
    *find(h) = {h, index};
  }
  notes_.push_back(std::move(note));
}

void RecentKeys::trim(Index limit) {
  while (keys_ > keys_max_ && !notes_.empty() && notes_.front().index <= limit) {
    const Note& note = notes_.front();
    for_each_key(note.packed, [this, &note](std::string_view key) {
      if (Slot* slot = find(hash(key)); slot->hash != 0 && slot->index == note.index)
        erase(slot);
    });
    mark_ = note.index;
    keys_ -= note.keys;
    notes_.pop_front();
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
  for (auto note = notes_.rbegin(); note != notes_.rend() && note->index > view; ++note) {
    std::optional<Hit> hit;
    for_each_key(note->packed, [&](std::string_view key) {
      if (key >= range.first && (range.last.empty() || key < range.last))
        hit = Hit{note->index, hash(key)};
    });
    if (hit)
      return hit;
  }
  return std::nullopt;
}

}  // namespace coffer::core
