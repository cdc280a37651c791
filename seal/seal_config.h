// What is stored in the clear about the seal: its kind, how many shares there are, and the root key as the seal wrapped
// it (docs/formats/seal_config.md). Read before anything can be opened, so its numbers are bound into the wrapping.
#pragma once

#include <string>
#include <string_view>

#include "base/rng.h"
#include "base/secret.h"
#include "base/status.h"
#include "seal/seal.h"

namespace coffer::seal {

inline constexpr std::size_t kSealConfigBytesMax = 8192;

struct ShareCounts {
  unsigned shares = 0;
  unsigned threshold = 0;
  bool operator==(const ShareCounts&) const = default;
};

// 1 <= threshold <= shares <= 255, and a threshold of 1 only for one share. kInvalid with the text that Vault has for
// it.
Status check_share_counts(ShareCounts counts);

struct SealConfig {
  std::string kind;           // of the seal that wrapped the root key
  ShareCounts counts;         // unseal shares of shamir, recovery shares of an automatic seal
  std::string wrapped_root_key;
  std::string recovery_check; // salt and tag that only the recovery key gives; empty for shamir

  bool automatic() const noexcept { return kind != kShamirKind; }

  std::string encode() const;
  // kDataLoss for anything that encode() cannot have written.
  static Result<SealConfig> decode(std::string_view record);
};

// A configuration with the root key wrapped by `wrapper` (for shamir the wrapper of the combined key); `recovery_key`
// is ignored for shamir. Fails when the wrapper or the random source does.
Result<SealConfig> make_seal_config(KeyWrapper& wrapper, ShareCounts counts, const SecretBytes& root_key,
                                    const SecretBytes& recovery_key, RandomSource& random);

// The same under the node's seal: `automatic`, or Shamir's where that is null. `shared` is what people share: the
// unseal key or the recovery key.
Result<SealConfig> make_seal_config(KeyWrapper* automatic, ShareCounts counts, const SecretBytes& root_key,
                                    SecretBytes shared, RandomSource& random);

// The same configuration with the root key wrapped by the seal's present key. Fails as wrap() does.
Result<SealConfig> wrap_anew(const SealConfig& config, const SecretBytes& root_key, KeyWrapper& wrapper,
                             RandomSource& random);

// kInvalid when the store was sealed by another kind of seal than `configured`.
Status check_kind(const SealConfig& config, std::string_view configured);

// The root key. kInvalid when `wrapper` is of another kind than the configuration's; else as KeyWrapper::unwrap.
Result<SecretBytes> unwrap_root_key(const SealConfig& config, KeyWrapper& wrapper);

// Whether `key`, combined from recovery shares, is the recovery key. kInvalid if not, or if the seal has none.
Status verify_recovery_key(const SealConfig& config, const SecretBytes& key);

}  // namespace coffer::seal
