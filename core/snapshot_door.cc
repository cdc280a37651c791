#include "core/snapshot_door.h"

#include <atomic>
#include <chrono>
#include <future>

#include "base/limits.h"
#include "core/layout.h"

namespace coffer::core {
namespace {

constexpr std::string_view kTakenName = "taken";
constexpr Nanos kLook = std::chrono::milliseconds(100);  // for the end of the process

std::atomic<bool> restoring{false};

struct OneRestore {
  const bool is_one = !restoring.exchange(true);
  ~OneRestore() {
    if (is_one)
      restoring.store(false);
  }
};

// False when it did not come in time, or the process ends.
template <typename T>
bool await(const std::future<T>& outcome, const SnapshotPlace& place, Nanos time_max) {
  for (Nanos waited{0}; waited < time_max && !place.stopping; waited += kLook)
    if (outcome.wait_for(kLook) == std::future_status::ready)
      return true;
  return false;
}

}  // namespace

Result<SavedState> save_and_wait(const SnapshotPlace& place, Group& group, Nanos time_max) {
  auto told = std::make_shared<std::promise<Result<SavedState>>>();
  std::future<Result<SavedState>> outcome = told->get_future();
  group.save([told](Result<SavedState> saved) { told->set_value(std::move(saved)); });
  if (!await(outcome, place, time_max))
    return Status(Code::kUnavailable, "the state was not saved in time");
  return outcome.get();
}

Result<store::ArchiveMeta> archive_meta(const store::View& view, const SnapshotPlace& place, WallTime now) {
  store::ArchiveMeta meta;
  std::string cluster;
  COFFER_ASSIGN(const bool named, view.get(store::make_key(store::KeyClass::kClusterLocal, layout::kRootNamespace,
                                                           layout::kSystemMount, layout::kClusterInfo),
                                           cluster));
  const std::size_t line = cluster.find('\n');
  if (named && line != std::string::npos) {
    meta.cluster_name = cluster.substr(0, line);
    meta.cluster_id = cluster.substr(line + 1);
  }
  meta.created = now;
  meta.server_version = place.server_version;
  return meta;
}

Status restore_snapshot(const SnapshotPlace& place, BodyPipe& body, const SumsSeal* seal, const Restore& restore) {
  const OneRestore permit;
  if (!permit.is_one)
    return Status(Code::kUnavailable, "another snapshot is being restored");
  COFFER_ASSIGN(TakenSnapshot taken, take_snapshot(place, std::string(kTakenName), body, seal));
  auto told = std::make_shared<std::promise<Status>>();
  std::future<Status> outcome = told->get_future();
  const std::string path = taken.file.release();
  restore(path, [told](Status status) { told->set_value(std::move(status)); });
  if (!await(outcome, place, limits::kPipedRequestTimeMax))
    return Status(Code::kOutcomeUnknown, "outcome unknown: the snapshot may or may not be restored");
  const Status restored = outcome.get();
  if (!restored.ok())
    static_cast<void>(place.disk.remove(path));  // if whoever refused it left it there
  return as_sent(restored);
}

}  // namespace coffer::core
