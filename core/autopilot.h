// How healthy the cluster is, and which change of it is due: who becomes a voter, who stops being one, which dead
// server goes, and when leadership moves to a newer version. Pure: the leader's housekeeping asks it, and acts.
//
// What holds for every step, and is tested over random clusters: one change at a time, only when the last one is
// committed, and only if more than half of the voters that it leaves are healthy.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/autopilot_settings.h"
#include "core/cluster.h"
#include "core/group.h"

namespace coffer::core {

struct PilotServer {
  Member member;            // of a node without a record only the number is known
  bool known = false;       // it has one
  bool leader = false;
  bool voter = false;
  bool alive = false;       // heard within last_contact_threshold
  bool healthy = false;     // and not far behind
  bool stable = false;      // healthy for server_stabilization_time
  bool caught_up = false;   // heard a moment ago, and may be promoted
  Nanos last_contact{0};
  Term last_term;
  Index last_index;
  WallTime stable_since{};  // of a healthy one
  // The version that an upgrade goes by.
  const std::string& upgrade_version() const {
    return member.upgrade_version.empty() ? member.version : member.upgrade_version;
  }
};

enum class UpgradePhase : std::uint8_t {
  kIdle,                // one version only
  kDisabled,
  kAwaitNewVoters,      // too few of the newer version
  kPromoting,
  kLeaderTransfer,
  kDemoting,
  kAwaitServerRemoval,  // nothing is left to do but to take the old ones away
};
std::string_view phase_name(UpgradePhase phase) noexcept;

struct PilotAction {
  enum class Kind : std::uint8_t { kPromote, kDemote, kRemove, kHandOver };
  Kind kind = Kind::kPromote;
  raft::NodeId node;
  std::string_view why;  // for the log
};

// What is known at one moment, and what is due by it.
struct PilotState {
  bool healthy = false;
  std::size_t failure_tolerance = 0;             // so many voters may fail now
  std::size_t optimistic_failure_tolerance = 0;  // and so many servers, one after another, with zones
  std::vector<PilotServer> servers;              // by id
  UpgradePhase upgrade = UpgradePhase::kIdle;
  std::string target_version;                    // the newest
  std::optional<PilotAction> due;

  const PilotServer* leader() const noexcept;
  std::size_t voters() const noexcept;
  std::size_t healthy_voters() const noexcept;
};

// -1, 0, 1: as versions are ordered, number by number; what has a '-' stands before the same without it. What follows a
// '+' counts last, and only where both have it.
int compare_versions(std::string_view a, std::string_view b) noexcept;

// One thread.
class Autopilot {
 public:
  // While fewer vote, nobody who has caught up waits, and no healthy voter is demoted for its zone.
  static constexpr std::size_t kVotersWanted = 3;
  // Who is promoted was heard of that lately.
  static constexpr Nanos kPromotedContactMax = std::chrono::seconds(1);

  // About ten times a second. Nothing while this node does not serve; how long servers have been healthy is forgotten
  // then.
  std::optional<PilotState> look(const GroupStatus& group, const Members& members, const AutopilotSettings& settings,
                                 BootTime now, WallTime wall);

 private:
  struct Since {
    BootTime boot;
    WallTime wall;
  };
  PilotServer server_of(const GroupStatus& group, const Members& members, raft::NodeId number,
                        const AutopilotSettings& settings) const;
  std::map<raft::NodeId, Since> healthy_since_;
};

// The next step by what `state` shows of the servers; sets upgrade, target_version and due. `may_change`: the last
// change is committed. core/autopilot_plan.cc.
void plan_next(PilotState& state, const AutopilotSettings& settings, bool may_change);

}  // namespace coffer::core
