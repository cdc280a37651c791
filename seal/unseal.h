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

  // The first share draws the nonce. A share that is there already changes nothing and is no error, nor is one handed in when complete.
  // kInvalid for a size that no share of this ceremony has.
  Status add(const SecretBytes& share, RandomSource& random);

  // What the shares combine to, right or wrong; the collector is empty afterwards in any case. Must be complete.
  Result<SecretBytes> combine();

  void reset() noexcept;

 private:
  ShareCounts counts_;
  std::vector<SecretBytes> shares_;
  std::string nonce_;
};

struct Unsealed {
  SecretBytes root_key;
  std::shared_ptr<const Keyring> keyring;
};

// Shamir's seal, share by share. Not thread-safe.
class UnsealCeremony {
 public:
  // The records as initialize() made them. The configuration must be shamir's.
  UnsealCeremony(SealConfig config, std::string keyring_record);

  CeremonyProgress progress() const { return collector_.progress(); }
  void reset() noexcept { collector_.reset(); }

  // Nothing yet, or the keys once the threshold is reached. A set of shares that does not open the seal gives one error, whatever
  // is wrong with it, and starts over.
  Result<std::optional<Unsealed>> submit(const SecretBytes& share, RandomSource& random);

 private:
  SealConfig config_;
  std::string keyring_record_;
  ShareCollector collector_;
};

// An automatic seal. May take as long as the seal's service does.
Result<Unsealed> unseal_automatically(const SealConfig& config, std::string_view keyring_record, KeyWrapper& wrapper);

}  // namespace coffer::seal
