// The enabled audit devices and their set. `AuditRegistry` lives as long as the server and owns the devices' threads;
// `AuditSet` is an immutable snapshot of them that core/published carries; requests use the snapshot alone.
//
// A way to enable a device:   options = parse_audit_options(...)          (the handler)
//                             registry.probe(config)                      (work before the handler: opens the file,
//                             writes the test line)
//                             ...the table record commits and is applied...
//                             set = registry.build(all configs)           (observer, on every apply that touches the
//                             table)
// After a start, build() alone is called. A file that cannot be opened then leaves its device failing, not missing:
// every request that needs it is refused until it opens (fail closed), and each batch tries again.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/secret.h"
#include "base/status.h"
#include "core/audit.h"
#include "core/audit_options.h"

namespace coffer::core {

class AuditDevice;
class AuditFileSystem;

// One row of the audit table. The salt is the HMAC key of the device: 32 random bytes made when it is enabled, stored
// with the row.
struct AuditDeviceConfig {
  std::string path;         // "file/"
  std::string type;         // "file"
  std::string uuid;         // made when it is enabled; a device is kept across build() calls by it
  std::string description;
  bool local = false;
  bool declared = false;    // by the configuration: not stored, and not to be disabled over the API
  SecretBytes salt;
  std::vector<std::pair<std::string, std::string>> options;  // as given, for listing

  AuditDeviceConfig clone() const;
};

struct AuditEnvironment {
  // Absolute or relative to the working directory; nothing may be created below them: data, plugin, TLS, configuration.
  std::vector<std::string> forbidden_folders;
  // Printed in every line; empty: left out.
  std::string running_version;
  // Complaints about devices: one line, no secret content. Called from any thread; may be empty.
  std::function<void(std::string_view line)> complain;
  const Clock* clock = nullptr;               // required
  // Devices of the configuration: enabled whenever the server is unsealed, whatever the table says. Their salts are
  // derived from the keyring.
  std::shared_ptr<const std::vector<AuditDeviceConfig>> declared;
  std::shared_ptr<AuditFileSystem> files;     // null: the operating system's (core/audit_file.h)
};

// Immutable; all calls from any thread. See core/audit.h.
class AuditSet final : public AuditBroker, public std::enable_shared_from_this<AuditSet> {
 public:
  struct Member {
    std::string path;
    std::shared_ptr<AuditDevice> device;
  };
  explicit AuditSet(std::vector<Member> members);

  bool any_device() const override { return !members_.empty(); }
  void prepare(Exchange& exchange, AuditPhase phase, const AuditFacts& facts, WallTime now,
               std::string_view error) override;
  void submit(std::unique_ptr<Exchange> exchange, AuditSink& sink) override;

  // What `input` looks like in the lines of the device at `path` ("file/"): "hmac-sha256:" and 64 hexadecimal digits.
  // kNotFound when there is no such device.
  Result<std::string> hash(std::string_view path, std::string_view input) const;

 private:
  void choose(const Exchange& exchange, const AuditFacts& facts, std::vector<bool>& chosen) const;

  std::vector<Member> members_;
  bool filtered_ = false;  // a device has a filter, or is the fallback
};

// Thread-safe. Outlives every set that it built.
class AuditRegistry {
 public:
  explicit AuditRegistry(AuditEnvironment environment);
  ~AuditRegistry();  // as stop()
  AuditRegistry(const AuditRegistry&) = delete;
  AuditRegistry& operator=(const AuditRegistry&) = delete;

  // Checks what parse_audit_options cannot: opens the device as it will be opened and, unless skip_test, writes the
  // test line through it. Leaves nothing open, and no file that it made when it fails. A pipe or terminal that does not
  // take the line at once is refused, and so is a file that another device writes to. Takes three seconds at most: what
  // the system has not answered by then is left to a thread of its own. Not for a thread that serves requests.
  // What the system said goes to the log: the caller learns that the device cannot be used, not what stands where.
  Status probe(const AuditDeviceConfig& config, const AuditOptions& options);

  // The configuration's own devices, with their salts made by `derive`.
  std::vector<AuditDeviceConfig> declared(const std::function<SecretBytes(std::string_view purpose)>& derive) const;

  // The set of these devices; those known by uuid keep their thread and file. Starts threads, opens nothing itself.
  // A row whose options do not parse becomes a device that refuses everything.
  std::shared_ptr<AuditSet> build(std::span<const AuditDeviceConfig> configs);

  // After a rename of the log files (SIGHUP): each device closes and opens its file before its next batch.
  void reopen();

  // About every 100 ms, from a timer: gives up on what no device has accepted within limits::kAuditAcceptTimeMax, and
  // frees devices that were disabled and are no longer used. Calls sinks.
  void tick(BootTime now);

  // Writes what is queued, answers the rest, ends the threads. Every later submission fails.
  void stop();

 private:
  struct Entry {
    std::string uuid;
    std::shared_ptr<AuditDevice> device;
  };
  std::vector<std::shared_ptr<AuditDevice>> all_devices();
  struct Trial;
  Status try_device(const AuditDeviceConfig& config, const AuditOptions& options);

  AuditEnvironment environment_;
  // Threads of trials that the system has not answered yet. Theirs too: they may outlive the registry.
  std::shared_ptr<std::atomic<unsigned>> left_behind_ = std::make_shared<std::atomic<unsigned>>(0);
  std::mutex mutex_;
  std::vector<Entry> devices_;                          // guarded by mutex_
  std::vector<std::shared_ptr<AuditDevice>> retired_;   // guarded by mutex_
  bool stopped_ = false;                                // guarded by mutex_
};

}  // namespace coffer::core
