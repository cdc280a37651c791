// The node as a whole: proposals through Raft core, log thread, applier and publication, moved by the actor as in production.
#include "actors/node.h"

#include <boost/test/unit_test.hpp>
#include <condition_variable>
#include <mutex>

#include "actors/host.h"
#include "base/rng.h"
#include "store/key.h"
#include "store/memory_backend.h"
#include "store/memory_log.h"

namespace coffer::actors {
namespace {

class Observer final : public core::StateObserver {
 public:
  void on_apply(Index, std::span<const store::Op> ops) override { seen += ops.size(); }
  std::shared_ptr<const store::Attachment> attachment() override { return nullptr; }
  std::size_t seen = 0;  // node's thread
};

// Collects outcomes from the node's thread; waits with a deadline.
class Outcomes final : public core::SystemCommit {
 public:
  void done(core::CommitOutcome outcome, Index index, Status) override {
    const std::lock_guard lock(mutex_);
    outcomes_.push_back(outcome);
    last_ = index;
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

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<core::CommitOutcome> outcomes_;
  Index last_;
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

std::string key(std::string_view name) { return store::make_key(store::KeyClass::kShared, NamespaceId(0), MountId(9), name); }

struct Fixture {
  Fixture() {
    logger = std::move(Logger::open({.level = LogLevel::kError})).value();
    Node::Options options;
    options.raft.id = raft::NodeId(7);
    Node::Ports ports{log, backend, nullptr, observer, system_clock(), *logger, host.node_wake(),
                      [this](const Status& status) { note(fatal, status.message()); }, {}, [this] { note(served, "yes"); }};
    node = std::move(Node::create(options, std::move(ports))).value();
    host.start_node(*node, std::chrono::milliseconds(5));
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

}  // namespace coffer::actors
