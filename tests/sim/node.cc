#include "tests/sim/node.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "raft/entry.h"
#include "tests/sim/clients.h"

namespace coffer::sim {
namespace {

constexpr BootTime::duration kDeadline{3 * kSecond};
constexpr std::string_view kLeasePrefix = "lease/";

void put_text(std::string& out, std::string_view text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  out.append(reinterpret_cast<const char*>(&size), 4);
  out.append(text);
}

std::string_view take_text(std::string_view& in) {
  std::uint32_t size = 0;
  std::memcpy(&size, in.data(), 4);
  const std::string_view text = in.substr(4, size);
  in.remove_prefix(4 + size);
  return text;
}

}  // namespace

std::string encode_ops(std::uint64_t ticket, std::span<const store::Op> ops) {
  std::string out(raft::kEntryHeaderBytes, '\0');
  out.append(reinterpret_cast<const char*>(&ticket), 8);
  for (const store::Op& op : ops) {
    put_text(out, op.key);
    out.push_back(op.value ? 1 : 0);
    put_text(out, op.value ? *op.value : std::string_view());
  }
  return out;
}

std::uint64_t ticket_of(std::string_view body) {
  std::uint64_t ticket = 0;
  std::memcpy(&ticket, body.data(), 8);
  return ticket;
}

std::vector<store::Op> decode_ops(std::string_view body) {
  std::vector<store::Op> ops;
  body.remove_prefix(8);
  while (!body.empty()) {
    store::Op op;
    op.key = take_text(body);
    const bool live = body.front() != 0;
    body.remove_prefix(1);
    const std::string_view value = take_text(body);
    if (live)
      op.value = std::string(value);
    ops.push_back(std::move(op));
  }
  return ops;
}

Node::Node(World& world, const Time& now, std::size_t slot, raft::NodeId id, raft::Configuration initial, Time drift)
    : world_(world),
      slot_(slot),
      id_(id),
      clock_(now, static_cast<Time>(world.rng().below(1000)) * kSecond, drift),
      initial_(std::move(initial)),
      born_(now),
      disk_(world.options().real_log, world.rng().next()),
      image_(std::make_shared<TableImage>()),
      joining_(initial_.voters.empty()) {
  image_->configuration = initial_;
}

Node::~Node() = default;

bool Node::paused() const noexcept { return paused_until_ > world_.now(); }

void Node::later(Time delay, std::function<void()> what) {
  world_.after(delay, [this, life = life_, what = std::move(what)] {
    if (life != life_ || !up())
      return;
    if (paused())
      later(paused_until_ - world_.now(), what);
    else
      what();
  });
}

void Node::start() {
  if (up() || retired_ || (wiped_ && world_.now() < wiped_at_ + kReplaceDisk))
    return;
  ++life_;
  paused_until_ = 0;
  if (const Status opened = disk_.open(); !opened.ok()) {
    world_.node_stopped(*this, opened);
    return;
  }
  store::Log& log = disk_.log();
  const Result<Term> term = log.term_at(image_->applied);
  if (image_->from_snapshot && (!term.ok() || *term != image_->applied_term)) {
    COFFER_CHECK(log.reset_to(image_->applied, image_->applied_term).ok());
    COFFER_CHECK(disk_.sync().ok());
  }
  open_backend();
  raft::Options options;
  options.id = id_;
  options.random_seed = world_.rng().next();
  options.election_timeout = Nanos(600 * kMs);
  options.heartbeat_interval = Nanos(100 * kMs);
  options.append_bytes_max = 2'000;
  options.inflight_messages_max = 8;
  options.tail_bytes_max = 4'000;
  raft::Core::Start start{image_->applied, image_->configuration, image_->time, joining_, image_->replaced};
  Result<std::unique_ptr<raft::Core>> core = raft::Core::start(options, clock_, log, std::move(start));
  if (!core.ok()) {
    world_.node_stopped(*this, core.status());
    return;
  }
  core_ = std::move(core).value();
  core::Proposer::Options limits;
  limits.keys_max = 256;
  limits.hash_seed = world_.rng().next();
  limits.never_speculative = [](std::string_view key) { return key == kPolicyKey; };
  proposer_ = std::make_unique<core::Proposer>(limits);
  core::Expiry::Options expiry;
  expiry.first_pause = Nanos(kSecond / 2);
  expiry.pause_max = Nanos(2 * kSecond);
  expiry.tries_max = 200;
  expiry_ = std::make_unique<core::Expiry>(expiry);
  persist_ = 0;
  dying_ = false;
  find_streams();
  syncing_ = apply_scheduled_ = polling_ = flushing_ = false;
  applied_time_ = image_->time;
  configurations_ = {{image_->applied, image_->configuration}};
  if (!world_.checker().restarted(*core_, wiped_))
    world_.fail(world_.checker().failure());
  poll();
}

void Node::open_backend() {
  store::StateBackendOptions options;
  options.generation_keys_max = 64;
  options.generation_age_max = Nanos(4 * kSecond);
  auto table = std::make_unique<ModelTable>(
      image_, [this](Index applied, TableImage& image) { describe(applied, image); }, [this] { interlude(); });
  backend_ = std::make_unique<store::StateBackend>(std::move(table), options);
  backend_->set_flush_wanted([this] {
    if (!std::exchange(flushing_, true))
      later(world_.rng().between(kMs, 200 * kMs), [this] { flush(); });
  });
}

void Node::flush() {
  flushing_ = false;
  COFFER_CHECK(backend_->flush_step().ok());
}

void Node::describe(Index applied, TableImage& image) const {
  const Result<Term> term = disk_.log().term_at(applied);
  COFFER_CHECK(term.ok());
  image.applied_term = *term;
  image.time = applied_time_;
  for (const auto& [index, configuration] : configurations_) {
    if (index <= applied)
      image.configuration = configuration;
  }
}

void Node::crash(LogDisk::Cut cut) {
  if (!up())
    return;
  ++world_.report().crashes;
  ++life_;
  reads_.clear();
  to_apply_.clear();
  snapshots_under_way_.clear();
  restore_.reset();
  offers_.clear();
  replaced_.clear();
  core_.reset();
  proposer_.reset();
  proposals_.clear();
  expiry_.reset();
  backend_.reset();
  disk_.crash(world_.rng(), cut);
}

void Node::wipe() {
  COFFER_CHECK(!up());
  disk_.wipe();
  streams_.clear();
  image_ = std::make_shared<TableImage>();
  joining_ = wiped_ = true;
  wiped_at_ = world_.now();
}

void Node::retire() {
  crash(LogDisk::Cut::kClean);
  retired_ = true;
}

void Node::slow_disk(Time sync_max, Time until) {
  sync_max_ = sync_max;
  slow_until_ = until;
}

void Node::tick() {
  if (!up() || paused())
    return;
  core_->tick();
  poll();
  if (!up())
    return;
  deliver(proposer_->expire(clock_.boot_now()));
  backend_->tick(clock_.boot_now());
  // Everything is cut that a crash does not need, but for a few entries for those who are a little behind.
  const std::uint64_t durable = backend_->durable_index().get();
  const std::uint64_t kept = world_.rng().below(200);
  if (durable > kept)
    COFFER_CHECK(disk_.log().cut_below(Index(durable - kept + 1)).ok());
  if (serving())
    step_leases();
  move_restore();
}

void Node::step(raft::Message message) {
  if (message.kind == raft::MessageKind::kStaged) {
    if (restore_ && restore_->stream == message.context)
      restore_->staging.heard(message.from, !message.reject);
    return;
  }
  if (message.kind == raft::MessageKind::kSnapshot && message.staged)
    return stage(message);
  if (message.kind == raft::MessageKind::kAppend)
    end_at_missing(message);
  core_->step(std::move(message));
  poll();
}

void Node::poll() {
  if (std::exchange(polling_, true))
    return;
  while (up() && !world_.failed()) {
    raft::Ready ready = core_->take_ready();
    if (!world_.checker().stepped(*core_, ready)) {
      world_.fail(world_.checker().failure());
      break;
    }
    const bool idle = ready.failure.ok() && !ready.install && ready.persist == 0 && ready.send.empty() &&
                      ready.apply.empty() && ready.reads.empty() && ready.snapshots.empty() && !ready.leadership;
    if (idle)
      break;
    perform(std::move(ready));
  }
  polling_ = false;
}

void Node::perform(raft::Ready ready) {
  if (!ready.failure.ok()) {
    world_.node_stopped(*this, ready.failure);
    return;
  }
  if (ready.install)
    install(ready);
  write_log(ready);
  for (raft::Message& message : ready.send)
    world_.send(std::move(message));
  if (ready.persist != 0) {
    persist_ = ready.persist;
    begin_sync();
  }
  if (!ready.apply.empty()) {
    std::move(ready.apply.begin(), ready.apply.end(), std::back_inserter(to_apply_));
    if (!std::exchange(apply_scheduled_, true))
      later(world_.rng().chance(9'000) ? world_.rng().between(0, 200 * kUs) : world_.rng().between(0, 20 * kMs),
            [this] {
              apply_scheduled_ = false;
              apply_pending();
            });
  }
  for (const raft::ReadResult& read : ready.reads) {
    if (read.ok)
      reads_.push_back({read.context, read.index});
    else
      world_.clients().read_confirmed(*this, read.context, false);
  }
  for (raft::NodeId peer : ready.snapshots)
    send_snapshot(peer);
  if (ready.leadership) {
    if (ready.leadership->role == raft::Role::kLeader)
      world_.elected(*this);
    else if (proposer_->leading()) {
      deliver(proposer_->step_down());
      expiry_->clear();
    }
  }
  lead_if_ready();
  finish_reads();
}

void Node::write_log(raft::Ready& ready) {
  store::Log& log = disk_.log();
  if (ready.truncate_from) {
    COFFER_CHECK(log.truncate_from(*ready.truncate_from).ok());
    replaced_.erase(replaced_.lower_bound(*ready.truncate_from), replaced_.end());
  }
  note_replacements(ready.append);
  Status status = log.append(ready.append);
  if (status.ok() && ready.hard_state)
    status = log.save_hard_state(*ready.hard_state);
  if (!status.ok())
    world_.node_stopped(*this, status);
}

void Node::install(const raft::Ready& ready) {
  world_.fault(Fault::kSnapshot);
  ++world_.report().snapshots;
  const auto bytes = std::static_pointer_cast<const TableImage>(world_.stashed(ready.spool));
  COFFER_CHECK(bytes->applied == ready.install->index);
  to_apply_.clear();
  // A new generation of the data folder: the table of the old one is not touched.
  image_ = std::make_shared<TableImage>(*bytes);
  image_->from_snapshot = true;
  flushing_ = false;
  open_backend();
  configurations_ = {{image_->applied, image_->configuration}};
  applied_time_ = image_->time;
  proposer_->replaced_by_snapshot(image_->applied);
  replaced_.clear();
  if (restore_ && restore_->index != Index(0) && restore_->index <= image_->applied)
    end_restore(RestoreCall::End::kUnknown);
  COFFER_CHECK(disk_.log().reset_to(ready.install->index, ready.install->term).ok());
}

void Node::begin_sync() {
  if (std::exchange(syncing_, true))
    return;
  const Time most = world_.now() < slow_until_ ? sync_max_ : 2 * kMs;
  later(world_.rng().between(most / 8, most), [this] { end_sync(); });
}

void Node::end_sync() {
  syncing_ = false;
  const std::uint64_t number = persist_;
  if (const Status synced = disk_.sync(); !synced.ok()) {
    world_.node_stopped(*this, synced);
    return;
  }
  core_->persisted(number);
  poll();
}

void Node::apply_pending() {
  const bool replaces = std::ranges::any_of(to_apply_, core::is_replacement);
  if (to_apply_.empty() || dying_ || (replaces && dies_at_switch()))
    return;
  const std::vector<store::LogRecord> batch = std::move(to_apply_);
  to_apply_.clear();
  for (const store::LogRecord& record : batch) {
    const std::string_view body = raft::entry_body(record);
    std::vector<store::Op> ops;
    if (record.kind == static_cast<std::uint8_t>(raft::EntryKind::kData))
      ops = decode_ops(body);
    else if (record.kind == static_cast<std::uint8_t>(raft::EntryKind::kConfiguration))
      configurations_.emplace_back(record.index, raft::decode_configuration(body).value());
    if (core::is_replacement(record))
      replace_state(record);
    else
      backend_->apply(record.index, ops);
    if (world_.failed())
      return;
    applied_time_ = std::max(applied_time_, raft::entry_time(record).value());
    proposer_->applied(record.index, record.term);
    if (core::is_replacement(record))
      proposer_->replaced(record.index);
    if (proposer_->leading())
      follow_leases(ops);
  }
  while (configurations_.size() > 1 && configurations_[1].first <= backend_->durable_index())
    configurations_.erase(configurations_.begin());
  core::finish_batch(*proposer_, *this, clock_.boot_now());
  core_->applied(batch.back().index);
  for (const store::LogRecord& record : batch)
    settle_restore(record);
  if (replaces && proposer_->leading())
    load_leases();
  if (replaces)
    dies_at_switch();
  lead_if_ready();
  finish_reads();
  poll();
}

void Node::publish() { backend_->publish(nullptr); }

void Node::deliver(core::Proposer::Answers answers) {
  for (core::Proposer::Answer& answer : answers) {
    proposals_.erase(answer.ticket);
    if ((answer.ticket & kSystemTicket) != 0) {
      // Only removals of leases: what failed is tried again by the expiry queue.
      if (answer.outcome != core::CommitOutcome::kCommitted)
        world_.clients().removal_failed(*this, answer.ticket);
    } else if (in_interlude_) {
      later(0, [this, answer] { world_.clients().answered(*this, answer); });
    } else {
      world_.clients().answered(*this, answer);
    }
  }
}

void Node::lead_if_ready() {
  if (!up() || proposer_->leading() || !core_->serving())
    return;
  proposer_->lead(core_->term(), core_->applied_index());
  load_leases();
}

// Between a view's look at the overlay and its look at the table, other threads may apply, publish and flush.
void Node::interlude() {
  if (in_interlude_ || !up() || !world_.rng().chance(500))
    return;
  // The table that is looked at is not replaced meanwhile.
  if (std::ranges::any_of(to_apply_, core::is_replacement))
    return;
  in_interlude_ = true;
  apply_pending();
  if (up()) {
    backend_->freeze();
    flush();
  }
  in_interlude_ = false;
}

std::unique_ptr<store::View> Node::view() {
  Result<std::unique_ptr<store::View>> view = backend_->view();
  COFFER_CHECK(view.ok());
  return std::move(view).value();
}

void Node::submit(core::Ticket ticket, core::Proposal proposal) {
  const BootTime now = clock_.boot_now();
  core::Proposer::Answer refused{ticket, core::CommitOutcome::kRefused, Index(0), Status()};
  switch (proposer_->judge(proposal, ticket, now, now + kDeadline)) {
    case core::Proposer::Verdict::kQueued:
      run_ahead();
      return;
    case core::Proposer::Verdict::kRunAgain:
      refused.outcome = core::CommitOutcome::kConflict;
      deliver({refused});
      return;
    case core::Proposer::Verdict::kWrongTerm:
    case core::Proposer::Verdict::kFull:
    case core::Proposer::Verdict::kLate:
      abandon(ticket);
      deliver({refused});
      return;
    case core::Proposer::Verdict::kAccepted:
      break;
  }
  const Result<Index> index = core_->propose(proposal.term, encode_ops(ticket, proposal.ops));
  if (!index.ok()) {
    abandon(ticket);
    deliver({refused});
    return;
  }
  const auto [stored, fresh] = proposals_.emplace(ticket, std::move(proposal));
  COFFER_CHECK(fresh);
  proposer_->proposed(stored->second, ticket, *index, now + kDeadline);
  run_ahead();
  poll();
}

// As the node actor does after each batch of its inputs.
void Node::run_ahead() {
  if (proposer_->queued() > 0)
    deliver(proposer_->expire(clock_.boot_now()));
}

void Node::abandon(core::Ticket ticket) { deliver(proposer_->abandoned(ticket, clock_.boot_now())); }

bool Node::read_index(std::uint64_t context) {
  const bool asked = core_->read_index(context).ok();
  poll();
  return asked;
}

void Node::finish_reads() {
  if (!up())
    return;
  for (std::size_t i = 0; i < reads_.size();) {
    if (reads_[i].index > core_->applied_index()) {
      ++i;
      continue;
    }
    const std::uint64_t context = reads_[i].context;
    reads_.erase(reads_.begin() + static_cast<std::ptrdiff_t>(i));
    world_.clients().read_confirmed(*this, context, true);
  }
}

void Node::send_snapshot(raft::NodeId to) {
  const Result<raft::SnapshotMeta> meta = core_->snapshot_meta();
  COFFER_CHECK(meta.ok());
  auto image = std::make_shared<TableImage>();
  auto records = std::make_shared<TableImage::Records>();
  const std::unique_ptr<store::View> state = view();
  Result<std::unique_ptr<store::Cursor>> cursor = state->cursor();
  COFFER_CHECK(cursor.ok());
  for (Result<bool> more = (*cursor)->seek(""); *more; more = (*cursor)->next())
    records->emplace((*cursor)->key(), (*cursor)->value());
  // The interlude of view() may have applied more than the description says; then the next one is sent.
  if (core_->applied_index() != meta->index) {
    later(kMs, [this, to] { up() ? core_->snapshot_done(to) : void(); });
    return;
  }
  image->records = std::move(records);
  image->applied = meta->index;
  image->applied_term = meta->term;
  image->configuration = meta->configuration;
  image->time = applied_time_;
  image->replaced = image_->replaced;
  raft::Message message;
  message.kind = raft::MessageKind::kSnapshot;
  message.from = id_;
  message.to = to;
  message.term = core_->term();
  message.time = core_->cluster_time();
  message.snapshot = std::make_shared<const raft::SnapshotMeta>(*meta);
  message.spool = world_.stash(image);
  world_.send(std::move(message));
  later(world_.rng().between(50 * kMs, 300 * kMs), [this, to] {
    core_->snapshot_done(to);
    poll();
  });
}

// Leases: "lease/<user>" holds the nanosecond of cluster time at which it ends.
void Node::follow_leases(std::span<const store::Op> ops) {
  for (const store::Op& op : ops) {
    if (!op.key.starts_with(kLeasePrefix))
      continue;
    if (op.value)
      expiry_->put(op.key, WallTime(Nanos(std::stoll(op.value->substr(1)))));
    else
      expiry_->revoked(op.key);
  }
}

bool Node::is_intent(const std::string& lease) {
  std::string value;
  return view()->get(lease, value).value() && value.starts_with('P');
}

void Node::load_leases() {
  expiry_->clear();
  intents_seen_.clear();
  const std::unique_ptr<store::View> state = view();
  Result<std::unique_ptr<store::Cursor>> cursor = state->cursor();
  COFFER_CHECK(cursor.ok());
  for (Result<bool> more = (*cursor)->seek(kLeasePrefix); *more && (*cursor)->key().starts_with(kLeasePrefix);
       more = (*cursor)->next())
    expiry_->put((*cursor)->key(), WallTime(Nanos(std::stoll(std::string((*cursor)->value().substr(1))))));
}

void Node::step_leases() {
  const core::Expiry::Step step = expiry_->step(cluster_now());
  for (const std::string& id : step.revoke) {
    later(world_.rng().between(kMs, 20 * kMs), [this, id] {
      if (world_.database().down) {
        expiry_->failed(id, cluster_now());
        return;
      }
      // The user goes first, the record only after it, so that a crash between the two only repeats the first.
      world_.database().drop(id);
      // An intent is revoked once more later: cluster time leaps when a leader has just started with a clock that is
      // ahead, and then the call of the one before it may still be under way.
      if (is_intent(id) && intents_seen_.insert(id).second)
        expiry_->failed(id, cluster_now());
      else
        remove_lease(id);
    });
  }
}

void Node::remove_lease(const std::string& id) {
  if (!serving()) {
    expiry_->failed(id, cluster_now());
    return;
  }
  core::Proposal proposal;
  proposal.term = core_->term();
  proposal.view = core_->applied_index();
  proposal.ops.push_back({id, std::nullopt});
  submit(world_.clients().removal_ticket(id), std::move(proposal));
}

}  // namespace coffer::sim
