// What other nodes send here: checked against who they are and handed on. Internal to rpc/.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "proto/coffer/cluster/v1/cluster.grpc.pb.h"
#include "rpc/cluster.h"
#include "rpc/cluster_channel.h"
#include "rpc/disk_worker.h"

namespace coffer::rpc {

// Behind one door after another (rpc/cluster_door.h): a node's stream moves from an old one to a new one.
class ClusterService final {
 public:
  // All outlive it; so does it the doors, and their calls.
  ClusterService(raft::NodeId self, const ClusterBounds& bounds, const ClusterPorts& ports, DiskWorker& worker,
                 LogFn log);

  // Any thread. Calls of who is not among them end.
  void set_members(std::unordered_set<raft::NodeId> members);
  // When the last message of `node` came; the epoch: never since it is a member.
  BootTime heard(raft::NodeId node) const;

  // Asks whoever has a stream through door number `door` to come by the newest one, each once. How many there are.
  std::size_t move_streams(std::uint64_t door);

  grpc::ServerBidiReactor<cluster::v1::RaftFrame, cluster::v1::RaftNews>* raft(grpc::CallbackServerContext& context,
                                                                               std::uint64_t door);
  grpc::ServerReadReactor<cluster::v1::SnapshotPiece>* snapshot(grpc::CallbackServerContext& context);
  grpc::ServerUnaryReactor* forward(grpc::CallbackServerContext& context, const cluster::v1::ForwardRequest& request,
                                    cluster::v1::ForwardReply& reply);

 private:
  class RaftReader;
  class SnapshotReader;
  class ForwardCall;
  // What a member has open here.
  struct Guest {
    BootTime heard{};
    RaftReader* raft = nullptr;  // the stream that speaks
    RaftReader* next = nullptr;  // a newer one: it ends the other with its first word
    grpc::CallbackServerContext* snapshot = nullptr;
  };

  // The caller, or why it is refused.
  grpc::Status admit(const grpc::CallbackServerContext& context, raft::NodeId& from) const;
  bool begin_raft(RaftReader& reader);
  void end_raft(const RaftReader& reader);
  bool begin_snapshot(raft::NodeId from, grpc::CallbackServerContext& context);
  void end_snapshot(raft::NodeId from, const grpc::CallbackServerContext& context);
  grpc::Status take(RaftReader& reader, const cluster::v1::RaftFrame& frame);
  Result<raft::Message> decode(raft::NodeId from, const std::string& bytes) const;
  bool begin_forward(std::size_t bytes);
  void end_forward(std::size_t bytes);
  std::string spool_name(raft::NodeId from);

  const raft::NodeId self_;
  const ClusterBounds bounds_;
  const ClusterPorts ports_;
  DiskWorker& worker_;
  const LogFn log_;

  mutable std::mutex mutex_;  // guards what follows
  std::unordered_map<raft::NodeId, Guest> members_;
  std::size_t forwards_ = 0;
  std::size_t forward_bytes_ = 0;
  std::uint64_t next_spool_ = 1;
};

// Removes what a process that ended left of snapshots in `folder`; nothing when there is no such folder.
void remove_stale_snapshots(const std::string& folder);

}  // namespace coffer::rpc
