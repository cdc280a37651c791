// The node as a whole: proposals through Raft core, log thread, applier and publication, moved by the actor as in
// production.
#include "actors/node.h"

#include <boost/test/unit_test.hpp>
#include <condition_variable>
#include <functional>
#include <mutex>

#include "actors/host.h"
#include "base/rng.h"
#include "core/pipeline_state.h"
#include "store/key.h"
#include "store/memory_backend.h"
#include "store/memory_log.h"
#include "tests/mutant_on.h"
#include "tests/store/records_reader.h"

namespace coffer::actors {
namespace {

class Observer final : public core::StateObserver {
 public:
  void on_apply(Index, std::span<const store::Op> ops) override { seen += ops.size(); }
  void on_replaced(const store::View&) override {}
  void on_restored() override {}
  std::shared_ptr<const store::Attachment> attachment() override { return nullptr; }
  std::size_t seen = 0;  // node's thread
};

// Collects outcomes from the node's thread; waits with a deadline.
class Outcomes final : public core::SystemCommit {
 public:
  void done(core::CommitOutcome outcome, Index index, Status status) override {
    const std::lock_guard lock(mutex_);
    outcomes_.push_back(outcome);
    last_ = index;
    status_ = std::move(status);
    changed_.notify_all();
  }
  std::vector<core::CommitOutcome> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(20), [&] { return outcomes_.size() >= count; });
    return outcomes_;
  }
  Index last() {
    const std::lock_guard lock(mutex_);
    return last_;
  }
  std::size_t size() {
    const std::lock_guard lock(mutex_);
    return outcomes_.size();
  }
  // Of the last one.
  Status status() {
    const std::lock_guard lock(mutex_);
    return status_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<core::CommitOutcome> outcomes_;
  Index last_;
  Status status_;
};

// A log whose sync fails when told so.
class FailingLog final : public store::Log {
 public:
  Index first_index() const override { return inner.first_index(); }
  Index last_index() const override { return inner.last_index(); }
  Term last_term() const override { return inner.last_term(); }
  store::HardState hard_state() const override { return inner.hard_state(); }
  Status append(std::span<const store::LogRecord> records) override { return inner.append(records); }
  Status truncate_from(Index from) override { return inner.truncate_from(from); }
  Status save_hard_state(const store::HardState& state) override { return inner.save_hard_state(state); }
  Status sync() override { return failing ? Status(Code::kIo, "sync of the log failed") : inner.sync(); }
  Result<Term> term_at(Index index) const override { return inner.term_at(index); }
  Result<std::vector<store::LogRecord>> read(Index from, Index to, std::size_t bytes_max) const override {
    return inner.read(from, to, bytes_max);
  }
  Status cut_below(Index index) override { return inner.cut_below(index); }
  Status reset_to(Index index, Term term) override { return inner.reset_to(index, term); }

  store::MemoryLog inner;
  std::atomic<bool> failing{false};
};

// Like the server's own tasks: runs again, from a new view, as long as it loses.
class Repeating final : public core::SystemCommit {
 public:
  Repeating(Node& node, store::Backend& backend, core::Proposal first)
      : node_(node), backend_(backend), proposal_(std::move(first)) {}
  void run() {
    ++runs;
    node_.submit_system(proposal_, *this);
  }
  void done(core::CommitOutcome outcome, Index index, Status status) override {
    if (outcome != core::CommitOutcome::kConflict || runs == 10)
      return outcomes.done(outcome, index, std::move(status));
    proposal_.view = std::move(backend_.view()).value()->index();
    run();
  }
  Outcomes outcomes;
  int runs = 0;  // node's thread, or after the outcome

 private:
  Node& node_;
  store::Backend& backend_;
  core::Proposal proposal_;
};

// What is visible at the moment of the answer.
class Witness final : public core::SystemCommit {
 public:
  explicit Witness(store::Backend& backend) : backend_(backend) {}
  void done(core::CommitOutcome outcome, Index index, Status status) override {
    seen = std::move(backend_.view()).value()->index() >= index;
    outcomes.done(outcome, index, std::move(status));
  }
  Outcomes outcomes;
  bool seen = false;

 private:
  store::Backend& backend_;
};

// Requests that do not come back by themselves.
class Sink final : public core::CommitSink {
 public:
  void committed(std::unique_ptr<core::Exchange> exchange, core::CommitOutcome outcome, Index index,
                 Status status) override {
    last = std::move(exchange);
    outcomes.done(outcome, index, std::move(status));
  }
  Outcomes outcomes;
  std::unique_ptr<core::Exchange> last;
};

// A table that keeps nothing but the index of its last commit. It is read once, when the node begins.
class EmptyTable final : public store::StateTable {
 public:
  EmptyTable() { reader_.open(std::make_shared<const coffer::testing::Records>(), Index(0)); }
  Result<store::StateReader*> acquire() override { return &reader_; }
  void release(store::StateReader*) noexcept override {}
  Status commit(const store::Generation&, Index applied) override {
    durable_ = applied;
    return Status();
  }
  Index durable_index() const override { return durable_; }
  Result<bool> scrub_step(std::size_t) override { return true; }

 private:
  Index durable_;
  coffer::testing::RecordsReader reader_;
};

std::string key(std::string_view name) {
  return store::make_key(store::KeyClass::kShared, NamespaceId(0), MountId(9), name);
}

struct Fixture {
  Fixture() {
    logger = std::move(Logger::open({.level = LogLevel::kError})).value();
    Node::Options options;
    options.raft.id = raft::NodeId(7);
    options.proposer.hold_max = std::chrono::hours(1);  // nothing here may count on a key that becomes free by itself,
    Node::Ports ports{log,
                      backend,
                      nullptr,
                      observer,
                      system_clock(),
                      *logger,
                      host.node_wake(),
                      [this](const Status& status) { note(fatal, status.message()); },
                      {},
                      [this] { note(served, "yes"); }};
    node = std::move(Node::create(options, std::move(ports))).value();
    host.start_node(*node, std::chrono::hours(1));      // or on a tick
    wait(served);
  }
  ~Fixture() { host.stop_node(); }

  void note(std::string& where, const std::string& what) {
    const std::lock_guard lock(mutex);
    where = what;
    changed.notify_all();
  }
  std::string wait(const std::string& where) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, std::chrono::seconds(20), [&] { return !where.empty(); });
    return where;
  }
  core::Proposal proposal(std::string_view name, std::string_view value) {
    core::Proposal p;
    p.term = node->leader_term();
    p.view = std::move(backend.view()).value()->index();
    p.ops.push_back({key(name), std::string(value)});
    return p;
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::string fatal;
  std::string served;
  std::unique_ptr<Logger> logger;
  FailingLog log;
  store::MemoryBackend backend;
  Observer observer;
  Host host;
  std::unique_ptr<Node> node;
  Outcomes outcomes;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(node, Fixture)

BOOST_AUTO_TEST_CASE(what_is_committed_is_visible_to_the_next_view) {
  BOOST_TEST(served == "yes");
  BOOST_TEST(node->is_leader());
  BOOST_TEST(node->lease_valid());
  for (int i = 0; i < 100; ++i) {
    node->submit_system(proposal("k" + std::to_string(i), "v" + std::to_string(i)), outcomes);
    const auto seen = outcomes.wait_for(i + 1);
    BOOST_REQUIRE_EQUAL(seen.size(), i + 1);
    BOOST_REQUIRE(seen.back() == core::CommitOutcome::kCommitted);
    const auto view = std::move(backend.view()).value();
    BOOST_REQUIRE(view->index() >= outcomes.last());
    std::string value;
    BOOST_REQUIRE(std::move(view->get(key("k" + std::to_string(i)), value)).value());
    BOOST_REQUIRE_EQUAL(value, "v" + std::to_string(i));
  }
}

BOOST_AUTO_TEST_CASE(a_stale_read_loses_and_is_told_to_run_again) {
  core::Proposal first = proposal("k", "1");
  core::Proposal second = proposal("k", "2");
  second.read_keys = {key("k")};
  node->submit_system(std::move(first), outcomes);
  node->submit_system(std::move(second), outcomes);
  const auto seen = outcomes.wait_for(2);
  BOOST_REQUIRE_EQUAL(seen.size(), 2u);
  BOOST_TEST((seen[0] == core::CommitOutcome::kCommitted));
  BOOST_TEST((seen[1] == core::CommitOutcome::kConflict));
}

BOOST_AUTO_TEST_CASE(who_is_answered_sees_it) {
  Witness first(backend);
  node->submit_system(proposal("k", "1"), first);
  BOOST_REQUIRE_EQUAL(first.outcomes.wait_for(1).size(), 1u);
  BOOST_TEST(first.seen);
  const testing::ScopedMutant on(Mutant::kViewPublishedAfterWakeUp);
  Witness second(backend);
  node->submit_system(proposal("k", "2"), second);
  BOOST_REQUIRE_EQUAL(second.outcomes.wait_for(1).size(), 1u);
  BOOST_TEST(!second.seen);
}

BOOST_AUTO_TEST_CASE(who_lost_to_what_is_published_already_is_told_at_once) {
  core::Proposal late = proposal("k", "2");
  late.read_keys = {key("k")};
  node->submit_system(proposal("k", "1"), outcomes);
  BOOST_REQUIRE_EQUAL(outcomes.wait_for(1).size(), 1u);
  node->submit_system(std::move(late), outcomes);
  const auto seen = outcomes.wait_for(2);
  BOOST_REQUIRE_EQUAL(seen.size(), 2u);
  BOOST_TEST((seen[1] == core::CommitOutcome::kConflict));
}

BOOST_AUTO_TEST_CASE(the_servers_own_proposal_does_not_wait_behind_itself) {
  core::Proposal late = proposal("k", "2");
  late.read_keys = {key("k")};
  node->submit_system(proposal("k", "1"), outcomes);
  BOOST_REQUIRE_EQUAL(outcomes.wait_for(1).size(), 1u);
  Repeating task(*node, backend, std::move(late));
  task.run();
  const auto seen = task.outcomes.wait_for(1);
  BOOST_REQUIRE_EQUAL(seen.size(), 1u);
  BOOST_TEST((seen[0] == core::CommitOutcome::kCommitted));
  BOOST_TEST(task.runs == 2);
}

BOOST_AUTO_TEST_CASE(a_key_is_free_once_its_holder_gives_up) {
  const auto stale = [&](core::Proposal p) {
    auto exchange = std::make_unique<core::Exchange>();
    exchange->pipeline = std::make_unique<core::PipelineState>();
    exchange->pipeline->proposal = std::move(p);
    exchange->pipeline->proposal.read_keys = {key("k")};
    return exchange;
  };
  auto first = stale(proposal("k", "2"));
  auto second = stale(proposal("k", "3"));
  node->submit_system(proposal("k", "1"), outcomes);
  BOOST_REQUIRE_EQUAL(outcomes.wait_for(1).size(), 1u);
  Sink holder, behind;
  node->submit(std::move(first), holder);
  BOOST_REQUIRE_EQUAL(holder.outcomes.wait_for(1).size(), 1u);
  node->submit(std::move(second), behind);
  node->abandon(*holder.last);
  const auto seen = behind.outcomes.wait_for(1);
  BOOST_REQUIRE_EQUAL(seen.size(), 1u);
  BOOST_TEST((seen[0] == core::CommitOutcome::kConflict));
}

BOOST_AUTO_TEST_CASE(a_proposal_of_another_term_is_refused) {
  core::Proposal old = proposal("k", "1");
  old.term = Term(node->leader_term().get() + 1);
  node->submit_system(std::move(old), outcomes);
  const auto seen = outcomes.wait_for(1);
  BOOST_REQUIRE_EQUAL(seen.size(), 1u);
  BOOST_TEST((seen[0] == core::CommitOutcome::kRefused));
}

BOOST_AUTO_TEST_CASE(a_failed_sync_stops_the_node_before_anything_is_acknowledged) {
  log.failing = true;
  node->submit_system(proposal("k", "1"), outcomes);
  BOOST_TEST(wait(fatal) == "sync of the log failed");
  BOOST_TEST(!node->is_leader());
  host.stop_node();
  const auto seen = outcomes.wait_for(1);
  BOOST_REQUIRE_EQUAL(seen.size(), 1u);
  BOOST_TEST((seen[0] == core::CommitOutcome::kOutcomeUnknown));
  std::string value;
  BOOST_TEST(!std::move(std::move(backend.view()).value()->get(key("k"), value)).value());
}

BOOST_AUTO_TEST_CASE(a_node_that_fails_answers_what_it_was_given_at_once) {
  core::Proposal read_before = proposal("k", "2");
  read_before.read_keys = {key("k")};
  log.failing = true;
  Outcomes behind;
  node->submit_system(proposal("k", "1"), outcomes);
  node->submit_system(std::move(read_before), behind);
  BOOST_TEST(wait(fatal) == "sync of the log failed");
  const auto proposed = outcomes.wait_for(1);
  BOOST_REQUIRE_EQUAL(proposed.size(), 1u);
  BOOST_TEST((proposed[0] == core::CommitOutcome::kOutcomeUnknown));
  // It waited for the other's key, or came later: nothing of it was proposed.
  const auto waited = behind.wait_for(1);
  BOOST_REQUIRE_EQUAL(waited.size(), 1u);
  BOOST_TEST((waited[0] == core::CommitOutcome::kRefused));
  Outcomes later;
  node->submit_system(proposal("later", "1"), later);
  BOOST_REQUIRE_EQUAL(later.wait_for(1).size(), 1u);
  BOOST_TEST((later.wait_for(1)[0] == core::CommitOutcome::kRefused));
  // A step that will not run is let go, so that whoever it stands for can be told.
  auto owed = std::make_shared<int>(1);
  const std::weak_ptr<int> held = owed;
  node->on_applier([owed] {}, [owed] {});
  owed.reset();
  BOOST_TEST(held.expired());
}

BOOST_AUTO_TEST_CASE(steps_run_on_the_applier_between_batches) {
  std::string order;
  node->on_applier([&] { order += "step "; }, [&] {
    order += "then";
    note(fatal, "done");
  });
  BOOST_TEST(wait(fatal) == "done");
  BOOST_TEST(order == "step then");
}

BOOST_AUTO_TEST_CASE(cluster_time_moves_forward) {
  const WallTime before = node->cluster_now();
  node->submit_system(proposal("k", "1"), outcomes);
  outcomes.wait_for(1);
  BOOST_TEST((node->cluster_now() > before));
}

BOOST_AUTO_TEST_SUITE_END()

// A node over an overlay of two small generations that is flushed by hand; moved by the test, without an actor.
struct Moved {
  Moved() {
    Node::Options options;
    options.raft.id = raft::NodeId(7);
    Node::Ports ports{log, backend, &backend, observer, clock, *logger, [] {}, [](const Status&) {}, {}, {}};
    node = std::move(Node::create(options, std::move(ports))).value();
    tick(std::chrono::milliseconds(100));
    work_until([&] { return node->is_leader(); });
    // What the first entry wrote of the group makes room.
    tick(std::chrono::milliseconds(100));
    BOOST_REQUIRE(std::move(backend.flush_step()).value());
    tick(std::chrono::milliseconds(100));
  }
  ~Moved() { node->stop(); }

  void tick(Nanos later) {
    clock.advance(later);
    node->tick();
  }
  void work_until(const std::function<bool()>& reached) {
    const BootTime end = system_clock().boot_now() + std::chrono::seconds(20);
    while (!reached() && system_clock().boot_now() < end)
      node->work();
    BOOST_REQUIRE(reached());
  }
  core::Proposal proposal(std::string_view name) {
    core::Proposal p;
    p.term = node->leader_term();
    p.view = node->applied_index();
    p.ops.push_back({key(name), std::string("v")});
    return p;
  }
  // Until the applier has nowhere to put more.
  void fill() {
    for (const char* name : {"a", "b"}) {
      const Index before = node->applied_index();
      node->submit_system(proposal(name), outcomes);
      work_until([&] { return node->applied_index() > before; });
    }
    BOOST_REQUIRE(backend.flush_pressure());
  }

  std::unique_ptr<Logger> logger = std::move(Logger::open({.level = LogLevel::kError})).value();
  ManualClock clock;
  store::MemoryLog log;
  store::StateBackend backend{std::make_unique<EmptyTable>(), {.generation_bytes_max = 1, .generation_keys_max = 1}};
  Observer observer;
  // The node's last call may tell all of them.
  Outcomes outcomes;
  Outcomes own;
  Sink request;
  std::unique_ptr<Node> node;
};

BOOST_FIXTURE_TEST_SUITE(moved_node, Moved)

BOOST_AUTO_TEST_CASE(nothing_is_proposed_while_the_overlay_is_full) {
  fill();
  const Index full = log.last_index();
  node->submit_system(proposal("c"), outcomes);
  for (int i = 0; i < 3; ++i)
    tick(std::chrono::milliseconds(100));
  BOOST_TEST(log.last_index().get() == full.get());
  BOOST_REQUIRE(std::move(backend.flush_step()).value());
  tick(std::chrono::milliseconds(100));
  work_until([&] { return node->applied_index() > full; });
  BOOST_TEST(outcomes.wait_for(3).size() == 3u);
}

// New writes are better refused while those that are there wait (core/overload.h).
BOOST_AUTO_TEST_CASE(writes_that_pile_up_are_noticed) {
  fill();
  const Index full = log.last_index();
  BOOST_TEST(!node->overloaded());
  node->submit_system(proposal("c"), outcomes);
  for (int i = 0; i < 6; ++i)
    tick(std::chrono::seconds(1));
  BOOST_TEST(node->overloaded());
  BOOST_REQUIRE(std::move(backend.flush_step()).value());
  tick(std::chrono::milliseconds(100));
  work_until([&] { return node->applied_index() > full; });
  BOOST_TEST(outcomes.wait_for(3).size() == 3u);
  tick(std::chrono::seconds(1));
  tick(std::chrono::seconds(1));
  BOOST_TEST(!node->overloaded());
}

// The flusher hangs: each write has its answer when its time is over, the server's own and the requests' alike.
BOOST_AUTO_TEST_CASE(who_waits_for_the_flusher_is_refused_in_time) {
  fill();
  const Index full = log.last_index();
  auto exchange = std::make_unique<core::Exchange>();
  exchange->pipeline = std::make_unique<core::PipelineState>();
  exchange->pipeline->proposal = proposal("c");
  exchange->pipeline->deadline = node->cluster_now() + std::chrono::seconds(5);
  node->submit_system(proposal("d"), own);
  node->submit(std::move(exchange), request);
  node->work();
  tick(std::chrono::milliseconds(4900));
  BOOST_TEST(request.outcomes.size() == 0u);
  tick(std::chrono::milliseconds(100));
  BOOST_TEST_REQUIRE(request.outcomes.size() == 1u);
  BOOST_TEST(own.size() == 0u);
  tick(std::chrono::milliseconds(24'900));
  BOOST_TEST(own.size() == 0u);
  tick(std::chrono::milliseconds(100));
  BOOST_TEST_REQUIRE(own.size() == 1u);
  for (Outcomes* told : {&request.outcomes, &own}) {
    BOOST_TEST((told->wait_for(1)[0] == core::CommitOutcome::kRefused));
    BOOST_TEST((told->status().code() == Code::kUnavailable));
    BOOST_TEST(told->status().message() == "the write took longer than it may: storage is behind");
  }
  // Nothing of them happens later.
  BOOST_REQUIRE(std::move(backend.flush_step()).value());
  tick(std::chrono::milliseconds(100));
  BOOST_TEST(log.last_index().get() == full.get());
}

BOOST_AUTO_TEST_CASE(a_write_whose_time_is_over_is_not_called_one_too_many) {
  auto exchange = std::make_unique<core::Exchange>();
  exchange->pipeline = std::make_unique<core::PipelineState>();
  exchange->pipeline->proposal = proposal("a");
  exchange->pipeline->deadline = node->cluster_now();
  node->submit(std::move(exchange), request);
  node->work();
  BOOST_TEST_REQUIRE(request.outcomes.size() == 1u);
  BOOST_TEST((request.outcomes.wait_for(1)[0] == core::CommitOutcome::kRefused));
  BOOST_TEST((request.outcomes.status().code() == Code::kUnavailable));
  BOOST_TEST(request.outcomes.status().message() == "the write took longer than it may");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::actors
