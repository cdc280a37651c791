// Snapshots on their way, as files of the spool folder: written for a peer, or received and read into a replacement of
// the state. The long work runs on a thread of its own; what comes of it is told on that thread. What a process left in
// the folder is removed by the next one, but for a snapshot whose installation was begun and for staged streams that
// the log names.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "core/restored.h"
#include "raft/types.h"
#include "store/replacement.h"

namespace coffer::actors {

class SnapshotDesk {
 public:
  // The two outlive it. Makes the folder. What is written leaves so much of the disk free, but for a few MiB.
  static Result<std::unique_ptr<SnapshotDesk>> open(Disk& disk, const std::string& folder,
                                                    store::SnapshotTarget& target, std::uint64_t free_bytes_min = 0);
  // Gives up what is under way, soon.
  ~SnapshotDesk();
  SnapshotDesk(const SnapshotDesk&) = delete;
  SnapshotDesk& operator=(const SnapshotDesk&) = delete;

  // Removes what an earlier process left, but for an installation and the staged streams with these digests. Before
  // anything else but what concerns an installation.
  Status clean(const std::set<std::string>& digests);

  const std::string& folder() const noexcept { return folder_; }

  // Any thread. Writes `view` into a new file; its name goes to `done`. False when too much waits.
  bool write(std::unique_ptr<store::View> view, store::SnapshotMeta meta,
             std::function<void(Result<std::string>)> done);
  // Any thread. Reads the file, which it owns from here on, and checks that it is the snapshot that `message` tells of.
  // False when another one is under way: the file is still the caller's. The next one may come after received_done().
  struct Received {
    raft::Message message;
    std::string path;
    std::unique_ptr<store::Replacement> replacement;
  };
  bool receive(raft::Message message, std::string path, std::function<void(Result<Received>)> done);
  // Any thread. What was received was used or is dropped here; its file is removed if it is still there.
  void received_done(Received received);
  void remove(const std::string& path);

  // A stream that is to take the place of the state: checked, read into a replacement, and kept as a file that is named
  // by its digest until forget_staged().
  struct Staged {
    std::string digest;
    core::RestoreScan scan;
    std::unique_ptr<store::Replacement> replacement;
  };
  // Any thread. Owns the file from here on. False when another one is under way or too much waits: the file is still
  // the caller's. A failure leaves nothing of it.
  bool stage(std::string path, std::function<void(Result<Staged>)> done);
  // Reads once more what is kept. kDataLoss when it is not what it was. Any thread; takes its time.
  Result<Staged> restage(const std::string& digest);
  void forget_staged(const std::string& digest) { remove(staged_path(digest)); }
  bool is_staged(const std::string& digest) const;
  std::string staged_path(const std::string& digest) const;

  // An installation: from begin_install(), which keeps the file, to end_install() the two steps "state replaced" and
  // "log reset" may fall apart by a crash, and interrupted() tells the next process where the log must go on.
  Status begin_install(const std::string& path);
  Status end_install();
  Result<std::optional<store::SnapshotMeta>> interrupted();
  // Whether a crash fell between the two, in such a folder of a node that does not run.
  static Result<bool> is_interrupted(Disk& disk, const std::string& folder);

 private:
  SnapshotDesk(Disk& disk, std::string folder, store::SnapshotTarget& target, std::uint64_t free_bytes_min);
  std::string installing_path() const;
  bool post(std::function<void()> job);
  void run();
  Status check_room(std::uint64_t more);
  Status check_room_to_load(const std::string& path);
  Result<std::string> write_file(const store::View& view, store::SnapshotMeta meta);
  Result<std::unique_ptr<store::Replacement>> read_file(const raft::Message& message, const std::string& path);
  Result<Staged> stage_file(const std::string& path);
  // `name` is what errors call the stream.
  Result<Staged> read_staged(const std::string& path, const std::string& name);

  Disk& disk_;
  const std::string folder_;
  store::SnapshotTarget& target_;
  const std::uint64_t free_bytes_min_;
  std::atomic<bool> receiving_{false};
  std::atomic<bool> staging_{false};
  std::atomic<bool> stopping_{false};
  std::uint64_t files_made_ = 0;  // worker's

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace coffer::actors
