#include "actors/recovery.h"

#include <algorithm>

#include "core/group_record.h"
#include "raft/entry.h"

namespace coffer::actors {
namespace {

constexpr std::size_t kReadBytes = 1u << 20;
constexpr std::uint64_t kTermStep = 1u << 16;

// Two nodes that are recovered alike write an entry of this term at the end of their logs, and Raft takes logs that
// share an entry's index and term for equal up to there. So it says of which term the entry before is: where those
// differ, so do the new ones, and one log gives way to the other.
Term recovery_term(Term newest, Term last) {
  return Term((newest.get() / kTermStep + 1) * kTermStep + last.get() % kTermStep);
}

Result<std::optional<core::RaftGroupRecord>> stored_record(const store::Backend& backend) {
  COFFER_ASSIGN(const std::unique_ptr<store::View> view, backend.view());
  return core::read_group(*view);
}

// The same on every member whose log ends there, so that two that are recovered alike hold the same entry.
Result<WallTime> newest_time(const store::Backend& backend, const store::Log& log) {
  if (log.last_index() >= log.first_index()) {
    COFFER_ASSIGN(const std::vector<store::LogRecord> records,
                  log.read(log.last_index(), log.last_index(), kReadBytes));
    return raft::entry_time(records.back());
  }
  COFFER_ASSIGN(const auto stored, stored_record(backend));
  return stored ? stored->time : WallTime{};
}

}  // namespace

Result<std::optional<raft::Configuration>> newest_configuration(const store::Backend& backend, const store::Log& log) {
  std::optional<raft::Configuration> newest;
  Index at = std::max(backend.applied_index().next(), log.first_index());
  while (at <= log.last_index()) {
    COFFER_ASSIGN(const std::vector<store::LogRecord> records, log.read(at, log.last_index(), kReadBytes));
    for (const store::LogRecord& record : records) {
      if (record.kind != static_cast<std::uint8_t>(raft::EntryKind::kConfiguration))
        continue;
      COFFER_ASSIGN(newest, raft::decode_configuration(raft::entry_body(record)));
    }
    at = records.back().index.next();
  }
  if (newest)
    return newest;
  COFFER_ASSIGN(const auto stored, stored_record(backend));
  if (stored)
    newest = stored->configuration;
  return newest;
}

Result<GroupRecovery> plan_recovery(const store::Backend& backend, const store::Log& log, raft::NodeId self,
                                    const raft::Configuration& to) {
  COFFER_ASSIGN(const auto from, newest_configuration(backend, log));
  if (!from)
    return Status(Code::kInvalid, "the storage holds nothing of a cluster");
  if (!from->contains(self))
    return Status(Code::kInvalid, "the storage belongs to a cluster of other nodes, or this one was taken out of it: "
                                  "node_id is not one of its members");
  if (to.voters.empty() || to.voters.size() > raft::kVotersMax || to.learners.size() > raft::kLearnersMax)
    return Status(Code::kInvalid, "the new members must be 1 to 15 voters and at most 64 others");
  if (!to.contains(self))
    return Status(Code::kInvalid, "this node is not one of the new members");
  if (backend.applied_index() > log.last_index())
    return Status(Code::kUnavailable,
                  "the log of this node ends before its state, as when it was lost or cut: recover from another node, "
                  "and let this one join it with an empty folder");
  const Term newest = std::max(log.hard_state().term, log.last_term());
  return GroupRecovery{*from, log.last_index(), backend.applied_index(), recovery_term(newest, log.last_term())};
}

Status recover_group(store::Log& log, const store::Backend& backend, const GroupRecovery& plan,
                     const raft::Configuration& to) {
  COFFER_ASSIGN(const WallTime time, newest_time(backend, log));
  std::string payload = raft::encode_configuration(to);
  raft::stamp_entry_time(payload, time);
  // The term first: no entry may stand in the log whose term the node does not know.
  store::HardState hard = log.hard_state();
  hard.term = plan.term;
  hard.voted_for = 0;
  COFFER_TRY(log.save_hard_state(hard));
  const store::LogRecord record{plan.last.next(), plan.term, static_cast<std::uint8_t>(raft::EntryKind::kConfiguration),
                                std::make_shared<const std::string>(std::move(payload))};
  COFFER_TRY(log.append({&record, 1}));
  return log.sync();
}

}  // namespace coffer::actors
