// Exchanging the shares that people hold for new ones while the server serves: unseal shares of Shamir's seal, recovery
// shares of an automatic one. The root key and what it opens stay as they are. Pure: what was made is in effect when
// the caller has stored its record.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "base/secret.h"
#include "base/status.h"
#include "crypto/pgp.h"
#include "seal/seal.h"
#include "seal/seal_config.h"
#include "seal/unseal.h"

namespace coffer::seal {

struct RekeyRequest {
  bool recovery = false;  // recovery shares, else unseal shares
  ShareCounts counts;     // of the new ones
  bool verify = false;    // nothing takes effect before enough of the new shares were shown
  std::vector<std::string> pgp_keys;      // bytes of public keys, one a share, which are then told encrypted alone
  std::vector<std::string> fingerprints;  // of these keys
  bool backup = false;    // the encrypted shares are kept
};

struct Rekeyed {
  std::string before;  // the seal's stored configuration that the shares given belong to
  std::string record;  // what takes its place
  std::vector<SecretBytes> shares;             // none when there are keys to encrypt them to
  std::vector<crypto::PgpMessage> encrypted;   // then these
};

// One exchange, from its beginning to the new shares. Movable. Not thread-safe.
class Rekey {
 public:
  // kInvalid: no such shares can be, or this seal has none of that kind.
  static Result<Rekey> begin(const RekeyRequest& request, const SealConfig& current, RandomSource& random);

  const RekeyRequest& request() const noexcept { return request_; }
  const std::string& nonce() const noexcept { return nonce_; }
  // Of the shares that are there already.
  CeremonyProgress progress() const { return given_.progress(); }

  // As ShareCollector::add.
  Status give(const SecretBytes& share, RandomSource& random) { return given_.add(share, random); }
  bool complete() const noexcept { return given_.complete(); }
  // What the shares combine to; none is there afterwards. Must be complete.
  Result<SecretBytes> combine() { return given_.combine(); }

  // `made` waits until its shares have been shown.
  Status expect(Rekeyed made, RandomSource& random);
  bool verifies() const noexcept { return made_.has_value(); }
  const std::string& verification_nonce() const noexcept { return verification_nonce_; }
  CeremonyProgress verified() const { return shown_.progress(); }
  // Nothing yet, or what was made once enough of its shares were shown, and then it is this object's no more. Shares
  // that are not the new ones are kInvalid, and all have to be shown anew. Must verify.
  Result<std::optional<Rekeyed>> show(const SecretBytes& share, const SecretBytes& root_key, RandomSource& random);
  // The shares that were shown are forgotten. Must verify.
  Status show_anew(RandomSource& random);

 private:
  Rekey(const RekeyRequest& request, ShareCounts current, std::string nonce)
      : request_(request), nonce_(std::move(nonce)), given_(current), shown_(request.counts) {}

  RekeyRequest request_;
  std::string nonce_;
  ShareCollector given_;
  std::optional<Rekeyed> made_;
  std::string verification_nonce_;
  ShareCollector shown_;
};

// Whether `combined` is what the people of the seal with this configuration share. kInvalid if not.
Status check_shared_key(const SealConfig& config, SecretBytes combined, const SecretBytes& root_key);

// New shares for the seal whose stored configuration is `record`. `combined` is what the present shares combine to;
// kInvalid when it is not this seal's key. With an automatic seal it wraps the root key once more, which may take as
// long as that seal does, and `pgp`, which may be null when there are no keys, encrypts the shares. Any thread.
Result<Rekeyed> make_new_shares(const RekeyRequest& request, std::string_view record, SecretBytes combined,
                                const SecretBytes& root_key, KeyWrapper* automatic, crypto::PgpEncryptor* pgp,
                                RandomSource& random);

}  // namespace coffer::seal
