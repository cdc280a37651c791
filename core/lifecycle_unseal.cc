// How a node with a seal that opens by itself is unsealed at its start, and after its state was replaced.
#include <algorithm>
#include <utility>

#include "core/layout.h"
#include "core/lifecycle.h"
#include "core/seal_health.h"

namespace coffer::core {
namespace {

constexpr Nanos kSealPauseMin = std::chrono::seconds(1);  // then twice as long each time
constexpr Nanos kSealPauseMax = std::chrono::seconds(30);

}  // namespace

Status Lifecycle::begin() {
  Result<std::unique_ptr<store::View>> view = ports_.backend.view();
  if (!view.ok())
    return view.status().with_context("cannot read the store");
  Result<seal::Unsealed> unsealed = Status(Code::kUnavailable, "not tried");
  std::string seal_record;
  {
    const std::lock_guard lock(mutex_);
    foreign_ = false;  // what is there now may be another's
    COFFER_TRY(load_records(**view));
    publish(status_);
    if (status_.migrating)
      tell_migration();
    if (!status_.initialized || status_.migrating || ports_.automatic == nullptr)
      return Status();
    if (ports_.automatic->remote()) {
      keep_unsealing();
      return Status();
    }
    seal_record = seal_record_;
    const Result<seal::SealConfig> config = seal::SealConfig::decode(seal_record);
    unsealed = config.ok() ? seal::unseal_automatically(*config, keyring_record_, *ports_.automatic)
                           : Result<seal::Unsealed>(config.status());
  }
  view->reset();
  if (may_be_of_former(unsealed.status()))
    return Status();
  if (unsealed.code() == Code::kDataLoss)
    return damaged(layout::kKeyring, unsealed.status().message());
  if (!unsealed.ok()) {
    ports_.logger.error("core", "cannot unseal: " + unsealed.status().message(), {{"seal", ports_.automatic->kind()}});
    return Status();
  }
  wrap_anew(seal_record, unsealed->root_key);
  unseal_by_itself(std::move(unsealed).value());
  return Status();
}

void Lifecycle::unseal_by_itself(seal::Unsealed unsealed) {
  unseal_with(std::move(unsealed), [this](const Status& status) {
    if (status.ok())
      ports_.logger.info("core", "unsealed with stored key");
  });
}

// Under mutex_. Who tries already goes on with the records as they are now.
void Lifecycle::keep_unsealing() {
  if (stopping_ || std::exchange(keeps_unsealing_, true))
    return;
  if (unsealer_.joinable())
    unsealer_.join();  // it has ended: its last act was to say so
  unsealer_ = std::thread([this] { try_seal(); });
}

// Until the node is unsealed, by this or by people with recovery keys, or there is no hope.
void Lifecycle::try_seal() {
  Nanos pause_time = kSealPauseMin;
  for (;;) {
    const Status status = unseal_once();
    if (ports_.health != nullptr && status.code() != Code::kConflict)
      ports_.health->note(status);
    const bool hope = status.code() == Code::kUnavailable || status.code() == Code::kConflict;
    if (!status.ok() && !may_be_of_former(status))
      ports_.logger.error("core", "cannot unseal: " + status.message(),
                          {{"seal", ports_.automatic->kind()}, {"tries_again", hope ? "yes" : "no"}});
    std::unique_lock lock(mutex_);
    if (!hope || stopped_.wait_for(lock, pause_time, [this] { return stopping_; })) {
      keeps_unsealing_ = false;
      return;
    }
    pause_time = std::min(2 * pause_time, kSealPauseMax);
  }
}

// Good when the node is unsealed or about to be. kConflict: something else is under way, or the seal's record changed.
Status Lifecycle::unseal_once() {
  std::string seal_record, keyring_record;
  {
    const std::lock_guard lock(mutex_);
    if (!status_.sealed || stopping_)
      return ok_status();
    if (busy_)
      return Status(Code::kConflict, "an initialization, unseal or join is in progress");
    seal_record = seal_record_;
    keyring_record = keyring_record_;
  }
  COFFER_ASSIGN(const seal::SealConfig config, seal::SealConfig::decode(seal_record));
  COFFER_ASSIGN(seal::Unsealed unsealed, seal::unseal_automatically(config, keyring_record, *ports_.automatic));
  {
    const std::lock_guard lock(mutex_);
    if (!status_.sealed || stopping_)
      return ok_status();
    if (busy_ || seal_record != seal_record_)
      return Status(Code::kConflict, "the seal's record was changed meanwhile");
    busy_ = true;
  }
  wrap_anew(seal_record, unsealed.root_key);
  unseal_by_itself(std::move(unsealed));
  return ok_status();
}

void Lifecycle::stop() {
  std::thread unsealer;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    unsealer = std::move(unsealer_);
  }
  stopped_.notify_all();
  if (unsealer.joinable())
    unsealer.join();
}

}  // namespace coffer::core
