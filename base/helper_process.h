// Foreign code (an OpenPGP library, a vendor's PKCS#11 module) runs in a helper: this program, started once more under
// another first argument, that is asked over a socket. Should it crash, hang or be made to do what an attacker wants,
// the server and its keys are elsewhere.
//
// A helper inherits one descriptor and the environment that it is given. It cannot be read by others of its user,
// leaves no core dump, ignores what a terminal sends, and ends when its parent does, whatever it is doing then.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/secret.h"
#include "base/status.h"

namespace coffer {

inline constexpr std::size_t kHelperFrameBytesMax = 8 * 1024 * 1024;

// The parent's side. Not thread-safe.
class HelperProcess {
 public:
  struct Options {
    std::string name;                      // the first argument; names the helper in errors
    std::vector<std::string> environment;  // "NAME=value", all that it gets
    std::string program = "/proc/self/exe";
  };

  // kIo when the system starts no process.
  static Result<std::unique_ptr<HelperProcess>> start(const Options& options);
  HelperProcess(const HelperProcess&) = delete;
  HelperProcess& operator=(const HelperProcess&) = delete;
  // Kills it and waits for its end.
  ~HelperProcess();

  // Sends a request and waits for the answer. What the helper answered as a failure is returned as it is. kUnavailable:
  // it ended or said nothing in `time_max`; it is killed then, alive() is false and every further call fails.
  // kTooLarge for requests above kHelperFrameBytesMax.
  Result<SecretBytes> call(std::string_view request, Nanos time_max);
  bool alive() const noexcept { return pid_ > 0; }
  pid_t pid() const noexcept { return pid_; }

 private:
  HelperProcess(std::string name, pid_t pid, int socket) : name_(std::move(name)), pid_(pid), socket_(socket) {}
  void end();

  std::string name_;
  pid_t pid_;
  int socket_;
};

// Whether this process has what HelperProcess gives a helper to be asked by. Before anything else opens files.
bool started_as_helper() noexcept;

// The helper's side: answers requests by `handler` until the parent goes, then returns the exit code. At most
// `memory_bytes_max` of address space. Failures of `handler` travel to the parent as they are.
int serve_helper(const std::function<Result<SecretBytes>(std::string_view request)>& handler,
                 std::size_t memory_bytes_max);

}  // namespace coffer
