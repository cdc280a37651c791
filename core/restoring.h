// What a node decides while another state takes the place of the group's (docs/raft.md, "Restore"): when the entry may
// be proposed, who may take it, what became of it, and who is sent its stream once more. Pure classes, one thread; the
// node actor and the simulator are their shells.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "raft/core.h"

namespace coffer::core {

// The leader's wait for the members to have the stream on their disks.
class StreamStaging {
 public:
  // To read the stream, send it to the others and hear that they have it.
  static constexpr std::chrono::minutes kTimeMax{30};
  // Those who are slower than a majority get as long again, and at least this.
  static constexpr std::chrono::seconds kWaitMin{1};

  explicit StreamStaging(BootTime now) : begun_(now), deadline_(now + kTimeMax) {}

  // The leader has it; whoever else is a member is waited for. Returns them.
  const std::set<raft::NodeId>& read(raft::NodeId self, const raft::Configuration& members);
  void heard(raft::NodeId of, bool there);

  enum class Step { kWait, kPropose, kTooFew, kLate };
  Step next(const std::vector<raft::NodeId>& voters, BootTime now);

 private:
  raft::NodeId self_;
  bool read_ = false;
  std::set<raft::NodeId> waited_;  // who may yet have it
  std::set<raft::NodeId> ready_;   // who has it on its disk
  BootTime begun_;
  BootTime deadline_;
  BootTime agreed_ = BootTime::max();  // since when a majority has it
};

bool is_replacement(const store::LogRecord& record);

// A member that has not got the stream on its disk does as if the message had ended before such an entry. `has`
// says whether the stream that an entry names is there. A message of which no entry is left goes on all the same: the
// answer tells the leader that this member stands right before the entry.
void end_at_missing(raft::Message& message, const raft::Core& core,
                    const std::function<bool(const store::LogRecord&)>& has);

// The entry (index, term) is applied: whether the one that was proposed at (wanted, in) took effect with it; nothing
// while that is open.
std::optional<bool> replacement_settled(Index wanted, Term in, Index index, Term term);

// A member may have lost the stream, or never have had it, when its entry stands in the log of whoever leads: without
// it the entry would never be committed, and nothing behind it. So it is offered again to those who stand right before
// the entry.
class StreamOffers {
 public:
  // How long a member stands before the entry until it is offered the stream; after an offer it has as long as that
  // took, and at least this.
  static constexpr std::chrono::seconds kPause{1};

  struct Due {
    raft::NodeId to;
    Index entry;
  };
  // Whom the leader now sends which stream. `entries` are the replacements in its log that are not applied: there may
  // be several, for what was committed under another leader it knows only when something of its own term is.
  std::vector<Due> due(const raft::Core& core, const std::set<Index>& entries, BootTime now);
  // The transfer has ended, well or not.
  void sent(raft::NodeId to, BootTime now);
  void clear() { of_.clear(); }

 private:
  struct Offer {
    Index entry;
    BootTime at;        // of the next
    BootTime begun;     // of the one under way
    bool under_way = false;
  };
  std::map<raft::NodeId, Offer> of_;
};

}  // namespace coffer::core
