// How a node begins: what state, log and spool folder say about its group.
#include <utility>

#include "actors/node.h"
#include "actors/recovery.h"
#include "core/group_record.h"
#include "core/restored.h"
#include "raft/entry.h"

namespace coffer::actors {
namespace {

bool is_alone(const raft::Configuration& configuration, raft::NodeId id) {
  return configuration.voters == std::vector<raft::NodeId>{id} && configuration.learners.empty();
}

Result<std::optional<core::RaftGroupRecord>> stored_group(const store::Backend& backend) {
  COFFER_ASSIGN(const std::unique_ptr<store::View> view, backend.view());
  return core::read_group(*view);
}

Result<Index> last_restore(const store::Backend& backend) {
  COFFER_ASSIGN(const std::unique_ptr<store::View> view, backend.view());
  COFFER_ASSIGN(const auto record, core::read_restore(*view));
  return record ? record->index : Index(0);
}

}  // namespace

Result<bool> Node::is_sole_voter(const store::Backend& backend, const store::Log& log, raft::NodeId id) {
  COFFER_ASSIGN(const auto newest, newest_configuration(backend, log));
  if (newest)
    return is_alone(*newest, id);
  return !raft::Core::catching_up(log.hard_state());
}

// A crash fell between "the state is the snapshot's" and "the log goes on after it".
Status Node::end_installation(SnapshotDesk& desk, const Ports& ports, WallTime& time) {
  COFFER_ASSIGN(const auto snapshot, desk.interrupted());
  if (!snapshot)
    return Status();
  if (ports.backend.applied_index() == snapshot->applied) {
    COFFER_ASSIGN(const core::SnapshotExtra extra, core::decode_snapshot_extra(snapshot->extra));
    time = extra.time;
    const Result<Term> term = ports.log.term_at(snapshot->applied);
    if (!term.ok() || *term != snapshot->term) {
      COFFER_TRY(ports.log.reset_to(snapshot->applied, snapshot->term));
      COFFER_TRY(ports.log.sync());
    }
  }
  return desk.end_install();
}

Result<std::unique_ptr<Node>> Node::create(const Options& options, Ports ports, Begin begin) {
  const bool several = ports.transport != nullptr;
  COFFER_CHECK(!several || (ports.snapshots != nullptr && ports.disk != nullptr && !options.spool_folder.empty()));
  WallTime time{};
  std::unique_ptr<SnapshotDesk> desk;
  std::map<Index, std::string> streams;
  if (several) {
    COFFER_ASSIGN(desk, SnapshotDesk::open(*ports.disk, options.spool_folder, *ports.snapshots,
                                           options.free_bytes_min));
    COFFER_TRY(end_installation(*desk, ports, time));
    COFFER_ASSIGN(streams, logged_streams(ports.log, ports.backend.applied_index()));
    std::set<std::string> digests;
    for (const auto& [index, digest] : streams)
      digests.insert(digest);
    COFFER_TRY(desk->clean(digests));
  }
  raft::Core::Start start;
  start.applied = ports.backend.applied_index();
  start.joining = begin == Begin::kJoining || raft::Core::catching_up(ports.log.hard_state());
  if (begin == Begin::kJoining && (start.applied > Index(0) || ports.log.last_index() > Index(0)))
    return Status(Code::kInvalid, "a node that joins a cluster must have no data of its own: its storage is in use");
  COFFER_ASSIGN(const auto stored, stored_group(ports.backend));
  if (stored) {
    start.configuration = stored->configuration;
    time = std::max(time, stored->time);
  } else if (!start.joining) {
    start.configuration.voters = {options.raft.id};
  }
  start.time = time;
  COFFER_ASSIGN(start.replaced, last_restore(ports.backend));
  const Index restored = start.replaced;
  COFFER_ASSIGN(auto core, raft::Core::start(options.raft, ports.clock, ports.log, start));
  if (begin == Begin::kSoleVoter && !is_alone(core->configuration(), options.raft.id))
    return Status(Code::kInvalid,
                  "the storage belongs to a cluster of other nodes: node_id is not the one that it was made with, or "
                  "this node has joined others and cannot go on alone");
  if (!several && !is_alone(core->configuration(), options.raft.id))
    return Status(Code::kInvalid, "the storage belongs to a cluster of several nodes: cluster_addr is needed");
  std::unique_ptr<Node> node(new Node(options, std::move(ports), std::move(core), std::move(desk), time,
                                      begin == Begin::kSoleVoter));
  node->restored_ = restored;
  if (const Status staged = node->stage_logged(std::move(streams)); !staged.ok()) {
    node->stop();
    return staged;
  }
  return node;
}

void Node::lead_alone(std::function<void(const Status&)> done) {
  const auto owed = std::make_shared<OwedAnswer>([done = std::move(done)](Status status, Index) { done(status); });
  operate(owed, [this, owed] { begin_alone(owed); });
}

// The core that waited to be let in has written no entry; another one begins in its place.
void Node::begin_alone(const Owed& owed) {
  if (serving())
    return owed->tell(Status());
  if (participating_ || alone_ != nullptr || core_->last_index() > Index(0) || core_->applied_index() > Index(0))
    return owed->tell(Status(Code::kInvalid, "this node is part of a cluster already"));
  // A report of the first core's must not be taken for one of the second's.
  if (persist_asked_ != persist_reported_)
    return operate(owed, [this, owed] { begin_alone(owed); });
  store::HardState hard = ports_.log.hard_state();
  hard.voted_for = 0;
  if (Status saved = ports_.log.save_hard_state(hard); !saved.ok())
    return fail(saved);
  raft::Core::Start start;
  start.configuration.voters = {options_.raft.id};
  Result<std::unique_ptr<raft::Core>> core = raft::Core::start(options_.raft, ports_.clock, ports_.log, start);
  if (!core.ok())
    return fail(core.status());
  core_ = std::move(*core);
  persist_asked_ = persist_reported_ = 0;
  alone_ = owed;
  participate(true, std::make_shared<OwedAnswer>([](Status, Index) {}));
}

}  // namespace coffer::actors
