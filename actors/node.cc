#include "actors/node.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
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

// Room in the queue beyond the proposals. Steps: one unseal or init at a time, and a sys/seal for each request that
// asks for it. Reports: the log's thread makes one for each round of work(), which drains the queue first, and may be
// late with one more.
constexpr std::size_t kStepsQueuedMax = 1024;
constexpr std::size_t kReportsQueuedMax = 4;

}  // namespace

Result<std::unique_ptr<Node>> Node::create(const Options& options, Ports ports) {
  raft::Core::Start start;
  start.applied = ports.backend.applied_index();
  start.configuration.voters = {options.raft.id};
  COFFER_ASSIGN(auto core, raft::Core::start(options.raft, ports.clock, ports.log, start));
  return std::unique_ptr<Node>(new Node(options, std::move(ports), std::move(core)));
}

Node::Node(const Options& options, Ports ports, std::unique_ptr<raft::Core> core)
    : options_(options), ports_(std::move(ports)), inputs_(limits::kProposalsQueuedMax), core_(std::move(core)),
      proposer_(proposer_options(options.proposer)), overload_(options.overload) {
  applied_.store(ports_.backend.applied_index().get(), std::memory_order_relaxed);
  publish_time();
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

WallTime Node::cluster_now() const {
  const Nanos offset(time_offset_.load(std::memory_order_relaxed));
  return WallTime(ports_.clock.boot_now().time_since_epoch() + offset);
}

bool Node::lease_valid() const { return is_leader() && core_->lease().valid(ports_.clock.boot_now()); }

void Node::work() {
  if (failed_)
    return;
  for (bool more = true; more && !failed_;) {
    more = inputs_.drain(batch_);
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
    more = perform() || more;
  }
}

void Node::tick() {
  if (failed_)
    return;
  const BootTime now = ports_.clock.boot_now();
  core_->tick();
  deliver(proposer_.expire(now));
  if (ports_.state != nullptr) {
    ports_.state->tick(now);
    if (const Index durable = ports_.backend.durable_index(); durable > Index(0)) {
      if (Status cut = ports_.log.cut_below(durable); !cut.ok())
        return fail(cut);
    }
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
  work();
}

void Node::stop() {
  syncer_.reset();
  serving_term_.store(0, std::memory_order_release);
  give_up(Status(Code::kUnavailable, "the server is stopping"));
}

// Answers everything there is. What was proposed may be in the log and take effect after the next start.
void Node::give_up(const Status& why) {
  inputs_.close();
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
    core_->persisted(input.persisted);
    return;
  }
  if (input.abandoned != 0)
    return deliver(proposer_.abandoned(input.abandoned, ports_.clock.boot_now()));
  if (input.step) {
    input.step();
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
  COFFER_CHECK(ready.install == nullptr && ready.send.empty());  // a sole voter has nobody to talk to
  if (Status status = write_log(ready); !status.ok()) {
    fail(status);
    return false;
  }
  if (ready.persist != 0)
    syncer_->request(ready.persist);
  if (!ready.apply.empty()) {
    if (Status status = apply(ready.apply); !status.ok()) {
      fail(status);
      return false;
    }
  }
  committed_.store(core_->commit_index().get(), std::memory_order_relaxed);
  note_leadership();
  return ready.persist != 0 || !ready.append.empty() || !ready.apply.empty() || ready.leadership.has_value();
}

Status Node::write_log(raft::Ready& ready) {
  if (ready.truncate_from)
    COFFER_TRY(ports_.log.truncate_from(*ready.truncate_from));
  if (!ready.append.empty())
    COFFER_TRY(ports_.log.append(ready.append));
  if (ready.hard_state)
    COFFER_TRY(ports_.log.save_hard_state(*ready.hard_state));
  return Status();
}

Status Node::apply(const std::vector<store::LogRecord>& records) {
  for (const store::LogRecord& record : records) {
    if (record.kind == static_cast<std::uint8_t>(raft::EntryKind::kData)) {
      Result<core::entry::Entry> entry = core::entry::decode(raft::entry_body(record));
      if (!entry.ok())
        return entry.status().with_context("log entry " + std::to_string(record.index.get()));
      ports_.backend.apply(record.index, entry->ops);
      ports_.observer.on_apply(record.index, entry->ops);
    } else {
      ports_.backend.apply(record.index, {});
    }
    proposer_.applied(record.index, record.term);
  }
  core::finish_batch(proposer_, *this, ports_.clock.boot_now());
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
  const bool serving = core_->serving();
  if (serving == serving_)
    return;
  serving_ = serving;
  if (serving) {
    proposer_.lead(core_->term(), core_->applied_index());
    publish_time();
    serving_term_.store(core_->term().get(), std::memory_order_release);
    ports_.logger.info("raft", "entered leader state",
                       {{"term", core_->term().get()}, {"applied", core_->applied_index().get()}});
    if (ports_.serves)
      ports_.serves();
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
  ports_.logger.error("storage", "the node stops: " + status.message());
  ports_.fatal(status);
  give_up(Status(Code::kUnavailable, "the node has stopped"));
}

}  // namespace coffer::actors
