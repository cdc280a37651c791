// The ceremony that makes a cluster's keys. Pure: it returns records to write and shares to hand out; nothing exists
// until the caller has written the records.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "base/secret.h"
#include "base/status.h"
#include "crypto/pgp.h"
#include "seal/keyring.h"
#include "seal/seal.h"
#include "seal/seal_config.h"

namespace coffer::seal {

// As the request has them; 0 means "not given".
struct InitRequest {
  ShareCounts secret;
  ShareCounts recovery;
  // Bytes of public keys, one a share, which are then told encrypted alone; of one family, as the counts are.
  std::vector<std::string> secret_keys;
  std::vector<std::string> recovery_keys;
  std::string root_token_key;  // what the first root token is told encrypted to; the caller does that
};

struct Initialized {
  SealConfig config;
  std::string config_record;   // to be stored readable without any key
  std::shared_ptr<const Keyring> keyring;
  std::string keyring_record;  // sealed by the root key
  SecretBytes root_key;        // for whoever goes on unsealed; drop it otherwise
  std::vector<SecretBytes> shares;               // none when there are keys to encrypt them to
  std::vector<crypto::PgpMessage> encrypted;     // then these
  bool recovery = false;           // shares are recovery shares (automatic seal)
  bool asked_as_secret = false;    // …but were asked for as unseal shares, and are printed under both names
};

// `automatic` is null for Shamir's seal. With an automatic seal, unseal share counts are taken as recovery share
// counts; a request that sets both families is refused, as is one that sets recovery counts for Shamir (kInvalid, with
// Vault's texts). Fails when the seal, the random source or `pgp` does; then nothing of the keys is left. `pgp` may be
// null, and then no keys are taken.
Result<Initialized> initialize(const InitRequest& request, KeyWrapper* automatic, crypto::PgpEncryptor* pgp,
                               WallTime now, RandomSource& random);

// `secret` in shares for people: the secret itself when it is one of one, as Vault does.
Result<std::vector<SecretBytes>> make_shares(const SecretBytes& secret, ShareCounts counts, RandomSource& random);

// kInvalid when there are keys, but not one for each share; kUnsupported when there are keys and no `pgp`.
Status check_key_count(const std::vector<std::string>& keys, ShareCounts counts, const crypto::PgpEncryptor* pgp);

// Each share, in hexadecimal as it is given back, encrypted to the key at its place. `shares` is empty afterwards.
Result<std::vector<crypto::PgpMessage>> encrypt_shares(crypto::PgpEncryptor& pgp, const std::vector<std::string>& keys,
                                                       std::vector<SecretBytes>& shares);

}  // namespace coffer::seal
