#include "core/policy_store.h"

#include <functional>

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

}  // namespace

std::string encode_policy(const PolicyEntry& entry) {
  std::string out;
  ByteWriter(out)
      .u8(1)
      .u64(static_cast<std::uint64_t>(entry.modified.time_since_epoch().count()))
      .varint(entry.version)
      .bytes(entry.text);
  return out;
}

Result<std::shared_ptr<const PolicyEntry>> decode_policy(std::string_view name, std::string_view plaintext) {
  ByteReader reader(plaintext);
  auto entry = std::make_shared<PolicyEntry>();
  const std::uint8_t format = reader.u8();
  entry->modified = WallTime(Nanos(static_cast<std::int64_t>(reader.u64())));
  entry->version = reader.varint();
  entry->text = reader.bytes();
  COFFER_TRY(reader.finish().with_context("a policy's record"));
  if (format != 1)
    return Status(Code::kDataLoss, "a policy's record has an unknown form");
  Result<Policy> policy = parse_policy(name, entry->text);
  // It parsed when it was written. Leaving it out could lift a deny, so the whole state is refused.
  if (!policy.ok())
    return Status(Code::kDataLoss, "the stored policy " + std::string(name) + " does not parse");
  entry->policy = std::make_shared<const Policy>(std::move(*policy));
  return std::shared_ptr<const PolicyEntry>(std::move(entry));
}

PolicyStore::PolicyStore(Entries entries) : entries_(std::move(entries)) {
  Result<Policy> wrapping = parse_policy(kWrappingPolicyName, kWrappingPolicyText);
  COFFER_CHECK(wrapping.ok());
  wrapping_ = std::make_shared<const Policy>(std::move(*wrapping));
}

PolicyStore::~PolicyStore() {
  for (std::atomic<Node*>& bucket : buckets_)
    for (Node* node = bucket.load(std::memory_order_acquire); node != nullptr;) {
      Node* next = node->next;
      delete node;
      node = next;
    }
}

const PolicyEntry* PolicyStore::find(std::string_view name) const {
  const auto at = entries_.find(name);
  return at == entries_.end() ? nullptr : at->second.get();
}

std::shared_ptr<const Acl> PolicyStore::compile(std::string_view joined) const {
  if (has_policy(joined, kRootPolicyName))
    return Acl::root();
  std::vector<std::shared_ptr<const Policy>> policies;
  for (const std::string_view name : split_policies(joined)) {
    if (name == kWrappingPolicyName)
      policies.push_back(wrapping_);
    else if (const PolicyEntry* entry = find(name))
      policies.push_back(entry->policy);
  }
  return Acl::compile(policies);
}

const Acl& PolicyStore::acl(std::string_view joined, std::shared_ptr<const Acl>& owner) const {
  std::atomic<Node*>& bucket = buckets_[std::hash<std::string_view>()(joined) % kBuckets];
  Node* head = bucket.load(std::memory_order_acquire);
  for (const Node* node = head; node != nullptr; node = node->next)
    if (node->joined == joined)
      return *node->acl;
  owner = compile(joined);
  if (cached_.fetch_add(1, std::memory_order_relaxed) >= limits::kAclCacheSetsMax) {
    cached_.fetch_sub(1, std::memory_order_relaxed);
    return *owner;
  }
  // Two threads may both add a set: the second copy is never found and goes with the store.
  auto* node = new Node{std::string(joined), owner, head};
  while (!bucket.compare_exchange_weak(node->next, node, std::memory_order_release, std::memory_order_acquire)) {
  }
  return *node->acl;
}

}  // namespace coffer::core
