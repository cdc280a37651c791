// Another state in the place of the group's. Its stream goes to all members first and stays on their disks; an entry of
// the log then says that it is the state from there on. A member that has not got the stream takes no such entry, so
// whoever has acknowledged one can apply it, and whoever leads after it was committed has the stream
// (docs/raft.md, "Restore").
#include <algorithm>
#include <utility>

#include "actors/node.h"
#include "base/codec.h"
#include "core/group_record.h"
#include "core/restored.h"
#include "raft/entry.h"
#include "raft/quorum.h"

namespace coffer::actors {
namespace {

constexpr std::size_t kReadBytes = 1u << 20;
// To read the stream, send it to the others and hear that they have it.
constexpr std::chrono::minutes kStagingTimeMax{30};
// Those who are slower than a majority get as long again, and at least this.
constexpr std::chrono::seconds kStagingWaitMin{1};
// A stream that no entry names goes after this, or when another one comes.
constexpr std::chrono::hours kStreamKept{1};
// A leader that shall fall silent after a restore stays so long for the others to hear of the commit, and then
// kSettleTime for the messages to go out.
constexpr std::chrono::seconds kSettleTimeMax{3};
constexpr std::chrono::milliseconds kSettleTime{200};

bool is_replacement(const store::LogRecord& record) {
  return record.kind == static_cast<std::uint8_t>(raft::EntryKind::kReplaced);
}

// By which the answers to a stream are told apart; an answer to an earlier try of the same stream is as good.
std::uint64_t context_of(const std::string& digest) { return load_u64(digest.data()); }

}  // namespace

void Node::restore(std::string path, std::function<void(Status)> done) {
  // Whatever comes of it, the file is gone; when it was taken it has another name by then.
  const auto tell = [disk = ports_.disk, path, done = std::move(done)](Status status, Index) {
    if (disk != nullptr) {
      const Result<bool> there = disk->exists(path);
      if (there.ok() && *there)
        static_cast<void>(disk->remove(path));
    }
    done(std::move(status));
  };
  const auto owed = std::make_shared<OwedAnswer>(tell);
  operate(owed, [this, path = std::move(path), owed] { begin_restore(path, owed); });
}

void Node::begin_restore(const std::string& path, const Owed& owed) {
  if (desk_ == nullptr)
    return owed->tell(Status(Code::kInvalid, "this node is not one of a cluster: cluster_addr is needed"));
  if (!serving())
    return owed->tell(Status(Code::kUnavailable, "this node does not lead"));
  if (change_ || hand_over_ || restore_ || silent_after_ || !core_->configuration_committed())
    return owed->tell(Status(Code::kUnavailable, "another change of leader or members, or a restore, is under way"));
  const BootTime now = ports_.clock.boot_now();
  const std::uint64_t number = ++restores_;
  const bool taken = desk_->stage(path, [this, number](Result<SnapshotDesk::Staged> staged) {
    auto shared = std::make_shared<Result<SnapshotDesk::Staged>>(std::move(staged));
    report([this, number, shared] { stream_read(number, std::move(*shared)); });
  });
  if (!taken)
    return owed->tell(Status(Code::kUnavailable, "another snapshot is being read"));
  restore_.emplace();
  restore_->number = number;
  restore_->owed = owed;
  restore_->term = core_->term();
  restore_->begun = now;
  restore_->deadline = now + kStagingTimeMax;
  if (ports_.members)
    restore_->members = ports_.members();
}

void Node::stream_read(std::uint64_t number, Result<SnapshotDesk::Staged> staged) {
  const bool current = restore_ && restore_->number == number;
  if (!staged.ok()) {
    if (current)
      end_restore(staged.status());
    return;
  }
  const std::string digest = staged->digest;
  Status may = ports_.may_restore ? ports_.may_restore(staged->scan) : Status();
  keep_stream(std::move(staged).value());
  if (!current)
    return;
  restore_->digest = digest;
  if (!may.ok())
    return end_restore(may);
  const raft::Configuration& members = core_->configuration();
  for (const std::vector<raft::NodeId>* part : {&members.voters, &members.learners})
    for (const raft::NodeId id : *part)
      if (id != core_->id())
        restore_->waited.insert(id);
  for (const raft::NodeId id : std::set<raft::NodeId>(restore_->waited))
    send_stream(id);
  move_restore(ports_.clock.boot_now());
}

void Node::send_stream(raft::NodeId to) {
  const Result<raft::SnapshotMeta> meta = core_->snapshot_meta();
  if (!meta.ok())
    return note_stream(to, context_of(restore_->digest), false);
  raft::Message message;
  message.kind = raft::MessageKind::kSnapshot;
  message.staged = true;
  message.from = core_->id();
  message.to = to;
  message.term = core_->term();
  message.context = context_of(restore_->digest);
  message.time = core_->cluster_time();
  message.snapshot = std::make_shared<const raft::SnapshotMeta>(*meta);
  ports_.transport->send_snapshot(
      message, desk_->staged_path(restore_->digest), [this, to, context = message.context](const Status& status) {
        if (status.ok())
          return;  // it says so itself when it has read it
        report([this, to, context, status] {
          ports_.logger.warn("raft", "a snapshot to restore did not reach a node: " + status.message(),
                             {{"node", to.get()}});
          note_stream(to, context, false);
        });
      });
}

void Node::note_stream(raft::NodeId of, std::uint64_t context, bool there) {
  if (!restore_ || restore_->digest.empty() || context_of(restore_->digest) != context)
    return;
  restore_->waited.erase(of);
  if (there)
    restore_->ready.insert(of);
}

// The next step of a restore, if there is one.
void Node::move_restore(BootTime now) {
  if (!restore_)
    return;
  const bool leads = core_->role() == raft::Role::kLeader && core_->term() == restore_->term;
  if (restore_->index != Index(0)) {
    // What stands in the log may yet take effect. While this node leads nothing may be proposed behind it.
    if (now >= restore_->deadline && restore_->owed != nullptr)
      std::exchange(restore_->owed, nullptr)
          ->tell(Status(Code::kOutcomeUnknown, "the restore was neither committed nor given up in time"));
    if (!leads && restore_->owed == nullptr)
      end_restore(Status());
    return;
  }
  if (!leads || !participating_)
    return end_restore(Status(Code::kUnavailable, "leadership was lost before the snapshot was restored"));
  if (now >= restore_->deadline)
    return end_restore(Status(Code::kUnavailable, "the members did not take the snapshot in time"));
  if (restore_->digest.empty())
    return;
  const std::vector<raft::NodeId>& voters = core_->configuration().voters;
  const auto have = static_cast<std::size_t>(std::ranges::count_if(
      voters, [this](raft::NodeId id) { return id == core_->id() || restore_->ready.contains(id); }));
  if (have >= raft::majority_of(voters.size()))
    restore_->agreed = std::min(restore_->agreed, now);
  else if (restore_->waited.empty())
    return end_restore(Status(Code::kUnavailable, "too few members could take the snapshot"));
  if (restore_->agreed == BootTime::max())
    return;
  const Nanos patience = std::max<Nanos>(kStagingWaitMin, restore_->agreed - restore_->begun);
  if (restore_->waited.empty() || now >= restore_->agreed + patience)
    propose_restore();
}

void Node::propose_restore() {
  const Result<Index> index = core_->propose(
      restore_->term, core::encode_replaced({restore_->digest, restore_->members}), raft::EntryKind::kReplaced);
  if (index.code() == Code::kExhausted)
    return;  // tried again soon
  if (!index.ok())
    return end_restore(index.status());
  restore_->index = *index;
  restore_->deadline = ports_.clock.boot_now() + options_.commit_time_max;
  update_drain();
}

// The entry (index, term) is applied.
void Node::settle_restore(Index index, Term term) {
  if (!restore_ || restore_->index == Index(0) || index < restore_->index)
    return;
  if (index == restore_->index && term == restore_->term)
    return end_restore(Status());
  end_restore(Status(Code::kUnavailable, "leadership was lost before the restore was committed"));
}

void Node::end_restore(const Status& status) {
  const Restore ended = std::move(*std::exchange(restore_, std::nullopt));
  update_drain();
  if (!status.ok())
    ports_.logger.warn("raft", "a snapshot was not restored: " + status.message());
  const BootTime now = ports_.clock.boot_now();
  if (const auto stream = staged_.find(ended.digest); stream != staged_.end())
    stream->second.until = now;
  drop_streams(now);
  if (ended.owed != nullptr)
    ended.owed->tell(status);
}

// Nothing may be proposed behind the entry that replaces the state, nor while leadership moves.
void Node::update_drain() {
  if (hand_over_ || (restore_ && restore_->index != Index(0)))
    proposer_.drain();
  else
    proposer_.resume();
}

// Streams.

void Node::stream_arrived(const raft::Message& message, Result<SnapshotDesk::Staged> staged) {
  raft::Message reply;
  reply.kind = raft::MessageKind::kStaged;
  reply.from = core_->id();
  reply.to = message.from;
  reply.term = core_->term();
  reply.context = message.context;
  reply.reject = !staged.ok() || context_of(staged->digest) != message.context;
  if (!staged.ok())
    ports_.logger.warn("raft", "a snapshot to restore is of no use: " + staged.status().message());
  else
    keep_stream(std::move(staged).value());
  if (participating_)
    ports_.transport->send({reply});
}

// Takes the place of any other that the log does not name.
void Node::keep_stream(SnapshotDesk::Staged staged) {
  const BootTime now = ports_.clock.boot_now();
  for (auto& [digest, stream] : staged_)
    stream.until = now;
  staged_[staged.digest] = {std::move(staged.scan), std::move(staged.replacement), now + kStreamKept};
  drop_streams(now);
}

bool Node::is_named(const std::string& digest) const {
  return std::ranges::any_of(replaced_, [&digest](const auto& entry) { return entry.second == digest; });
}

void Node::drop_streams(BootTime now) {
  std::erase_if(staged_, [&](const auto& entry) {
    const bool wanted = restore_ && restore_->digest == entry.first;
    if (now < entry.second.until || wanted || is_named(entry.first))
      return false;
    desk_->forget_staged(entry.first);
    return true;
  });
}

// False when nothing is left of it.
bool Node::end_at_missing(raft::Message& message) const {
  const auto missing = std::ranges::find_if(message.entries, [this](const store::LogRecord& record) {
    if (!is_replacement(record) || record.index <= core_->commit_index() ||
        core_->log_matches(record.index, record.term))
      return false;
    const Result<core::ReplacedEntry> entry = core::decode_replaced(raft::entry_body(record));
    return !entry.ok() || !staged_.contains(entry->digest);
  });
  if (missing == message.entries.end())
    return true;
  const bool any = missing != message.entries.begin();
  message.entries.erase(missing, message.entries.end());
  return any;
}

void Node::note_replacements(const std::vector<store::LogRecord>& appended) {
  for (const store::LogRecord& record : appended) {
    if (!is_replacement(record))
      continue;
    const Result<core::ReplacedEntry> entry = core::decode_replaced(raft::entry_body(record));
    COFFER_CHECK(entry.ok());  // end_at_missing(), or its own
    replaced_[record.index] = entry->digest;
  }
}

// Of entries that are not applied.
Result<std::map<Index, std::string>> Node::logged_streams(const store::Log& log, Index applied) {
  std::map<Index, std::string> out;
  Index at = std::max(applied.next(), log.first_index());
  while (at <= log.last_index()) {
    COFFER_ASSIGN(const std::vector<store::LogRecord> records, log.read(at, log.last_index(), kReadBytes));
    for (const store::LogRecord& record : records) {
      if (!is_replacement(record))
        continue;
      COFFER_ASSIGN(core::ReplacedEntry entry, core::decode_replaced(raft::entry_body(record)));
      out.emplace(record.index, std::move(entry.digest));
    }
    at = records.back().index.next();
  }
  return out;
}

// At a start. The first is needed first; reading all at once would take room for each.
Status Node::stage_logged(std::map<Index, std::string> named) {
  replaced_ = std::move(named);
  for (const auto& [index, digest] : replaced_) {
    StagedStream& stream = staged_[digest];
    stream.until = ports_.clock.boot_now() + kStreamKept;
    if (index != replaced_.begin()->first)
      continue;
    COFFER_ASSIGN(SnapshotDesk::Staged staged, desk_->restage(digest));
    stream.scan = std::move(staged.scan);
    stream.replacement = std::move(staged.replacement);
  }
  return ok_status();
}

// The replacement.

Status Node::replace_state(const store::LogRecord& record) {
  COFFER_CHECK(desk_ != nullptr);
  COFFER_ASSIGN(const core::ReplacedEntry entry, core::decode_replaced(raft::entry_body(record)));
  StagedStream stream = std::move(staged_[entry.digest]);
  if (stream.replacement == nullptr) {
    COFFER_ASSIGN(SnapshotDesk::Staged staged, desk_->restage(entry.digest));
    stream.scan = std::move(staged.scan);
    stream.replacement = std::move(staged.replacement);
  }
  core::RaftGroupRecord group;
  group.index = record.index;
  COFFER_ASSIGN(group.time, raft::entry_time(record));
  group.configuration = core_->configuration_at(record.index);
  COFFER_TRY(stream.replacement->take_over(record.index, stream.scan.changes(group, entry.members)).status());
  ports_.observer.on_restored();
  replaced_.erase(record.index);
  staged_.erase(entry.digest);
  if (is_named(entry.digest))  // once more: its replacement is made from the file
    staged_[entry.digest].until = ports_.clock.boot_now() + kStreamKept;
  else
    desk_->forget_staged(entry.digest);
  restored_ = record.index;
  restored_news_ = true;
  ports_.logger.warn("raft", "the state was replaced by a snapshot that was restored",
                     {{"index", record.index.get()}, {"term", record.term.get()}});
  return ok_status();
}

// Published.
void Node::tell_restored() {
  if (!std::exchange(restored_news_, false))
    return;
  settle_until_ = ports_.clock.boot_now() + kSettleTimeMax;
  told_at_.reset();
  if (ports_.restored)
    ports_.restored();
}

// Whether others wait to hear from this leader that the restore is committed.
bool Node::settling(BootTime now) {
  if (now >= settle_until_ || core_->role() != raft::Role::kLeader || !has_other_voter())
    return false;
  if (!told_at_ && core_->told_all(restored_))
    told_at_ = now;
  return !told_at_ || now < *told_at_ + kSettleTime;
}

}  // namespace coffer::actors
