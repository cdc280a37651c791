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
#include "seal/keyring.h"
#include "seal/seal.h"
#include "seal/seal_config.h"

namespace coffer::seal {

// As the request has them; 0 means "not given".
struct InitRequest {
  ShareCounts secret;
  ShareCounts recovery;
};

struct Initialized {
  SealConfig config;
  std::string config_record;   // to be stored readable without any key
  std::shared_ptr<const Keyring> keyring;
  std::string keyring_record;  // sealed by the root key
  SecretBytes root_key;        // for whoever goes on unsealed; drop it otherwise
  std::vector<SecretBytes> shares;
  bool recovery = false;           // shares are recovery shares (automatic seal)
  bool asked_as_secret = false;    // …but were asked for as unseal shares, and are printed under both names
};

// `automatic` is null for Shamir's seal. With an automatic seal, unseal share counts are taken as recovery share
// counts; a request that sets both families is refused, as is one that sets recovery counts for Shamir (kInvalid, with
// Vault's texts). Fails when the seal or the random source does; then nothing of the keys is left.
Result<Initialized> initialize(const InitRequest& request, KeyWrapper* automatic, WallTime now, RandomSource& random);

// `secret` in shares for people: the secret itself when it is one of one, as Vault does.
Result<std::vector<SecretBytes>> make_shares(const SecretBytes& secret, ShareCounts counts, RandomSource& random);

}  // namespace coffer::seal
