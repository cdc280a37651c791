#include "core/snapshot_stream.h"

#include <system_error>
#include <utility>

#include "base/limits.h"

namespace coffer::core {

std::atomic<unsigned> SnapshotStream::under_way_{0};

Result<std::shared_ptr<SnapshotStream>> SnapshotStream::begin(std::unique_ptr<ArchiveSource> source,
                                                              std::function<void(const Status&)> failed) {
  std::shared_ptr<SnapshotStream> stream(new SnapshotStream(std::move(source), std::move(failed)));
  if (under_way_.fetch_add(1) >= limits::kSnapshotStreamsMax)
    return Status(Code::kUnavailable, "too many snapshots are being sent, try again");
  try {
    stream->thread_ = std::thread([stream = stream.get()] { stream->run(); });
  } catch (const std::system_error&) {
    return Status(Code::kUnavailable, "there is no thread to send a snapshot with");
  }
  return stream;
}

SnapshotStream::~SnapshotStream() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    ready_ = nullptr;
  }
  changed_.notify_one();
  if (thread_.joinable())
    thread_.join();
  under_way_.fetch_sub(1);
}

void SnapshotStream::run() {
  for (std::string piece;; piece.clear()) {
    const Result<bool> more = source_->next(piece);
    if (!more.ok()) {
      if (failed_)
        failed_(more.status());
      piece.clear();
      put(piece, State::kBroken);
      return;
    }
    if (!put(piece, *more ? State::kGoesOn : State::kWhole) || !*more)
      return;
  }
}

// False: nobody wants it any more.
bool SnapshotStream::put(std::string& piece, State state) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopping_ || held_.size() < limits::kSnapshotHeldBytesMax; });
  if (stopping_)
    return false;
  held_ += piece;
  state_ = state;
  if (ready_)
    ready_();
  return true;
}

ByteStream::Next SnapshotStream::next(std::string& out) {
  const std::lock_guard lock(mutex_);
  if (state_ == State::kBroken)
    return Next::kBroken;
  const bool any = !held_.empty();
  out += held_;
  held_.clear();
  changed_.notify_one();
  return state_ == State::kWhole ? Next::kEnd : any ? Next::kMore : Next::kLater;
}

void SnapshotStream::on_ready(std::function<void()> ready) {
  const std::lock_guard lock(mutex_);
  ready_ = std::move(ready);
}

}  // namespace coffer::core
