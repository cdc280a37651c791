// The one implementation of Txn: a view, a barrier and a buffer. Values are opened into the request's arena; nothing is
// allocated for a record that is only read but its text there.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/rng.h"
#include "core/txn.h"
#include "seal/barrier.h"

namespace coffer::core {

// One run of one handler, one thread. View, barrier, arena and speculation outlive it. The buffers are kept by the
// caller and reused.
class TxnImpl final : public Txn {
 public:
  struct Write {
    std::string_view key;                      // as stored
    std::string_view rest;                     // set when the key is shortened: the whole name
    std::optional<std::string_view> plaintext; // nothing: delete
    bool as_is = false;                        // sealed by its owner: stored as it is
  };
  // What runs leave behind for the next one, to save allocations. Cleared by begin().
  struct Buffers {
    std::vector<Write> writes;
    std::vector<std::string_view> reads;
    std::vector<std::pair<std::string_view, Index>> speculative_reads;
    std::vector<KeyRange> ranges;
    std::string sealed;
    std::vector<Change> changes;
  };
  struct Savepoint {
    std::vector<Write> writes;
    std::size_t bytes = 0;
    std::size_t changes = 0;
  };

  // With a `speculation`, single records are read from it where it is newer than the view; lists are not.
  TxnImpl(const store::View& view, const seal::Barrier& barrier, json::Arena& arena, WallTime now, Buffers& buffers,
          std::shared_ptr<const Speculation> speculation = nullptr);

  Index view_index() const override { return view_.index(); }
  WallTime now() const override { return now_; }
  Result<std::optional<std::string_view>> get(const store::StoreKey& key) override;
  Status put(const store::StoreKey& key, std::string_view plaintext) override;
  Status erase(const store::StoreKey& key) override;
  Result<ListPage> list(const store::StoreKey& folder, std::string_view after, std::size_t limit) override;
  bool writes() const override { return !buffers_.writes.empty(); }
  void note(const Change& change) override { buffers_.changes.push_back(change); }

  // The record as it is stored, unopened; for records that their owner seals (the keyring).
  Result<std::optional<std::string_view>> get_as_is(const store::StoreKey& key);
  Status put_as_is(const store::StoreKey& key, std::string_view bytes);

  // Stored keys of every record whose name begins with `prefix`, at most `limit`; for jobs that delete whole ranges.
  // Own writes are not seen. The range becomes part of the read set. False in `*more` when these are all.
  Result<std::vector<std::string_view>> stored_keys(const store::StoreKey& prefix, std::size_t limit, bool* more);
  Status erase_stored(std::string_view stored_key);
  // Whole names of records that begin with `prefix`, in the store's order, beginning at the position `from` (empty: at
  // the first). Own writes are not seen. With `depends` the range becomes part of the read set.
  struct NamePage {
    std::vector<std::string_view> names;
    std::string next;  // position of what follows; empty: these are all
  };
  Result<NamePage> names(const store::StoreKey& prefix, const std::string& from, std::size_t limit, bool depends);

  // Another one on the same view, with memory of its own: for work that reads many records and keeps little of them. It
  // does not see this one's writes, and what it reads is in no read set.
  TxnImpl beside(json::Arena& arena, Buffers& buffers) const { return TxnImpl(view_, barrier_, arena, now_, buffers); }

  // Something was read that is not committed: what follows from it is nobody's to know yet.
  bool speculated() const { return !buffers_.speculative_reads.empty(); }

  // Adds a record to the read set that was read by other means (what is derived in core::Published).
  void depend(const store::StoreKey& key);

  // Undo of writes; what was read stays read.
  Savepoint savepoint() const { return {buffers_.writes, bytes_, buffers_.changes.size()}; }
  void rollback(Savepoint to);

  std::size_t ops() const { return buffers_.writes.size(); }
  std::size_t bytes() const { return bytes_; }

  // Seals the writes. Fails when the random source does.
  Result<Proposal> finish(Term term, RandomSource& random);
  // What was read, and no writes.
  Proposal reads(Term term) const;

 private:
  struct Walk;
  std::string_view stored(const store::StoreKey& key);
  // The record as it is stored, in buffers_.sealed; part of the read set. False when there is none.
  Result<bool> read(std::string_view stored_key);
  const Write* own(std::string_view stored_key) const;
  Status write(const Write& write);
  Result<std::string_view> open(std::string_view stored_key, std::string_view sealed, std::string_view rest);
  // The whole name of a record met while walking; valid as long as `stored_key` when it is not shortened.
  Result<std::string_view> full_rest(std::string_view stored_key, std::string_view sealed);
  Status walk(Walk& walk);
  void add_own_names(Walk& walk);

  const store::View& view_;
  const seal::Barrier& barrier_;
  json::Arena& arena_;
  WallTime now_;
  Buffers& buffers_;
  std::shared_ptr<const Speculation> speculation_;
  std::size_t bytes_ = 0;  // of the entry that the writes become
  std::unordered_map<std::string_view, std::size_t> places_;  // of writes, once there are many
};

}  // namespace coffer::core
