// The barrier: what is stored is sealed here and opened here, bound to the place where it is stored
// (docs/formats/sealed_value.md).
//
// A nonce is 24 bytes: a prefix drawn at random by each barrier object and again every 2^32 seals, a counter, and 6
// bytes drawn once a transaction, so that a machine that was cloned or resumed from a snapshot does not repeat one
// either. The prefix selects a derived AES key; keys and their cipher contexts are kept in lanes that threads borrow
// for one call, so sealing and opening are plain AES-GCM and allocate nothing but the output.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/rng.h"
#include "base/status.h"
#include "seal/keyring.h"

namespace coffer::seal {

// What sealing adds to a value's size.
inline constexpr std::size_t kSealedOverheadBytes = 1 + 4 + 4 + 24 + 16;

class Barrier;

// Seals the values of one transaction. Movable, one thread at a time (it may change threads between calls). The barrier
// and the random source must outlive it.
class SealSession {
 public:
  SealSession(SealSession&& other) noexcept;
  SealSession& operator=(SealSession&&) = delete;
  ~SealSession();

  // Replaces `out` by the sealed value. Fails only when the random source does; `out` is empty then and the transaction
  // must fail.
  Status seal(std::string_view path, std::span<const std::uint8_t> plaintext, std::string& out);
  Status seal(std::string_view path, std::string_view plaintext, std::string& out);

  KeyTerm term() const noexcept;

 private:
  friend class Barrier;
  static constexpr std::size_t kDrawnBytes = 6;
  SealSession(const Barrier& barrier, RandomSource& random) noexcept : barrier_(&barrier), random_(&random) {}

  const Barrier* barrier_;  // null after a move
  RandomSource* random_;
  std::array<std::uint8_t, kDrawnBytes> drawn_{};
  std::uint64_t seals_ = 0;
};

// Belongs to one keyring snapshot. Published with the view by a shared pointer; when the last holder lets go, all
// derived keys are wiped. Any number of threads may use it at once.
class Barrier {
 public:
  // For tests: smaller numbers reach the borders sooner. The hard limit of 2^32 seals a prefix cannot be raised.
  struct Limits {
    std::uint64_t seals_per_prefix = std::uint64_t{1} << 32;
    std::uint32_t seals_per_block = 1024;  // counters that a lane takes at a time
  };

  static std::shared_ptr<const Barrier> create(std::shared_ptr<const Keyring> keyring);
  static std::shared_ptr<const Barrier> create(std::shared_ptr<const Keyring> keyring, Limits limits);
  ~Barrier();
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;

  const std::shared_ptr<const Keyring>& keyring() const noexcept { return keyring_; }

  // Starts a transaction's seals: draws its nonce bytes. Fails when the random source does.
  Result<SealSession> begin(RandomSource& random) const;

  // Bytes that open() writes, or 0 for what is too short to be a sealed value (open() refuses it).
  static std::size_t plaintext_size(std::string_view sealed) noexcept {
    return sealed.size() < kSealedOverheadBytes ? 0 : sealed.size() - kSealedOverheadBytes;
  }

  // Opens a value stored at `path` into `out`, which must have room for plaintext_size(sealed) bytes; returns that
  // number. kUnavailable: sealed under a term that this keyring does not hold: wait for the applied keyring and try
  // once more. kDataLoss: anything else; the text does not say what. After a failure `out` holds nothing of the
  // plaintext.
  Result<std::size_t> open(std::string_view path, std::string_view sealed, std::span<std::uint8_t> out) const;

 private:
  friend class SealSession;
  struct Prefix;
  struct Lane;
  class Borrowed;

  Barrier(std::shared_ptr<const Keyring> keyring, Limits limits);
  Status refill(Lane& lane, RandomSource& random) const;
  Status seal(std::string_view path, std::span<const std::uint8_t> plaintext, SealSession& session,
              std::string& out) const;

  std::shared_ptr<const Keyring> keyring_;
  Limits limits_;
  struct Shared;
  std::unique_ptr<Shared> shared_;  // lanes and the current prefix
};

}  // namespace coffer::seal
