// Sends snapshots: reads each file piece by piece as its connection takes it. Internal to rpc/.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/status.h"
#include "proto/coffer/cluster/v1/cluster.grpc.pb.h"
#include "raft/types.h"
#include "rpc/cluster_channel.h"
#include "rpc/disk_worker.h"

namespace coffer::rpc {

inline constexpr std::size_t kSnapshotPieceBytes = 256u << 10;

class SnapshotSender {
 public:
  using Done = std::function<void(const Status&)>;
  // All outlive it. What is under way is counted as outstanding and is over before the sender goes.
  SnapshotSender(DiskWorker& worker, const Clock& clock, Outstanding& outstanding);

  // Any thread, as all of it. `done` runs once, on any thread, perhaps before this returns.
  void send(const std::shared_ptr<grpc::Channel>& channel, const raft::Message& message, const std::string& path,
            Done done);
  // `done` hears of it soon.
  void cancel(raft::NodeId to);
  void cancel_all();  // and none is sent any more

 private:
  class Call;

  DiskWorker& worker_;
  const Clock& clock_;
  Outstanding& outstanding_;
  std::mutex mutex_;  // guards what follows
  std::unordered_map<raft::NodeId, Call*> calls_;  // each takes itself out
  bool stopped_ = false;
};

}  // namespace coffer::rpc
