// Whom this node admits: who is a member by the state, who was named when it came, and who asks while nobody leads.
#pragma once

#include <utility>

#include "core/cluster.h"
#include "raft/types.h"

namespace coffer::core {

// The state that a node has published may be behind the group's: it does not know those who joined lately, and one of
// them may be needed for an election (Raft's dissertation, 4.1: a server takes requests of servers that are not in its
// configuration). Whoever shows a certificate of the cluster's authority may therefore name itself while this node
// hears of no leader. Votes stay safe, whoever asks for them; what the log holds goes to Raft's configuration alone.
//
// Not thread-safe.
class MemberBook {
 public:
  // As the state says. A record that is new there is newer than what its member said when it asked.
  void publish(Members members);
  // Who was there when the network was made, or was named by members since; kept until the state knows them all.
  void invite(Members guests) { guests_ = std::move(guests); }
  // `asker` says where it is. False where that changes nothing, or kMembersMax others have asked.
  bool ask(const Member& asker);
  // Forgets askers who are not needed any more, as of what is known of the group now. True when that changes all().
  bool settle(raft::NodeId leader, const raft::Configuration& configuration);
  // Each number once; what an asker says of itself is newer than the state.
  Members all();

 private:
  Members members_;
  Members guests_;
  Members askers_;
};

}  // namespace coffer::core
