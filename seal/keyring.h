// The keys that seal values: one a term, the newest seals, older ones still open. A keyring is itself stored sealed by
// the root key (docs/formats/keyring.md).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "base/secret.h"
#include "base/status.h"
#include "base/strong.h"

namespace coffer::seal {

inline constexpr std::size_t kKeyBytes = 32;        // root key, barrier keys
inline constexpr std::size_t kKeyTermsMax = 65536;  // terms of one keyring; rotating further is refused

// One term's key. Immutable but for the count; shared by all keyrings that hold the term, wiped with the last of them.
struct TermKey {
  KeyTerm term;
  WallTime installed;
  SecretBytes key;
  mutable std::atomic<std::uint64_t> encryptions{0};  // relaxed; this node's, added to what was stored
};

// Immutable; shared by snapshot pointers. Any thread.
class Keyring {
 public:
  struct TermInfo {
    KeyTerm term;
    WallTime installed;
    std::uint64_t encryptions = 0;  // an estimate: what a crash or another node counted since the last store is missing
  };

  // A keyring with term 1. Fails when the random source does.
  static Result<std::shared_ptr<const Keyring>> create(KeyringId id, WallTime now, RandomSource& random);

  // The same with one more term, which becomes the active one; this object is unchanged. kExhausted at kKeyTermsMax.
  Result<std::shared_ptr<const Keyring>> rotated(WallTime now, RandomSource& random) const;

  KeyringId id() const noexcept { return id_; }
  KeyTerm active_term() const noexcept { return terms_.back()->term; }
  std::size_t term_count() const noexcept { return terms_.size(); }

  const TermKey& active() const noexcept { return *terms_.back(); }
  // Null when this keyring does not hold the term.
  const TermKey* find(KeyTerm term) const noexcept {
    return term.get() == 0 || term.get() > terms_.size() ? nullptr : terms_[term.get() - 1].get();
  }
  TermInfo info(KeyTerm term) const;  // the term must be held
  TermInfo active_info() const { return info(active_term()); }

  // 32 bytes for a purpose of its own (keyed hashes, the cluster's certificate authority). Stays the same through
  // rotations.
  SecretBytes derive(std::string_view purpose) const;

  // The record to store. Fails only when the random source does.
  Result<std::string> seal(const SecretBytes& root_key, RandomSource& random) const;

  // kDataLoss when the record is damaged, is not this keyring's or was sealed by another root key.
  static Result<std::shared_ptr<const Keyring>> open(std::string_view record, KeyringId id,
                                                     const SecretBytes& root_key);

 private:
  Keyring() = default;
  SecretBytes encode() const;
  static Result<std::shared_ptr<const Keyring>> decode(std::span<const std::uint8_t> plaintext, KeyringId id);

  KeyringId id_;
  SecretBytes stable_;  // what derive() derives from
  std::vector<std::shared_ptr<const TermKey>> terms_;  // term t at place t - 1, never empty
};

}  // namespace coffer::seal
