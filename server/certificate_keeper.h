// Keeps this node's certificate as the cluster's plan says (core/certificate_plan.h): makes new ones, drives the plan
// while the node leads, and asks its way back in when the plan went on without it.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "actors/node.h"
#include "core/certificate_board.h"
#include "core/joiner.h"
#include "core/published.h"
#include "server/cluster_hub.h"

namespace coffer::server {

// Scheduler's thread, but where it says otherwise.
class CertificateKeeper {
 public:
  struct Options {
    core::Member self;
    core::PeerCall call;
    std::vector<core::JoinTarget> targets;  // beside the members' addresses
  };
  CertificateKeeper(Options options, ClusterHub& hub, core::CallPool& threads, Logger& logger);

  // Once, before anything runs. Both outlive it.
  void attach(actors::Node& node, const core::Services& services);

  // Any thread. The plan that this node goes by: the state's, unless the state is known to be behind.
  core::CertificatePlan plan(const core::Published* published);
  // Any thread. As of now by the others' word, until the state says otherwise than now.
  void tell(const core::CertificatePlan& plan, const core::Published* published);
  // Any thread. Another state took the place of this one's.
  void forget();
  // Any thread. How far this node is, for the leader: core::decode_certificate_step(). Empty while it could not come
  // back to that: after a start without a leader a node has of the state what its disk had, and if the plan were older
  // there, enough nodes might take each other for strangers to have no leader.
  std::string step() const;
  // What the leader asks; no forwarded request begins so (core/forward.h).
  static constexpr std::string_view kQuestion = "which certificates? ";

  // `published`, which `attachment` is: not sealed. With `is_out_of_touch` nobody was heard for long who leads.
  void tick(const std::shared_ptr<const store::Attachment>& attachment, const core::Published& published,
            bool is_out_of_touch, BootTime now);
  const core::CertificateBoard& board() const { return board_; }
  // Without a network there is nothing to show.
  void clear_board() { board_.put(std::nullopt); }

 private:
  struct Told {
    core::CertificatePlan plan;
    std::uint64_t seen_step;  // of the state's plan at that time
  };

  void keep(const core::Published& published);
  std::optional<core::CertificateStep> own_step() const;
  void renew(const std::shared_ptr<const store::Attachment>& attachment, const core::Published& published,
             BootTime now);
  void lead(const core::Published& published, BootTime now);
  std::optional<core::CertificateStep> said_by(raft::NodeId member) const;
  void keep_steps(const raft::Configuration& group);
  void forget_steps();
  void ask_step(raft::NodeId member);
  void store(const core::CertificatePlan& now, const core::CertificatePlan& next);
  void ask_back(const std::shared_ptr<const store::Attachment>& attachment, const core::Published& published,
                BootTime now);
  Status ask_back_at(const core::JoinTarget& target, const core::Published& published);
  void warn(const std::string& about);

  const Options options_;
  ClusterHub& hub_;
  core::CallPool& threads_;
  Logger& logger_;
  actors::Node* node_ = nullptr;
  const core::Services* services_ = nullptr;
  core::CertificateBoard board_;
  std::uint64_t seen_step_ = 0;  // of the state's plan
  Index seen_at_;                // of the state that it was seen in
  std::atomic<std::uint64_t> kept_step_{0};  // likewise, and on the disk
  BootTime next_renewal_{};
  BootTime next_question_{};
  BootTime next_return_{};
  std::atomic<bool> renewing_{false};
  std::atomic<bool> storing_{false};
  std::atomic<bool> returning_{false};
  mutable std::mutex mutex_;             // guards what follows
  std::optional<Told> told_;
  std::map<raft::NodeId, core::CertificateStep> steps_;  // what members said last; at most the group's
  std::string last_warning_;
};

}  // namespace coffer::server
