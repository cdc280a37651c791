#include "core/bootstrap.h"

#include "base/limits.h"
#include "core/mounts.h"
#include "core/policy_store.h"
#include "core/published.h"
#include "core/token_store.h"
#include "store/memory_backend.h"

namespace coffer::core {
namespace {

struct FixedMount {
  MountTable table;
  std::string_view type;
  std::string_view path;
  MountId id;
  std::string_view description;
  bool local;
};

constexpr FixedMount kFixedMounts[] = {
    {MountTable::kSecret, "system", "sys/", layout::kSystemMount,
     "system endpoints used for control, policy and debugging", false},
    {MountTable::kAuth, "token", "token/", kTokenMountId, "token based credentials", false},
    {MountTable::kSecret, "cubbyhole", "cubbyhole/", kCubbyholeMountId, "per-token private secret storage", true},
    {MountTable::kSecret, "identity", "identity/", kIdentityMountId, "identity store", false},
};

Status add_fixed(TxnImpl& txn, NamespaceId ns, const FixedMount& fixed, RandomSource& random) {
  COFFER_ASSIGN(MountRecord record, new_mount(fixed.table, fixed.type, fixed.path, random));
  record.info.id = fixed.id;
  record.info.namespace_id = ns;
  record.info.description = fixed.description;
  record.info.local = fixed.local;
  record.info.seal_wrap = fixed.type == "system";
  return put_mount(txn, record);
}

Status add_dev_mount(TxnImpl& txn, const BootstrapOptions& options, RandomSource& random) {
  if (!options.dev)
    return ok_status();
  COFFER_ASSIGN(MountRecord secret, new_mount(MountTable::kSecret, "kv", "secret/", random));
  secret.info.description = "key/value secret storage";
  secret.info.options = {{"version", options.kv_v1 ? "1" : "2"}};
  return add_mount(txn, secret);
}

}  // namespace

Status put_root_token(TxnImpl& txn, const Published& published, json::Arena& arena, std::string_view text,
                      RandomSource& random) {
  TokenStore tokens(txn, published, arena);
  COFFER_ASSIGN(const std::string accessor, new_accessor(random));
  TokenRecord record;
  record.orphan = true;
  record.created = record.renewed = txn.now();
  record.accessor = accessor;
  record.display_name = "root";
  record.path = "auth/token/root";
  record.policies = kRootPolicyName;
  return tokens.add(tokens.hash_of(text), record);
}

Status bootstrap_namespace(TxnImpl& txn, NamespaceId ns, RandomSource& random) {
  for (const FixedMount& fixed : kFixedMounts)
    COFFER_TRY(add_fixed(txn, ns, fixed, random));
  PolicyEntry policy;
  policy.text = default_policy_text();
  policy.modified = txn.now();
  return txn.put(layout::core_key(layout::policy_record(ns, kDefaultPolicyName)), encode_policy(policy));
}

Result<Bootstrap> bootstrap_ops(const seal::Barrier& barrier, const SecretBytes& root_key,
                                const BootstrapOptions& options, RandomSource& random) {
  if (options.root_token.size() > limits::kTokenBytesMax)
    return Status(Code::kInvalid, "the root token is longer than " + std::to_string(limits::kTokenBytesMax) + " bytes");
  std::string token = options.root_token;
  if (token.empty()) {
    COFFER_ASSIGN(token, new_root_token(random));
  }
  store::MemoryBackend nothing;
  COFFER_ASSIGN(const std::unique_ptr<store::View> view, nothing.view());
  json::Arena arena;
  TxnImpl::Buffers buffers;
  TxnImpl txn(*view, barrier, arena, options.now, buffers);
  COFFER_TRY(bootstrap_namespace(txn, layout::kRootNamespace, random));
  COFFER_TRY(add_dev_mount(txn, options, random));
  Published published;
  published.hasher = std::make_shared<const TokenHasher>(barrier.keyring()->derive(kTokenHashPurpose));
  published.jobs = std::make_shared<const std::vector<Job>>();
  COFFER_TRY(put_root_token(txn, published, arena, token, random));
  Bootstrap made;
  COFFER_ASSIGN(Proposal proposal, txn.finish(Term(), random));
  made.ops = std::move(proposal.ops);
  // Last, so that its count of encryptions holds those of this batch.
  COFFER_ASSIGN(std::string keyring, barrier.keyring()->seal(root_key, random));
  const store::StoreKey at = layout::core_key(layout::kKeyring);
  made.ops.push_back({store::make_key(at.cls, at.ns, at.mount, at.rest), std::move(keyring)});
  made.root_token = SecretBytes::copy_of(token);
  wipe(token.data(), token.size());
  return made;
}

}  // namespace coffer::core
