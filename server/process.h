// What a server process asks of the operating system: no core dumps, no reading of its memory by others, private files,
// and signals that arrive in one place.
#pragma once

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace coffer::server {

// Not dumpable, core size 0, umask 077; as many open files as the hard limit allows, since every connection takes one
// or two and the usual soft limit of 1,024 is below what the listeners admit. Returns what an operator should know
// (swap in use, memory not locked), one line each.
std::vector<std::string> harden_process();

// The file that names the process, for tools that send it signals; gone when this is.
class PidFile {
 public:
  // Nothing is written when `path` is empty. kIo names the setting.
  static Result<PidFile> write(const std::string& path);
  PidFile(PidFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  PidFile& operator=(PidFile&&) = delete;
  ~PidFile();

 private:
  explicit PidFile(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// SIGTERM, SIGINT and SIGHUP as values. Construct before any thread starts: they are blocked for all threads from then
// on.
class Signals {
 public:
  enum class Event { kStop, kReload, kFailed };

  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // Waits for the next one. The constructing thread.
  Event wait();
  // Any thread: wait() returns kFailed, before any signal.
  void fail();

 private:
  int signals_ = -1;  // signalfd
  int failed_ = -1;   // eventfd
};

}  // namespace coffer::server
