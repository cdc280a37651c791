// A snapshot as the answer to a request: read and packed by a thread of its own, ahead of the client by a bounded
// amount, so that neither a slow disk nor a slow client holds up anybody else.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "core/request.h"
#include "core/snapshot_file.h"

namespace coffer::core {

class SnapshotStream final : public ByteStream {
 public:
  // kUnavailable when limits::kSnapshotStreamsMax are under way. `failed` is told why it broke, on the stream's thread;
  // it may be empty.
  static Result<std::shared_ptr<SnapshotStream>> begin(std::unique_ptr<ArchiveSource> source,
                                                       std::function<void(const Status&)> failed);
  ~SnapshotStream() override;
  SnapshotStream(const SnapshotStream&) = delete;
  SnapshotStream& operator=(const SnapshotStream&) = delete;

  Next next(std::string& out) override;
  void on_ready(std::function<void()> ready) override;
  bool must_be_whole() const override { return true; }

 private:
  enum class State : std::uint8_t { kGoesOn, kWhole, kBroken };

  SnapshotStream(std::unique_ptr<ArchiveSource> source, std::function<void(const Status&)> failed)
      : source_(std::move(source)), failed_(std::move(failed)) {}
  void run();
  bool put(std::string& piece, State state);

  static std::atomic<unsigned> under_way_;

  const std::unique_ptr<ArchiveSource> source_;  // the thread's
  const std::function<void(const Status&)> failed_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> ready_;  // the rest is guarded by mutex_
  std::string held_;             // limits::kSnapshotHeldBytesMax and one piece at most
  State state_ = State::kGoesOn;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace coffer::core
