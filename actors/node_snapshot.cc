// Snapshots: made for peers that the log does not reach any more, and received from a leader.
#include <algorithm>
#include <utility>

#include "actors/node.h"
#include "core/group_record.h"
#include "core/restored.h"

namespace coffer::actors {

namespace {

// How soon a peer that needs a snapshot and gets none yet is asked again where it is: it may be reading the last one.
constexpr std::chrono::milliseconds kSnapshotRetryTime{500};
// At least so long after a snapshot no other is made for the same peer; twice as long as that one took if that is more.
constexpr std::chrono::seconds kSnapshotPause{1};

store::SnapshotMeta header_of(const raft::SnapshotMeta& meta) {
  store::SnapshotMeta header;
  header.applied = meta.index;
  header.term = meta.term;
  header.extra = core::encode_snapshot_extra(meta.configuration, meta.time);
  return header;
}

}  // namespace

void Node::put_off_snapshot(raft::NodeId to, const Status& why) {
  if (!why.ok())
    ports_.logger.warn("raft", "a snapshot for a node is put off: " + why.message(), {{"node", to.get()}});
  snapshots_put_off_[to] = ports_.clock.boot_now() + kSnapshotRetryTime;
}

void Node::retry_snapshots(BootTime now) {
  std::erase_if(snapshots_earliest_, [now](const auto& entry) { return now >= entry.second; });
  std::erase_if(snapshots_put_off_, [&](const auto& entry) {
    if (now < entry.second)
      return false;
    core_->snapshot_done(entry.first);
    return true;
  });
}

void Node::make_snapshot(raft::NodeId to) {
  if (snapshots_under_way_.contains(to) || snapshots_earliest_.contains(to))
    return put_off_snapshot(to, Status());
  const Result<raft::SnapshotMeta> meta = core_->snapshot_meta();
  if (!meta.ok())
    return put_off_snapshot(to, meta.status());
  Result<std::unique_ptr<store::View>> view = ports_.backend.view();
  if (!view.ok())
    return put_off_snapshot(to, view.status());
  COFFER_CHECK((*view)->index() == meta->index);
  raft::SnapshotMeta described = *meta;
  described.time = applied_time_;
  raft::Message message;
  message.kind = raft::MessageKind::kSnapshot;
  message.from = core_->id();
  message.to = to;
  message.term = core_->term();
  message.snapshot = std::make_shared<const raft::SnapshotMeta>(described);
  store::SnapshotMeta header = header_of(described);
  const BootTime begun = ports_.clock.boot_now();
  const auto done = [this, message, begun](const Result<std::string>& path) {
    report([this, message, begun, path] { snapshot_written(message, begun, path); });
  };
  if (!desk_->write(std::move(view).value(), std::move(header), done))
    return put_off_snapshot(to, Status(Code::kExhausted, "too many are being made"));
  snapshots_under_way_.insert(to);
}

void Node::snapshot_written(const raft::Message& message, BootTime begun, const Result<std::string>& path) {
  if (!path.ok())
    return snapshot_over(message.to, begun, path.status());
  const std::string file = *path;
  if (!participating_ || core_->role() != raft::Role::kLeader || core_->term() != message.term) {
    desk_->remove(file);
    return snapshot_over(message.to, begun, Status(Code::kUnavailable, "this node does not lead any more"));
  }
  raft::Message now = message;
  now.time = core_->cluster_time();
  ports_.transport->send_snapshot(std::move(now), file, [this, to = message.to, begun, file](const Status& status) {
    report([this, to, begun, file, status] {
      desk_->remove(file);
      snapshot_over(to, begun, status);
    });
  });
}

void Node::snapshot_over(raft::NodeId to, BootTime begun, const Status& status) {
  snapshots_under_way_.erase(to);
  const BootTime now = ports_.clock.boot_now();
  snapshots_earliest_[to] = now + std::max<Nanos>(kSnapshotPause, 2 * (now - begun));
  if (!status.ok())
    ports_.logger.warn("raft", "a snapshot did not reach a node: " + status.message(), {{"node", to.get()}});
  core_->snapshot_done(to);
}

bool Node::receive_snapshot(raft::Message message, std::string path) {
  if (!takes_part_.load(std::memory_order_acquire) || desk_ == nullptr || message.snapshot == nullptr)
    return false;
  if (message.staged) {
    if (message.from != leader())
      return false;
    return desk_->stage(std::move(path), [this, message](Result<SnapshotDesk::Staged> staged) {
      auto shared = std::make_shared<Result<SnapshotDesk::Staged>>(std::move(staged));
      report([this, message, shared] { stream_arrived(message, std::move(*shared)); });
    });
  }
  return desk_->receive(std::move(message), std::move(path), [this](Result<SnapshotDesk::Received> received) {
    auto shared = std::make_shared<Result<SnapshotDesk::Received>>(std::move(received));
    report([this, shared] {
      if (shared->ok())
        snapshot_received(std::move(*shared).value());
      else
        ports_.logger.warn("raft", "a snapshot that came in is of no use: " + shared->status().message());
    });
  });
}

void Node::snapshot_received(SnapshotDesk::Received received) {
  if (!participating_ || received_)
    return desk_->received_done(std::move(received));
  received.message.spool = ++spool_;
  raft::Message message = received.message;
  received_ = std::move(received);
  core_->step(std::move(message));
}

// Whether it is some initialized server's.
Result<bool> Node::is_sealed_state() const {
  COFFER_ASSIGN(const std::unique_ptr<store::View> view, ports_.backend.view());
  std::string record;
  return view->get(core::seal_key(), record);
}

// The state first, then the log; the file in the spool folder tells the next process of a crash between the two.
Status Node::install(const raft::Ready& ready) {
  COFFER_CHECK(received_ && ready.spool == received_->message.spool && ready.persist != 0);
  const raft::SnapshotMeta& meta = *ready.install;
  COFFER_TRY(desk_->begin_install(received_->path).with_context("snapshot from the leader"));
  COFFER_ASSIGN(const bool had_state, is_sealed_state());
  COFFER_ASSIGN(std::unique_ptr<store::View> state, received_->replacement->take_over());
  COFFER_CHECK(ports_.backend.applied_index() == meta.index);
  COFFER_TRY(ports_.log.reset_to(meta.index, meta.term));
  log_marks_.clear();
  log_bytes_ = 0;
  applied_time_ = meta.time;
  proposer_.replaced_by_snapshot(meta.index);
  COFFER_ASSIGN(const auto restore, core::read_restore(*state));
  const Index restored = restore ? restore->index : Index(0);
  // A restore that this node missed; who had nothing missed none.
  restored_news_ = std::exchange(restored_, restored) != restored && had_state;
  if (restored_news_)
    ports_.observer.on_restored();
  else
    ports_.observer.on_replaced(*state);
  state.reset();
  replaced_.clear();
  part_with_streams(ports_.clock.boot_now());  // the installed state has what they would have brought
  publish_state();
  applied_.store(meta.index.get(), std::memory_order_relaxed);
  installed_by_ = ready.persist;
  deliver(proposer_.published(ports_.clock.boot_now()));
  if (change_ && change_->index <= meta.index)
    std::exchange(change_, std::nullopt)
        ->owed->tell(Status(Code::kOutcomeUnknown, "leadership was lost while the change was under way"));
  if (restore_ && restore_->index != Index(0) && restore_->index <= meta.index)
    end_restore(Status(Code::kOutcomeUnknown, "leadership was lost while the restore was under way"));
  waiters_.reached(meta.index);
  ports_.logger.info("raft", "a snapshot took the place of the state",
                     {{"index", meta.index.get()}, {"term", meta.term.get()}});
  tell_restored();
  return Status();
}

// A sync that covers the log's reset has ended.
Status Node::note_installed(std::uint64_t persisted) {
  if (installed_by_ == 0 || persisted < installed_by_)
    return Status();
  installed_by_ = 0;
  return desk_->end_install();
}

// For an operator.

void Node::save(std::function<void(Result<core::SavedState>)> done) {
  const auto saved = std::make_shared<core::SavedState>();
  const auto owed = std::make_shared<OwedAnswer>([saved, done = std::move(done)](Status status, Index) {
    if (status.ok())
      done(std::move(*saved));
    else
      done(std::move(status));
  });
  operate(owed, [this, owed, saved] { begin_save(owed, saved); });
}

void Node::begin_save(const Owed& owed, const std::shared_ptr<core::SavedState>& saved) {
  if (desk_ == nullptr)
    return owed->tell(Status(Code::kInvalid, "this node is not one of a cluster: cluster_addr is needed"));
  Result<raft::SnapshotMeta> meta = core_->snapshot_meta();
  Result<std::unique_ptr<store::View>> view = ports_.backend.view();
  if (!meta.ok() || !view.ok())
    return owed->tell(meta.ok() ? view.status() : meta.status());
  COFFER_CHECK((*view)->index() == meta->index);
  meta->time = applied_time_;
  saved->index = meta->index;
  saved->term = meta->term;
  const auto done = [this, owed, saved](const Result<std::string>& path) {
    if (path.ok())
      saved->file = core::SpoolFile(*ports_.disk, *path);
    owed->tell(path.status());
  };
  if (!desk_->write(std::move(view).value(), header_of(*meta), done))
    owed->tell(Status(Code::kUnavailable, "too many snapshots are being made, try again"));
}

}  // namespace coffer::actors
