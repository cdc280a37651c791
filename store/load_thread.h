// Writes the records of a snapshot into a fresh state file on a thread of its own, so that reading and checking the
// next ones goes on meanwhile.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "store/lmdb_state.h"

namespace coffer::store {

// One caller. `state` is the thread's from begin() to the destructor.
class LoadThread {
 public:
  explicit LoadThread(LmdbState& state) : state_(state) {}
  // Waits for the thread. What was not finished is left half loaded.
  ~LoadThread();
  LoadThread(const LoadThread&) = delete;
  LoadThread& operator=(const LoadThread&) = delete;

  Status begin();  // kUnavailable: there is no thread
  // In ascending order of keys. Waits while limits::kLoadHeldBytesMax are not written yet. Returns what writing an
  // earlier record failed with, if it did.
  Status put(std::string_view key, std::string_view value);
  // All is on stable storage. `set_hash` is of all that was put. Once, and the last call.
  Status finish(const Hash128& set_hash);

 private:
  // Records one behind the other, as few large pieces.
  struct Batch {
    std::string bytes;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> sizes;  // of key and value
  };
  void run();
  Status write();
  Status write(LmdbState::Load& into, const Batch& batch);
  Status hand_over();

  LmdbState& state_;
  Batch filling_;  // the caller's
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> waiting_;   // guarded by mutex_, as is the rest
  std::vector<Batch> empty_;    // kept for their memory
  std::size_t held_bytes_ = 0;  // waiting or being written
  Hash128 set_hash_;
  bool whole_ = false;
  bool abandoned_ = false;
  bool ended_ = false;
  Status outcome_;
  std::thread thread_;
};

}  // namespace coffer::store
