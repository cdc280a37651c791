#include "core/policy_store.h"

#include <algorithm>
#include <functional>
#include <set>

#include "base/check.h"
#include "base/codec.h"
#include "base/limits.h"
#include "core/token_record.h"

namespace coffer::core {
namespace {

constexpr std::string_view kWrappingPolicyText = R"(
path "cubbyhole/response" { capabilities = ["create", "read"] }
path "sys/wrapping/unwrap" { capabilities = ["update"] }
)";

// What stands between {{ and }}, as core/acl.cc asks for it.
void collect_expressions(std::string_view path, std::set<std::string, std::less<>>& out) {
  for (std::size_t open = path.find("{{"); open != std::string_view::npos; open = path.find("{{")) {
    const std::size_t close = path.find("}}", open);
    if (close == std::string_view::npos)
      return;
    std::string_view text = path.substr(open + 2, close - open - 2);
    const std::size_t first = text.find_first_not_of(" \t");
    if (first != std::string_view::npos)
      out.emplace(text.substr(first, text.find_last_not_of(" \t") - first + 1));
    path.remove_prefix(close + 2);
  }
}

}  // namespace

std::string encode_policy(const PolicyEntry& entry) {
  std::string out;
  ByteWriter(out)
      .u8(2)
      .u64(static_cast<std::uint64_t>(entry.modified.time_since_epoch().count()))
      .varint(entry.version)
      .u64(static_cast<std::uint64_t>(entry.expires.time_since_epoch().count()))
      .u8(entry.cas_required ? 1 : 0)
      .bytes(entry.text);
  return out;
}

Result<std::shared_ptr<const PolicyEntry>> decode_policy(std::string_view name, std::string_view plaintext) {
  ByteReader reader(plaintext);
  auto entry = std::make_shared<PolicyEntry>();
  const std::uint8_t format = reader.u8();
  entry->modified = WallTime(Nanos(static_cast<std::int64_t>(reader.u64())));
  entry->version = reader.varint();
  entry->expires = WallTime(Nanos(static_cast<std::int64_t>(reader.u64())));
  const std::uint8_t cas = reader.u8();
  entry->cas_required = cas == 1;
  entry->text = reader.bytes();
  COFFER_TRY(reader.finish().with_context("a policy's record"));
  if (format != 2 || cas > 1)
    return Status(Code::kDataLoss, "a policy's record has an unknown form");
  Result<Policy> policy = parse_policy(name, entry->text);
  // It parsed when it was written. Leaving it out could lift a deny, so the whole state is refused.
  if (!policy.ok())
    return Status(Code::kDataLoss, "the stored policy " + std::string(name) + " does not parse");
  // A rule ends with its policy at the latest.
  for (PathRule& rule : policy->paths)
    rule.expires = std::min(rule.expires, entry->expires);
  entry->policy = std::make_shared<const Policy>(std::move(*policy));
  return std::shared_ptr<const PolicyEntry>(std::move(entry));
}

PolicyStore::PolicyStore(Entries entries)
    : entries_(std::move(entries)), filled_(kFilledSlots), spilled_(kFilledSlots) {
  Result<Policy> wrapping = parse_policy(kWrappingPolicyName, kWrappingPolicyText);
  COFFER_CHECK(wrapping.ok());
  wrapping_ = std::make_shared<const Policy>(std::move(*wrapping));
  for (const auto& [name, entry] : entries_)
    text_bytes_ += entry->text.size();
}

PolicyStore::~PolicyStore() {
  for (std::atomic<Node*>& bucket : buckets_)
    for (Node* node = bucket.load(std::memory_order_acquire); node != nullptr;) {
      Node* next = node->next;
      delete node;
      node = next;
    }
}

const PolicyEntry* PolicyStore::find(std::string_view name, WallTime now) const {
  const auto at = entries_.find(name);
  return at == entries_.end() || at->second->expires <= now ? nullptr : at->second.get();
}

std::vector<std::shared_ptr<const Policy>> PolicyStore::policies_of(std::string_view joined) const {
  std::vector<std::shared_ptr<const Policy>> policies;
  for (const std::string_view name : split_policies(joined)) {
    if (name == kWrappingPolicyName)
      policies.push_back(wrapping_);
    else if (const auto at = entries_.find(name); at != entries_.end())
      policies.push_back(at->second->policy);
  }
  return policies;
}

std::shared_ptr<const PolicyStore::Set> PolicyStore::compile(std::string_view joined, WallTime now) const {
  auto set = std::make_shared<Set>();
  set->joined = joined;
  if (has_policy(joined, kRootPolicyName)) {
    set->acl = Acl::root();
    return set;
  }
  const std::vector<std::shared_ptr<const Policy>> policies = policies_of(joined);
  set->acl = Acl::compile(policies, {}, now);
  std::set<std::string, std::less<>> expressions;
  for (const std::shared_ptr<const Policy>& policy : policies)
    for (const PathRule& rule : policy->paths)
      if (rule.templated)
        collect_expressions(rule.path, expressions);
  set->expressions.assign(expressions.begin(), expressions.end());
  return set;
}

const PolicyStore::Set& PolicyStore::spilled(std::string_view joined, std::shared_ptr<const Set>& owner,
                                             WallTime now) const {
  const std::size_t at = std::hash<std::string_view>()(joined) % kFilledSlots;
  std::mutex& lock = filled_locks_[at % kFilledLocks];
  {
    const std::lock_guard<std::mutex> hold(lock);
    owner = spilled_[at];
  }
  if (owner != nullptr && owner->joined == joined && owner->acl->holds_at(now))
    return *owner;
  owner = compile(joined, now);
  const std::lock_guard<std::mutex> hold(lock);
  spilled_[at] = owner;
  return *owner;
}

bool PolicyStore::may_explain(WallTime now) const {
  const auto since = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch();
  const auto second = static_cast<std::uint64_t>(since.count());
  std::uint64_t seen = explained_.load(std::memory_order_relaxed);
  std::uint64_t next = 0;
  do {
    next = seen >> 16 == second ? seen + 1 : second << 16;
    if ((next & 0xffff) >= limits::kRefusalsExplainedPerSecondMax)
      return false;
  } while (!explained_.compare_exchange_weak(seen, next, std::memory_order_relaxed));
  return true;
}

const PolicyStore::Set& PolicyStore::set_of(std::string_view joined, std::shared_ptr<const Set>& owner,
                                            WallTime now) const {
  std::atomic<Node*>& bucket = buckets_[std::hash<std::string_view>()(joined) % kBuckets];
  Node* head = bucket.load(std::memory_order_acquire);
  for (const Node* node = head; node != nullptr; node = node->next)
    if (node->set->joined == joined && node->set->acl->holds_at(now))
      return *node->set;
  if (cached_.load(std::memory_order_relaxed) >= limits::kAclCacheSetsMax)
    return spilled(joined, owner, now);
  owner = compile(joined, now);
  cached_.fetch_add(1, std::memory_order_relaxed);
  // Two threads may both add a set: the second copy is never found and goes with the store.
  auto* node = new Node{owner, head};
  while (!bucket.compare_exchange_weak(node->next, node, std::memory_order_release, std::memory_order_acquire)) {
  }
  return *node->set;
}

const Acl& PolicyStore::acl(std::string_view joined, std::shared_ptr<const Acl>& owner, WallTime now) const {
  std::shared_ptr<const Set> set_owner;
  const Set& set = set_of(joined, set_owner, now);
  if (set_owner != nullptr)
    owner = set.acl;
  return *set.acl;
}

const Acl& PolicyStore::acl(std::string_view joined, std::shared_ptr<const Acl>& owner, WallTime now,
                            const TemplateValues& values) const {
  std::shared_ptr<const Set> set_owner;
  const Set& set = set_of(joined, set_owner, now);
  if (set.expressions.empty()) {
    if (set_owner != nullptr)
      owner = set.acl;
    return *set.acl;
  }
  std::string key(joined);
  for (const std::string& expression : set.expressions) {
    const std::optional<std::string> value = values(expression);
    ByteWriter(key).u8(value ? 1 : 0).bytes(value ? *value : std::string_view());
  }
  const std::size_t at = std::hash<std::string>()(key) % kFilledSlots;
  std::mutex& lock = filled_locks_[at % kFilledLocks];
  {
    const std::lock_guard<std::mutex> hold(lock);
    if (filled_[at].key == key && filled_[at].acl->holds_at(now)) {
      owner = filled_[at].acl;
      return *owner;
    }
  }
  owner = Acl::compile(policies_of(joined), values, now);
  const std::lock_guard<std::mutex> hold(lock);
  filled_[at] = {std::move(key), owner};
  return *owner;
}

}  // namespace coffer::core
