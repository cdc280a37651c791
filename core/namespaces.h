// Namespaces: tenants below one another, each with mounts, policies, tokens and identities of its own. A request
// belongs to the deepest namespace that its path begins with; a token is good in the namespace that made it and below.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "base/status.h"
#include "core/layout.h"

namespace coffer::core {

class TxnImpl;

struct NamespaceRecord {
  NamespaceId id{0};
  std::string path;  // from the root on: "team/alpha/"; empty for the root itself
  std::string name;  // short id that people and audit lines see: "root", or five letters and digits
  std::string uuid;
  std::vector<std::pair<std::string, std::string>> custom_metadata;  // sorted
  std::string unlock_hash;  // SHA-256 of the unlock key in hex while its API is locked; empty: not locked
  bool deleting = false;    // no request reaches it any more; a job takes its leases and data away

  bool is_root() const noexcept { return path.empty(); }
  // Itself or anything below it.
  bool covers(const NamespaceRecord& other) const noexcept { return std::string_view(other.path).starts_with(path); }
};

// All of one published state. Immutable, any thread.
class NamespaceTable {
 public:
  explicit NamespaceTable(std::vector<NamespaceRecord> records = {});

  const NamespaceRecord& root() const noexcept { return *root_; }
  bool only_root() const noexcept { return by_path_.size() == 1; }
  // Null when there is none.
  const NamespaceRecord* find(NamespaceId id) const noexcept;
  const NamespaceRecord* find_path(std::string_view path) const noexcept;  // "team/alpha/"
  // The deepest one that `path` (absolute) lies in or names; what is being deleted counts as not there.
  const NamespaceRecord& resolve(std::string_view path) const noexcept;
  // The nearest one, from `of` upwards, whose API is locked; null when none is.
  const NamespaceRecord* locked_above(const NamespaceRecord& of) const noexcept;
  bool has_children(const NamespaceRecord& of) const noexcept;
  // Sorted by path, the root first.
  const std::map<std::string, NamespaceRecord, std::less<>>& all() const noexcept { return by_path_; }

 private:
  std::map<std::string, NamespaceRecord, std::less<>> by_path_;
  std::map<NamespaceId, const NamespaceRecord*> by_id_;
  const NamespaceRecord* root_ = nullptr;
};

std::string encode(const NamespaceRecord& record);
// kDataLoss when it is no such record.
Result<NamespaceRecord> decode_namespace(std::string_view plaintext);

// A new namespace below `parent`, with the mounts and the policy that every namespace has. kInvalid: the name is
// reserved, or a mount or namespace stands there.
Result<NamespaceRecord> add_namespace(TxnImpl& txn, const NamespaceRecord& parent, std::string_view name,
                                      std::vector<std::pair<std::string, std::string>> custom_metadata,
                                      RandomSource& random);
Status put_namespace(TxnImpl& txn, const NamespaceRecord& record);
Status erase_namespace(TxnImpl& txn, NamespaceId id);
// As of the transaction; nothing when there is none.
Result<std::optional<NamespaceRecord>> read_namespace(TxnImpl& txn, NamespaceId id);

// One segment that a namespace may be called (advisory F1). kInvalid otherwise.
Status check_namespace_name(std::string_view name);

// Whether a path below sys/ is served inside of namespaces; all others belong to the root alone.
bool sys_path_in_namespaces(std::string_view local_path) noexcept;
// Of those others, what an administrative namespace may look at; nothing of it changes the server.
bool sys_path_of_administrators(std::string_view local_path) noexcept;

}  // namespace coffer::core
