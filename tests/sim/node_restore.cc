// Another state in the place of the cluster's, as the node actor does it (docs/raft.md, "Restore"). What is decided is
// the product's core/restoring.h; the disk and the way of a stream are simulated. A stream is known by the number of
// the state that was saved, which the body of its entry holds.
#include <cstring>

#include "base/check.h"
#include "raft/entry.h"
#include "tests/sim/node.h"

namespace coffer::sim {
namespace {

constexpr Time kTransferMax = 2 * kSecond;  // then it has failed
constexpr BootTime::duration kCommitMax{5 * kSecond};

std::string encode_stream(std::uint64_t stream) {
  std::string out(raft::kEntryHeaderBytes, '\0');
  out.append(reinterpret_cast<const char*>(&stream), 8);
  return out;
}

std::uint64_t stream_of(const store::LogRecord& record) {
  const std::string_view body = raft::entry_body(record);
  COFFER_CHECK(body.size() == 8);
  std::uint64_t stream = 0;
  std::memcpy(&stream, body.data(), 8);
  return stream;
}

}  // namespace

// The bytes are on this node's disk once it has read them.
void Node::restore(std::size_t call, std::uint64_t stream) {
  if (!serving() || restore_ || !core_->configuration_committed())
    return world_.restore_ended(call, RestoreCall::End::kRefused);
  restore_.emplace(call, stream, core_->term(), clock_.boot_now());
  later(world_.rng().between(5 * kMs, 300 * kMs), [this, call, stream] {
    keep_stream(stream);
    if (!restore_ || restore_->call != call)
      return;
    const std::set<raft::NodeId> others = restore_->staging.read(id_, core_->configuration());
    for (const raft::NodeId other : others)
      send_stream(other, stream);
    move_restore();
  });
}

void Node::send_stream(raft::NodeId to, std::uint64_t stream) {
  const Result<raft::SnapshotMeta> meta = core_->snapshot_meta();
  COFFER_CHECK(meta.ok());
  raft::Message message;
  message.kind = raft::MessageKind::kSnapshot;
  message.staged = true;
  message.from = id_;
  message.to = to;
  message.term = core_->term();
  message.context = stream;
  message.time = core_->cluster_time();
  message.snapshot = std::make_shared<const raft::SnapshotMeta>(*meta);
  world_.send(std::move(message));
  later(world_.rng().between(20 * kMs, 300 * kMs), [this, to] { offers_.sent(to, clock_.boot_now()); });
  later(kTransferMax, [this, to, stream] {
    if (restore_ && restore_->stream == stream)
      restore_->staging.heard(to, false);
  });
}

// Checked, synced and loaded beside the state in use; only then it is told.
void Node::stage(const raft::Message& message) {
  if (message.from != core_->leader())
    return;
  later(world_.rng().between(5 * kMs, world_.rng().chance(9'000) ? 200 * kMs : 2 * kSecond), [this, message] {
    keep_stream(message.context);
    raft::Message reply;
    reply.kind = raft::MessageKind::kStaged;
    reply.from = id_;
    reply.to = message.from;
    reply.term = core_->term();
    reply.context = message.context;
    world_.send(reply);
  });
}

// Takes the place of any other that the log does not name.
void Node::keep_stream(std::uint64_t stream) {
  std::erase_if(streams_, [this](std::uint64_t other) {
    return !is_named(other) && !(restore_ && restore_->stream == other);
  });
  streams_.insert(stream);
}

bool Node::is_named(std::uint64_t stream) const {
  for (const auto& [index, named] : replaced_)
    if (named == stream)
      return true;
  return false;
}

std::string Node::streams() const {
  std::string out;
  for (const auto& [index, stream] : replaced_)
    out += ", entry " + std::to_string(index.get()) + " names stream " + std::to_string(stream);
  for (const std::uint64_t stream : streams_)
    out += ", has stream " + std::to_string(stream);
  return out;
}

void Node::move_restore() {
  if (!up())
    return;
  const BootTime now = clock_.boot_now();
  std::set<Index> entries;
  for (const auto& [index, stream] : replaced_)
    entries.insert(index);
  for (const core::StreamOffers::Due& due : offers_.due(*core_, entries, now))
    send_stream(due.to, replaced_.at(due.entry));
  if (!restore_)
    return;
  const bool leads = core_->role() == raft::Role::kLeader && core_->term() == restore_->term;
  if (restore_->index != Index(0)) {
    if (now >= restore_->deadline && !std::exchange(restore_->told, true))
      world_.restore_ended(restore_->call, RestoreCall::End::kUnknown);
    if (!leads && restore_->told)
      end_restore(RestoreCall::End::kUnknown);
    return;
  }
  if (!leads)
    return end_restore(RestoreCall::End::kRefused);
  switch (restore_->staging.next(core_->configuration().voters, now)) {
    case core::StreamStaging::Step::kWait:
      return;
    case core::StreamStaging::Step::kLate:
    case core::StreamStaging::Step::kTooFew:
      return end_restore(RestoreCall::End::kRefused);
    case core::StreamStaging::Step::kPropose:
      return propose_restore(now);
  }
}

void Node::propose_restore(BootTime now) {
  const Result<Index> index =
      core_->propose(restore_->term, encode_stream(restore_->stream), raft::EntryKind::kReplaced);
  if (index.code() == Code::kExhausted)
    return;
  if (!index.ok())
    return end_restore(RestoreCall::End::kRefused);
  restore_->index = *index;
  restore_->deadline = now + kCommitMax;
  world_.restore_proposed(restore_->call, *index, restore_->term);
  proposer_->drain();
  poll();
}

void Node::settle_restore(const store::LogRecord& record) {
  if (!restore_)
    return;
  const auto settled = core::replacement_settled(restore_->index, restore_->term, record.index, record.term);
  if (settled)
    end_restore(*settled ? RestoreCall::End::kDone : RestoreCall::End::kRefused);
}

void Node::end_restore(RestoreCall::End end) {
  if (!restore_->told)
    world_.restore_ended(restore_->call, end);
  restore_.reset();
  proposer_->resume();
}

void Node::end_at_missing(raft::Message& message) const {
  core::end_at_missing(
      message, *core_, [this](const store::LogRecord& record) { return streams_.contains(stream_of(record)); });
}

void Node::note_replacements(const std::vector<store::LogRecord>& appended) {
  for (const store::LogRecord& record : appended)
    if (core::is_replacement(record))
      replaced_[record.index] = stream_of(record);
}

// At a start: streams that the log does not name are of no use, and none that it names may be missing.
void Node::find_streams() {
  replaced_.clear();
  const store::Log& log = disk_.log();
  for (Index at = std::max(image_->applied.next(), log.first_index()); at <= log.last_index();) {
    const Result<std::vector<store::LogRecord>> records = log.read(at, log.last_index(), 1 << 20);
    COFFER_CHECK(records.ok());
    note_replacements(*records);
    at = records->back().index.next();
  }
  std::erase_if(streams_, [this](std::uint64_t stream) { return !is_named(stream); });
  for (const auto& [index, stream] : replaced_)
    if (!streams_.contains(stream))
      world_.fail("node " + std::to_string(id_.get()) + " has an entry in its log whose stream it has not got");
}

// The process may die right before the switch, or right after it.
bool Node::dies_at_switch() {
  if (world_.healing() || !world_.rng().chance(500))
    return false;
  dying_ = true;
  world_.after(0, [this, life = life_] {
    if (life != life_)
      return;
    crash(LogDisk::Cut::kTorn);
    world_.after(world_.rng().between(10 * kMs, kSecond), [this] { start(); });
  });
  return true;
}

void Node::replace_state(const store::LogRecord& record) {
  const std::uint64_t stream = stream_of(record);
  if (!streams_.contains(stream))
    return world_.fail("node " + std::to_string(id_.get()) + " applies a restore whose stream it has not got");
  image_ = std::make_shared<TableImage>();
  image_->records = world_.saved(stream);
  image_->applied = record.index;
  image_->applied_term = record.term;
  image_->replaced = record.index;
  image_->configuration = core_->configuration_at(record.index);
  image_->time = std::max(applied_time_, raft::entry_time(record).value());
  flushing_ = false;
  open_backend();
  configurations_ = {{image_->applied, image_->configuration}};
  replaced_.erase(record.index);
  if (!is_named(stream))
    streams_.erase(stream);
  world_.replaced(record.index, stream);
}

}  // namespace coffer::sim
