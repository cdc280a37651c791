// The policies of one published state, compiled, and the access lists of the sets of them that tokens hold.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "core/acl.h"

namespace coffer::core {

// What a wrapping token may do. Built in: neither written, listed nor given to other tokens.
inline constexpr std::string_view kWrappingPolicyName = "response-wrapping";

// And what the token of a request that waits for an approval may do (core/control_group.h).
inline constexpr std::string_view kApprovalPolicyName = "control-group";

// Of one namespace: all of them are in memory on each node.
inline constexpr std::size_t kNamespacePoliciesMax = 65'536;
inline constexpr std::size_t kNamespacePolicyBytesMax = 64u << 20;  // of all of them

struct PolicyEntry {
  std::string text;
  WallTime modified{};
  std::uint64_t version = 1;
  WallTime expires = WallTime::max();  // from then on there is no such policy
  bool cas_required = false;           // whoever writes it next says which version they saw
  std::shared_ptr<const Policy> policy;
};

std::string encode_policy(const PolicyEntry& entry);
Result<std::shared_ptr<const PolicyEntry>> decode_policy(std::string_view name, std::string_view plaintext);

// Immutable but for its caches. That of sets only grows (to limits::kAclCacheSetsMax) and takes no lock; those of sets
// beyond them and of sets with templates keep what was asked for last. Any thread.
class PolicyStore {
 public:
  using Entries = std::map<std::string, std::shared_ptr<const PolicyEntry>, std::less<>>;

  explicit PolicyStore(Entries entries);
  ~PolicyStore();
  PolicyStore(const PolicyStore&) = delete;
  PolicyStore& operator=(const PolicyStore&) = delete;

  const Entries& entries() const noexcept { return entries_; }
  std::size_t text_bytes() const noexcept { return text_bytes_; }
  // Nothing when its time is over.
  const PolicyEntry* find(std::string_view name, WallTime now) const;
  // Those of a joined set that there are.
  std::vector<std::shared_ptr<const Policy>> policies_of(std::string_view joined) const;

  // The access list of a joined set of policies (core/token_record.h) at `now`. Names without a policy grant nothing.
  // Lives as long as this object or as `owner`, whichever is shorter.
  const Acl& acl(std::string_view joined, std::shared_ptr<const Acl>& owner, WallTime now) const;
  // The same with values for templates. A list is kept under the values of all its templates, so what one identity
  // compiled serves another only where every value is equal.
  const Acl& acl(std::string_view joined, std::shared_ptr<const Acl>& owner, WallTime now,
                 const TemplateValues& values) const;

  // Whether one more refusal may be explained in the log in this second: it costs more than the refusal itself.
  bool may_explain(WallTime now) const;

 private:
  struct Set {
    std::string joined;
    std::shared_ptr<const Acl> acl;
    std::vector<std::string> expressions;  // of its templates, each once
  };
  struct Node {
    std::shared_ptr<const Set> set;
    Node* next;
  };
  struct Filled {
    std::string key;
    std::shared_ptr<const Acl> acl;
  };
  static constexpr std::size_t kBuckets = 256;
  static constexpr std::size_t kFilledSlots = 2048;
  static constexpr std::size_t kFilledLocks = 64;

  std::shared_ptr<const Set> compile(std::string_view joined, WallTime now) const;
  const Set& spilled(std::string_view joined, std::shared_ptr<const Set>& owner, WallTime now) const;
  const Set& set_of(std::string_view joined, std::shared_ptr<const Set>& owner, WallTime now) const;

  Entries entries_;
  std::size_t text_bytes_ = 0;
  std::shared_ptr<const Policy> wrapping_;
  mutable std::array<std::atomic<Node*>, kBuckets> buckets_{};  // lists that only grow
  mutable std::atomic<std::size_t> cached_{0};
  mutable std::array<std::mutex, kFilledLocks> filled_locks_;
  mutable std::vector<Filled> filled_;  // slot i under lock i % kFilledLocks
  mutable std::vector<std::shared_ptr<const Set>> spilled_;  // beyond kAclCacheSetsMax; likewise
  mutable std::atomic<std::uint64_t> explained_{0};  // refusals in the second that the high half names
};

}  // namespace coffer::core
