#include "core/txn_impl.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/metrics.h"
#include "base/mutant.h"
#include "core/entry.h"
#include "core/layout.h"

namespace coffer::core {
namespace {

constexpr std::size_t kIndexedWrites = 16;  // beyond this many writes a look-up goes by hash

// The first bytes that keys of a group share when their order is not that of their names.
std::string_view group_of(std::string_view key) { return key.substr(0, store::kShortenedPrefixBytes); }

bool in_hash_order(std::string_view key) { return key.size() >= store::kShortenedPrefixBytes; }

}  // namespace

// A list under way.
struct TxnImpl::Walk {
  const store::StoreKey& folder;
  std::string_view after;
  std::size_t limit;
  std::string full;          // the folder's full key
  store::KeyRange range;     // of stored keys
  std::string start;
  std::vector<std::string_view> names;
  bool more = false;

  // The name directly below the folder that a record with this full rest shows as; empty when it shows none.
  std::string_view shown(std::string_view rest) const {
    if (!rest.starts_with(folder.rest))
      return {};
    std::string_view name = rest.substr(folder.rest.size());
    const std::size_t slash = name.find('/');
    if (slash != std::string_view::npos)
      name = name.substr(0, slash + 1);
    return !after.empty() && name <= after ? std::string_view() : name;
  }
};

TxnImpl::TxnImpl(const store::View& view, const seal::Barrier& barrier, json::Arena& arena, WallTime now,
                 Buffers& buffers, std::shared_ptr<const Speculation> speculation)
    : view_(view),
      barrier_(barrier),
      arena_(arena),
      now_(now),
      buffers_(buffers),
      speculation_(std::move(speculation)) {
  buffers_.writes.clear();
  buffers_.reads.clear();
  buffers_.speculative_reads.clear();
  buffers_.ranges.clear();
  buffers_.changes.clear();
}

std::string_view TxnImpl::stored(const store::StoreKey& key) {
  const std::size_t size = store::kKeyHeadBytes + key.rest.size();
  if (size >= store::kShortenedPrefixBytes) [[unlikely]]
    return arena_.copy(store::make_key(key.cls, key.ns, key.mount, key.rest));
  auto* out = static_cast<std::uint8_t*>(arena_.allocate(size, 1));
  out[0] = static_cast<std::uint8_t>(key.cls);
  for (int i = 0; i < 4; ++i) {
    out[1 + i] = static_cast<std::uint8_t>(key.ns.get() >> (24 - 8 * i));
    out[5 + i] = static_cast<std::uint8_t>(key.mount.get() >> (24 - 8 * i));
  }
  if (!key.rest.empty())
    std::memcpy(out + store::kKeyHeadBytes, key.rest.data(), key.rest.size());
  return {reinterpret_cast<const char*>(out), size};
}

const TxnImpl::Write* TxnImpl::own(std::string_view stored_key) const {
  if (!places_.empty()) {
    const auto at = places_.find(stored_key);
    return at == places_.end() ? nullptr : &buffers_.writes[at->second];
  }
  for (const Write& write : buffers_.writes)
    if (write.key == stored_key)
      return &write;
  return nullptr;
}

Result<std::string_view> TxnImpl::open(std::string_view stored_key, std::string_view sealed, std::string_view rest) {
  const std::size_t room = seal::Barrier::plaintext_size(sealed);
  auto* out = static_cast<std::uint8_t*>(arena_.allocate(room == 0 ? 1 : room, 1));
  COFFER_ASSIGN(const std::size_t size, barrier_.open(stored_key, sealed, {out, room}));
  std::string_view opened(reinterpret_cast<const char*>(out), size);
  if (!store::is_shortened(stored_key))
    return opened;
  COFFER_ASSIGN(const store::LongRecord record, store::split_long_record(opened));
  if (record.rest != rest)
    return Status(Code::kDataLoss, "a record with a long name holds another name");
  return record.value;
}

Result<bool> TxnImpl::read(std::string_view stored_key) {
  if (speculation_ != nullptr) [[unlikely]] {
    if (const Speculation::Record* record = speculation_->find(stored_key, view_.index())) {
      buffers_.speculative_reads.emplace_back(stored_key, record->index);
      if (record->op.value)
        buffers_.sealed = *record->op.value;
      return record->op.value.has_value();
    }
  }
  metrics::add(metrics::Count::kBarrierGet);
  buffers_.reads.push_back(stored_key);
  return view_.get(stored_key, buffers_.sealed);
}

Result<std::optional<std::string_view>> TxnImpl::get(const store::StoreKey& key) {
  const std::string_view at = stored(key);
  if (!buffers_.writes.empty())
    if (const Write* mine = own(at); mine != nullptr)
      return mine->plaintext;
  COFFER_ASSIGN(const bool found, read(at));
  if (!found)
    return std::optional<std::string_view>();
  COFFER_ASSIGN(const std::string_view opened, open(at, buffers_.sealed, key.rest));
  return std::optional<std::string_view>(opened);
}

Result<std::optional<std::string_view>> TxnImpl::get_as_is(const store::StoreKey& key) {
  const std::string_view at = stored(key);
  if (const Write* mine = own(at); mine != nullptr)
    return mine->plaintext;
  COFFER_ASSIGN(const bool found, read(at));
  if (!found)
    return std::optional<std::string_view>();
  return std::optional<std::string_view>(arena_.copy(buffers_.sealed));
}

Status TxnImpl::write(const Write& write) {
  const std::size_t size =
      entry::op_bytes(write.key.size(), write.plaintext ? write.plaintext->size() + write.rest.size() : 0);
  const Write* mine = own(write.key);
  const std::size_t before =
      mine == nullptr
          ? 0
          : entry::op_bytes(mine->key.size(), mine->plaintext ? mine->plaintext->size() + mine->rest.size() : 0);
  const std::size_t total = bytes_ - before + size;
  // What cannot be proposed is refused here: nothing that enters the log may be too large to apply (advisory K6).
  if (!mutant(Mutant::kEntrySizeUnchecked)) {
    if (total > limits::kEntryBytesMax - entry::kHeadBytesMax)
      return Status(Code::kTooLarge,
                    "the request writes more than " + std::to_string(limits::kEntryBytesMax) + " bytes");
    if (mine == nullptr && buffers_.writes.size() >= limits::kEntryOpsMax)
      return Status(Code::kTooLarge,
                    "the request writes more than " + std::to_string(limits::kEntryOpsMax) + " records");
  }
  bytes_ = total;
  if (mine != nullptr) {
    const_cast<Write&>(*mine) = write;
    return ok_status();
  }
  buffers_.writes.push_back(write);
  if (!places_.empty()) {
    places_.emplace(write.key, buffers_.writes.size() - 1);
  } else if (buffers_.writes.size() > kIndexedWrites) {
    for (std::size_t i = 0; i < buffers_.writes.size(); ++i)
      places_.emplace(buffers_.writes[i].key, i);
  }
  return ok_status();
}

Status TxnImpl::put(const store::StoreKey& key, std::string_view plaintext) {
  metrics::add(metrics::Count::kBarrierPut);
  const std::string_view at = stored(key);
  // What is derived from the state takes these by the names that they are stored under, which must be whole.
  if (store::is_shortened(at) && key.rest.starts_with(layout::kCorePrefix) && key.mount == layout::kSystemMount)
    return Status(Code::kInvalid, "the name is too long");
  return write(
      {at, store::is_shortened(at) ? arena_.copy(key.rest) : std::string_view(), arena_.copy(plaintext), false});
}

Status TxnImpl::put_as_is(const store::StoreKey& key, std::string_view bytes) {
  metrics::add(metrics::Count::kBarrierPut);
  const std::string_view at = stored(key);
  COFFER_CHECK(!store::is_shortened(at));
  return write({at, {}, arena_.copy(bytes), true});
}

Status TxnImpl::erase(const store::StoreKey& key) {
  metrics::add(metrics::Count::kBarrierDelete);
  return write({stored(key), {}, std::nullopt, false});
}

Status TxnImpl::erase_stored(std::string_view stored_key) {
  return write({arena_.copy(stored_key), {}, std::nullopt, false});
}

void TxnImpl::depend(const store::StoreKey& key) { buffers_.reads.push_back(stored(key)); }

void TxnImpl::rollback(Savepoint to) {
  buffers_.writes = std::move(to.writes);
  bytes_ = to.bytes;
  buffers_.changes.resize(to.changes);
  places_.clear();
  if (buffers_.writes.size() > kIndexedWrites)
    for (std::size_t i = 0; i < buffers_.writes.size(); ++i)
      places_.emplace(buffers_.writes[i].key, i);
}

Result<std::string_view> TxnImpl::full_rest(std::string_view stored_key, std::string_view sealed) {
  if (!store::is_shortened(stored_key))
    return stored_key.substr(store::kKeyHeadBytes);
  const std::size_t room = seal::Barrier::plaintext_size(sealed);
  auto* out = static_cast<std::uint8_t*>(arena_.allocate(room == 0 ? 1 : room, 1));
  COFFER_ASSIGN(const std::size_t size, barrier_.open(stored_key, sealed, {out, room}));
  COFFER_ASSIGN(const store::LongRecord record, store::split_long_record({reinterpret_cast<const char*>(out), size}));
  return record.rest;
}

Status TxnImpl::walk(Walk& walk) {
  COFFER_ASSIGN(const std::unique_ptr<store::Cursor> cursor, view_.cursor());
  std::string last_key;
  COFFER_ASSIGN(bool found, cursor->seek(walk.start));
  while (found && (walk.range.end.empty() || cursor->key() < walk.range.end)) {
    const std::string_view key = cursor->key();
    const Write* mine = own(key);
    std::string_view name;
    if (mine == nullptr || mine->plaintext) {
      COFFER_ASSIGN(const std::string_view rest, full_rest(key, cursor->value()));
      name = walk.shown(rest);
    }
    if (!name.empty() && (walk.names.empty() || walk.names.back() != name)) {
      const bool may_stop = !in_hash_order(key) || group_of(last_key) != group_of(key);
      if (walk.names.size() >= walk.limit && may_stop) {
        walk.more = true;
        walk.range.end.assign(key).push_back('\0');
        break;
      }
      walk.names.push_back(arena_.copy(name));
    }
    last_key.assign(key);
    if (!name.empty() && name.back() == '/' && walk.full.size() + name.size() < store::kShortenedPrefixBytes) {
      COFFER_ASSIGN(found, cursor->seek(store::prefix_end(walk.full + std::string(name))));
    } else {
      COFFER_ASSIGN(found, cursor->next());
    }
  }
  return ok_status();
}

void TxnImpl::add_own_names(Walk& walk) {
  const std::string_view last = walk.more && !walk.names.empty() ? walk.names.back() : std::string_view();
  const std::string_view head = std::string_view(walk.full).substr(0, store::kKeyHeadBytes);
  for (const Write& write : buffers_.writes) {
    if (!write.plaintext || !write.key.starts_with(head))
      continue;
    const std::string_view name = walk.shown(write.rest.empty() ? write.key.substr(store::kKeyHeadBytes) : write.rest);
    if (!name.empty() && (last.empty() || name < last))
      walk.names.push_back(name);
  }
}

Result<ListPage> TxnImpl::list(const store::StoreKey& folder, std::string_view after, std::size_t limit) {
  metrics::add(metrics::Count::kBarrierList);
  COFFER_CHECK(folder.rest.empty() || folder.rest.back() == '/');
  if (limit == 0 || limit > limits::kListNamesMax)
    limit = limits::kListNamesMax;
  Walk state{folder, after, limit, store::full_key(folder.cls, folder.ns, folder.mount, folder.rest), {}, {}, {}};
  state.range = store::range_of_prefix(state.full);
  state.start = state.range.begin;
  if (!after.empty()) {
    const std::string from = state.full + std::string(after);
    state.start = from.size() < store::kShortenedPrefixBytes && after.back() == '/' ? store::prefix_end(from)
                                                                                    : std::string(group_of(from));
  }
  COFFER_TRY(walk(state));
  add_own_names(state);
  if (!std::is_sorted(state.names.begin(), state.names.end()))
    std::sort(state.names.begin(), state.names.end());
  state.names.erase(std::unique(state.names.begin(), state.names.end()), state.names.end());
  if (state.names.size() > limit) {
    state.names.resize(limit);
    state.more = true;
  }
  if (!mutant(Mutant::kListedRangeNotInReadSet))
    buffers_.ranges.push_back({state.start, state.range.end});
  return ListPage{std::move(state.names), state.more};
}

Result<std::vector<std::string_view>> TxnImpl::stored_keys(const store::StoreKey& prefix, std::size_t limit,
                                                           bool* more) {
  store::KeyRange range = store::range_of_prefix(store::full_key(prefix.cls, prefix.ns, prefix.mount, prefix.rest));
  std::vector<std::string_view> keys;
  *more = false;
  COFFER_ASSIGN(const std::unique_ptr<store::Cursor> cursor, view_.cursor());
  COFFER_ASSIGN(bool found, cursor->seek(range.begin));
  while (found && (range.end.empty() || cursor->key() < range.end)) {
    if (keys.size() >= limit) {
      *more = true;
      range.end.assign(cursor->key()).push_back('\0');
      break;
    }
    COFFER_ASSIGN(const std::string_view rest, full_rest(cursor->key(), cursor->value()));
    if (rest.starts_with(prefix.rest))
      keys.push_back(arena_.copy(cursor->key()));
    COFFER_ASSIGN(found, cursor->next());
  }
  if (!mutant(Mutant::kListedRangeNotInReadSet))
    buffers_.ranges.push_back({std::move(range.begin), std::move(range.end)});
  return keys;
}

Result<TxnImpl::NamePage> TxnImpl::names(const store::StoreKey& prefix, const std::string& from, std::size_t limit,
                                         bool depends) {
  store::KeyRange range = store::range_of_prefix(store::full_key(prefix.cls, prefix.ns, prefix.mount, prefix.rest));
  if (from > range.begin)
    range.begin = from;
  NamePage page;
  COFFER_ASSIGN(const std::unique_ptr<store::Cursor> cursor, view_.cursor());
  COFFER_ASSIGN(bool found, cursor->seek(range.begin));
  while (found && (range.end.empty() || cursor->key() < range.end)) {
    if (page.names.size() >= limit) {
      page.next = cursor->key();
      range.end = page.next;
      break;
    }
    COFFER_ASSIGN(const std::string_view rest, full_rest(cursor->key(), cursor->value()));
    if (rest.starts_with(prefix.rest))
      page.names.push_back(arena_.copy(rest));
    COFFER_ASSIGN(found, cursor->next());
  }
  if (depends && !mutant(Mutant::kListedRangeNotInReadSet))
    buffers_.ranges.push_back({std::move(range.begin), std::move(range.end)});
  return page;
}

Proposal TxnImpl::reads(Term term) const {
  Proposal proposal;
  proposal.term = term;
  proposal.view = view_.index();
  proposal.read_keys.reserve(buffers_.reads.size());
  for (const std::string_view key : buffers_.reads)
    proposal.read_keys.emplace_back(key);
  for (const auto& [key, index] : buffers_.speculative_reads)
    proposal.speculative_reads.push_back({std::string(key), index});
  proposal.speculation = speculation_;
  proposal.read_ranges = buffers_.ranges;
  return proposal;
}

Result<Proposal> TxnImpl::finish(Term term, RandomSource& random) {
  Proposal proposal = reads(term);
  proposal.ops.reserve(buffers_.writes.size());
  COFFER_ASSIGN(seal::SealSession session, barrier_.begin(random));
  proposal.key_term = session.term();
  for (const Write& write : buffers_.writes) {
    store::Op op;
    op.key.assign(write.key);
    if (write.plaintext && write.as_is) {
      op.value.emplace(*write.plaintext);
    } else if (write.plaintext) {
      op.value.emplace();
      std::string_view plaintext = *write.plaintext;
      if (!write.rest.empty()) {
        const std::string head = store::long_record_head(write.rest);
        auto* joined = static_cast<char*>(arena_.allocate(head.size() + plaintext.size(), 1));
        std::memcpy(joined, head.data(), head.size());
        if (!plaintext.empty())
          std::memcpy(joined + head.size(), plaintext.data(), plaintext.size());
        plaintext = {joined, head.size() + plaintext.size()};
      }
      COFFER_TRY(session.seal(write.key, plaintext, *op.value));
    }
    proposal.ops.push_back(std::move(op));
  }
  return proposal;
}

}  // namespace coffer::core
