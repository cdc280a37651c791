#include "raft/core.h"

#include <boost/test/unit_test.hpp>

#include "raft/entry.h"
#include "tests/raft/memory_log.h"

namespace coffer::raft {
namespace {

using coffer::testing::MemoryLog;

std::string payload(std::string_view text) { return std::string(kEntryHeaderBytes, '\0') + std::string(text); }

// One voter with its log, performing what the core asks for at once.
struct Sole {
  explicit Sole(Index applied = Index(0)) { restart(applied); }

  void restart(Index applied) {
    Options options;
    options.id = NodeId(1);
    Core::Start start{applied, Configuration{{NodeId(1)}, {}}, WallTime(), false};
    Result<std::unique_ptr<Core>> made = Core::start(options, clock, log, start);
    BOOST_REQUIRE(made.ok());
    core = std::move(made).value();
  }

  // Performs everything; true when there was something to persist.
  bool perform(bool sync = true) {
    Ready ready = core->take_ready();
    BOOST_REQUIRE(ready.failure.ok());
    BOOST_CHECK(ready.send.empty());
    BOOST_REQUIRE(log.append(ready.append).ok());
    if (ready.hard_state)
      BOOST_REQUIRE(log.save_hard_state(*ready.hard_state).ok());
    for (const store::LogRecord& record : ready.apply)
      applied.push_back(std::string(entry_body(record)));
    if (!ready.apply.empty())
      core->applied(ready.apply.back().index);
    if (ready.persist != 0 && sync) {
      BOOST_REQUIRE(log.sync().ok());
      core->persisted(ready.persist);
    }
    reads.insert(reads.end(), ready.reads.begin(), ready.reads.end());
    return ready.persist != 0 || !ready.apply.empty();
  }

  void settle() {
    while (perform()) {
    }
  }

  ManualClock clock;
  MemoryLog log;
  std::unique_ptr<Core> core;
  std::vector<std::string> applied;
  std::vector<ReadResult> reads;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(sole_voter)

BOOST_AUTO_TEST_CASE(leads_after_the_first_tick) {
  Sole node;
  BOOST_CHECK(node.core->role() == Role::kFollower);
  node.core->tick();
  node.settle();
  BOOST_CHECK(node.core->role() == Role::kLeader);
  BOOST_CHECK(node.core->serving());
  BOOST_CHECK(node.core->lease().valid(node.clock.boot_now() + std::chrono::hours(1000)));
  BOOST_CHECK_EQUAL(node.core->term().get(), 1u);
}

BOOST_AUTO_TEST_CASE(commits_only_what_is_synced) {
  Sole node;
  node.core->tick();
  node.settle();
  const Result<Index> index = node.core->propose(node.core->term(), payload("a"));
  BOOST_REQUIRE(index.ok());
  Ready ready = node.core->take_ready();
  BOOST_CHECK_EQUAL(ready.append.size(), 1u);
  BOOST_CHECK(ready.apply.empty());
  BOOST_CHECK(node.core->take_ready().apply.empty());
  BOOST_CHECK(node.core->commit_index() < *index);
  BOOST_REQUIRE(node.log.append(ready.append).ok());
  BOOST_REQUIRE(node.log.sync().ok());
  node.core->persisted(ready.persist);
  node.settle();
  BOOST_REQUIRE(!node.applied.empty());
  BOOST_CHECK_EQUAL(node.applied.back(), "a");
}

BOOST_AUTO_TEST_CASE(keeps_what_was_committed_over_a_restart) {
  Sole node;
  node.core->tick();
  node.settle();
  for (int i = 0; i < 10; ++i)
    BOOST_REQUIRE(node.core->propose(node.core->term(), payload(std::to_string(i))).ok());
  node.settle();
  const WallTime before = node.core->cluster_time();
  BOOST_REQUIRE(node.core->propose(node.core->term(), payload("lost")).ok());
  node.perform(false);
  node.log.crash(0);
  node.applied.clear();
  node.clock.jump_wall(-std::chrono::hours(1));
  node.restart(Index(0));
  node.core->tick();
  node.settle();
  BOOST_CHECK_EQUAL(node.core->term().get(), 2u);
  BOOST_CHECK_GT(node.core->incarnation(), 1u);
  BOOST_REQUIRE_EQUAL(node.applied.size(), 12u);  // ten and two empty ones
  BOOST_CHECK_EQUAL(node.applied[10], "9");
  BOOST_CHECK(node.core->cluster_time() >= before);
}

BOOST_AUTO_TEST_CASE(time_does_not_go_back_when_all_is_applied) {
  Sole node;
  node.core->tick();
  node.settle();
  node.clock.advance(std::chrono::hours(1));
  BOOST_REQUIRE(node.core->propose(node.core->term(), payload("a")).ok());
  node.settle();
  const WallTime before = node.core->cluster_time();
  node.clock.jump_wall(-std::chrono::hours(10));
  node.restart(node.core->applied_index());
  node.core->tick();
  node.settle();
  BOOST_CHECK(node.core->cluster_time() >= before);
}

BOOST_AUTO_TEST_CASE(refuses_a_proposal_of_another_term) {
  Sole node;
  BOOST_CHECK(node.core->propose(Term(0), payload("early")).code() == Code::kConflict);
  node.core->tick();
  node.settle();
  BOOST_CHECK(node.core->propose(Term(7), payload("x")).code() == Code::kConflict);
}

BOOST_AUTO_TEST_CASE(read_index_is_the_commit_index) {
  Sole node;
  BOOST_CHECK(node.core->read_index(4).code() == Code::kUnavailable);
  node.core->tick();
  node.settle();
  BOOST_REQUIRE(node.core->read_index(5).ok());
  node.perform();
  BOOST_REQUIRE_EQUAL(node.reads.size(), 1u);
  BOOST_CHECK_EQUAL(node.reads[0].context, 5u);
  BOOST_CHECK(node.reads[0].ok);
  BOOST_CHECK(node.reads[0].index == node.core->commit_index());
}

BOOST_AUTO_TEST_CASE(has_a_bound_for_what_waits_for_the_disk) {
  Sole node;
  node.core->tick();
  node.settle();
  const std::string big(1u << 20, 'x');
  Status last;
  for (int i = 0; i < 64 && last.ok(); ++i)
    last = node.core->propose(node.core->term(), payload(big)).status();
  BOOST_CHECK(last.code() == Code::kExhausted);
  node.settle();
  BOOST_CHECK(node.core->propose(node.core->term(), payload("x")).ok());
}

BOOST_AUTO_TEST_CASE(long_log_is_not_kept_in_memory) {
  Sole node;
  node.core->tick();
  node.settle();
  const std::string big(1u << 20, 'x');
  for (int i = 0; i < 40; ++i) {
    BOOST_REQUIRE(node.core->propose(node.core->term(), payload(big)).ok());
    node.settle();
  }
  node.applied.clear();
  node.restart(Index(0));
  node.core->tick();
  node.settle();
  BOOST_CHECK_EQUAL(node.applied.size(), 42u);
}

BOOST_AUTO_TEST_CASE(refuses_a_log_that_does_not_fit_the_state) {
  ManualClock clock;
  MemoryLog log;
  Options options;
  options.id = NodeId(1);
  Core::Start start{Index(5), Configuration{{NodeId(1)}, {}}, WallTime(), false};
  BOOST_CHECK(Core::start(options, clock, log, start).code() == Code::kDataLoss);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(one_of_three)

// A voter that lost its disk counts again once it says that it has caught up, in whatever message it says so: no append
// need follow that would show what is committed.
BOOST_AUTO_TEST_CASE(commits_when_who_caught_up_says_so_in_a_heartbeats_answer) {
  ManualClock clock;
  MemoryLog log;
  Options options;
  options.id = NodeId(1);
  Core::Start start{Index(0), Configuration{{NodeId(1), NodeId(2), NodeId(3)}, {}}, WallTime(), false};
  const std::unique_ptr<Core> core = std::move(Core::start(options, clock, log, start)).value();
  const auto perform = [&] {
    for (;;) {
      const Ready ready = core->take_ready();
      BOOST_REQUIRE(ready.failure.ok());
      BOOST_REQUIRE(log.append(ready.append).ok());
      if (ready.hard_state)
        BOOST_REQUIRE(log.save_hard_state(*ready.hard_state).ok());
      if (ready.persist == 0)
        return;
      BOOST_REQUIRE(log.sync().ok());
      core->persisted(ready.persist);
    }
  };
  const auto hear = [&](MessageKind kind, Term term, std::uint64_t index, bool catching_up) {
    Message message;
    message.kind = kind;
    message.from = NodeId(2);
    message.to = NodeId(1);
    message.term = term;
    message.index = message.hint = Index(index);
    message.catching_up = catching_up;
    core->step(std::move(message));
    perform();
  };
  perform();
  clock.advance(std::chrono::seconds(2));
  core->tick();
  perform();
  hear(MessageKind::kPreVoteReply, Term(1), 0, false);
  hear(MessageKind::kVoteReply, Term(1), 0, false);
  BOOST_REQUIRE((core->role() == Role::kLeader && core->synced_index() == Index(1)));
  hear(MessageKind::kAppendReply, Term(1), 1, true);
  BOOST_TEST((core->commit_index() == Index(0)));
  hear(MessageKind::kHeartbeatReply, Term(1), 1, false);
  BOOST_TEST((core->commit_index() == Index(1)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::raft
