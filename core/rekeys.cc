#include "core/rekeys.h"

#include <utility>

#include "base/mutant.h"
#include "seal/init.h"

namespace coffer::core {
namespace {

std::size_t place(bool recovery) { return recovery ? 1 : 0; }

// Until it goes, however that comes.
class Trying {
 public:
  explicit Trying(std::atomic<bool>& flag) : flag_(flag) { flag_ = true; }
  ~Trying() { flag_ = false; }
  Trying(const Trying&) = delete;
  Trying& operator=(const Trying&) = delete;

 private:
  std::atomic<bool>& flag_;
};

Status none_under_way() { return Status(Code::kInvalid, "no rekey in progress"); }

}  // namespace

Rekeys::Slot* Rekeys::current(const Asked& asked) {
  std::optional<Slot>& slot = slots_[place(asked.recovery)];
  if (slot && (slot->term != asked.term || asked.now >= slot->ends))
    slot.reset();
  return slot ? &*slot : nullptr;
}

Rekeys::State Rekeys::state_of(const Slot* slot) const {
  State out;
  if (slot == nullptr)
    return out;
  out.started = true;
  out.nonce = slot->rekey.nonce();
  out.request = slot->rekey.request();
  out.given = slot->rekey.progress();
  out.verifying = slot->rekey.verifies();
  out.verification_nonce = slot->rekey.verification_nonce();
  out.shown = slot->rekey.verified();
  return out;
}

Rekeys::State Rekeys::state(const Asked& asked) {
  const std::lock_guard lock(mutex_);
  return state_of(current(asked));
}

Result<Rekeys::State> Rekeys::begin(const Asked& asked, seal::RekeyRequest request, std::string_view record) {
  COFFER_ASSIGN(const seal::SealConfig config, seal::SealConfig::decode(record));
  COFFER_TRY(seal::check_key_count(request.pgp_keys, request.counts, pgp_));
  if (request.backup && request.pgp_keys.empty())
    return Status(Code::kInvalid, "cannot request a backup of the new keys without providing PGP keys for encryption");
  if (!request.pgp_keys.empty()) {
    COFFER_ASSIGN(request.fingerprints, pgp_->fingerprints(request.pgp_keys));
  }
  const std::lock_guard lock(mutex_);
  if (current(asked) != nullptr || trying_[place(asked.recovery)])
    return Status(Code::kInvalid, "rekey already in progress");
  COFFER_ASSIGN(seal::Rekey rekey, seal::Rekey::begin(request, config, random_));
  std::optional<Slot>& slot = slots_[place(asked.recovery)];
  slot.emplace(Slot{std::move(rekey), asked.term, asked.now + kTimeMax});
  return state_of(&*slot);
}

// Nonces are no secrets to whoever may know them: only a token's bearer is told which one it is.
Status Rekeys::check_nonce(const Asked& asked, std::string_view given, std::string_view wanted,
                           std::string_view what) const {
  if (given == wanted)
    return ok_status();
  const std::string text = "incorrect nonce supplied; nonce for this " + std::string(what) + " operation is ";
  return Status(Code::kInvalid, text + (asked.by_token ? std::string(wanted) : "told to whoever began it"));
}

Status Rekeys::cancel(const Asked& asked, std::string_view nonce) {
  const std::lock_guard lock(mutex_);
  const Slot* slot = current(asked);
  if (slot == nullptr)
    return ok_status();
  if (nonce.empty() && !mutant(Mutant::kRekeyEndedByAnybody))
    return Status(Code::kInvalid, "missing 'nonce': whoever cancels a rekey names it");
  if (!mutant(Mutant::kRekeyEndedByAnybody))
    COFFER_TRY(check_nonce(asked, nonce, slot->rekey.nonce(), "rekey"));
  slots_[place(asked.recovery)].reset();
  return ok_status();
}

Result<Rekeys::Step> Rekeys::give(const Asked& asked, std::string_view nonce, const SecretBytes& share,
                                  std::string_view record, const SecretBytes& root_key) {
  const std::size_t at = place(asked.recovery);
  std::unique_lock lock(mutex_);
  Slot* slot = current(asked);
  if (slot == nullptr)
    return none_under_way();
  if (!mutant(Mutant::kRekeySharesOfAnyNonce))
    COFFER_TRY(check_nonce(asked, nonce, slot->rekey.nonce(), "rekey"));
  if (trying_[at])
    return Status(Code::kUnavailable, "the shares are being tried, ask again");
  if (slot->rekey.verifies())
    return Status(Code::kInvalid, "the new shares are made and have to be shown now, see rekey/verify");
  COFFER_TRY(slot->rekey.give(share, random_));
  if (!slot->rekey.complete())
    return Step{state_of(slot), std::nullopt, false};
  Result<SecretBytes> combined = slot->rekey.combine();
  if (!combined.ok())
    return Status(Code::kInvalid, "unseal key verification failed");
  const seal::RekeyRequest request = slot->rekey.request();
  const std::string own = slot->rekey.nonce();
  const Trying trying(trying_[at]);
  lock.unlock();
  Result<seal::Rekeyed> made =
      seal::make_new_shares(request, record, std::move(*combined), root_key, automatic_, pgp_, random_);
  lock.lock();
  COFFER_TRY(made.status());
  slot = current(asked);
  if (slot == nullptr || slot->rekey.nonce() != own)
    return Status(Code::kUnavailable, "the rekey was ended meanwhile, nothing was changed");
  if (!request.verify) {
    Step step{state_of(slot), std::move(*made), true};
    slots_[at].reset();
    return step;
  }
  seal::Rekeyed told;
  told.shares = std::exchange(made->shares, {});
  told.encrypted = made->encrypted;
  COFFER_TRY(slot->rekey.expect(std::move(*made), random_));
  return Step{state_of(slot), std::move(told), false};
}

Result<Rekeys::Step> Rekeys::show(const Asked& asked, std::string_view nonce, const SecretBytes& share,
                                  const SecretBytes& root_key) {
  const std::lock_guard lock(mutex_);
  Slot* const slot = current(asked);
  if (slot == nullptr)
    return none_under_way();
  if (!slot->rekey.verifies())
    return Status(Code::kInvalid, "no rekey verification in progress");
  COFFER_TRY(check_nonce(asked, nonce, slot->rekey.verification_nonce(), "verify"));
  COFFER_ASSIGN(std::optional<seal::Rekeyed> made, slot->rekey.show(share, root_key, random_));
  Step step{state_of(slot), std::move(made), false};
  step.in_effect = step.made.has_value();
  if (step.in_effect)
    slots_[place(asked.recovery)].reset();
  return step;
}

Result<Rekeys::State> Rekeys::show_anew(const Asked& asked) {
  const std::lock_guard lock(mutex_);
  Slot* const slot = current(asked);
  if (slot == nullptr || !slot->rekey.verifies())
    return Status(Code::kInvalid, "no rekey verification in progress");
  COFFER_TRY(slot->rekey.show_anew(random_));
  return state_of(slot);
}

void Rekeys::forget() {
  const std::lock_guard lock(mutex_);
  slots_ = {};
}

}  // namespace coffer::core
