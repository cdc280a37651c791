// Known bugs, planted one at a time, are each found: most by the first seeds, the rest by the one situation in which
// they matter.
#include <boost/test/unit_test.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "base/mutant.h"
#include "core/restoring.h"
#include "store/state_backend.h"
#include "tests/mutant_on.h"
#include "tests/raft/memory_log.h"
#include "tests/sim/model_table.h"
#include "tests/sim/raft_checker.h"
#include "tests/sim/world.h"

namespace coffer::sim {
namespace {

using coffer::testing::MemoryLog;
using coffer::testing::ScopedMutant;
using raft::Message;
using raft::MessageKind;
using raft::NodeId;

// In a process of its own, because a bug may as well end in a failed invariant. True when something was noticed.
bool noticed(Mutant which, const std::function<bool()>& healthy) {
  const pid_t child = fork();
  BOOST_REQUIRE_GE(child, 0);
  if (child == 0) {
    if (freopen("/dev/null", "w", stderr) == nullptr)
      _exit(3);
    signal(SIGABRT, SIG_DFL);
    const ScopedMutant mutant(which);
    _exit(healthy() ? 0 : 1);
  }
  int status = 0;
  BOOST_REQUIRE_EQUAL(waitpid(child, &status, 0), child);
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

std::function<bool()> seeds(std::uint64_t first, std::uint64_t last) {
  return [first, last] {
    for (std::uint64_t seed = first; seed <= last; ++seed) {
      if (!run_seed(seed, SimOptions()).failure.empty())
        return false;
    }
    return true;
  };
}

// One of three voters, with its checker.
struct Voter {
  Voter() { restart(); }

  void restart() {
    raft::Options options;
    options.id = NodeId(1);
    raft::Core::Start start{Index(0), {{NodeId(1), NodeId(2), NodeId(3)}, {}}, WallTime(), false};
    core = std::move(raft::Core::start(options, clock, log, std::move(start))).value();
    good = checker.restarted(*core, false) && good;
    perform();
  }
  void crash() {
    perform();
    core.reset();
    log.crash(0);
  }
  std::vector<Message> perform() {
    std::vector<Message> sent;
    for (;;) {
      raft::Ready ready = core->take_ready();
      good = checker.stepped(*core, ready) && ready.failure.ok() && good;
      if (ready.truncate_from)
        BOOST_REQUIRE(log.truncate_from(*ready.truncate_from).ok());
      BOOST_REQUIRE(log.append(ready.append).ok());
      if (ready.hard_state)
        BOOST_REQUIRE(log.save_hard_state(*ready.hard_state).ok());
      sent.insert(sent.end(), ready.send.begin(), ready.send.end());
      if (!ready.apply.empty())
        core->applied(ready.apply.back().index);
      if (ready.persist == 0)
        return sent;
      BOOST_REQUIRE(log.sync().ok());
      core->persisted(ready.persist);
    }
  }
  std::vector<Message> step(Message message) {
    message.to = NodeId(1);
    core->step(std::move(message));
    return perform();
  }
  static Message vote(std::uint64_t from, std::uint64_t term) {
    Message m;
    m.kind = MessageKind::kVote;
    m.from = NodeId(from);
    m.term = Term(term);
    return m;
  }
  static Message append(std::uint64_t from, std::uint64_t term, std::uint64_t before, std::uint64_t before_term,
                        std::size_t entries) {
    Message m;
    m.kind = MessageKind::kAppend;
    m.from = NodeId(from);
    m.term = Term(term);
    m.index = Index(before);
    m.log_term = Term(before_term);
    for (std::size_t i = 1; i <= entries; ++i)
      m.entries.push_back({Index(before + i), Term(term), 0, std::make_shared<const std::string>(8, 'x')});
    return m;
  }

  ManualClock clock;
  MemoryLog log;
  RaftChecker checker;
  std::unique_ptr<raft::Core> core;
  bool good = true;
};

bool granted(const std::vector<Message>& sent) {
  for (const Message& m : sent) {
    if (m.kind == MessageKind::kVoteReply && !m.reject)
      return true;
  }
  return false;
}

// A vote is remembered over a crash.
bool one_vote_a_term() {
  Voter node;
  node.clock.advance(std::chrono::seconds(1));
  if (!granted(node.step(Voter::vote(2, 5))))
    return false;
  node.crash();
  node.restart();
  node.clock.advance(std::chrono::seconds(1));
  return !granted(node.step(Voter::vote(3, 5))) && node.good;
}

// Who has just started may have promised a leader to wait.
bool quiet_after_a_start() {
  Voter node;
  node.clock.advance(std::chrono::seconds(1));
  node.step(Voter::append(2, 5, 0, 0, 1));
  node.crash();
  node.restart();
  node.clock.advance(std::chrono::milliseconds(10));
  Message request = Voter::vote(3, 9);
  request.index = Index(9);
  request.log_term = Term(8);
  if (granted(node.step(request)))
    return false;
  node.clock.advance(std::chrono::seconds(1));
  return granted(node.step(request));
}

// What a deposed leader says takes nothing away.
bool deaf_to_old_terms() {
  Voter node;
  node.clock.advance(std::chrono::seconds(1));
  node.step(Voter::append(2, 5, 0, 0, 3));
  node.step(Voter::append(3, 4, 0, 0, 1));
  return node.good && node.core->last_index() == Index(3) && node.core->leader() == NodeId(2);
}

// Between a view's look at the overlay and its look at the table, the overlay may be flushed.
bool views_are_whole() {
  auto image = std::make_shared<TableImage>();
  store::StateBackend* backend = nullptr;
  bool once = false;
  auto table = std::make_unique<ModelTable>(image, [](Index, TableImage&) {}, [&] {
    if (!once)
      return;
    once = false;
    const std::vector<store::Op> ops = {{"b", "-1"}, {"c", "1"}};
    backend->apply(Index(2), ops);
    backend->publish(nullptr);
    backend->freeze();
    if (!backend->flush_step().ok())
      std::abort();
  });
  store::StateBackend real(std::move(table), store::StateBackendOptions());
  backend = &real;
  const std::vector<store::Op> first = {{"a", "-5"}, {"b", "5"}};
  real.apply(Index(1), first);
  real.publish(nullptr);
  once = true;
  const std::unique_ptr<store::View> view = std::move(real.view()).value();
  std::string b;
  std::string c;
  const bool has_b = view->get("b", b).value();
  const bool has_c = view->get("c", c).value();
  return has_b && ((b == "5" && !has_c) || (b == "-1" && has_c && c == "1"));
}

// One member may die with its stream, so the entry waits until a majority has it.
bool majority_before_the_entry() {
  using Step = core::StreamStaging::Step;
  const BootTime start{};
  const raft::Configuration members{{NodeId(1), NodeId(2), NodeId(3), NodeId(4), NodeId(5)}, {}};
  core::StreamStaging staging(start);
  if (staging.next(members.voters, start) != Step::kWait)
    return false;
  staging.read(NodeId(1), members);
  staging.heard(NodeId(2), true);
  staging.heard(NodeId(4), false);
  if (staging.next(members.voters, start + std::chrono::minutes(1)) != Step::kWait)
    return false;
  staging.heard(NodeId(3), true);
  const BootTime agreed = start + std::chrono::minutes(2);
  // Whoever is slower has as long again.
  return staging.next(members.voters, agreed) == Step::kWait &&
         staging.next(members.voters, agreed + std::chrono::minutes(1)) == Step::kWait &&
         staging.next(members.voters, agreed + std::chrono::minutes(2)) == Step::kPropose;
}

struct Planted {
  Mutant mutant;
  std::function<bool()> healthy;
};

const std::vector<Planted>& planted() {
  static const std::vector<Planted> all = {
      {Mutant::kSkipLogSync, seeds(1, 20)},
      {Mutant::kStaleTermAccepted, deaf_to_old_terms},
      {Mutant::kVoteNotPersisted, one_vote_a_term},
      {Mutant::kReadAfterLease, seeds(1, 20)},
      {Mutant::kLeaseKeptAfterStepDown, seeds(1, 60)},
      {Mutant::kOldTermCommittedByCount, seeds(1, 20)},
      {Mutant::kCommittedEntryTruncated, seeds(1, 20)},
      {Mutant::kAckBeforeQuorum, seeds(1, 20)},
      {Mutant::kOlderSnapshotInstalled, seeds(1, 60)},
      {Mutant::kRetryOnStaleState, seeds(1, 20)},
      {Mutant::kOverlayBeforeStateUnchecked, views_are_whole},
      {Mutant::kListedRangeNotInReadSet, seeds(1, 20)},
      {Mutant::kViewPublishedAfterWakeUp, seeds(1, 20)},
      {Mutant::kVoteRightAfterRestart, quiet_after_a_start},
      {Mutant::kOldTermProposal, seeds(1, 200)},
      {Mutant::kAppliedBeforeOwnSync, seeds(1, 20)},
      {Mutant::kSpeculationAnswered, seeds(1, 20)},
      {Mutant::kRestoreBeforeMajority, majority_before_the_entry},
      {Mutant::kReplacedWithoutStream, seeds(1, 60)},
      {Mutant::kRestoreOfOtherTerm, seeds(2400, 2900)},
      {Mutant::kStreamSentOnce, seeds(1, 600)},
      {Mutant::kReplacementUnmarked, seeds(1, 400)},
  };
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(mutants)

BOOST_AUTO_TEST_CASE(situations_are_handled) {
  BOOST_CHECK(one_vote_a_term());
  BOOST_CHECK(quiet_after_a_start());
  BOOST_CHECK(deaf_to_old_terms());
  BOOST_CHECK(views_are_whole());
  BOOST_CHECK(majority_before_the_entry());
}

BOOST_AUTO_TEST_CASE(each_is_found) {
  BOOST_REQUIRE_EQUAL(planted().size(), 22u);
  for (const Planted& bug : planted())
    BOOST_CHECK_MESSAGE(noticed(bug.mutant, bug.healthy), mutant_name(bug.mutant) << " was not found");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::sim
