// Requests that go to other nodes: how many and how large together, and what became of each. Internal to rpc/.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>

#include "core/cluster.h"
#include "proto/coffer/cluster/v1/cluster.grpc.pb.h"
#include "rpc/cluster.h"
#include "rpc/cluster_channel.h"

namespace coffer::rpc {

class ForwardCalls {
 public:
  // `outstanding` outlives it. What is under way is over before this goes.
  ForwardCalls(const ClusterBounds& bounds, Outstanding& outstanding);

  // Any thread, as all of it. As ClusterLink::forward().
  void send(const std::shared_ptr<grpc::Channel>& channel, raft::NodeId to, std::string request, Nanos time_max,
            core::ClusterLink::Done done);
  void cancel(raft::NodeId to);
  void cancel_all();  // and none is sent any more

 private:
  class Call;
  bool admit(std::size_t bytes) const;

  const ClusterBounds bounds_;
  Outstanding& outstanding_;
  std::mutex mutex_;  // guards what follows
  std::unordered_set<Call*> calls_;
  std::size_t bytes_ = 0;  // of their requests
  bool stopped_ = false;
};

}  // namespace coffer::rpc
