// What `init` writes first: the keyring, the mounts and policies that every cluster has, and the first root token; as
// one batch.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/rng.h"
#include "base/secret.h"
#include "base/strong.h"
#include "seal/barrier.h"
#include "store/backend.h"

namespace coffer::core {

class TxnImpl;
struct Published;

struct BootstrapOptions {
  WallTime now{};
  bool dev = false;            // a KV v2 engine at secret/
  bool kv_v1 = false;          // version 1 there instead
  std::string root_token;      // empty: a new one is drawn; else this text (dev mode)
};

struct Bootstrap {
  std::vector<store::Op> ops;  // sealed; one entry
  SecretBytes root_token;
};

// A root token with this text, of the root namespace; part of a transaction.
Status put_root_token(TxnImpl& txn, const Published& published, json::Arena& arena, std::string_view text,
                      RandomSource& random);

// The mounts and the policy that every namespace has, the root too; part of a transaction.
Status bootstrap_namespace(TxnImpl& txn, NamespaceId ns, RandomSource& random);

// `barrier` is made from the new keyring, `root_key` seals it. Fails only when the random source does or a given token
// is no token.
Result<Bootstrap> bootstrap_ops(const seal::Barrier& barrier, const SecretBytes& root_key,
                                const BootstrapOptions& options, RandomSource& random);

}  // namespace coffer::core
