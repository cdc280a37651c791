// Members that are cut off, killed, started again and flushed in a random order: what was acknowledged is there in the
// end, and all members hold the same.
#include <boost/test/unit_test.hpp>
#include <algorithm>
#include <map>
#include <random>

#include "tests/actors/group_fixture.h"

namespace coffer::actors {
namespace {

using testing::Cluster;
using testing::Member;

// A write that nobody waits for.
class Attempt final : public core::SystemCommit {
 public:
  void done(core::CommitOutcome outcome, Index, Status) override {
    told = true;
    committed = outcome == core::CommitOutcome::kCommitted;
  }
  bool told = false;
  bool committed = false;
};

std::map<std::string, std::string> contents(const Member& member) {
  std::map<std::string, std::string> out;
  const auto view = std::move(member.backend->view()).value();
  const auto cursor = std::move(view->cursor()).value();
  for (bool more = std::move(cursor->seek("")).value(); more; more = std::move(cursor->next()).value())
    out.emplace(cursor->key(), cursor->value());
  return out;
}

class Faults {
 public:
  explicit Faults(unsigned seed) : random_(seed) {
    for (const std::uint64_t id : {1, 2, 3}) {
      Member& member = cluster_.add(id);
      member.log_kept_entries_max = 8;
      member.generations.generation_keys_max = 64;
    }
    cluster_.form();
  }

  void act() {
    Member& member = cluster_[1 + below(3)];
    switch (below(9)) {
      case 0:
        cluster_.cut(member);
        break;
      case 1:
      case 2:
        cluster_.mend();
        break;
      case 3:
        member.stop();
        break;
      case 4:
      case 5:
        start_all();
        break;
      case 6:
        if (member.up())
          member.flush();
        break;
      case 7:
        if (member.up())
          member.node->transfer_leadership(raft::kNobody, [](Status) {});
        break;
      default:
        break;
    }
    for (std::size_t i = below(8); i > 0; --i)
      write();
    cluster_.run_for(std::chrono::milliseconds(20 * (1 + below(20))));
  }

  void end() {
    cluster_.mend();
    start_all();
    // A hand-over may still be under way.
    BOOST_REQUIRE(cluster_.run_until([&] {
      Member* leader = cluster_.await_leader();
      return leader != nullptr && cluster_.write(*leader, "last", "1") == core::CommitOutcome::kCommitted;
    }));
    BOOST_REQUIRE(cluster_.run_until([&] {
      for (const std::uint64_t id : {1, 2, 3})
        cluster_[id].flush();
      return cluster_[1].value("last") && cluster_[2].value("last") && cluster_[3].value("last");
    }));
    // What lost its leader is told when another entry takes its place, or when its time is over.
    BOOST_REQUIRE(cluster_.run_until(
        [&] { return std::ranges::all_of(attempts_, [](const auto& attempt) { return attempt.second->told; }); }));
    const auto first = contents(cluster_[1]);
    std::size_t committed = 0;
    for (const auto& [name, attempt] : attempts_) {
      if (!attempt->committed)
        continue;
      ++committed;
      BOOST_TEST(first.contains(testing::record_key(name)), name + " was acknowledged and is lost");
    }
    BOOST_TEST(committed > attempts_.size() / 8);
    for (const std::uint64_t id : {2, 3})
      BOOST_TEST((contents(cluster_[id]) == first));
    for (const std::uint64_t id : {1, 2, 3})
      BOOST_TEST(cluster_[id].failure.ok());
  }

 private:
  std::size_t below(std::size_t bound) { return random_() % bound; }

  void start_all() {
    for (const std::uint64_t id : {1, 2, 3}) {
      Member& member = cluster_[id];
      if (member.up())
        continue;
      BOOST_REQUIRE(member.start(Node::Begin::kMember).ok());
      member.node->take_part(true, {});
    }
  }

  // To any that believes that it leads.
  void write() {
    for (const std::uint64_t id : {1, 2, 3}) {
      Member& member = cluster_[id];
      if (!member.up() || !member.node->is_leader())
        continue;
      const std::string name = "w" + std::to_string(attempts_.size());
      core::Proposal proposal;
      proposal.term = member.node->leader_term();
      proposal.view = member.node->applied_index();
      proposal.ops.push_back({testing::record_key(name), std::string(below(4096), 'x')});
      const auto& attempt = attempts_.emplace_back(name, std::make_unique<Attempt>()).second;
      member.node->submit_system(std::move(proposal), *attempt);
      return;
    }
  }

  std::minstd_rand random_;
  std::vector<std::pair<std::string, std::unique_ptr<Attempt>>> attempts_;  // outlives the nodes
  Cluster cluster_{true};
};

BOOST_AUTO_TEST_SUITE(group_faults)

BOOST_AUTO_TEST_CASE(what_was_acknowledged_stays_and_all_agree) {
  for (const unsigned seed : {1u, 2u}) {
    BOOST_TEST_CONTEXT("seed " << seed) {
      Faults faults(seed);
      for (int i = 0; i < 60; ++i)
        faults.act();
      faults.end();
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::actors
