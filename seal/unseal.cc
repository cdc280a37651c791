#include "seal/unseal.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/encoding.h"
#include "seal/shamir.h"

namespace coffer::seal {
namespace {

constexpr std::size_t kShareTextBytesMax = 512;
constexpr std::size_t kEarlierSharesMax = 8;   // or the threshold, if that is more
constexpr std::size_t kCombinationsMax = 500;  // tried for one share
// What Vault accepts as a key share of any kind; outside of it its texts are kept.
constexpr std::size_t kAnyShareBytesMin = 16;
constexpr std::size_t kAnyShareBytesMax = kKeyBytes + kShareOverheadBytes;

Status wrong_shares() { return Status(Code::kInvalid, "Unseal failed, invalid key"); }

Status check_share_size(std::size_t size, ShareCounts counts) {
  if (size < kAnyShareBytesMin)
    return Status(Code::kInvalid,
                  "invalid key: key is shorter than minimum " + std::to_string(kAnyShareBytesMin) + " bytes");
  if (size > kAnyShareBytesMax)
    return Status(Code::kInvalid,
                  "invalid key: key is longer than maximum " + std::to_string(kAnyShareBytesMax) + " bytes");
  const std::size_t expected = counts.threshold == 1 ? kKeyBytes : kKeyBytes + kShareOverheadBytes;
  if (size != expected)
    return Status(Code::kInvalid, "invalid key: key has " + std::to_string(size) + " bytes, a share of this seal has " +
                                      std::to_string(expected));
  return Status();
}

// All are compared, so that the time does not tell which one it was.
bool holds(const std::vector<SecretBytes>& shares, const SecretBytes& share) {
  bool known = false;
  for (const SecretBytes& one : shares)
    known |= one.equals(share);
  return known;
}

}  // namespace

Result<SecretBytes> parse_share(std::string_view text) {
  if (!text.empty() && text.size() <= kShareTextBytesMax) {
    if (auto bytes = hex_decode_secret(text); bytes.ok())
      return bytes;
    if (auto bytes = base64_decode_secret(text); bytes.ok() && !bytes->empty())
      return bytes;
  }
  return Status(Code::kInvalid, "'key' must be a valid hex or base64 string");
}

Status ShareCollector::add(const SecretBytes& share, RandomSource& random) {
  COFFER_TRY(check_share_size(share.size(), counts_));
  if (complete())
    return Status();
  if (holds(shares_, share))
    return Status();
  if (nonce_.empty()) {
    COFFER_ASSIGN(nonce_, random_uuid(random));
  }
  shares_.push_back(share.clone());
  return Status();
}

Result<SecretBytes> ShareCollector::combine() {
  COFFER_CHECK(complete());
  auto combined = counts_.threshold == 1 ? Result<SecretBytes>(std::move(shares_.front())) : shamir_combine(shares_);
  reset();
  return combined;
}

void ShareCollector::reset() noexcept {
  shares_.clear();
  nonce_.clear();
}

UnsealCeremony::UnsealCeremony(SealConfig config, std::string keyring_record, KeyWrapper* automatic,
                               std::optional<NextSeal> next)
    : config_(std::move(config)),
      keyring_record_(std::move(keyring_record)),
      automatic_(automatic),
      next_(next),
      collector_(config_.counts) {}

Result<std::optional<Unsealed>> UnsealCeremony::submit(const SecretBytes& share, RandomSource& random) {
  COFFER_TRY(check_kind(config_, automatic_ == nullptr ? kShamirKind : automatic_->kind()));
  COFFER_TRY(collector_.add(share, random));
  COFFER_ASSIGN(std::optional<Unsealed> found, open_with_earlier(share, random));
  if (found) {
    reset();
    return found;
  }
  if (!collector_.complete())
    return std::optional<Unsealed>();
  keep_for_later();
  auto combined = collector_.combine();
  if (!combined.ok())
    return wrong_shares();
  COFFER_ASSIGN(Unsealed unsealed, open_with(std::move(*combined), random));
  reset();
  return std::optional<Unsealed>(std::move(unsealed));
}

void UnsealCeremony::reset() noexcept {
  collector_.reset();
  earlier_.clear();
}

void UnsealCeremony::keep_for_later() {
  if (config_.counts.threshold == 1)
    return;
  for (const SecretBytes& share : collector_.shares())
    if (!holds(earlier_, share))
      earlier_.push_back(share.clone());
  while (earlier_.size() > std::max<std::size_t>(kEarlierSharesMax, config_.counts.threshold))
    earlier_.erase(earlier_.begin());
}

// Every set of this share and others of this attempt and of earlier ones, as many as there may be.
Result<std::optional<Unsealed>> UnsealCeremony::open_with_earlier(const SecretBytes& share,
                                                                  RandomSource& random) {
  std::vector<const SecretBytes*> others;
  for (const SecretBytes& one : collector_.shares())
    if (!one.equals(share))
      others.push_back(&one);
  for (const SecretBytes& one : earlier_)
    if (!one.equals(share) && !holds(collector_.shares(), one))
      others.push_back(&one);
  const std::size_t more = config_.counts.threshold - 1;
  if (earlier_.empty() || others.size() < more)
    return std::optional<Unsealed>();
  std::vector<char> chosen(others.size(), 0);
  std::fill(chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(more), 1);
  std::size_t left = kCombinationsMax;
  do {
    std::vector<SecretBytes> set;
    set.push_back(share.clone());
    for (std::size_t i = 0; i < others.size(); ++i)
      if (chosen[i] != 0)
        set.push_back(others[i]->clone());
    auto combined = shamir_combine(set);
    if (!combined.ok())
      continue;
    auto unsealed = open_with(std::move(*combined), random);
    if (unsealed.ok())
      return std::optional<Unsealed>(std::move(*unsealed));
    if (unsealed.code() != Code::kInvalid)
      return unsealed.status();
  } while (--left > 0 && std::prev_permutation(chosen.begin(), chosen.end()));
  return std::optional<Unsealed>();
}

Result<Unsealed> UnsealCeremony::open_with(SecretBytes combined, RandomSource& random) {
  SecretBytes shared = next_ ? combined.clone() : SecretBytes();
  COFFER_ASSIGN(Unsealed unsealed, open_stored(std::move(combined)));
  if (next_) {
    auto config = make_seal_config(next_->automatic, config_.counts, unsealed.root_key, std::move(shared), random);
    if (!config.ok())
      return config.status().with_context("the seal to migrate to");
    unsealed.migrated = config->encode();
  }
  return unsealed;
}

Result<Unsealed> UnsealCeremony::open_stored(SecretBytes combined) {
  if (config_.automatic()) {
    if (!verify_recovery_key(config_, combined).ok())
      return wrong_shares();
    return unseal_automatically(config_, keyring_record_, *automatic_);
  }
  const auto wrapper = make_shamir_wrapper(std::move(combined));
  auto unsealed = unseal_automatically(config_, keyring_record_, *wrapper);
  if (unsealed.code() == Code::kDenied)
    return wrong_shares();
  return unsealed;
}

Result<Unsealed> unseal_automatically(const SealConfig& config, std::string_view keyring_record, KeyWrapper& wrapper) {
  COFFER_ASSIGN(SecretBytes root_key, unwrap_root_key(config, wrapper));
  COFFER_ASSIGN(auto keyring, Keyring::open(keyring_record, KeyringId(0), root_key));
  return Unsealed{std::move(root_key), std::move(keyring), std::string()};
}

}  // namespace coffer::seal
