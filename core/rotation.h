// The key that seals what is stored gets a successor by itself: after so many values, or after so long.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "base/rng.h"
#include "base/status.h"
#include "core/call.h"

namespace coffer::core {

// As Vault's: 90 % of what NIST SP 800-38D allows one key with random nonces. Keys here allow far more
// (seal/barrier.h); what users reckon with stays.
struct RotationRules {
  static constexpr std::int64_t kOperationsMin = 1'000'000;
  static constexpr std::int64_t kOperationsMax = 3'865'470'566;
  static constexpr Nanos kIntervalMin = std::chrono::hours(24);
  bool enabled = true;
  std::int64_t max_operations = kOperationsMax;
  Nanos interval{0};  // 0: its age does not count
};

Result<RotationRules> read_rotation_rules(TxnImpl& txn);
Status put_rotation_rules(TxnImpl& txn, const RotationRules& rules);

// Part of a transaction: from the commit on a new term seals. kDataLoss when there is no keyring.
Status rotate_keyring(TxnImpl& txn, const Published& published, RandomSource& random);

// Whether the active term has done enough by `now`.
bool rotation_is_due(const RotationRules& rules, const seal::Keyring::TermInfo& active, WallTime now);

// Looks whether it is due, where this node leads. tick() from one thread, the shell's timer.
class Rotator {
 public:
  static constexpr Nanos kPause = std::chrono::minutes(1);

  explicit Rotator(const Services& services) : services_(services) {}

  // Starts a look once in kPause; true when it did.
  bool tick(BootTime now);

 private:
  const Services& services_;
  std::shared_ptr<std::atomic<bool>> busy_ = std::make_shared<std::atomic<bool>>(false);
  BootTime due_{};
};

}  // namespace coffer::core
