// Tokens in the state: what is written and erased together, so that no request ever leaves a token without its expiry,
// its accessor or its place in the tree (advisory G3). All functions work inside one transaction.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/published.h"
#include "core/token_record.h"
#include "core/txn_impl.h"

namespace coffer::core {

struct StoredToken {
  std::string_view hash;  // in the arena; empty for a batch token, which has no records
  TokenRecord record;
};

class TokenStore {
 public:
  // All outlive it. `arena` is the transaction's.
  TokenStore(TxnImpl& txn, const Published& published, json::Arena& arena)
      : txn_(txn), published_(published), arena_(arena) {}

  std::string_view hash_of(std::string_view token) const;

  // A token that may be used now: known, not expired, no ancestor under revocation. Nothing otherwise.
  Result<std::optional<StoredToken>> live_by_text(std::string_view text);
  // The same of a token that has records.
  Result<std::optional<StoredToken>> live(std::string_view hash);
  Result<std::optional<StoredToken>> live_by_accessor(std::string_view accessor);
  // As stored, whatever its time.
  Result<std::optional<StoredToken>> stored(std::string_view hash);

  // The text of a batch token: its record, sealed. Nothing is written.
  Result<std::string_view> seal_batch(const TokenRecord& record, RandomSource& random);

  // Writes the record and all that belongs to it. `record.parent` is empty for orphans.
  Status add(std::string_view hash, const TokenRecord& record);
  // Replaces the record; moves its place in the order of expiry.
  Status replace(std::string_view hash, const TokenRecord& before, const TokenRecord& after);

  // Writes those of its other records that are missing; how many they were.
  Result<std::size_t> restore_index(std::string_view hash, const TokenRecord& record);

  // Revokes the token and all tokens below it with their cubbyholes, in this entry when they are few, else by a job
  // whose record makes the whole tree invalid at once. A token that is not there is a success.
  Status revoke_tree(std::string_view hash);
  // Revokes this token alone; its children become orphans. kTooLarge when they are too many for one entry.
  Status revoke_orphaning(std::string_view hash);

  // One step of a tree's job: revokes at most limits::kTokenTreeEntryMax tokens, leaves first. True when nothing is
  // left.
  Result<bool> step_tree(std::string_view root);

  // Accessors of a namespace's tokens that may be used now, at most `limit`, beginning after that of `after` when it is
  // not empty. As of the view: own writes are not seen. What is read on the way takes a bounded amount of memory.
  struct Accessors {
    std::vector<std::string_view> texts;  // in the arena
    bool more = false;                    // there are others behind these
  };
  Result<Accessors> accessors(NamespaceId ns, std::string_view after, std::size_t limit);

 private:
  Result<std::optional<StoredToken>> open_batch(std::string_view text);
  Result<bool> ancestor_revoking(const TokenRecord& record);
  // Empty when the token of the accessor's record `name` may not be used now.
  Result<std::string_view> live_accessor(NamespaceId ns, std::string_view name);
  store::StoreKey accessor_in(const TokenRecord& record);
  Result<ListPage> children(std::string_view hash, std::size_t limit);
  Status erase_records(std::string_view hash, const TokenRecord& record);
  // Its cubbyhole, and the end of its leases. False when more records are left than fit.
  Result<bool> erase_belongings(std::string_view hash);
  // False when the tree does not fit.
  Result<bool> erase_tree(std::string_view hash);

  TxnImpl& txn_;
  const Published& published_;
  json::Arena& arena_;
};

}  // namespace coffer::core
