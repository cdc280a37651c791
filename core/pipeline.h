// The one way of a request: canonical path, namespace, token, policy, audit, router, engine, commit, audit, answer. See
// docs/request-path.md.
//
// A request holds no thread, no view and no lock while it waits. It waits at: request audit (a write's line is accepted
// before its proposal goes out), commit, response audit. A read's two lines are handed over together and awaited once.
#pragma once

#include <memory>

#include "core/call.h"
#include "core/door.h"
#include "core/pipeline_state.h"

namespace coffer::core {

class Forwarder;
class RestoreScan;
class Run;
class StandbyReader;

// Takes the few paths that work without a barrier: init, unseal, seal, seal-status, health, leader. Asked first.
class LifecycleHandler {
 public:
  virtual ~LifecycleHandler() = default;
  // The request's thread. True: it took the exchange and will respond. False: the exchange is as it was.
  virtual bool handle(std::unique_ptr<Exchange>& exchange) = 0;

  // Whether a snapshot may be restored here without a token (decision D-2): the node has nothing, began or joined no
  // cluster, and the configuration does not forbid it. The failure says why not. Any thread.
  virtual Status may_restore_uninitialized() const = 0;
  // Such a node begins a cluster of its own with the state in the file `path`, as Group::restore() has it. Asked only
  // for a request that carries kForceHeader (core/restore.h). Any thread.
  virtual void restore_uninitialized(std::string path, const RestoreScan& scan,
                                     std::function<void(Status)> done) = 0;
};

// Thread-safe. Outlives every exchange that it was given.
class Pipeline final : public Dispatcher, public Gate, private AuditSink, private CommitSink {
 public:
  // `lifecycle` may be null; both outlive the pipeline.
  Pipeline(const Services& services, LifecycleHandler* lifecycle) : services_(services), lifecycle_(lifecycle) {}

  // Before the first request, or never: then a node that does not lead refuses what it is asked. It outlives the
  // pipeline.
  void set_forwarder(Forwarder& forwarder) { forwarder_ = &forwarder; }
  // Likewise, after the forwarder, or never: then a node that does not lead forwards reads too.
  void set_reader(StandbyReader& reader) { reader_ = &reader; }

  void dispatch(std::unique_ptr<Exchange> exchange) override;
  void resume(std::unique_ptr<Exchange> exchange) override;
  bool admit(Exchange& exchange) override;
  bool knows_token(Exchange& exchange) override;

 private:
  enum class Next : std::uint8_t { kAnswer, kPropose, kRunAgain, kWork, kPassOn, kStandBy, kCall, kAwaitLease };

  void audited(std::unique_ptr<Exchange> exchange, const Status& status) override;
  void committed(std::unique_ptr<Exchange> exchange, CommitOutcome outcome, Index index, Status status) override;

  void dispatch_on_standby(std::unique_ptr<Exchange> exchange);
  void stand_by(std::unique_ptr<Exchange> exchange);
  void run_here(std::unique_ptr<Exchange> exchange);
  bool read_here(std::unique_ptr<Exchange>& exchange);
  void pass_on(std::unique_ptr<Exchange> exchange);
  static Next leave_to_leader(Exchange& exchange);
  void set_deadline(Exchange& exchange) const;
  void begin(std::unique_ptr<Exchange> exchange);
  void run(std::unique_ptr<Exchange> exchange);
  Next try_once(Exchange& exchange);
  Next run_once(Exchange& exchange);
  Next finish_run(Exchange& exchange, Run& once, const Published& published, Term term);
  Next run_conclusion(Exchange& exchange, const store::View& view, const Published& published, Term term);
  bool restore_here(std::unique_ptr<Exchange>& exchange);
  void call_alone(std::unique_ptr<Exchange> exchange);
  void await_lease(std::unique_ptr<Exchange> exchange);
  void call_outside(std::unique_ptr<Exchange> exchange);
  Next conclude_alone(Exchange& exchange);
  Status make_call(Exchange& exchange);
  Next refuse(Exchange& exchange, const Status& status);
  Next without_lease(Exchange& exchange);
  Next refuse_without_lease(Exchange& exchange);
  void log_in_first(std::unique_ptr<Exchange> exchange);
  bool answer_at_door(std::unique_ptr<Exchange>& exchange);
  void answer(std::unique_ptr<Exchange> exchange);
  void respond(std::unique_ptr<Exchange> exchange);
  void propose(std::unique_ptr<Exchange> exchange);
  void work(std::unique_ptr<Exchange> exchange);
  void withhold(Exchange& exchange);
  void fail_audited(std::unique_ptr<Exchange> exchange, const Status& status);

  const Services& services_;
  LifecycleHandler* lifecycle_;
  Forwarder* forwarder_ = nullptr;
  StandbyReader* reader_ = nullptr;
};

}  // namespace coffer::core
