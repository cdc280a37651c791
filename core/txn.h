// One request's transaction: reads see one view, writes go into a buffer, and what was read is remembered, so that the
// proposer can tell whether it still holds. Values are plaintext here; they are opened on reading and sealed when the
// transaction is finished, before it leaves the thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"
#include "base/strong.h"
#include "core/change.h"
#include "core/speculation.h"
#include "store/backend.h"
#include "store/key.h"

namespace coffer::core {

// A half-open range [first, last) of store keys that was listed.
struct KeyRange {
  std::string first;
  std::string last;
};

// A record that was read from a speculation, as the entry at `index` leaves it.
struct SpeculativeRead {
  std::string key;
  Index index;
};

// What goes to the proposer. With speculative reads and no operations it is not to be appended: whoever ran wants to
// run again when what it read is committed.
struct Proposal {
  Term term;                          // leadership under which it was read
  Index view;                         // index that it was read at
  KeyTerm key_term;                   // barrier key that sealed the values
  std::vector<std::string> read_keys; // includes token, policies, mount table: what authorised and routed it
  std::vector<KeyRange> read_ranges;
  std::vector<store::Op> ops;         // sealed
  bool may_speculate = false;         // whoever made it can run on a speculation
  std::shared_ptr<const Speculation> speculation;   // what it ran on besides its view; null: nothing
  std::vector<SpeculativeRead> speculative_reads;   // not in read_keys
};

struct ListPage {
  std::vector<std::string_view> names;  // in the arena; a folder ends in '/'
  bool more = false;                    // cut at the limit
};

// Not thread-safe; lives for one run of a handler.
class Txn {
 public:
  virtual ~Txn() = default;

  virtual Index view_index() const = 0;
  // Cluster time at which this run happens: what TTLs are counted from.
  virtual WallTime now() const = 0;

  // The plaintext in the arena, or nothing. Sees this transaction's own writes.
  virtual Result<std::optional<std::string_view>> get(const store::StoreKey& key) = 0;
  virtual Status put(const store::StoreKey& key, std::string_view plaintext) = 0;
  virtual Status erase(const store::StoreKey& key) = 0;
  // Names directly below `folder` (empty or ending in '/'), after `after` (exclusive), at most `limit` (0: no limit
  // other than the server's). Sees this transaction's own writes. The range becomes part of the read set.
  virtual Result<ListPage> list(const store::StoreKey& folder, std::string_view after, std::size_t limit) = 0;

  // What subscribers to events are told when this transaction is committed, and not otherwise. Its texts live as long
  // as the arena.
  virtual void note(const Change& change) = 0;

  virtual bool writes() const = 0;
};

}  // namespace coffer::core
