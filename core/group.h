// The Raft group as the layers above see it: who is in it, who leads, and how that is changed. Implemented by the node
// actor. Callbacks run once each, on the node's thread, and must not block; on the caller's when the node has stopped
// or its queue is full. "Refused" means kUnavailable (not now, or not by this node) or kInvalid.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "core/spool_file.h"
#include "raft/types.h"

namespace coffer::core {

struct GroupPeer {
  raft::NodeId id;
  Index matched;             // its log is known to equal the leader's up to here
  Nanos last_contact{0};     // how long ago the leader heard of it
  bool has_snapshot = false; // it is being sent the state, or is too far behind for the log
};

struct GroupStatus {
  raft::NodeId self;
  raft::Role role = raft::Role::kFollower;
  bool takes_part = false;
  bool serving = false;      // leads, and everything before its leadership is applied
  bool may_vote = true;      // false while a new or wiped node has not caught up
  Term term;
  raft::NodeId leader;       // kNobody when none is known
  Index applied;
  Index committed;
  Index last;
  raft::Configuration configuration;  // as of the newest entry, committed or not
  bool configuration_committed = true;
  std::vector<GroupPeer> peers;       // leader only: the others
};

// The whole state as of one index, as a stream of store/snapshot.h in a file of the spool folder.
struct SavedState {
  SpoolFile file;  // goes with it, also when nobody waits for it any more
  Index index;
  Term term;       // of the entry `index`
};

// All calls may come from any thread.
class Group {
 public:
  virtual ~Group() = default;

  // `done` gets the entry's index once the change is committed and applied here; an error when it is refused (this node
  // does not lead, another change is under way, a learner that is promoted has not caught up), or kOutcomeUnknown after
  // Node::Options::commit_time_max. With the refusal for another change of members comes the index of that.
  virtual void change_membership(raft::Change change, std::function<void(Status, Index)> done) = 0;
  // Stops taking writes, lets those under way end, and hands leadership to `to`, or to the best voter for kNobody.
  // `done` is told when another leads; writes are taken again if that fails.
  virtual void transfer_leadership(raft::NodeId to, std::function<void(Status)> done) = 0;
  // For a read that must see all that was acknowledged before this call, on the leader and on any other member: a view
  // taken when `done` runs shows it, and stands at or above the index given. Refused when no leader can be reached.
  virtual void read_index(std::function<void(Result<Index>)> done) = 0;
  // `done` when `index` is applied and published here; refused after Node::Options::read_time_max.
  virtual void when_applied(Index index, std::function<void(Status)> done) = 0;
  // A node that takes no part neither ticks nor sends nor receives; a sealed node is one. A leader that is told to take
  // none hands leadership over first, for at most Node::Options::hand_over_time_max. `then` may be empty; it runs when
  // it is so.
  virtual void take_part(bool part, std::function<void()> then) = 0;

  // Replaces the whole state of all members by the stream in the file `path` (store/snapshot.h), which lies in
  // spool_folder(); this takes the file over and removes it in any case. `done` when the state took effect here, with
  // who is in the group still being who was: from then on only the restored state is, and every member is sealed by the
  // seal that is in it, so nothing of the request that asked for this can be committed or audited any more. Refused
  // when this node does not lead, when a change of members or another restore is under way, or when too few members
  // could take the stream; kDataLoss when it is damaged, kInvalid when it is no state of a sealed server: all of that
  // leaves the group as it was. kOutcomeUnknown as for change_membership().
  virtual void restore(std::string path, std::function<void(Status)> done) = 0;
  // A folder on the disk of the state, for files on their way; emptied at each start. Empty: nothing can be restored.
  virtual std::string spool_folder() const = 0;
  // Writes the state that this node has applied into a file; on the leader all that was acknowledged before the call is
  // in it. Requests go on meanwhile. `done` comes on a thread of its own.
  virtual void save(std::function<void(Result<SavedState>)> done) = 0;

  virtual GroupStatus group_status() const = 0;
  // The leader as far as this node knows; kNobody while it takes no part.
  virtual raft::NodeId leader() const = 0;
};

}  // namespace coffer::core
