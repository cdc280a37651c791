// From shares, or from an automatic seal, to the open keyring.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "base/secret.h"
#include "base/status.h"
#include "seal/keyring.h"
#include "seal/seal.h"
#include "seal/seal_config.h"

namespace coffer::seal {

// A share as people type it: hexadecimal, or else base64. kInvalid otherwise; the text never comes back.
Result<SecretBytes> parse_share(std::string_view text);

struct CeremonyProgress {
  unsigned have = 0;
  ShareCounts counts;
  std::string nonce;  // names this attempt; empty while there is no share
};

// The shares handed in so far. Bounded by the threshold. Not thread-safe.
class ShareCollector {
 public:
  explicit ShareCollector(ShareCounts counts) : counts_(counts) {}

  CeremonyProgress progress() const { return {static_cast<unsigned>(shares_.size()), counts_, nonce_}; }
  bool complete() const noexcept { return shares_.size() >= counts_.threshold; }

  // The first share draws the nonce. A share that is there already changes nothing and is no error, nor is one handed
  // in when complete. kInvalid for a size that no share of this ceremony has.
  Status add(const SecretBytes& share, RandomSource& random);

  // What the shares combine to, right or wrong; the collector is empty afterwards in any case. Must be complete.
  Result<SecretBytes> combine();

  const std::vector<SecretBytes>& shares() const noexcept { return shares_; }
  void reset() noexcept;

 private:
  ShareCounts counts_;
  std::vector<SecretBytes> shares_;
  std::string nonce_;
};

struct Unsealed {
  SecretBytes root_key;
  std::shared_ptr<const Keyring> keyring;
  std::string migrated;  // the seal's configuration under its next seal, to be stored; empty when there is none
};

// A seal that takes the place of the one that a store has: `automatic`, or Shamir's where that is null. It must outlive
// whoever has this.
struct NextSeal {
  KeyWrapper* automatic = nullptr;
};

// Unsealing by people, share by share: with the shares of Shamir's seal, or, for a node with an automatic seal that was
// sealed by hand, with recovery shares as permission and the seal's own key. Not thread-safe.
class UnsealCeremony {
 public:
  // The records as initialize() made them. `automatic` is the seal that they were made with, null for Shamir's; it must
  // outlive this object. With `next`, the shares are given to move to that seal too: unseal shares become recovery
  // shares, or the reverse, and the same people have them.
  UnsealCeremony(SealConfig config, std::string keyring_record, KeyWrapper* automatic = nullptr,
                 std::optional<NextSeal> next = std::nullopt);

  bool migrates() const noexcept { return next_.has_value(); }

  CeremonyProgress progress() const { return collector_.progress(); }
  void reset() noexcept;

  // Nothing yet, or the keys once the threshold is reached; with an automatic seal that last call may take as long as
  // the seal does. A set of shares that does not open the seal gives one error, whatever is wrong with it, and starts
  // over. The shares of such a set are kept all the same, the last few, and tried together with those that follow: one
  // wrong share, whoever gave it, does not undo what others have given. kInvalid, before any share is taken, when the
  // store was sealed by another kind of seal than the configured one.
  Result<std::optional<Unsealed>> submit(const SecretBytes& share, RandomSource& random);

 private:
  Result<Unsealed> open_with(SecretBytes combined, RandomSource& random);
  Result<Unsealed> open_stored(SecretBytes combined);
  Result<std::optional<Unsealed>> open_with_earlier(const SecretBytes& share, RandomSource& random);
  void keep_for_later();

  SealConfig config_;
  std::string keyring_record_;
  KeyWrapper* automatic_;
  std::optional<NextSeal> next_;
  ShareCollector collector_;
  std::vector<SecretBytes> earlier_;  // of sets that opened nothing
};

// By a seal whose key is at hand. May take as long as the seal's service does. Fails as unwrap_root_key and
// Keyring::open do.
Result<Unsealed> unseal_automatically(const SealConfig& config, std::string_view keyring_record, KeyWrapper& wrapper);

}  // namespace coffer::seal
