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

namespace coffer::actors {
namespace {

constexpr std::size_t kReadBytes = 1u << 20;
// A stream that no entry names goes after this, or when another one comes.
constexpr std::chrono::hours kStreamKept{1};
// An entry that is in hand may name one that no entry names yet.
constexpr std::chrono::seconds kUnnamedStreamKept{5};
constexpr std::chrono::seconds kToldAgainPause{1};
constexpr unsigned kToldAgainMax = 60;  // times; who hears nothing for so long hears no heartbeat either
// A leader that shall fall silent after a restore stays so long for the others to hear of the commit, and then
// kSettleTime for the messages to go out.
constexpr std::chrono::seconds kSettleTimeMax{3};
constexpr std::chrono::milliseconds kSettleTime{200};

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
  restore_.emplace(now);
  restore_->number = number;
  restore_->owed = owed;
  restore_->term = core_->term();
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
  const std::set<raft::NodeId> others = restore_->staging.read(core_->id(), core_->configuration());
  for (const raft::NodeId id : others)
    send_stream(id, digest);
  move_restore(ports_.clock.boot_now());
}

void Node::send_stream(raft::NodeId to, const std::string& digest) {
  const Result<raft::SnapshotMeta> meta = core_->snapshot_meta();
  if (!meta.ok()) {
    stream_offers_.sent(to, ports_.clock.boot_now());
    return note_stream(to, context_of(digest), false);
  }
  raft::Message message;
  message.kind = raft::MessageKind::kSnapshot;
  message.staged = true;
  message.from = core_->id();
  message.to = to;
  message.term = core_->term();
  message.context = context_of(digest);
  message.time = core_->cluster_time();
  message.snapshot = std::make_shared<const raft::SnapshotMeta>(*meta);
  ports_.transport->send_snapshot(
      message, desk_->staged_path(digest), [this, to, context = message.context](const Status& status) {
        report([this, to, context, status] {
          stream_offers_.sent(to, ports_.clock.boot_now());
          if (status.ok())
            return;  // it says so itself when it has read it
          ports_.logger.warn("raft", "a snapshot to restore did not reach a node: " + status.message(),
                             {{"node", to.get()}});
          note_stream(to, context, false);
        });
      });
}

void Node::note_stream(raft::NodeId of, std::uint64_t context, bool there) {
  if (!restore_ || restore_->digest.empty() || context_of(restore_->digest) != context)
    return;
  restore_->staging.heard(of, there);
}

// Nothing is committed behind an entry whose stream a majority has not got.
void Node::offer_streams(BootTime now) {
  if (!participating_ || replaced_.empty())
    return stream_offers_.clear();
  std::set<Index> entries;
  for (const auto& [index, digest] : replaced_)
    entries.insert(index);
  for (const core::StreamOffers::Due& due : stream_offers_.due(*core_, entries, now))
    send_stream(due.to, replaced_.at(due.entry));
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
  switch (restore_->staging.next(core_->configuration().voters, now)) {
    case core::StreamStaging::Step::kWait:
      return;
    case core::StreamStaging::Step::kLate:
      return end_restore(Status(Code::kUnavailable, "the members did not take the snapshot in time"));
    case core::StreamStaging::Step::kTooFew:
      return end_restore(Status(Code::kUnavailable, "too few members could take the snapshot"));
    case core::StreamStaging::Step::kPropose:
      return propose_restore();
  }
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
  const auto settled =
      restore_ ? core::replacement_settled(restore_->index, restore_->term, index, term) : std::optional<bool>();
  if (!settled)
    return;
  if (*settled)
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
    stream->second.until = now + kUnnamedStreamKept;
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
  // A replacement that was applied meanwhile has taken the file of its digest with it, the second copy's too.
  if (staged.ok() && !desk_->is_staged(staged->digest))
    staged = Status(Code::kUnavailable, "its file is gone: the same state was restored meanwhile");
  reply.reject = !staged.ok() || context_of(staged->digest) != message.context;
  if (!staged.ok())
    ports_.logger.warn("raft", "a snapshot to restore is of no use: " + staged.status().message());
  else
    keep_stream(std::move(staged).value());
  if (participating_)
    ports_.transport->send({reply});
  told_ = Told{std::move(reply), ports_.clock.boot_now() + kToldAgainPause, kToldAgainMax};
}

// Until what it was for stands in the log, or another leads.
void Node::tell_again(BootTime now) {
  if (!told_ || now < told_->again)
    return;
  if (told_->left == 0 || told_->reply.term != core_->term() || !replaced_.empty()) {
    told_.reset();
    return;
  }
  --told_->left;
  told_->again = now + kToldAgainPause;
  if (participating_)
    ports_.transport->send({told_->reply});
}

// Takes the place of any other that the log does not name.
void Node::keep_stream(SnapshotDesk::Staged staged) {
  const BootTime now = ports_.clock.boot_now();
  part_with_streams(now);
  staged_[staged.digest] = {std::move(staged.scan), std::move(staged.replacement), now + kStreamKept};
}

// Those that no entry names are dropped soon.
void Node::part_with_streams(BootTime now) {
  for (auto& [digest, stream] : staged_)
    stream.until = std::min(stream.until, now + kUnnamedStreamKept);
}

bool Node::is_named(const std::string& digest) const {
  const auto names = [&digest](const auto& entry) { return entry.second == digest; };
  return std::ranges::any_of(replaced_, names) || std::ranges::any_of(cut_off_, names);
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

void Node::end_at_missing(raft::Message& message) const {
  core::end_at_missing(message, *core_, [this](const store::LogRecord& record) {
    const Result<core::ReplacedEntry> entry = core::decode_replaced(raft::entry_body(record));
    return entry.ok() && staged_.contains(entry->digest);
  });
}

void Node::note_replacements(const std::vector<store::LogRecord>& appended) {
  for (const store::LogRecord& record : appended) {
    if (!core::is_replacement(record))
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
      if (!core::is_replacement(record))
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
