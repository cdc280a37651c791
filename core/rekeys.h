// The exchanges of shares that are under way (seal/rekey.h): one of unseal shares, one of recovery shares. They are in
// the memory of the node that leads and end with its leadership, with its seal, and after kTimeMax.
//
// Who begins one, and who ends one before its time, needs a token that may (core/sys_rekey.cc); who gives a share needs
// the exchange's nonce, which only its beginner and whoever has a token are told (advisories J7, J8).
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/strong.h"
#include "seal/rekey.h"

namespace coffer::core {

// Thread-safe.
class Rekeys {
 public:
  static constexpr Nanos kTimeMax = std::chrono::hours(24);

  // When and for whom something is asked. `term` is of the leadership.
  struct Asked {
    bool recovery = false;
    Term term;
    WallTime now{};
    bool by_token = false;  // nonces may be told
  };
  // As it is told. `verifying`: the new shares are made and wait to be shown.
  struct State {
    bool started = false;
    std::string nonce;
    seal::RekeyRequest request;
    seal::CeremonyProgress given;
    bool verifying = false;
    std::string verification_nonce;
    seal::CeremonyProgress shown;
  };
  // What a share led to. `made` is there for the one that completed a set: its shares are to be told when they are in
  // it, and its record is to be stored if `in_effect`.
  struct Step {
    State state;
    std::optional<seal::Rekeyed> made;
    bool in_effect = false;
  };

  // `automatic` is null for Shamir's seal, `pgp` where nothing is encrypted to keys. All outlive this.
  Rekeys(seal::KeyWrapper* automatic, crypto::PgpEncryptor* pgp, RandomSource& random)
      : automatic_(automatic), pgp_(pgp), random_(random) {}

  // `recovery` and `term` of `asked` count. Never fails.
  State state(const Asked& asked);

  // `record` is the stored configuration of the seal. kInvalid when one is under way, or for keys that shares cannot be
  // encrypted to. Blocks as long as the look at these keys takes; `request` has no fingerprints yet.
  Result<State> begin(const Asked& asked, seal::RekeyRequest request, std::string_view record);

  // kInvalid for another nonce than its own; no error when none is under way.
  Status cancel(const Asked& asked, std::string_view nonce);

  // Blocks as long as the seal does when the share completes its set. kInvalid: none is under way, another nonce, no
  // share, or shares that are not this seal's; kUnavailable: another set is being tried.
  Result<Step> give(const Asked& asked, std::string_view nonce, const SecretBytes& share, std::string_view record,
                    const SecretBytes& root_key);
  Result<Step> show(const Asked& asked, std::string_view nonce, const SecretBytes& share, const SecretBytes& root_key);
  // The new shares have to be shown anew, with another nonce. kInvalid when none are to be shown.
  Result<State> show_anew(const Asked& asked);

  // The node is sealed.
  void forget();

 private:
  struct Slot {
    seal::Rekey rekey;
    Term term;
    WallTime ends{};
  };
  // Under mutex_. Null when none is under way.
  Slot* current(const Asked& asked);
  State state_of(const Slot* slot) const;
  Status check_nonce(const Asked& asked, std::string_view given, std::string_view wanted, std::string_view what) const;

  seal::KeyWrapper* const automatic_;
  crypto::PgpEncryptor* const pgp_;
  RandomSource& random_;
  std::array<std::atomic<bool>, 2> trying_{};  // a set of shares is being tried, without the lock
  std::mutex mutex_;                           // guards the rest
  std::array<std::optional<Slot>, 2> slots_;   // of unseal shares, of recovery shares
};

}  // namespace coffer::core
