// Compresses audit files that were put aside. The plain file stays until the compressed one is whole and on disk under
// its own name, so a crash at any point leaves the one or the other, and never half of either under a name of ours.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/status.h"
#include "core/descriptor.h"

namespace coffer::core {

inline constexpr std::string_view kGzipSuffix = ".gz";

// `name` of the open folder becomes `name`.gz with its permissions. kIo: it is as it was; likewise when `stop` is set
// meanwhile. What an earlier try left (`name`.gz.part) is replaced.
Status gzip_file(int folder, const std::string& name, const std::atomic<bool>& stop);

// Whether what the open file holds, uncompressed, begins with `head`.
bool is_gzip_of(int fd, std::string_view head);

// A thread of its own, started when there is something to do, of lower priority than those that serve.
class GzipThread {
 public:
  static constexpr std::size_t kFilesQueuedMax = 64;  // more are left as they are until the next rotation

  GzipThread() = default;
  ~GzipThread();  // gives up what is under way
  GzipThread(const GzipThread&) = delete;
  GzipThread& operator=(const GzipThread&) = delete;

  // Any thread.
  void put(Descriptor folder, std::string name);

 private:
  struct Item {
    Descriptor folder;
    std::string name;
  };
  void run();

  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> items_;  // guarded by mutex_
  std::thread thread_;      // guarded by mutex_
};

}  // namespace coffer::core
