// A snapshot as the answer to a request: read and packed by a thread of its own, ahead of the client by a bounded
// amount, so that neither a slow disk nor a slow client holds up anybody else.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "core/request.h"
#include "core/snapshot_file.h"

namespace coffer::core {

// One of the limits::kSnapshotStreamsMax that may be under way in a process. Taken before the state is saved, so that
// whoever is refused has cost nothing.
class SnapshotSlot {
 public:
  static Result<SnapshotSlot> take();  // kUnavailable: none is left
  SnapshotSlot(SnapshotSlot&& other) noexcept : held_(std::exchange(other.held_, false)) {}
  SnapshotSlot& operator=(SnapshotSlot&&) = delete;
  ~SnapshotSlot();

 private:
  SnapshotSlot() = default;

  bool held_ = true;
};

class SnapshotStream final : public ByteStream {
 public:
  // `failed` is told why it broke, on the stream's thread; it may be empty.
  static Result<std::shared_ptr<SnapshotStream>> begin(SnapshotSlot slot, std::unique_ptr<ArchiveSource> source,
                                                       std::function<void(const Status&)> failed);
  // Does not wait for the thread, which ends after the piece that it reads.
  ~SnapshotStream() override;
  SnapshotStream(const SnapshotStream&) = delete;
  SnapshotStream& operator=(const SnapshotStream&) = delete;

  // Breaks off all that are under way and waits for their threads. Before what these use is gone: the disk, the log.
  static void stop_all();

  Next next(std::string& out) override;
  void on_ready(std::function<void()> ready) override;
  bool must_be_whole() const override { return true; }

 private:
  class Work;  // what the thread and the stream share

  explicit SnapshotStream(std::shared_ptr<Work> work) : work_(std::move(work)) {}

  const std::shared_ptr<Work> work_;
};

}  // namespace coffer::core
