// The thread that syncs the log, so that the node goes on while the disk works. The node asks for a number; when
// everything that was appended before is on disk, the number is reported. Requests that arrive during a sync share the
// next one.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

#include "base/status.h"
#include "store/log.h"

namespace coffer::actors {

class LogSyncer {
 public:
  // `report(number, status)` runs on the syncer's thread. After a failed sync the thread reports it and ends: a sync is
  // never repeated. The log outlives the syncer.
  LogSyncer(store::Log& log, std::function<void(std::uint64_t, const Status&)> report);
  // Finishes the sync under way.
  ~LogSyncer();
  LogSyncer(const LogSyncer&) = delete;
  LogSyncer& operator=(const LogSyncer&) = delete;

  // Node's thread. Numbers grow; a higher one covers the lower ones.
  void request(std::uint64_t number);

 private:
  void run();

  store::Log& log_;
  const std::function<void(std::uint64_t, const Status&)> report_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::uint64_t wanted_ = 0;  // guarded by mutex_
  bool stop_ = false;         // guarded by mutex_
  std::thread thread_;
};

}  // namespace coffer::actors
