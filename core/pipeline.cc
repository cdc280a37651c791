#include "core/pipeline.h"

#include <new>
#include <utility>

#include "base/check.h"
#include "base/encoding.h"
#include "base/metrics.h"
#include "base/mutant.h"
#include "core/answers.h"
#include "core/audit_format.h"
#include "core/contained.h"
#include "core/events.h"
#include "core/finished.h"
#include "core/forward_paths.h"
#include "core/forwarder.h"
#include "core/group.h"
#include "core/inline_login.h"
#include "core/jobs.h"
#include "core/lease_store.h"
#include "core/restore.h"
#include "core/run.h"
#include "core/snapshot_door.h"
#include "core/standby_reader.h"
#include "core/state_index.h"
#include "core/sys_observe.h"
#include "core/token_store.h"

namespace coffer::core {
namespace {

using Stage = PipelineState::Stage;

constexpr unsigned kWorksMax = 8;  // of one request: what it was made for changed each time

std::string_view first_error(const Response& response) {
  return response.errors.empty() ? std::string_view() : response.errors.front();
}

// Nothing was proposed; what the handler found out stays here.
void fail_late(Exchange& exchange) {
  const std::string_view mount_type = exchange.response.mount_type;
  exchange.pipeline->proposal = Proposal();
  fail(exchange, Status(Code::kUnavailable, "the request took longer than it may"));
  exchange.response.mount_type = mount_type;
  exchange.response.late = true;
}

// The request's part of each line stays; the response's part waits in the state until the commit.
void split_lines(Exchange& exchange, PipelineState& state) {
  state.response_lines.clear();
  for (std::size_t i = 0; i < exchange.audit_lines.size(); ++i) {
    AuditLine& line = exchange.audit_lines[i];
    // A run after a conflict has no request line: it was accepted before the first proposal.
    const bool has_request = !state.request_audited && i < state.request_bytes.size();
    const std::size_t request_bytes = has_request ? state.request_bytes[i] : 0;
    state.response_lines.push_back({line.device, line.text.substr(request_bytes)});
    line.text.resize(request_bytes);
  }
}

bool is_open(const Published* published) {
  return published != nullptr && !published->sealed && published->damage.ok();
}

// A read's two lines are handed over and awaited as one.
void count_audit(const PipelineState& state, bool accepted) {
  using metrics::Count;
  using metrics::Sample;
  const bool of_request = state.stage == Stage::kRequestAudit;
  const std::int64_t asked = of_request ? state.times.audit_asked : state.times.response_asked;
  const std::int64_t took = metrics::now_ns() - asked;
  if (of_request || !state.request_audited) {
    metrics::took(Sample::kAuditRequest, took);
    metrics::add(Count::kAuditRequestFailure, accepted ? 0 : 1);
  }
  if (!of_request) {
    metrics::took(Sample::kAuditResponse, took);
    metrics::add(Count::kAuditResponseFailure, accepted ? 0 : 1);
  }
}

}  // namespace

void Pipeline::dispatch(std::unique_ptr<Exchange> exchange) {
  COFFER_CHECK(exchange->home != nullptr);
  if (!exchange->pipeline)
    exchange->pipeline = std::make_unique<PipelineState>();
  exchange->pipeline->times.began = metrics::now_ns();
  if (answer_at_door(exchange))
    return;
  if (lifecycle_ != nullptr && !exchange->pipeline->rate.refused && lifecycle_->handle(exchange))
    return;
  if (exchange->request.forces_restore && exchange->request.body && restore_here(exchange))
    return;
  if (forwarder_ != nullptr && !services_.committer.is_leader()) [[unlikely]]
    return dispatch_on_standby(std::move(exchange));
  begin(std::move(exchange));
}

// Into a node that nobody has a token for yet (decision D-2). All others take the way of every request.
bool Pipeline::restore_here(std::unique_ptr<Exchange>& exchange) {
  const auto attachment = services_.backend.attachment();
  if (lifecycle_ == nullptr || services_.snapshots == nullptr || services_.calls == nullptr ||
      is_open(published_in(attachment)) ||
      exchange->request.path.view() != kForcedRestorePath)
    return false;
  const Status may = lifecycle_->may_restore_uninitialized();
  if (may.code() == Code::kInvalid)
    return false;
  if (!may.ok()) {
    fail(*exchange, may);
    respond(std::move(exchange));
    return true;
  }
  Exchange* held = exchange.get();
  const bool taken = services_.calls->submit([this, held] {
    std::unique_ptr<Exchange> back(held);
    const Status restored = contained([&] {
      return restore_snapshot(*services_.snapshots, *back->request.body, nullptr,
                              [this](std::string path, auto done) {
                                const auto scan = scan_stream(services_.snapshots->disk, path);
                                if (!scan.ok())
                                  return done(scan.status());
                                lifecycle_->restore_uninitialized(std::move(path), *scan, std::move(done));
                              });
    });
    if (!restored.ok())
      fail(*back, restored);
    respond(std::move(back));
  });
  if (taken) {
    static_cast<void>(exchange.release());
  } else {
    fail(*exchange, Status(Code::kExhausted, "too many calls to other systems wait"));
    respond(std::move(exchange));
  }
  return true;
}

// What the request's own run would say of the node anyhow, it is left to say.
void Pipeline::dispatch_on_standby(std::unique_ptr<Exchange> exchange) {
  PipelineState& state = *exchange->pipeline;
  if (state.forwarded) {
    refuse_without_lease(*exchange);
    return respond(std::move(exchange));
  }
  state.local = state.rate.refused;
  if (state.local)
    return begin(std::move(exchange));
  stand_by(std::move(exchange));
}

void Pipeline::stand_by(std::unique_ptr<Exchange> exchange) {
  const auto attachment = services_.backend.attachment();
  const Published* published = published_in(attachment);
  const Way way = way_of(exchange->request);
  // The run says why, or comes back here: it may be open by then, and is no more to be read without asking than before.
  if (!is_open(published))
    return begin(std::move(exchange));
  if (way == Way::kHereAlways)
    return run_here(std::move(exchange));
  if (way == Way::kRedirect)
    return forwarder_->redirect(std::move(exchange));
  if (way == Way::kForward) {
    if (reader_ == nullptr || !may_read_here(exchange->request, *published) || !read_here(exchange))
      pass_on(std::move(exchange));
    return;
  }
  // Without a leader nobody knows how old this node's state is, and with it what it says of tokens.
  if (!forwarder_->knows_leader()) {
    refuse(*exchange, no_leader());
    return respond(std::move(exchange));
  }
  // Whether the token still counts the leader knows, and this node once it shows what the leader does.
  if (reader_ == nullptr)
    return run_here(std::move(exchange));
  exchange->pipeline->local = true;
  if (read_here(exchange))
    return;
  refuse(*exchange, Status(Code::kUnavailable, "too many requests wait for the node that leads, try again"));
  respond(std::move(exchange));
}

void Pipeline::run_here(std::unique_ptr<Exchange> exchange) {
  exchange->pipeline->local = true;
  begin(std::move(exchange));
}

// True: it waits until this node's state may be read. The request's own run decides whether that is enough.
bool Pipeline::read_here(std::unique_ptr<Exchange>& exchange) {
  set_deadline(*exchange);
  if (!mutant(Mutant::kStandbyReadUnasked))
    return reader_->ask(exchange);
  exchange->pipeline->read = StandbyRead::kConfirmed;
  resume(std::move(exchange));
  return true;
}

// To the node that leads, or the client is told which that is.
void Pipeline::pass_on(std::unique_ptr<Exchange> exchange) {
  exchange->pipeline->read = StandbyRead::kNone;
  if (exchange->pipeline->stays)
    return forwarder_->redirect(std::move(exchange));
  forwarder_->forward(std::move(exchange));
}

// Nothing of the run here leaves the node: it has handed no line to a device and proposed nothing.
Pipeline::Next Pipeline::leave_to_leader(Exchange& exchange) {
  PipelineState& state = *exchange.pipeline;
  state.begun = false;
  state.proposal = Proposal();
  state.outside.reset();
  state.handed_out.clear();
  state.leases_out.clear();
  state.facts = AuditFacts();
  state.audit.reset();
  exchange.audit_lines.clear();
  exchange.response = Response();
  return Next::kPassOn;
}

void Pipeline::set_deadline(Exchange& exchange) const {
  if (const Nanos time_max = exchange.request.time_max; time_max > Nanos(0))
    exchange.pipeline->deadline = services_.committer.cluster_now() + time_max;
}

void Pipeline::begin(std::unique_ptr<Exchange> exchange) {
  set_deadline(*exchange);
  if (exchange->request.inline_login && !exchange->pipeline->rate.refused)
    return log_in_first(std::move(exchange));
  run(std::move(exchange));
}

// A node that cannot tell lets it in: whoever runs it then says why.
bool Pipeline::admit(Exchange& exchange) {
  if (mutant(Mutant::kQuotaAfterBody))
    return true;
  if (!exchange.pipeline)
    exchange.pipeline = std::make_unique<PipelineState>();
  Result<std::unique_ptr<store::View>> view = services_.backend.view();
  const Published* published = view.ok() ? published_in((*view)->attachment()) : nullptr;
  if (published == nullptr || published->sealed || !published->damage.ok() || published->quotas == nullptr)
    return true;
  exchange.pipeline->now = services_.committer.cluster_now();
  return Run(exchange, *exchange.pipeline, services_, **view, *published).admit();
}

bool Pipeline::knows_token(Exchange& exchange) {
  if (exchange.request.token.empty())
    return false;
  const Result<std::unique_ptr<store::View>> view = services_.backend.view();
  const Published* published = view.ok() ? published_in((*view)->attachment()) : nullptr;
  if (published == nullptr || published->sealed || !published->damage.ok())
    return false;
  TxnImpl::Buffers buffers;
  TxnImpl txn(**view, *published->barrier, exchange.arena, services_.committer.cluster_now(), buffers);
  const auto token = TokenStore(txn, *published, exchange.arena).live_by_text(exchange.request.token);
  return token.ok() && token->has_value();
}

// The request waits, holding nothing, until its login is answered; then it goes on as one that shows a token.
void Pipeline::log_in_first(std::unique_ptr<Exchange> exchange) {
  const Result<std::string> id = random_uuid(services_.random);
  if (!id.ok()) {
    fail(*exchange, id.status());
    return respond(std::move(exchange));
  }
  run(LoginHome::begin(std::move(exchange), *id, [this](std::unique_ptr<Exchange> request, LoginEnd end) {
    if (end == LoginEnd::kNotDone && !request->pipeline->forwarded && forwarder_ != nullptr)
      return stand_by(std::move(request));
    request->pipeline->bounced = end == LoginEnd::kNotDone && request->pipeline->forwarded;
    if (end != LoginEnd::kDone)
      return respond(std::move(request));
    Home* home = request->home;
    home->resume_later(std::move(request));
  }));
}

// What the listener says of metrics comes before everything: a sealed node has some too.
bool Pipeline::answer_at_door(std::unique_ptr<Exchange>& exchange) {
  const Door& door = exchange->request.door;
  if (!door.open_metrics && !door.metrics_only && !door.no_metrics)
    return false;
  const bool asks = exchange->request.path.view() == "sys/metrics" && exchange->request.operation == Operation::kRead;
  if (asks && door.open_metrics && !door.no_metrics && services_.instruments != nullptr) {
    exchange->response = Response();
    answer_metrics(*services_.instruments, exchange->request, exchange->response, exchange->arena);
  } else if (asks ? door.no_metrics : door.metrics_only) {
    exchange->response = Response();
    exchange->response.status = 404;
  } else {
    return false;
  }
  respond(std::move(exchange));
  return true;
}

void Pipeline::respond(std::unique_ptr<Exchange> exchange) {
  note_finished(*exchange, services_);
  Home* home = exchange->home;
  home->respond(std::move(exchange));
}

void Pipeline::resume(std::unique_ptr<Exchange> exchange) {
  if (std::exchange(exchange->pipeline->comes_back, false)) [[unlikely]]
    return begin(std::move(exchange));
  if (exchange->pipeline->local && exchange->pipeline->read != StandbyRead::kNone) {
    if (std::exchange(exchange->pipeline->read, StandbyRead::kNone) == StandbyRead::kConfirmed)
      return begin(std::move(exchange));
    refuse(*exchange, no_leader());
    return respond(std::move(exchange));
  }
  if (exchange->pipeline->read == StandbyRead::kUnconfirmed) [[unlikely]]
    return pass_on(std::move(exchange));
  if (exchange->pipeline->login)
    return run(LoginHome::take_login(exchange));
  run(std::move(exchange));
}

void Pipeline::run(std::unique_ptr<Exchange> exchange) {
  if (exchange->pipeline->work_refused) {
    refuse(*exchange, Status(Code::kUnavailable, "the server stops, nothing was changed"));
    return answer(std::move(exchange));
  }
  const Next next = try_once(*exchange);
  if (next == Next::kRunAgain)
    return exchange->home->resume_later(std::move(exchange));
  if (next == Next::kPropose)
    return propose(std::move(exchange));
  if (next == Next::kWork)
    return work(std::move(exchange));
  if (next == Next::kPassOn)
    return pass_on(std::move(exchange));
  if (next == Next::kStandBy)
    return stand_by(std::move(exchange));
  if (next == Next::kCall)
    return call_alone(std::move(exchange));
  if (next == Next::kAwaitLease)
    return await_lease(std::move(exchange));
  if (exchange->pipeline->runs > 0)
    services_.committer.abandon(*exchange);
  answer(std::move(exchange));
}

// What a request asks for beyond the memory that there is fails that request alone.
Pipeline::Next Pipeline::try_once(Exchange& exchange) {
  try {
    const PipelineState& state = *exchange.pipeline;
    const bool over = state.called && state.outside->alone && !state.outside->then;
    return over ? conclude_alone(exchange) : run_once(exchange);
  } catch (const std::bad_alloc&) {
    exchange.pipeline->proposal = Proposal();
    return refuse(exchange, Status(Code::kUnavailable, "the server is out of memory"));
  }
}

// Everything that needs the view: it is let go when this returns.
Pipeline::Next Pipeline::run_once(Exchange& exchange) {
  PipelineState& state = *exchange.pipeline;
  state.stage = Stage::kRunning;
  // The run after a call outside hands out what the run before it made.
  if (!state.called) {
    state.handed_out.clear();
    state.leases_out.clear();
  }
  // The term is read before the view: a view of a later leadership is refused by the proposer rather than missed.
  const Term term = services_.committer.leader_term();
  Result<std::unique_ptr<store::View>> view = services_.backend.view();
  const Published* published = view.ok() ? published_in((*view)->attachment()) : nullptr;
  if (!view.ok() || (published != nullptr && !published->damage.ok())) {
    return refuse(exchange, Status(Code::kDataLoss, "the stored state cannot be read, see the server's log"));
  }
  if (published == nullptr || published->sealed)
    return refuse(exchange, Status(Code::kSealed, "Vault is sealed"));
  const bool stands_by = state.read == StandbyRead::kConfirmed;
  if (!state.local && !stands_by && !services_.committer.lease_valid())
    return without_lease(exchange);
  state.begun = true;
  state.now = services_.committer.cluster_now();
  if (state.called)
    return run_conclusion(exchange, **view, *published, term);
  state.outside.reset();
  state.term = term;
  Run once(exchange, state, services_, **view, *published);
  once.authorise();
  once.check_known_states((*view)->index());
  if (stands_by && once.is_leaders())
    return leave_to_leader(exchange);
  if (once.take_over_waiting())
    return Next::kRunAgain;
  if (once.unaudited_refusal()) [[unlikely]] {
    once.finish(term);
    return Next::kAnswer;
  }
  if (once.prepare()) {
    if (++state.works > kWorksMax)
      return refuse(exchange, Status(Code::kUnavailable, "the request lost against others too often"));
    return Next::kWork;
  }
  if (published->audit->any_device() && !state.audit)
    state.audit = published->audit;
  if (state.audit && !state.request_audited) {
    state.audit->prepare(exchange, AuditPhase::kRequest, state.facts, state.now, first_error(exchange.response));
    state.request_bytes.clear();
    for (const AuditLine& line : exchange.audit_lines)
      state.request_bytes.push_back(line.text.size());
  }
  once.handle();
  return finish_run(exchange, once, *published, term);
}

// Of a run whose handler was called.
Pipeline::Next Pipeline::finish_run(Exchange& exchange, Run& once, const Published& published, Term term) {
  PipelineState& state = *exchange.pipeline;
  state.times.handled = metrics::now_ns();
  bool writes = once.finish(term);
  if (state.read == StandbyRead::kConfirmed && (writes || once.of_leader())) [[unlikely]]
    return leave_to_leader(exchange);
  if (once.wants_newer_keyring() && !state.keyring_awaited) {
    state.keyring_awaited = true;
    return Next::kRunAgain;
  }
  const WallTime done = services_.committer.cluster_now();
  if (done > state.deadline) {
    writes = false;
    state.handed_out.clear();
    fail_late(exchange);
  }
  if (writes)
    state.hasher = published.hasher;
  else if (exchange.response.has_errors() || !state.outside || !state.outside->alone)
    state.outside.reset();
  // With a call to make there is no answer yet.
  if (state.audit && !state.outside)
    state.audit->prepare(exchange, AuditPhase::kResponse, state.facts, done, first_error(exchange.response));
  return writes ? Next::kPropose : state.outside ? Next::kCall : Next::kAnswer;
}

// What the call has left is the answer. The state may be another one by now, and sealed.
Pipeline::Next Pipeline::conclude_alone(Exchange& exchange) {
  PipelineState& state = *exchange.pipeline;
  const std::string_view mount_type = exchange.response.mount_type;
  if (!state.called->ok())
    fail(exchange, *state.called);
  exchange.response.mount_type = mount_type;
  if (state.audit)
    state.audit->prepare(exchange, AuditPhase::kResponse, state.facts, services_.committer.cluster_now(),
                         first_error(exchange.response));
  return Next::kAnswer;
}

// Who asks stands in the audit before it is done.
void Pipeline::call_alone(std::unique_ptr<Exchange> exchange) {
  PipelineState& state = *exchange->pipeline;
  if (!state.audit || state.request_audited)
    return call_outside(std::move(exchange));
  state.calls_next = true;
  state.stage = Stage::kRequestAudit;
  state.times.audit_asked = metrics::now_ns();
  const std::shared_ptr<AuditSet> audit = state.audit;
  audit->submit(std::move(exchange), *this);
}

// After the call outside: who asked and whether they might was settled before it was made.
Pipeline::Next Pipeline::run_conclusion(Exchange& exchange, const store::View& view, const Published& published,
                                        Term term) {
  PipelineState& state = *exchange.pipeline;
  Run once(exchange, state, services_, view, published);
  once.conclude();
  const bool writes = once.finish(term);
  if (state.audit)
    state.audit->prepare(exchange, AuditPhase::kResponse, state.facts, services_.committer.cluster_now(),
                         first_error(exchange.response));
  return writes ? Next::kPropose : Next::kAnswer;
}

// The intent is committed. A thread of the pool makes the call; the exchange is its until then.
void Pipeline::call_outside(std::unique_ptr<Exchange> exchange) {
  PipelineState& state = *exchange->pipeline;
  state.stage = Stage::kOutside;
  state.runs = 0;
  state.proposal = Proposal();
  Exchange* held = exchange.release();
  const auto go_on = [this, held](bool taken) {
    std::unique_ptr<Exchange> back(held);
    back->pipeline->called =
        taken ? make_call(*back) : Status(Code::kExhausted, "too many calls to other systems wait");
    back->pipeline->answered = back->response;
    Home* home = back->home;
    home->resume_later(std::move(back));
  };
  if (services_.calls == nullptr || !services_.calls->submit([go_on] { go_on(true); }))
    go_on(false);
}

// Only while this node leads, and early enough that whoever leads next knows when it is over.
Status Pipeline::make_call(Exchange& exchange) {
  const PipelineState& state = *exchange.pipeline;
  const Committer& committer = services_.committer;
  const Nanos left = state.outside->ends - committer.cluster_now();
  // What is this node's own needs no leader.
  const bool leads = state.local || (committer.leader_term() == state.term && committer.lease_valid());
  if ((!leads || left <= Nanos(0)) && !mutant(Mutant::kOutsideAfterLeadership))
    return Status(Code::kUnavailable, "this node may not call another system any more, nothing was made");
  try {
    return state.outside->call(left, exchange.response, exchange.arena);
  } catch (const std::bad_alloc&) {
    return Status(Code::kUnavailable, "the server is out of memory");
  }
}

// Before anything could be looked up. Only a later run has devices to tell.
Pipeline::Next Pipeline::refuse(Exchange& exchange, const Status& status) {
  PipelineState& state = *exchange.pipeline;
  fail(exchange, status);
  exchange.audit_lines.clear();
  if (state.audit)
    state.audit->prepare(exchange, AuditPhase::kResponse, state.facts, services_.committer.cluster_now(),
                         first_error(exchange.response));
  return Next::kAnswer;
}

// Of a request whose call was made the answer is owed: the lease is lost for a moment by a change of voters, which may
// be what the call made.
Pipeline::Next Pipeline::without_lease(Exchange& exchange) {
  PipelineState& state = *exchange.pipeline;
  if (!state.called)
    return refuse_without_lease(exchange);
  if (services_.group != nullptr && !std::exchange(state.lease_awaited, true))
    return Next::kAwaitLease;
  return refuse(exchange, outcome_unknown());
}

// A read by its index waits for as long as a leader needs to show that it leads, and no longer.
void Pipeline::await_lease(std::unique_ptr<Exchange> exchange) {
  Exchange* held = exchange.release();
  services_.group->read_index([held](const Result<Index>&) {
    std::unique_ptr<Exchange> back(held);
    Home* home = back->home;
    home->resume_later(std::move(back));
  });
}

// A node that led until now may know the next one soon; whoever forwarded the request may know it already.
Pipeline::Next Pipeline::refuse_without_lease(Exchange& exchange) {
  PipelineState& state = *exchange.pipeline;
  const bool untouched = !state.begun && !state.logged_in && !exchange.request.passing_login;
  if (untouched && !state.forwarded && forwarder_ != nullptr)
    return Next::kStandBy;
  // A login that came with a request is nothing that another node could run; the request is.
  const bool login = exchange.request.passing_login && !state.begun;
  state.bounced = login || (untouched && state.forwarded);
  return refuse(exchange, Status(Code::kUnavailable, "this node does not lead and cannot answer"));
}

void Pipeline::answer(std::unique_ptr<Exchange> exchange) {
  PipelineState& state = *exchange->pipeline;
  if (!state.audit || mutant(Mutant::kAnswerBeforeAudit))
    return respond(std::move(exchange));
  state.stage = Stage::kLastAudit;
  state.times.response_asked = metrics::now_ns();
  // Held here: the exchange may be gone, and with it the last holder of the set, before submit() returns.
  const std::shared_ptr<AuditSet> audit = state.audit;
  audit->submit(std::move(exchange), *this);
}

void Pipeline::propose(std::unique_ptr<Exchange> exchange) {
  PipelineState& state = *exchange->pipeline;
  if (mutant(Mutant::kEventBeforeCommit))
    publish_changes(services_, state.buffers.changes);
  if (state.audit) {
    split_lines(*exchange, state);
    if (!state.request_audited) {
      state.stage = Stage::kRequestAudit;
      state.times.audit_asked = metrics::now_ns();
      const std::shared_ptr<AuditSet> audit = state.audit;
      return audit->submit(std::move(exchange), *this);
    }
    exchange->audit_lines.clear();
  }
  state.stage = Stage::kCommit;
  services_.committer.submit(std::move(exchange), *this);
}

// Without a view, a lock or the thread; another run follows.
void Pipeline::work(std::unique_ptr<Exchange> exchange) {
  if (services_.pool == nullptr) {
    exchange->pipeline->work->perform();
    Home* home = exchange->home;
    return home->resume_later(std::move(exchange));
  }
  if (services_.pool->submit(exchange))
    return;
  refuse(*exchange, Status(Code::kUnavailable, "too many requests wait for slow work, try again"));
  answer(std::move(exchange));
}

void Pipeline::audited(std::unique_ptr<Exchange> exchange, const Status& status) {
  PipelineState& state = *exchange->pipeline;
  const bool of_request = state.stage == Stage::kRequestAudit;
  count_audit(state, status.ok());
  if (of_request && status.ok()) {
    state.request_audited = true;
    exchange->audit_lines.clear();
    state.times.request_audited = state.times.proposed = metrics::now_ns();
    if (std::exchange(state.calls_next, false))
      return call_outside(std::move(exchange));
    state.stage = Stage::kCommit;
    return services_.committer.submit(std::move(exchange), *this);
  }
  if (!status.ok()) {
    if (state.committed)
      withhold(*exchange);
    fail(*exchange, 500, "no audit device accepted the request");
  }
  respond(std::move(exchange));
}

void Pipeline::committed(std::unique_ptr<Exchange> exchange, CommitOutcome outcome, Index index, Status status) {
  PipelineState& state = *exchange->pipeline;
  switch (outcome) {
    case CommitOutcome::kConflict: {
      if (++state.runs >= limits::kTransactionRunsMax) {
        services_.committer.abandon(*exchange);
        return fail_audited(std::move(exchange),
                            Status(Code::kUnavailable, "the request lost against others too often"));
      }
      Home* home = exchange->home;
      return home->resume_later(std::move(exchange));
    }
    case CommitOutcome::kRefused:
      // A node that leads no more has done nothing; the one that leads now may.
      state.bounced = (state.forwarded || exchange->request.passing_login) && !state.logged_in && !state.called &&
                      !services_.committer.is_leader();
      refuse(*exchange, status.ok() ? Status(Code::kUnavailable, "the request was not accepted, nothing was changed")
                                    : status);
      exchange->response.late = services_.committer.cluster_now() >= state.deadline;
      return answer(std::move(exchange));
    case CommitOutcome::kOutcomeUnknown:
      return fail_audited(std::move(exchange), outcome_unknown());
    case CommitOutcome::kCommitted:
      break;
  }
  publish_changes(services_, state.buffers.changes);
  if (state.outside && !state.called)
    return call_outside(std::move(exchange));
  state.committed = true;
  if (state.hasher)
    exchange->response.headers.emplace_back(kStateHeader, exchange->arena.copy(state_text(*state.hasher, index)));
  state.times.committed = metrics::now_ns();
  state.proposal = Proposal();
  exchange->audit_lines.swap(state.response_lines);
  state.response_lines.clear();
  for (AuditLine& line : exchange->audit_lines)
    if (!line.text.empty())  // not for this device
      set_line_time(line.text, services_.committer.cluster_now());
  answer(std::move(exchange));
}

// After the request's line was accepted: the answer has a line too.
void Pipeline::fail_audited(std::unique_ptr<Exchange> exchange, const Status& status) {
  refuse(*exchange, status);
  answer(std::move(exchange));
}

// The answer stays here although it took effect: what it would have handed out must not live.
void Pipeline::withhold(Exchange& exchange) {
  for (std::string& hash : exchange.pipeline->handed_out)
    SystemTask::start(
        services_,
        [hash](TxnImpl& txn, const Published& published, json::Arena& arena) {
          return TokenStore(txn, published, arena).revoke_tree(hash);
        },
        [](const Status&) {});
  for (std::string& key : exchange.pipeline->leases_out)
    SystemTask::start(
        services_,
        [key](TxnImpl& txn, const Published&, json::Arena& arena) {
          LeaseStore leases(txn, arena);
          COFFER_ASSIGN(const auto lease, leases.stored(key));
          return lease ? leases.end(*lease) : ok_status();
        },
        [](const Status&) {});
}

}  // namespace coffer::core
