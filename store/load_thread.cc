#include "store/load_thread.h"

#include <system_error>
#include <utility>

#include "base/limits.h"

namespace coffer::store {
namespace {

constexpr std::size_t kBatchBytes = 1u << 20;

}  // namespace

LoadThread::~LoadThread() {
  if (!thread_.joinable())
    return;
  {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Status LoadThread::begin() {
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error&) {
    return Status(Code::kUnavailable, "there is no thread to load a snapshot with");
  }
  return ok_status();
}

Status LoadThread::put(std::string_view key, std::string_view value) {
  filling_.bytes.append(key).append(value);
  filling_.sizes.emplace_back(static_cast<std::uint32_t>(key.size()), static_cast<std::uint32_t>(value.size()));
  return filling_.bytes.size() < kBatchBytes ? ok_status() : hand_over();
}

Status LoadThread::hand_over() {
  std::unique_lock lock(mutex_);
  // One record may be larger than the bound: it goes alone.
  changed_.wait(lock, [this] {
    return ended_ || held_bytes_ == 0 || held_bytes_ + filling_.bytes.size() <= limits::kLoadHeldBytesMax;
  });
  if (ended_)
    return outcome_;
  held_bytes_ += filling_.bytes.size();
  waiting_.push_back(std::move(filling_));
  filling_ = {};
  if (!empty_.empty()) {
    filling_ = std::move(empty_.back());
    empty_.pop_back();
  }
  changed_.notify_all();
  return ok_status();
}

Status LoadThread::finish(const Hash128& set_hash) {
  COFFER_TRY(hand_over());
  {
    const std::lock_guard lock(mutex_);
    set_hash_ = set_hash;
    whole_ = true;
  }
  changed_.notify_all();
  thread_.join();
  return outcome_;
}

void LoadThread::run() {
  Status outcome = write();
  const std::lock_guard lock(mutex_);
  outcome_ = std::move(outcome);
  ended_ = true;
  changed_.notify_all();
}

Status LoadThread::write() {
  LmdbState::Load into(state_);
  for (;;) {
    Batch batch;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return abandoned_ || whole_ || !waiting_.empty(); });
      if (abandoned_)
        return Status(Code::kUnavailable, "the snapshot was not loaded to its end");
      if (waiting_.empty())
        break;
      batch = std::move(waiting_.front());
      waiting_.pop_front();
    }
    COFFER_TRY(write(into, batch));
    const std::size_t written = batch.bytes.size();
    batch.bytes.clear();
    batch.sizes.clear();
    const std::lock_guard lock(mutex_);
    held_bytes_ -= written;
    empty_.push_back(std::move(batch));
    changed_.notify_all();
  }
  return into.finish(set_hash_);
}

Status LoadThread::write(LmdbState::Load& into, const Batch& batch) {
  std::string_view rest = batch.bytes;
  for (const auto& [key_bytes, value_bytes] : batch.sizes) {
    COFFER_TRY(into.put(rest.substr(0, key_bytes), rest.substr(key_bytes, value_bytes)));
    rest.remove_prefix(key_bytes + value_bytes);
  }
  return ok_status();
}

}  // namespace coffer::store
