// What replacing the whole state leaves in the log and in the state: the entry that names a stream, the record that
// tells of the last replacement, and what of the stream's records is not taken over. The same on all members.
// Pure functions but for RestoreScan, any thread (docs/formats/raft-entry.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "core/cluster.h"
#include "core/group_record.h"
#include "store/backend.h"

namespace coffer::core {

inline constexpr std::size_t kStreamDigestBytes = 32;

// The body of an entry raft::EntryKind::kReplaced.
struct ReplacedEntry {
  std::string digest;  // SHA-256 of the stream
  Members members;     // who is in the cluster, in clear: the records of the new state may name others
};

// Payload with room for its header, for raft::Core::propose().
std::string encode_replaced(const ReplacedEntry& entry);
// kDataLoss when it is no such body.
Result<ReplacedEntry> decode_replaced(std::string_view body);

// Of the last time that the state was replaced; in clear.
struct RestoreRecord {
  Index index;      // of the entry, so two states with the same number here have the same past
  Members members;  // as the entry says
};
const std::string& restore_key();
// Nothing when the state was never replaced; kDataLoss when it is damaged.
Result<std::optional<RestoreRecord>> read_restore(const store::View& view);

// Where the record stands that says how the state is sealed: there is one in every initialized server's.
const std::string& seal_key();

// Looks at each record of a stream before anything is done with it.
class RestoreScan {
 public:
  void see(std::string_view key, std::string_view value);
  // kInvalid when it is not the state of a server that was initialized.
  Status verdict() const;
  // After a good verdict. How the seal of the stream's state works (seal/config record).
  const std::string& seal_record() const noexcept { return seal_record_; }
  // After a good verdict. What changes in the stream's records: who is in the group and the cluster, and of which entry
  // it is the state.
  std::vector<store::Op> changes(const RaftGroupRecord& group, const Members& members) const;

 private:
  std::string seal_record_;
  bool keyring_ = false;
  bool cluster_ = false;
  std::vector<std::string> members_;  // keys
};

}  // namespace coffer::core
