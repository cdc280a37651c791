// Leases in the state: what is written and erased together, so that no lease is ever without its place in the order of
// expiry, and none outlives its token. All functions work inside one transaction.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/lease_record.h"
#include "core/txn_impl.h"

namespace coffer::core {

// What happens to leases, as subscribers to events hear of it.
inline constexpr std::string_view kLeaseIssued = "lease/issue";
inline constexpr std::string_view kLeaseRenewed = "lease/renew";
inline constexpr std::string_view kLeaseRevoked = "lease/revoke";
inline constexpr std::string_view kLeaseExpired = "lease/expire";

class LeaseStore {
 public:
  // Both outlive it. `arena` is the transaction's.
  LeaseStore(TxnImpl& txn, json::Arena& arena) : txn_(txn), arena_(arena) {}

  // As stored, whatever its state; by the last segment of its id.
  Result<std::optional<LeaseRecord>> stored(std::string_view key);
  // By its whole id within a namespace.
  Result<std::optional<LeaseRecord>> find(NamespaceId ns, std::string_view id);

  Status add(const LeaseRecord& record);
  // Replaces the record; moves its place in the order of expiry, out of it when it becomes irrevocable.
  Status replace(const LeaseRecord& before, const LeaseRecord& after);
  Status erase(const LeaseRecord& record);

  // It is over for its holder from the commit on, and the expiry driver takes it from there. An intent is abandoned:
  // it keeps its time, because its call may still be under way.
  Status end(const LeaseRecord& record);

  // What stands beside a lease's own record and its token's: its id, and its place in the order of expiry or among the
  // irrevocable ones. Names in the arena.
  std::vector<store::StoreKey> index_of(const LeaseRecord& record);

  // Ends the leases of a token. False when there are more than one entry takes.
  Result<bool> end_of_token(std::string_view token_hash, std::size_t limit);

  // Ids of leases, and of tokens, that begin with `prefix`, from the position `from` on (empty: the first); those of
  // tokens end in 'h' and the token's hash. Own writes are not seen. With `depends` what is added there conflicts.
  struct Named {
    std::string_view id;
    std::string_view key;         // of a lease; empty for a token
    std::string_view token_hash;  // of a token; empty for a lease
  };
  struct NamedPage {
    std::vector<Named> leases;
    std::string next;  // position of what follows; empty: these are all
  };
  Result<NamedPage> named(NamespaceId ns, std::string_view prefix, const std::string& from, std::size_t limit,
                          bool depends = true);
  // What a LIST of a folder of ids answers.
  Result<ListPage> list(NamespaceId ns, std::string_view folder, std::string_view after, std::size_t limit);

  // The id that a token's own lease has, and its records in the index of ids.
  Status add_token(NamespaceId ns, std::string_view path, std::string_view hash);
  Status erase_token(NamespaceId ns, std::string_view path, std::string_view hash);
  // Tells subscribers to events of a token's own lease; `ns` is where the token was made.
  void note_token(std::string_view type, NamespaceId ns, std::string_view path, std::string_view hash,
                  WallTime expires);

 private:
  void note(std::string_view type, const LeaseRecord& record, WallTime expires);
  // It was its holder's until now.
  void note_end(const LeaseRecord& record);

  TxnImpl& txn_;
  json::Arena& arena_;
};

std::string token_lease_id(std::string_view path, std::string_view hash);

}  // namespace coffer::core
