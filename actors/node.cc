#include "actors/node.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/wake.h"
#include "core/entry.h"
#include "core/layout.h"
#include "core/pipeline_state.h"
#include "raft/entry.h"

namespace coffer::actors {
namespace {

constexpr std::chrono::seconds kDiskCheckInterval{1};

core::Proposer::Options proposer_options(core::Proposer::Options options) {
  options.never_speculative = core::layout::is_own_key;
  return options;
}

// Room in the queue beyond the proposals. Steps: one unseal or init at a time, a sys/seal for each request that asks
// for it, and what is asked of the group. Reports: the log's thread makes one for each round of work(), which drains
// the queue first, and may be late with one more; of snapshots there are three for each peer, one that came in and two
// that were staged.
constexpr std::size_t kStepsQueuedMax = 1024;
constexpr std::size_t kReportsQueuedMax = 4 + 3 * (raft::kVotersMax + raft::kLearnersMax) + 3;
// From the network. A leader's entries come in appends of at most raft::Options::append_bytes_max.
constexpr std::size_t kMessagesQueuedMax = 8192;
constexpr std::size_t kMessageBytesQueuedMax = 64u << 20;
constexpr std::size_t kIndexWaitersMax = 8192;

}  // namespace

Node::Node(const Options& options, Ports ports, std::unique_ptr<raft::Core> core, std::unique_ptr<SnapshotDesk> desk,
           WallTime applied_time, bool takes_part)
    : options_(options), ports_(std::move(ports)), inputs_(limits::kProposalsQueuedMax), messages_(kMessagesQueuedMax),
      core_(std::move(core)), proposer_(proposer_options(options.proposer)), overload_(options.overload),
      desk_(std::move(desk)), participating_(takes_part), applied_time_(applied_time), waiters_(kIndexWaitersMax),
      reads_(ReadRounds::Options{}), takes_part_(takes_part) {
  applied_.store(ports_.backend.applied_index().get(), std::memory_order_relaxed);
  committed_.store(core_->commit_index().get(), std::memory_order_relaxed);
  publish_time();
  publish_group();
  syncer_ = std::make_unique<LogSyncer>(ports_.log, [this](std::uint64_t number, const Status& status) {
    Input report;
    report.persisted = number;
    report.status = status;
    COFFER_CHECK(push(std::move(report), kStepsQueuedMax + kReportsQueuedMax) != Push::kFull);
  });
}

Node::~Node() = default;

Node::Push Node::push(Input&& input, std::size_t extra_items) {
  const Push pushed = inputs_.push(std::move(input), extra_items);
  if (pushed == Push::kQueuedWake)
    ports_.wake();
  return pushed;
}

void Node::refuse(Input& input, Push why) {
  if (why == Push::kClosed)
    answer(input, core::CommitOutcome::kRefused, Index(0), Status(Code::kUnavailable, "the node has stopped"));
  else if (why == Push::kFull)
    answer(input, core::CommitOutcome::kRefused, Index(0), Status(Code::kExhausted, "too many writes are waiting"));
}

void Node::submit(std::unique_ptr<core::Exchange> exchange, core::CommitSink& sink) {
  Input input;
  input.exchange = std::move(exchange);
  input.sink = &sink;
  const Push pushed = push(std::move(input));
  refuse(input, pushed);
}

void Node::submit_system(core::Proposal proposal, core::SystemCommit& done) {
  Input input;
  input.proposal = std::make_unique<core::Proposal>(std::move(proposal));
  input.done = &done;
  const Push pushed = push(std::move(input));
  refuse(input, pushed);
}

// Something to be done on the node's thread, that somebody waits for.
void Node::operate(Owed owed, std::function<void()> step) {
  Input input;
  input.step = std::move(step);
  if (push(std::move(input), kStepsQueuedMax) == Push::kFull)
    owed->tell(Status(Code::kExhausted, "too much is asked of the node at once"));
}

// What another thread did for the node. Lost when the node has stopped.
void Node::report(std::function<void()> step) {
  Input input;
  input.step = std::move(step);
  COFFER_CHECK(push(std::move(input), kStepsQueuedMax + kReportsQueuedMax) != Push::kFull);
}

bool Node::receive(raft::Message message) {
  if (!takes_part_.load(std::memory_order_acquire))
    return false;
  std::size_t bytes = 0;
  for (const store::LogRecord& entry : message.entries)
    bytes += entry.payload->size();
  if (message_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes > kMessageBytesQueuedMax && bytes > 0) {
    message_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    return false;
  }
  const BatchQueue<raft::Message>::Push pushed = messages_.push(std::move(message));
  if (pushed == BatchQueue<raft::Message>::Push::kQueuedWake)
    ports_.wake();
  if (pushed == BatchQueue<raft::Message>::Push::kQueued || pushed == BatchQueue<raft::Message>::Push::kQueuedWake)
    return true;
  message_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  return false;
}

// When the queue is full the key is free a little later, by itself.
void Node::abandon(const core::Exchange& exchange) {
  Input input;
  input.abandoned = reinterpret_cast<core::Ticket>(&exchange);
  push(std::move(input));
}

void Node::on_applier(std::function<void()> step, std::function<void()> then) {
  Input input;
  input.step = std::move(step);
  input.then = std::move(then);
  push(std::move(input), kStepsQueuedMax);
}

void Node::flush_state() {
  if (ports_.state != nullptr)
    on_applier([this] { ports_.state->freeze(); }, {});
}

WallTime Node::cluster_now() const {
  const Nanos offset(time_offset_.load(std::memory_order_relaxed));
  return WallTime(ports_.clock.boot_now().time_since_epoch() + offset);
}

bool Node::lease_valid() const { return is_leader() && core_->lease().valid(ports_.clock.boot_now()); }

void Node::work() {
  if (failed_)
    return;
  for (bool more = true; more && !failed_;) {
    more = false;
    if (ports_.transport != nullptr) {
      const bool held = step_held();
      more = take_messages() || held;
    }
    more = inputs_.drain(batch_) || more;
    for (Input& input : batch_) {
      if (!failed_)
        handle(input);
      else if (input.is_proposal())
        answer(input, core::CommitOutcome::kRefused, Index(0), Status(Code::kUnavailable, "the node has stopped"));
    }
    batch_.clear();
    if (failed_)
      return;
    // Whom it lost to may be published already, and then no batch follows that would wake it.
    if (proposer_.queued() > 0)
      deliver(proposer_.expire(ports_.clock.boot_now()));
    if (ports_.transport != nullptr) {
      ask_reads();
      move_leadership();
      move_restore(ports_.clock.boot_now());
      offer_streams(ports_.clock.boot_now());
    }
    more = perform() || more;
  }
}

void Node::tick() {
  if (failed_)
    return;
  const BootTime now = ports_.clock.boot_now();
  if (participating_)
    core_->tick();
  deliver(proposer_.expire(now));
  if (ports_.state != nullptr) {
    ports_.state->tick(now);
    if (Status cut = cut_log(); !cut.ok())
      return fail(cut);
  }
  check_disk(now);
  publish_time();
  refuse_overdue(now);
  overload_.tick(now, !waiting_.empty() || !held_.empty());
  while (!held_.empty() && !flush_pressure()) {
    Input input = std::move(held_.front());
    held_.pop_front();
    propose(input);
  }
  expire_waiters(now);
  work();
  if (!failed_)
    publish_group();
}

void Node::stop() {
  takes_part_.store(false, std::memory_order_release);
  syncer_.reset();
  desk_.reset();
  serving_term_.store(0, std::memory_order_release);
  give_up(Status(Code::kUnavailable, "the server is stopping"));
}

// Answers everything there is. What was proposed may be in the log and take effect after the next start.
void Node::give_up(const Status& why) {
  inputs_.close();
  messages_.close();
  drop_waiters();
  std::vector<Input> unseen;
  inputs_.drain(unseen);
  deliver(proposer_.step_down());
  for (auto& [ticket, input] : std::exchange(waiting_, {}))
    answer(input, core::CommitOutcome::kOutcomeUnknown, Index(0),
           Status(Code::kOutcomeUnknown, why.message() + " before the write was confirmed"));
  for (Input& input : std::exchange(held_, {}))
    answer(input, core::CommitOutcome::kRefused, Index(0), why);
  for (Input& input : unseen) {
    if (input.is_proposal())
      answer(input, core::CommitOutcome::kRefused, Index(0), why);
  }
}

void Node::handle(Input& input) {
  if (input.persisted != 0) {
    if (!input.status.ok())
      return fail(input.status);
    persist_reported_ = input.persisted;
    core_->persisted(input.persisted);
    cut_off_.erase(cut_off_.begin(), cut_off_.upper_bound(input.persisted));
    if (Status noted = note_installed(input.persisted); !noted.ok())
      fail(noted);
    return;
  }
  if (input.abandoned != 0)
    return deliver(proposer_.abandoned(input.abandoned, ports_.clock.boot_now()));
  if (input.step) {
    input.step();
    if (!input.then)
      return;
    publish_state();
    input.then();
    return;
  }
  input.arrived = ports_.clock.boot_now();
  input.deadline = input.arrived + std::min(options_.commit_time_max, time_left(input));
  if (!flush_pressure())
    return propose(input);
  if (held_.size() >= limits::kProposalsQueuedMax)
    return turn_away(input, Status(Code::kExhausted, "too many writes are waiting"));
  held_.push_back(std::move(input));  // tried again every tick: the flusher frees a generation
}

// The flusher may hang: whoever waits for it is told so in time.
void Node::refuse_overdue(BootTime now) {
  std::erase_if(held_, [&](Input& input) {
    if (now < input.deadline)
      return false;
    turn_away(input, Status(Code::kUnavailable, "the write took longer than it may: storage is behind"));
    return true;
  });
}

bool Node::flush_pressure() const { return ports_.state != nullptr && ports_.state->flush_pressure(); }

Status Node::accepting_writes() const {
  if (disk_low_)
    return Status(Code::kUnavailable, "the data folder's disk is almost full: writes are refused");
  return Status();
}

void Node::propose(Input& input) {
  if (Status accepting = accepting_writes(); !accepting.ok())
    return turn_away(input, std::move(accepting));
  const core::Proposal& proposal = input.exchange ? core::proposal_of(*input.exchange) : *input.proposal;
  const BootTime now = ports_.clock.boot_now();
  const core::Ticket ticket = ticket_of(input);
  switch (proposer_.judge(proposal, ticket, now, input.deadline)) {
    case core::Proposer::Verdict::kAccepted: break;
    case core::Proposer::Verdict::kQueued: waiting_.emplace(ticket, std::move(input)); return;
    case core::Proposer::Verdict::kRunAgain: return answer(input, core::CommitOutcome::kConflict, Index(0), Status());
    case core::Proposer::Verdict::kWrongTerm:
      return turn_away(input, Status(Code::kUnavailable, "this node does not lead"));
    case core::Proposer::Verdict::kFull:
      return turn_away(input, Status(Code::kExhausted, "too many writes are waiting"));
    case core::Proposer::Verdict::kLate:
      return turn_away(input, Status(Code::kUnavailable, "the write took longer than it may"));
  }
  std::string payload(raft::kEntryHeaderBytes, '\0');
  core::entry::encode(0, proposal.key_term, proposal.ops, payload);
  Result<Index> index = core_->propose(proposal.term, std::move(payload));
  if (!index.ok())
    return turn_away(input, index.status());
  proposer_.proposed(proposal, ticket, *index, input.deadline);
  waiting_.emplace(ticket, std::move(input));
}

// Nothing of it was proposed, and it does not come back: a key that was kept for it is free.
void Node::turn_away(Input& input, Status why) {
  deliver(proposer_.abandoned(ticket_of(input), ports_.clock.boot_now()));
  answer(input, core::CommitOutcome::kRefused, Index(0), std::move(why));
}

// Of the request's own time; the server's proposals have no bound but the node's.
Nanos Node::time_left(const Input& input) const {
  if (!input.exchange || input.exchange->pipeline->deadline == WallTime::max())
    return Nanos::max();
  return std::max(Nanos(0), input.exchange->pipeline->deadline - cluster_now());
}

// The same on every run: a key is kept for whoever was told to run again, and under another name it would wait behind
// itself.
core::Ticket Node::ticket_of(const Input& input) {
  if (input.exchange)
    return reinterpret_cast<core::Ticket>(input.exchange.get());
  const auto ticket = reinterpret_cast<core::Ticket>(input.done);
  // one that collects several outcomes; odd is nobody's address
  return waiting_.contains(ticket) ? next_ticket_++ << 1 | 1 : ticket;
}

void Node::answer(Input& input, core::CommitOutcome outcome, Index index, Status status) {
  if (input.exchange)
    input.sink->committed(std::move(input.exchange), outcome, index, std::move(status));
  else
    input.done->done(outcome, index, std::move(status));
}

void Node::deliver(core::Proposer::Answers answers) {
  const WakeScope batch;
  for (core::Proposer::Answer& a : answers) {
    const auto found = waiting_.find(a.ticket);
    COFFER_CHECK(found != waiting_.end());
    Input input = std::move(found->second);
    waiting_.erase(found);
    if (a.outcome == core::CommitOutcome::kCommitted)
      overload_.took(ports_.clock.boot_now() - input.arrived);
    if (input.exchange)
      input.exchange->pipeline->speculation = std::move(a.speculation);
    answer(input, a.outcome, a.index, std::move(a.status));
  }
}

// One round of the core's work; false when there was none.
bool Node::perform() {
  raft::Ready ready = core_->take_ready();
  if (!ready.failure.ok()) {
    fail(ready.failure);
    return false;
  }
  COFFER_CHECK(ports_.transport != nullptr || (ready.install == nullptr && ready.send.empty()));
  Status status = ready.install == nullptr ? Status() : install(ready);
  if (received_)
    desk_->received_done(std::move(*std::exchange(received_, std::nullopt)));
  if (status.ok())
    status = write_log(ready);
  if (!status.ok()) {
    fail(status);
    return false;
  }
  const bool sends = !ready.send.empty();
  if (sends && participating_)
    ports_.transport->send(std::move(ready.send));
  if (ready.persist != 0)
    syncer_->request(persist_asked_ = ready.persist);
  if (!ready.apply.empty()) {
    status = apply(ready.apply);
    if (!status.ok()) {
      fail(status);
      return false;
    }
  }
  take_reads(ready.reads);
  for (const raft::NodeId peer : ready.snapshots)
    make_snapshot(peer);
  if (ready.leadership)
    follow_leadership(*ready.leadership);
  committed_.store(core_->commit_index().get(), std::memory_order_relaxed);
  note_leadership();
  return ready.persist != 0 || !ready.append.empty() || !ready.apply.empty() || ready.leadership.has_value() ||
         sends;
}

Status Node::write_log(raft::Ready& ready) {
  if (ready.truncate_from) {
    COFFER_TRY(ports_.log.truncate_from(*ready.truncate_from));
    const auto first = replaced_.lower_bound(*ready.truncate_from);
    for (auto at = first; at != replaced_.end(); ++at)
      cut_off_.emplace(ready.persist, at->second);
    replaced_.erase(first, replaced_.end());
  }
  if (!ready.append.empty()) {
    COFFER_TRY(ports_.log.append(ready.append));
    mark_log(ready.append);
    note_replacements(ready.append);
  }
  if (ready.hard_state)
    COFFER_TRY(ports_.log.save_hard_state(*ready.hard_state));
  return Status();
}

Status Node::apply(const std::vector<store::LogRecord>& records) {
  bool members_changed = false;
  for (const store::LogRecord& record : records) {
    if (record.kind == static_cast<std::uint8_t>(raft::EntryKind::kData)) {
      Result<core::entry::Entry> entry = core::entry::decode(raft::entry_body(record));
      if (!entry.ok())
        return entry.status().with_context("log entry " + std::to_string(record.index.get()));
      ports_.backend.apply(record.index, entry->ops);
      ports_.observer.on_apply(record.index, entry->ops);
    } else if (record.kind == static_cast<std::uint8_t>(raft::EntryKind::kConfiguration)) {
      COFFER_ASSIGN(const store::Op op, group_record(record));
      members_changed = true;
      ports_.backend.apply(record.index, {&op, 1});
      ports_.observer.on_apply(record.index, {&op, 1});
    } else if (record.kind == static_cast<std::uint8_t>(raft::EntryKind::kReplaced)) {
      COFFER_TRY(replace_state(record).with_context("restoring a snapshot"));
    } else {
      ports_.backend.apply(record.index, {});
    }
    COFFER_ASSIGN(const WallTime time, raft::entry_time(record));
    applied_time_ = std::max(applied_time_, time);
    proposer_.applied(record.index, record.term);
    if (record.kind == static_cast<std::uint8_t>(raft::EntryKind::kReplaced))
      proposer_.replaced(record.index);
  }
  core::finish_batch(proposer_, *this, ports_.clock.boot_now());
  if (members_changed)
    publish_group();
  if (change_)
    for (const store::LogRecord& record : records)
      settle_change(record.index, record.term);
  tell_restored();
  if (restore_)
    for (const store::LogRecord& record : records)
      settle_restore(record.index, record.term);
  const WakeScope batch;
  waiters_.reached(records.back().index);
  return Status();
}

// The backend stands at the end of the batch. The core hears of it last: it tells others no more than is visible here.
void Node::publish() {
  publish_state();
  const Index last = ports_.backend.applied_index();
  core_->applied(last);
  applied_.store(last.get(), std::memory_order_relaxed);
}

void Node::publish_state() {
  std::shared_ptr<const store::Attachment> attachment = ports_.observer.attachment();
  if (attachment == nullptr)
    attachment = ports_.backend.attachment();
  ports_.backend.publish(std::move(attachment));
}

void Node::note_leadership() {
  if (serving() == serving_)
    return;
  serving_ = !serving_;
  publish_group();
  if (serving_) {
    proposer_.lead(core_->term(), core_->applied_index());
    publish_time();
    serving_term_.store(core_->term().get(), std::memory_order_release);
    ports_.logger.info("raft", "entered leader state",
                       {{"term", core_->term().get()}, {"applied", core_->applied_index().get()}});
    if (ports_.serves)
      ports_.serves();
    if (const Owed alone = std::exchange(alone_, nullptr); alone != nullptr)
      alone->tell(Status());
  } else {
    serving_term_.store(0, std::memory_order_release);
    deliver(proposer_.step_down());
    ports_.logger.warn("raft", "Raft leader election: this node no longer leads", {{"term", core_->term().get()}});
  }
}

void Node::publish_time() {
  const Nanos boot = ports_.clock.boot_now().time_since_epoch();
  time_offset_.store((core_->cluster_time().time_since_epoch() - boot).count(), std::memory_order_relaxed);
}

void Node::check_disk(BootTime now) {
  if (options_.free_bytes_min == 0 || !ports_.free_bytes || now < disk_check_due_)
    return;
  disk_check_due_ = now + kDiskCheckInterval;
  const Result<std::uint64_t> free = ports_.free_bytes();
  const bool low = !free.ok() || *free < options_.free_bytes_min;
  if (low != disk_low_)
    ports_.logger.warn(
        "storage", low ? "the disk is almost full: writes are refused" : "the disk has room again: writes are taken");
  disk_low_ = low;
}

void Node::fail(const Status& status) {
  failed_ = true;
  serving_term_.store(0, std::memory_order_release);
  takes_part_.store(false, std::memory_order_release);
  ports_.logger.error("storage", "the node stops: " + status.message());
  ports_.fatal(status);
  give_up(Status(Code::kUnavailable, "the node has stopped"));
}

}  // namespace coffer::actors
