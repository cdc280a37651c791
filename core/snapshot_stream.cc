#include "core/snapshot_stream.h"

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>

#include "base/limits.h"
#include "core/contained.h"

namespace coffer::core {
namespace {

// Of the process.
struct Census {
  std::mutex mutex;
  std::condition_variable changed;
  unsigned slots = 0;                                          // the rest is guarded by mutex
  std::uint64_t begun = 0;
  std::map<std::uint64_t, std::function<void()>> under_way;  // threads; breaks the stream off
};
Census& census() {
  static Census of_process;
  return of_process;
}

}  // namespace

Result<SnapshotSlot> SnapshotSlot::take() {
  const std::lock_guard lock(census().mutex);
  if (census().slots >= limits::kSnapshotStreamsMax)
    return Status(Code::kUnavailable, "too many snapshots are being sent, try again");
  ++census().slots;
  return SnapshotSlot();
}

SnapshotSlot::~SnapshotSlot() {
  if (!held_)
    return;
  const std::lock_guard lock(census().mutex);
  --census().slots;
}

class SnapshotStream::Work {
 public:
  Work(SnapshotSlot slot, std::unique_ptr<ArchiveSource> source, std::function<void(const Status&)> failed)
      : slot_(std::move(slot)), source_(std::move(source)), failed_(std::move(failed)) {}

  void run() {
    const Status ended = contained([this] { return send(); });
    if (ended.ok())
      return;
    if (failed_)
      failed_(ended);
    const std::lock_guard lock(mutex_);
    state_ = State::kBroken;
    if (ready_)
      ready_();
  }
  // Nobody wants the rest.
  void abandon() {
    {
      const std::lock_guard lock(mutex_);
      abandoned_ = true;
      ready_ = nullptr;
      if (state_ == State::kGoesOn)
        state_ = State::kBroken;
    }
    changed_.notify_one();
  }
  Next next(std::string& out) {
    const std::lock_guard lock(mutex_);
    if (state_ == State::kBroken)
      return Next::kBroken;
    const bool any = !held_.empty();
    out += held_;
    held_.clear();
    changed_.notify_one();
    return state_ == State::kWhole ? Next::kEnd : any ? Next::kMore : Next::kLater;
  }
  void on_ready(std::function<void()> ready) {
    const std::lock_guard lock(mutex_);
    ready_ = std::move(ready);
  }

 private:
  enum class State : std::uint8_t { kGoesOn, kWhole, kBroken };

  Status send() {
    for (std::string piece;; piece.clear()) {
      COFFER_ASSIGN(const bool more, source_->next(piece));
      if (!put(piece, more ? State::kGoesOn : State::kWhole) || !more)
        return ok_status();
    }
  }
  // False: nobody wants it any more.
  bool put(const std::string& piece, State state) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return abandoned_ || held_.size() < limits::kSnapshotHeldBytesMax; });
    if (abandoned_)
      return false;
    held_ += piece;
    state_ = state;
    if (ready_)
      ready_();
    return true;
  }

  const SnapshotSlot slot_;
  const std::unique_ptr<ArchiveSource> source_;  // the thread's
  const std::function<void(const Status&)> failed_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> ready_;  // the rest is guarded by mutex_
  std::string held_;             // limits::kSnapshotHeldBytesMax and one piece at most
  State state_ = State::kGoesOn;
  bool abandoned_ = false;
};

Result<std::shared_ptr<SnapshotStream>> SnapshotStream::begin(SnapshotSlot slot, std::unique_ptr<ArchiveSource> source,
                                                              std::function<void(const Status&)> failed) {
  auto work = std::make_shared<Work>(std::move(slot), std::move(source), std::move(failed));
  std::shared_ptr<SnapshotStream> stream(new SnapshotStream(work));
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(census().mutex);
    number = ++census().begun;
    census().under_way[number] = [work = std::weak_ptr<Work>(work)] {
      if (const auto one = work.lock())
        one->abandon();
    };
    census().changed.notify_all();
  }
  const auto forget = [number] {
    const std::lock_guard lock(census().mutex);
    census().under_way.erase(number);
    census().changed.notify_all();
  };
  try {
    std::thread([work, forget]() mutable {
      work->run();
      work.reset();  // its file goes first, if the stream has gone
      forget();
    }).detach();
  } catch (const std::system_error&) {
    forget();
    return Status(Code::kUnavailable, "there is no thread to send a snapshot with");
  }
  return stream;
}

SnapshotStream::~SnapshotStream() { work_->abandon(); }

void SnapshotStream::stop_all() {
  // Without the lock: whoever breaks off a stream may be the last who holds it, and gives its slot back.
  std::unique_lock lock(census().mutex);
  while (!census().under_way.empty()) {
    const std::uint64_t begun = census().begun;
    const auto all = census().under_way;
    lock.unlock();
    for (const auto& [number, break_off] : all)
      break_off();
    lock.lock();
    census().changed.wait(lock, [begun] { return census().under_way.empty() || census().begun != begun; });
  }
}

ByteStream::Next SnapshotStream::next(std::string& out) { return work_->next(out); }

void SnapshotStream::on_ready(std::function<void()> ready) { work_->on_ready(std::move(ready)); }

}  // namespace coffer::core
