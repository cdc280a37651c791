// What this node shows to the others of its cluster, for those who ask.
#pragma once

#include <mutex>
#include <optional>

#include "core/certificate_plan.h"

namespace coffer::core {

struct ShownCertificate {
  CertificatePlan plan;
  WallTime expires{};     // of the node's own certificate
  bool settled = false;   // no connection is left of an earlier one
};

// Any thread.
class CertificateBoard {
 public:
  void put(std::optional<ShownCertificate> shown) {
    const std::lock_guard lock(mutex_);
    shown_ = shown;
  }
  // Nothing: the node talks to no other.
  std::optional<ShownCertificate> get() const {
    const std::lock_guard lock(mutex_);
    return shown_;
  }

 private:
  mutable std::mutex mutex_;
  std::optional<ShownCertificate> shown_;  // guarded by mutex_
};

}  // namespace coffer::core
