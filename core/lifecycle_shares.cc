// How people unseal a node: share by share (seal/unseal.h).
#include <utility>

#include "base/mutant.h"
#include "core/layout.h"
#include "core/lifecycle.h"
#include "core/owed.h"

namespace coffer::core {
namespace {

bool flag(const json::Value& body, std::string_view name) {
  const json::Value* value = body.find(name);
  return value != nullptr && value->is_bool() && value->as_bool();
}

}  // namespace

// Under mutex_.
Status Lifecycle::begin_ceremony() {
  if (ceremony_ != nullptr)
    return ok_status();
  if (pending_) {
    ceremony_ = std::make_shared<seal::UnsealCeremony>(pending_->records.seal, pending_->records.keyring,
                                                       ports_.automatic);
    return ok_status();
  }
  COFFER_ASSIGN(const std::unique_ptr<store::View> view, ports_.backend.view());
  COFFER_TRY(load_records(*view));
  COFFER_ASSIGN(seal::SealConfig config, seal::SealConfig::decode(seal_record_));
  if (!status_.migrating) {
    ceremony_ = std::make_shared<seal::UnsealCeremony>(std::move(config), keyring_record_, ports_.automatic);
    return ok_status();
  }
  seal::KeyWrapper* const opener = config.automatic() ? ports_.former : nullptr;
  ceremony_ = std::make_shared<seal::UnsealCeremony>(std::move(config), keyring_record_, opener,
                                                     seal::NextSeal{ports_.automatic});
  return ok_status();
}

void Lifecycle::answer_unseal(std::unique_lock<std::mutex> lock, std::unique_ptr<Exchange> exchange,
                              const Status& status) const {
  if (status.ok())
    answer_status(*exchange, status_);
  else
    refuse(*exchange, "unseal", status);
  lock.unlock();
  respond(std::move(exchange));
}

void Lifecycle::start_unseal(std::unique_ptr<Exchange> exchange) {
  const json::Value& body = exchange->request.data;
  const std::string_view key = body.string_or("key", "");
  std::unique_lock lock(mutex_);
  const auto answer_now = [&](const Status& status) { answer_unseal(std::move(lock), std::move(exchange), status); };
  if (!status_.initialized)
    return answer_now(Status(Code::kInvalid, "server is not yet initialized"));
  if (!status_.sealed || busy_)
    return answer_now(Status());
  if (trying_)
    return answer_now(Status(Code::kUnavailable, "the shares are being tried, ask again"));
  if (flag(body, "reset")) {
    // Nobody drops shares that others have given without having looked at them (advisory J9).
    if (status_.progress.have > 0 && !mutant(Mutant::kResetWithoutNonce) &&
        body.string_or("nonce", "") != status_.progress.nonce)
      return answer_now(Status(
          Code::kInvalid, "shares have been given: 'reset' needs the 'nonce' of this attempt, see sys/seal-status"));
    ceremony_.reset();
    status_.progress = {};
    publish(status_);
    return answer_now(Status());
  }
  if (key.empty())
    return answer_now(
        Status(Code::kInvalid, "'key' must be specified in request body as JSON, or 'reset' set to true"));
  Result<SecretBytes> share = seal::parse_share(key);
  if (!share.ok())
    return answer_now(share.status());
  if (const Status begun = begin_ceremony(); !begun.ok())
    return answer_now(begun);
  if (const Status may = check_migration(flag(body, "migrate")); !may.ok())
    return answer_now(may);
  if (!asks_outside()) {
    auto unsealed = ceremony_->submit(*share, ports_.random);
    return take_share(std::move(lock), std::move(exchange), std::move(unsealed));
  }
  trying_ = true;
  lock.unlock();
  auto owed = std::make_shared<Owed>(std::move(exchange));
  auto kept = std::make_shared<const SecretBytes>(std::move(*share));
  if (run_apart([this, owed, kept] { try_share(kept, owed->take()); }))
    return;
  lock.lock();
  trying_ = false;
  answer_unseal(std::move(lock), owed->take(), too_many_calls());
}

// trying_ is set: nobody else touches the ceremony, and mutex_ is not held while the seal is asked.
void Lifecycle::try_share(std::shared_ptr<const SecretBytes> share, std::unique_ptr<Exchange> exchange) {
  std::unique_lock lock(mutex_);
  const std::shared_ptr<seal::UnsealCeremony> ceremony = ceremony_;
  lock.unlock();
  Result<std::optional<seal::Unsealed>> unsealed = std::optional<seal::Unsealed>();
  if (ceremony != nullptr)
    unsealed = ceremony->submit(*share, ports_.random);
  lock.lock();
  trying_ = false;
  if (!status_.sealed || busy_)
    return answer_unseal(std::move(lock), std::move(exchange), Status());
  if (ceremony != ceremony_ || ceremony == nullptr)
    return answer_unseal(std::move(lock), std::move(exchange),
                         Status(Code::kUnavailable, "the seal's record was changed meanwhile, give the shares again"));
  take_share(std::move(lock), std::move(exchange), std::move(unsealed));
}

// What a share led to.
void Lifecycle::take_share(std::unique_lock<std::mutex> lock, std::unique_ptr<Exchange> exchange,
                           Result<std::optional<seal::Unsealed>> unsealed) {
  status_.progress = ceremony_->progress();
  publish(status_);
  if (unsealed.code() == Code::kDataLoss) {
    ceremony_.reset();  // the next one reads the records anew
    return answer_unseal(std::move(lock), std::move(exchange),
                         damaged(layout::kKeyring, unsealed.status().message()));
  }
  if (unsealed.code() == Code::kInvalid)
    ports_.logger.warn("core", "shares were refused", {{"remote_address", exchange->request.remote_address}});
  if (!unsealed.ok() || !unsealed->has_value())
    return answer_unseal(std::move(lock), std::move(exchange), unsealed.status());
  busy_ = true;
  if (!(*unsealed)->migrated.empty())
    migration_ = Migration{seal_record_, std::move((*unsealed)->migrated)};
  const bool joins = pending_.has_value();
  lock.unlock();
  auto owed = std::make_shared<Owed>(std::move(exchange));
  const auto done = [this, owed](const Status& status) {
    if (status.ok())
      answer_status(**owed, *published_.load());
    else
      refuse(**owed, "unseal", status);
    respond(owed->take());
  };
  if (joins)
    enter(std::make_shared<seal::Unsealed>(std::move(**unsealed)), done);
  else
    unseal_with(std::move(**unsealed), done);
}

}  // namespace coffer::core
