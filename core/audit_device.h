// One audit device: a formatter, a bounded ring, and a thread that writes batch after batch. Group commit: everything
// that was submitted while one batch was written is the next batch, written by one call where it fits, and its sinks
// hear of it in order.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/hash_chain.h"
#include "base/status.h"
#include "core/audit_broker.h"
#include "core/audit_format.h"
#include "core/audit_ring.h"

namespace coffer::core {

class AuditFile;

// Thread-safe. The thread keeps what it needs alive by itself, so a device may be destroyed while a write hangs.
class AuditDevice {
 public:
  // `broken`: why the row that the device was made from is unusable, or success. Then it refuses everything.
  AuditDevice(const AuditDeviceConfig& config, const AuditOptions& options, Status broken,
              const AuditEnvironment& environment);
  ~AuditDevice();  // as stop()
  AuditDevice(const AuditDevice&) = delete;
  AuditDevice& operator=(const AuditDevice&) = delete;

  const AuditFormatter& formatter() const noexcept { return formatter_; }
  const AuditOptions& options() const noexcept;

  // Queues whole lines; the ticket is finished later by the device's thread, by tick() or by stop(). When the device
  // refuses (ring full, hung, stopped), the ticket is untouched and the status says why.
  Status offer(std::string_view lines, AuditTicket& ticket);
  // The next batch opens the file anew.
  void reopen();
  // Fails what has waited too long. Calls sinks.
  void tick(BootTime now);
  // Writes what is queued, fails what cannot be written, ends the thread. Waits at most limits::kAuditAcceptTimeMax for
  // a write that hangs.
  void stop();

 private:
  struct State;
  static void run(const std::shared_ptr<State>& state);

  AuditFormatter formatter_;
  std::shared_ptr<State> state_;
};

// Writes everything: short writes go on where they ended. `torn` becomes true when a failure left part of a line
// behind; the next call then begins with a line end of its own. Exposed for tests.
Status write_all(AuditFile& file, std::string_view bytes, bool& torn);

// Whole lines, each with its link.
std::string chained_lines(HashChain& chain, const AuditHasher& hasher, std::string_view lines);

}  // namespace coffer::core
