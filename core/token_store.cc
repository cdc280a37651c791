#include "core/token_store.h"

#include "base/codec.h"
#include "base/encoding.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "core/jobs.h"
#include "core/layout.h"
#include "core/lease_store.h"

namespace coffer::core {
namespace {

constexpr std::size_t kAncestorsMax = 1u << 16;  // looked at while a job revokes
constexpr std::string_view kBatchPath = "batch token";  // stands for the storage key in what is authenticated
constexpr std::size_t kAccessorsPageMax = 1024;  // records that a list of accessors holds at a time

// A record's name, put together without allocating.
class Name {
 public:
  explicit Name(std::string_view prefix) { add(prefix); }
  Name& add(std::string_view part) {
    COFFER_CHECK(size_ + part.size() <= sizeof text_);
    part.copy(text_ + size_, part.size());
    size_ += part.size();
    return *this;
  }
  store::StoreKey key() const { return layout::token_key({text_, size_}); }

 private:
  char text_[192];
  std::size_t size_ = 0;
};

Name expiry_name(WallTime at, std::string_view hash) {
  std::string nanos;
  layout::append_hex(nanos, static_cast<std::uint64_t>(at.time_since_epoch().count()), 16);
  return Name(layout::kExpiryPrefix).add(nanos).add("/").add(hash);
}

Job tree_job(std::string_view hash) {
  Job job;
  job.id = job.token_hash = hash;
  job.kind = Job::Kind::kRevokeTree;
  return job;
}

}  // namespace

std::string_view TokenStore::hash_of(std::string_view token) const {
  return arena_.copy(published_.hasher->token(token).view());
}

Result<std::optional<StoredToken>> TokenStore::stored(std::string_view hash) {
  if (hash.size() != kTokenHashText)
    return std::optional<StoredToken>();
  COFFER_ASSIGN(const auto plaintext, txn_.get(Name(layout::kTokenPrefix).add(hash).key()));
  if (!plaintext)
    return std::optional<StoredToken>();
  COFFER_ASSIGN(const TokenRecord record, decode_token(*plaintext));
  return std::optional<StoredToken>(StoredToken{hash, record});
}

Result<std::optional<StoredToken>> TokenStore::live_by_text(std::string_view text) {
  return text.starts_with(kBatchPrefix) ? open_batch(text) : live(hash_of(text));
}

// A batch token lives as long as it says, and as the token that it was made by.
Result<std::optional<StoredToken>> TokenStore::open_batch(std::string_view text) {
  using Nothing = std::optional<StoredToken>;
  const std::size_t dot = text.find('.', kBatchPrefix.size());
  const std::string_view ns = dot == std::string_view::npos ? std::string_view() : text.substr(dot + 1);
  const Result<std::string> sealed = base64url_decode(text.substr(kBatchPrefix.size(), dot - kBatchPrefix.size()));
  if (!sealed.ok())
    return Nothing();
  const std::size_t room = seal::Barrier::plaintext_size(*sealed);
  auto* at = static_cast<std::uint8_t*>(arena_.allocate(room + 1, 1));
  const Result<std::size_t> size = published_.barrier->open(kBatchPath, *sealed, {at, room});
  if (!size.ok())  // a key term that the state does not know either: whoever reads here has what was acknowledged
    return Nothing();
  const Result<TokenRecord> record = decode_token({reinterpret_cast<const char*>(at), *size});
  if (!record.ok() || record->type != TokenType::kBatch || record->expired(txn_.now()))
    return Nothing();
  const NamespaceRecord* made = published_.namespaces->find(record->ns);
  if (made == nullptr || (made->is_root() ? dot != std::string_view::npos : ns != made->name))
    return Nothing();
  if (!record->parent.empty()) {
    COFFER_ASSIGN(const auto parent, live(record->parent));
    if (!parent)
      return Nothing();
  }
  return Nothing(StoredToken{{}, *record});
}

Result<std::string_view> TokenStore::seal_batch(const TokenRecord& record, RandomSource& random) {
  std::string plain;
  encode(record, plain);
  std::string sealed;
  COFFER_ASSIGN(seal::SealSession session, published_.barrier->begin(random));
  COFFER_TRY(session.seal(kBatchPath, {reinterpret_cast<const std::uint8_t*>(plain.data()), plain.size()}, sealed));
  std::string text = std::string(kBatchPrefix) + base64url_encode(sealed);
  const NamespaceRecord* ns = published_.namespaces->find(record.ns);
  return arena_.copy(ns == nullptr || ns->is_root() ? text : with_namespace(std::move(text), ns->name));
}

Result<std::optional<StoredToken>> TokenStore::live(std::string_view hash) {
  COFFER_ASSIGN(auto token, stored(hash));
  if (!token)
    return token;
  if (token->record.expired(txn_.now()) && !mutant(Mutant::kExpiredTokenAccepted))
    return std::optional<StoredToken>();
  if (!published_.jobs->empty()) {
    COFFER_ASSIGN(const bool revoking, ancestor_revoking(token->record));
    if (revoking)
      return std::optional<StoredToken>();
  }
  return token;
}

Result<bool> TokenStore::ancestor_revoking(const TokenRecord& record) {
  std::string_view parent = record.parent;
  for (std::size_t i = 0; i < kAncestorsMax && !parent.empty(); ++i) {
    if (published_.revoking(parent))
      return true;
    COFFER_ASSIGN(const auto above, stored(parent));
    if (!above)
      return false;
    parent = above->record.parent;
  }
  return !parent.empty();
}

Result<std::optional<StoredToken>> TokenStore::live_by_accessor(std::string_view accessor) {
  const TokenHash hashed = published_.hasher->accessor(accessor);
  COFFER_ASSIGN(const auto plaintext, txn_.get(Name(layout::kAccessorPrefix).add(hashed.view()).key()));
  if (!plaintext)
    return std::optional<StoredToken>();
  ByteReader reader(*plaintext);
  const std::string_view hash = reader.bytes();
  COFFER_TRY(reader.status().with_context("an accessor's record"));
  return live(hash);
}

// The index of a namespace below the root: its accessors are found without looking at everybody's.
store::StoreKey TokenStore::accessor_in(const TokenRecord& record) {
  const TokenHash hashed = published_.hasher->accessor(record.accessor);
  store::StoreKey key = layout::token_key(
      arena_.copy(std::string(layout::kAccessorPrefix).append(hashed.view())));
  key.ns = record.ns;
  return key;
}

Status TokenStore::add(std::string_view hash, const TokenRecord& record) {
  std::string bytes;
  encode(record, bytes);
  COFFER_TRY(txn_.put(Name(layout::kTokenPrefix).add(hash).key(), bytes));
  bytes.clear();
  ByteWriter(bytes).bytes(hash).bytes(record.accessor);
  COFFER_TRY(
      txn_.put(Name(layout::kAccessorPrefix).add(published_.hasher->accessor(record.accessor).view()).key(), bytes));
  if (record.ns != layout::kRootNamespace)
    COFFER_TRY(txn_.put(accessor_in(record), {}));
  if (!record.parent.empty())
    COFFER_TRY(txn_.put(Name(layout::kChildPrefix).add(record.parent).add("/").add(hash).key(), {}));
  if (record.expires && !mutant(Mutant::kTokenWithoutExpiryRecord))
    COFFER_TRY(txn_.put(expiry_name(*record.expires, hash).key(), {}));
  if (!record.expires)
    return ok_status();
  // Found by the path that made it, as leases are.
  LeaseStore leases(txn_, arena_);
  leases.note_token(kLeaseIssued, record.ns, record.path, hash, *record.expires);
  return leases.add_token(record.ns, record.path, hash);
}

Status TokenStore::replace(std::string_view hash, const TokenRecord& before, const TokenRecord& after) {
  std::string bytes;
  encode(after, bytes);
  COFFER_TRY(txn_.put(Name(layout::kTokenPrefix).add(hash).key(), bytes));
  if (before.expires == after.expires)
    return ok_status();
  if (before.expires)
    COFFER_TRY(txn_.erase(expiry_name(*before.expires, hash).key()));
  if (!after.expires)
    return ok_status();
  LeaseStore(txn_, arena_).note_token(kLeaseRenewed, after.ns, after.path, hash, *after.expires);
  return txn_.put(expiry_name(*after.expires, hash).key(), {});
}

Result<std::size_t> TokenStore::restore_index(std::string_view hash, const TokenRecord& record) {
  std::size_t restored = 0;
  const auto restore = [this, &restored](const store::StoreKey& key, std::string_view value) -> Status {
    COFFER_ASSIGN(const auto there, txn_.get(key));
    if (there)
      return ok_status();
    ++restored;
    return txn_.put(key, value);
  };
  std::string bytes;
  ByteWriter(bytes).bytes(hash).bytes(record.accessor);
  COFFER_TRY(
      restore(Name(layout::kAccessorPrefix).add(published_.hasher->accessor(record.accessor).view()).key(), bytes));
  if (record.ns != layout::kRootNamespace)
    COFFER_TRY(restore(accessor_in(record), {}));
  if (!record.parent.empty())
    COFFER_TRY(restore(Name(layout::kChildPrefix).add(record.parent).add("/").add(hash).key(), {}));
  if (!record.expires)
    return restored;
  COFFER_TRY(restore(expiry_name(*record.expires, hash).key(), {}));
  const std::string id = std::string(layout::kLeaseIdPrefix).append(token_lease_id(record.path, hash));
  COFFER_TRY(restore({store::KeyClass::kClusterLocal, record.ns, layout::kSystemMount, id}, {}));
  return restored;
}

Status TokenStore::erase_records(std::string_view hash, const TokenRecord& record) {
  COFFER_TRY(txn_.erase(Name(layout::kTokenPrefix).add(hash).key()));
  COFFER_TRY(txn_.erase(Name(layout::kAccessorPrefix).add(published_.hasher->accessor(record.accessor).view()).key()));
  if (record.policies == kApprovalPolicyName)
    COFFER_TRY(txn_.erase(Name(layout::kWaitingPrefix).add(hash).key()));
  if (record.ns != layout::kRootNamespace)
    COFFER_TRY(txn_.erase(accessor_in(record)));
  if (!record.parent.empty())
    COFFER_TRY(txn_.erase(Name(layout::kChildPrefix).add(record.parent).add("/").add(hash).key()));
  if (!record.expires)
    return ok_status();
  COFFER_TRY(txn_.erase(expiry_name(*record.expires, hash).key()));
  LeaseStore leases(txn_, arena_);
  leases.note_token(record.expired(txn_.now()) ? kLeaseExpired : kLeaseRevoked, record.ns, record.path, hash, {});
  return leases.erase_token(record.ns, record.path, hash);
}

Result<ListPage> TokenStore::children(std::string_view hash, std::size_t limit) {
  return txn_.list(Name(layout::kChildPrefix).add(hash).add("/").key(), {}, limit);
}

Result<bool> TokenStore::erase_belongings(std::string_view hash) {
  // Of every namespace: a hash has one length, so none begins with another.
  const std::string prefix(hash);
  bool more = false;
  COFFER_ASSIGN(const auto keys,
                txn_.stored_keys({store::KeyClass::kClusterLocal, layout::kRootNamespace, kCubbyholeMountId, prefix},
                                 limits::kJobStepKeysMax, &more));
  for (const std::string_view key : keys)
    COFFER_TRY(txn_.erase_stored(key));
  COFFER_ASSIGN(const bool leases, LeaseStore(txn_, arena_).end_of_token(hash, limits::kExpiryBatchLeasesMax));
  return !more && leases;
}

Result<bool> TokenStore::erase_tree(std::string_view root) {
  std::vector<std::string_view> waiting{root};
  std::size_t seen = 1;
  while (!waiting.empty()) {
    const std::string_view hash = waiting.back();
    waiting.pop_back();
    COFFER_ASSIGN(const auto token, stored(hash));
    COFFER_ASSIGN(const ListPage page, children(hash, limits::kTokenTreeEntryMax));
    seen += page.names.size();
    if (page.more || seen > limits::kTokenTreeEntryMax)
      return false;
    waiting.insert(waiting.end(), page.names.begin(), page.names.end());
    if (token)
      COFFER_TRY(erase_records(hash, token->record));
    COFFER_ASSIGN(const bool all, erase_belongings(hash));
    if (!all || txn_.ops() > limits::kEntryOpsMax / 2)
      return false;
  }
  return true;
}

Status TokenStore::revoke_tree(std::string_view hash) {
  COFFER_ASSIGN(const auto token, stored(hash));
  if (!token)
    return ok_status();
  const TxnImpl::Savepoint before = txn_.savepoint();
  COFFER_ASSIGN(const bool done, erase_tree(hash));
  if (done)
    return ok_status();
  txn_.rollback(before);
  COFFER_TRY(erase_records(hash, token->record));
  return add_job(txn_, tree_job(hash));
}

Status TokenStore::revoke_orphaning(std::string_view hash) {
  COFFER_ASSIGN(const auto token, stored(hash));
  if (!token)
    return ok_status();
  COFFER_ASSIGN(const ListPage page, children(hash, limits::kTokenTreeEntryMax));
  if (page.more)
    return Status(Code::kTooLarge, "the token has more children than one request may change");
  for (const std::string_view child : page.names) {
    COFFER_TRY(txn_.erase(Name(layout::kChildPrefix).add(hash).add("/").add(child).key()));
    COFFER_ASSIGN(const auto below, stored(child));
    if (!below)
      continue;
    TokenRecord orphan = below->record;
    orphan.parent = {};
    orphan.orphan = true;
    COFFER_TRY(replace(child, below->record, orphan));
  }
  COFFER_TRY(erase_records(hash, token->record));
  COFFER_ASSIGN(const bool all, erase_belongings(hash));
  // Of the tree only this token is left by now: the job erases the rest of its cubbyhole.
  return all ? ok_status() : add_job(txn_, tree_job(hash));
}

Result<bool> TokenStore::step_tree(std::string_view root) {
  // Down the first branch to a leaf, again and again: a token goes only when nothing is below it, so the chain from any
  // token that is left up to the root stays whole.
  std::vector<std::string_view> branch{root};
  for (std::size_t erased = 0; erased < limits::kTokenTreeEntryMax && txn_.ops() < limits::kEntryOpsMax / 2;) {
    const std::string_view hash = branch.back();
    COFFER_ASSIGN(const ListPage page, children(hash, 1));
    if (!page.names.empty()) {
      branch.push_back(page.names.front());
      continue;
    }
    COFFER_ASSIGN(const bool all, erase_belongings(hash));
    if (!all)
      return false;
    COFFER_ASSIGN(const auto token, stored(hash));
    if (token)
      COFFER_TRY(erase_records(hash, token->record));
    ++erased;
    branch.pop_back();
    if (branch.empty())
      return true;
    // What hangs below this parent without a record of its own (it cannot, but a loop must end).
    COFFER_TRY(txn_.erase(Name(layout::kChildPrefix).add(branch.back()).add("/").add(hash).key()));
  }
  return false;
}

Result<std::string_view> TokenStore::live_accessor(NamespaceId ns, std::string_view name) {
  COFFER_ASSIGN(const auto plaintext, txn_.get(Name(layout::kAccessorPrefix).add(name).key()));
  if (!plaintext)
    return std::string_view();
  ByteReader reader(*plaintext);
  const std::string_view hash = reader.bytes();
  const std::string_view accessor = reader.bytes();
  COFFER_TRY(reader.finish().with_context("an accessor's record"));
  COFFER_ASSIGN(const auto token, live(hash));
  return token && token->record.ns == ns ? accessor : std::string_view();
}

Result<TokenStore::Accessors> TokenStore::accessors(NamespaceId ns, std::string_view after, std::size_t limit) {
  Accessors out;
  std::string at;
  if (!after.empty())
    at = published_.hasher->accessor(after).view();
  json::Arena arena;
  TxnImpl::Buffers buffers;
  for (bool more = true; more;) {
    arena.reset();
    buffers.reads.clear();
    buffers.ranges.clear();
    TxnImpl page_txn = txn_.beside(arena, buffers);
    TokenStore page(page_txn, published_, arena);
    store::StoreKey folder = layout::token_key(layout::kAccessorPrefix);
    folder.ns = ns;
    COFFER_ASSIGN(const ListPage names, page_txn.list(folder, at, kAccessorsPageMax));
    for (const std::string_view name : names.names) {
      COFFER_ASSIGN(const std::string_view accessor, page.live_accessor(ns, name));
      if (accessor.empty())
        continue;
      if (out.texts.size() == limit) {
        out.more = true;
        return out;
      }
      out.texts.push_back(arena_.copy(accessor));
    }
    more = names.more;
    if (more)
      at = names.names.back();
  }
  return out;
}

}  // namespace coffer::core
