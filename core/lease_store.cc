#include "core/lease_store.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "core/layout.h"
#include "core/token_record.h"

namespace coffer::core {
namespace {

constexpr char kTokenMark = 'h';

store::StoreKey id_key(NamespaceId ns, std::string_view rest) {
  return {store::KeyClass::kClusterLocal, ns, layout::kSystemMount, rest};
}

std::string joined(std::string_view prefix, std::string_view name) { return std::string(prefix).append(name); }

std::string due_name(const LeaseRecord& record) {
  std::string name(layout::kExpiryPrefix);
  layout::append_hex(name, static_cast<std::uint64_t>(record.due.time_since_epoch().count()), 16);
  name += "/l";
  layout::append_hex(name, record.mount.get(), 8);
  return name.append(record.key());
}

std::string token_name(const LeaseRecord& record) {
  return joined(layout::kLeaseTokenPrefix, record.token_hash).append("/").append(record.key());
}

bool in_order(const LeaseRecord& record) {
  return record.state != LeaseState::kIrrevocable && !mutant(Mutant::kLeaseWithoutExpiry);
}

// What subscribers to events hear of a lease.
Change change_of(std::string_view type, NamespaceId ns, MountId mount, std::string_view id, WallTime expires) {
  Change change;
  change.type = type;
  change.ns = ns;
  change.mount = mount;
  change.name = id;
  change.lease = true;
  change.expires = expires;
  return change;
}

bool is_token_tail(std::string_view tail) {
  return tail.size() == 1 + kTokenHashText && tail.front() == kTokenMark;
}

// The bug of advisory G10, for its test: a name on the way to a lease that looks like the end of a token's.
std::string_view mixed_up(std::string_view id) {
  if (mutant(Mutant::kLeasePrefixMixesTokens))
    for (std::size_t slash = id.find('/'); slash != std::string_view::npos; slash = id.find('/', slash + 1)) {
      const std::string_view name = id.substr(slash + 1, 1 + kTokenHashText);
      if (is_token_tail(name))
        return name.substr(1);
    }
  return {};
}

}  // namespace

std::string token_lease_id(std::string_view path, std::string_view hash) {
  return std::string(path).append("/").append(1, kTokenMark).append(hash);
}

Result<std::optional<LeaseRecord>> LeaseStore::stored(std::string_view key) {
  if (key.size() != kLeaseKeyText)
    return std::optional<LeaseRecord>();
  COFFER_ASSIGN(const auto plaintext, txn_.get(layout::token_key(joined(layout::kLeasePrefix, key))));
  if (!plaintext)
    return std::optional<LeaseRecord>();
  COFFER_ASSIGN(const LeaseRecord record, decode_lease(*plaintext));
  return std::optional<LeaseRecord>(record);
}

Result<std::optional<LeaseRecord>> LeaseStore::find(NamespaceId ns, std::string_view id) {
  if (id.size() <= kLeaseKeyText)
    return std::optional<LeaseRecord>();
  COFFER_ASSIGN(const auto record, stored(id.substr(id.size() - kLeaseKeyText)));
  // What another namespace holds does not exist here (advisory F2).
  if (!record || record->id != id || (record->ns != ns && !mutant(Mutant::kLeaseOfOtherNamespace)))
    return std::optional<LeaseRecord>();
  return record;
}

void LeaseStore::note(std::string_view type, const LeaseRecord& record, WallTime expires) {
  txn_.note(change_of(type, record.ns, record.mount, arena_.copy(record.id), expires));
}

void LeaseStore::note_end(const LeaseRecord& record) {
  note(record.expires <= txn_.now() ? kLeaseExpired : kLeaseRevoked, record, {});
}

void LeaseStore::note_token(std::string_view type, NamespaceId ns, std::string_view path, std::string_view hash,
                            WallTime expires) {
  txn_.note(change_of(type, ns, MountId(0), arena_.copy(token_lease_id(path, hash)), expires));
}

Status LeaseStore::add(const LeaseRecord& record) {
  COFFER_CHECK(record.key().size() == kLeaseKeyText);
  std::string bytes;
  encode(record, bytes);
  COFFER_TRY(txn_.put(layout::token_key(joined(layout::kLeasePrefix, record.key())), bytes));
  COFFER_TRY(txn_.put(id_key(record.ns, joined(layout::kLeaseIdPrefix, record.id)), {}));
  if (!record.token_hash.empty())
    COFFER_TRY(txn_.put(layout::token_key(token_name(record)), {}));
  if (record.state == LeaseState::kActive)
    note(kLeaseIssued, record, record.expires);
  return in_order(record) ? txn_.put(layout::token_key(due_name(record)), {}) : ok_status();
}

Status LeaseStore::replace(const LeaseRecord& before, const LeaseRecord& after) {
  std::string bytes;
  encode(after, bytes);
  COFFER_TRY(txn_.put(layout::token_key(joined(layout::kLeasePrefix, after.key())), bytes));
  const std::string was = in_order(before) ? due_name(before) : std::string();
  const std::string is = in_order(after) ? due_name(after) : std::string();
  if (was != is) {
    if (!was.empty())
      COFFER_TRY(txn_.erase(layout::token_key(was)));
    if (!is.empty())
      COFFER_TRY(txn_.put(layout::token_key(is), {}));
  }
  if (after.state == LeaseState::kActive && before.state == LeaseState::kPending)
    note(kLeaseIssued, after, after.expires);
  else if (after.state == LeaseState::kActive && before.expires != after.expires)
    note(kLeaseRenewed, after, after.expires);
  else if (after.state != LeaseState::kActive && before.state == LeaseState::kActive)
    note_end(before);
  const bool was_bad = before.state == LeaseState::kIrrevocable;
  if (was_bad == (after.state == LeaseState::kIrrevocable))
    return ok_status();
  const std::string bad = joined(layout::kLeaseBadPrefix, after.key());
  return was_bad ? txn_.erase(layout::token_key(bad)) : txn_.put(layout::token_key(bad), {});
}

Status LeaseStore::erase(const LeaseRecord& record) {
  COFFER_TRY(txn_.erase(layout::token_key(joined(layout::kLeasePrefix, record.key()))));
  COFFER_TRY(txn_.erase(id_key(record.ns, joined(layout::kLeaseIdPrefix, record.id))));
  if (record.state == LeaseState::kActive)
    note_end(record);
  if (!record.token_hash.empty())
    COFFER_TRY(txn_.erase(layout::token_key(token_name(record))));
  if (record.state == LeaseState::kIrrevocable)
    return txn_.erase(layout::token_key(joined(layout::kLeaseBadPrefix, record.key())));
  return txn_.erase(layout::token_key(due_name(record)));
}

std::vector<store::StoreKey> LeaseStore::index_of(const LeaseRecord& record) {
  const std::string second = record.state == LeaseState::kIrrevocable ? joined(layout::kLeaseBadPrefix, record.key())
                                                                      : due_name(record);
  return {id_key(record.ns, arena_.copy(joined(layout::kLeaseIdPrefix, record.id))),
          layout::token_key(arena_.copy(second))};
}

Status LeaseStore::end(const LeaseRecord& record) {
  LeaseRecord after = record;
  switch (record.state) {
    case LeaseState::kPending:
      after.state = LeaseState::kAbandoned;
      break;
    case LeaseState::kActive:
    case LeaseState::kIrrevocable:  // asked for again: it is tried anew
      after.state = LeaseState::kRevoking;
      after.expires = std::min(record.expires, txn_.now());
      after.due = txn_.now();
      after.tries = 0;
      break;
    default:
      return ok_status();
  }
  return replace(record, after);
}

Result<bool> LeaseStore::end_of_token(std::string_view token_hash, std::size_t limit) {
  if (mutant(Mutant::kLeaseOutlivesToken))
    return true;
  const std::string folder = joined(layout::kLeaseTokenPrefix, token_hash).append("/");
  COFFER_ASSIGN(const ListPage page, txn_.list(layout::token_key(folder), {}, limit));
  for (const std::string_view key : page.names) {
    if (txn_.bytes() > limits::kEntryBytesMax / 2)
      return false;
    COFFER_ASSIGN(const auto record, stored(key));
    if (record) {
      // The token is gone when this commits: the lease is held by nobody.
      LeaseRecord alone = *record;
      alone.token_hash = {};
      COFFER_TRY(end(alone));
      if (alone.state == LeaseState::kRevoking || alone.state == LeaseState::kAbandoned ||
          alone.state == LeaseState::kRevokedOnce)
        COFFER_TRY(replace(*record, alone));
    }
    COFFER_TRY(txn_.erase(layout::token_key(folder + std::string(key))));
  }
  return !page.more;
}

Result<LeaseStore::NamedPage> LeaseStore::named(NamespaceId ns, std::string_view prefix, const std::string& from,
                                                std::size_t limit, bool depends) {
  COFFER_ASSIGN(TxnImpl::NamePage page,
                txn_.names(id_key(ns, joined(layout::kLeaseIdPrefix, prefix)), from, limit, depends));
  NamedPage out;
  out.next = std::move(page.next);
  for (const std::string_view name : page.names) {
    const std::string_view id = name.substr(layout::kLeaseIdPrefix.size());
    const std::string_view tail = id.substr(id.rfind('/') + 1);
    if (mutant(Mutant::kDottedLeasesKept) && id.find('.') != std::string_view::npos)
      continue;
    if (const std::string_view hash = mixed_up(id); !hash.empty())
      out.leases.push_back({id, {}, hash});
    else if (is_token_tail(tail))
      out.leases.push_back({id, {}, tail.substr(1)});
    else
      out.leases.push_back({id, tail, {}});
  }
  return out;
}

Result<ListPage> LeaseStore::list(NamespaceId ns, std::string_view folder, std::string_view after,
                                  std::size_t limit) {
  return txn_.list(id_key(ns, joined(layout::kLeaseIdPrefix, folder)), after, limit);
}

Status LeaseStore::add_token(NamespaceId ns, std::string_view path, std::string_view hash) {
  return txn_.put(id_key(ns, joined(layout::kLeaseIdPrefix, token_lease_id(path, hash))), {});
}

Status LeaseStore::erase_token(NamespaceId ns, std::string_view path, std::string_view hash) {
  return txn_.erase(id_key(ns, joined(layout::kLeaseIdPrefix, token_lease_id(path, hash))));
}

}  // namespace coffer::core
