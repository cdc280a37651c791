// Where a device's bytes go: a port, its implementation on the operating system, and the rules for which file may
// be an audit file (advisory I1). The rules are checked on the opened descriptors, not on the path's text, so nothing
// can be exchanged between check and use.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "core/audit_options.h"

namespace coffer::core {

// Open for appending. One thread at a time.
class AuditFile {
 public:
  virtual ~AuditFile() = default;
  // How many of the bytes were written, at least one; kIo with the operating system's words.
  virtual Result<std::size_t> write(std::string_view bytes) = 0;
  virtual Status sync() = 0;
  // Whether a write of a line would return at once. False for a pipe or terminal that is full because nobody reads it.
  virtual bool ready() const = 0;
  // What the file holds; 0 for what is no file.
  virtual std::uint64_t size() const { return 0; }
  // Whether its name stands for another file by now, or for none.
  virtual bool replaced() const { return false; }
  // Whether it ends inside of a line that was cut off: by a crash, or by a disk that was full.
  virtual bool ends_in_part() const { return false; }
  // Whether it is the file that this path names now.
  virtual bool is_at(const std::string& path) const { return static_cast<void>(path), false; }
  // The last whole line without its end; empty when there is none.
  virtual std::string last_line() const { return {}; }
};

struct OpenedAuditFile {
  std::unique_ptr<AuditFile> file;
  bool created = false;
};

class AuditFileSystem {
 public:
  virtual ~AuditFileSystem() = default;
  // kInvalid when a rule refuses the file, kIo when the system does; both name the rule or the system's words, not the
  // path. Afterwards the file has options.mode, whatever the umask, unless that is 0. Missing folders are made, 0700.
  virtual Result<OpenedAuditFile> open(const AuditOptions& options, std::span<const std::string> forbidden_folders) = 0;
  // Takes back what open() made in vain.
  virtual void remove(const AuditOptions& options) = 0;
  // Renames the file to its name and the time (`audit.log.20261122T114013.000`, nothing is ever replaced), and deletes
  // the oldest such files of ours beyond options.rotate_files_max.
  virtual Status rotate(const AuditOptions& options, std::span<const std::string> forbidden_folders, WallTime now) {
    static_cast<void>(options), static_cast<void>(forbidden_folders), static_cast<void>(now);
    return ok_status();
  }
};

std::shared_ptr<AuditFileSystem> posix_audit_files();

// The folder rules of audit files for a Unix socket's path, and that there is a socket.
Status check_audit_socket_path(const std::string& path, std::span<const std::string> forbidden_folders);

// Every line of ours begins like this, so a file that does not is not ours.
inline constexpr std::string_view kAuditLineHead = R"({"time":")";

}  // namespace coffer::core
