// What the autopilot sees of a cluster and what it does about it (core/autopilot.h).
#include <boost/test/unit_test.hpp>

#include <random>

#include "base/mutant.h"
#include "core/autopilot.h"
#include "core/settings.h"
#include "tests/mutant_on.h"

namespace coffer::core {
namespace {

constexpr std::uint64_t kLast = 5000;

struct PilotNode {
  std::string id;
  bool voter = true;
  std::string zone = {};
  std::string version = "1.0.0";
  Nanos contact{0};
  std::uint64_t matched = kLast;
  bool non_voter = false;
};

// The first of them leads. Steps are carried out at once and without fail.
struct PilotCluster {
  std::vector<PilotNode> nodes;
  AutopilotSettings settings = {};
  Autopilot autopilot = Autopilot();
  std::int64_t millis = 0;
  std::string leader_id = nodes.front().id;

  GroupStatus group() const {
    GroupStatus out;
    out.self = out.leader = member_number(leader_id);
    out.serving = true;
    out.last = Index(kLast);
    out.term = Term(3);
    for (const PilotNode& node : nodes) {
      (node.voter ? out.configuration.voters : out.configuration.learners).push_back(member_number(node.id));
      if (node.id != leader_id)
        out.peers.push_back({member_number(node.id), Index(node.matched), node.contact});
    }
    std::ranges::sort(out.configuration.voters);
    std::ranges::sort(out.configuration.learners);
    return out;
  }
  Members members() const {
    Members out;
    for (const PilotNode& node : nodes) {
      Member one;
      one.id = node.id;
      one.number = member_number(node.id);
      one.cluster_address = node.id + ":8201";
      one.version = node.version;
      one.zone = node.zone;
      one.non_voter = node.non_voter;
      out.push_back(one);
    }
    return out;
  }
  PilotState look(std::int64_t later_millis = 0) {
    millis += later_millis;
    const BootTime now{std::chrono::milliseconds(millis)};
    return autopilot.look(group(), members(), settings, now, WallTime{}).value();
  }
  std::vector<PilotNode>::iterator find(raft::NodeId number) {
    return std::ranges::find_if(nodes, [number](const PilotNode& node) { return member_number(node.id) == number; });
  }
  // "promote b", or nothing.
  std::string step(std::int64_t later_millis = 0) {
    const PilotState state = look(later_millis);
    if (!state.due)
      return {};
    const auto node = find(state.due->node);
    const std::string id = node->id;
    switch (state.due->kind) {
      case PilotAction::Kind::kPromote: node->voter = true; return "promote " + id;
      case PilotAction::Kind::kDemote: node->voter = false; return "demote " + id;
      case PilotAction::Kind::kRemove: nodes.erase(node); return "remove " + id;
      case PilotAction::Kind::kHandOver: leader_id = id; return "hand over " + id;
    }
    return {};
  }
  std::vector<std::string> run() {
    look();
    std::vector<std::string> steps;
    for (std::string one = step(20'000); !one.empty() && steps.size() < 100; one = step(100))
      steps.push_back(one);
    return steps;
  }
  std::vector<std::string> voters() const {
    std::vector<std::string> out;
    for (const PilotNode& node : nodes)
      if (node.voter)
        out.push_back(node.id);
    return out;
  }
};

constexpr Nanos kLong = std::chrono::hours(48);
constexpr Nanos kGone = std::chrono::seconds(11);

using Texts = std::vector<std::string>;

}  // namespace

BOOST_AUTO_TEST_SUITE(autopilot)

BOOST_AUTO_TEST_CASE(at_once_while_there_are_fewer_than_three) {
  PilotCluster cluster{{{"a"}, {"b", false}, {"c", false}, {"d", false}}};
  BOOST_TEST(cluster.step() == "promote b");
  BOOST_TEST(cluster.step() == "promote c");
  BOOST_TEST(cluster.step() == "");
  BOOST_TEST(cluster.step(9'999) == "");
  BOOST_TEST(cluster.step(1) == "promote d");
}

BOOST_AUTO_TEST_CASE(who_falls_back_waits_anew) {
  PilotCluster cluster{{{"a"}, {"b"}, {"c"}, {"d", false}}};
  BOOST_TEST(cluster.step() == "");
  cluster.nodes[3].matched = kLast - 1001;
  BOOST_TEST(cluster.step(9'000) == "");
  cluster.nodes[3].matched = kLast - 1000;
  BOOST_TEST(cluster.step(1'000) == "");
  BOOST_TEST(cluster.step(9'999) == "");
  BOOST_TEST(cluster.step(1) == "promote d");
}

BOOST_AUTO_TEST_CASE(never_who_is_not_to_vote_or_not_well) {
  BOOST_TEST((PilotCluster{{{.id = "a"}, {.id = "b", .voter = false, .non_voter = true}}}.step().empty()));
  BOOST_TEST((PilotCluster{{{.id = "a"}, {.id = "b", .voter = false, .matched = 0}}}.step().empty()));
  constexpr Nanos kSilent = std::chrono::seconds(2);
  BOOST_TEST((PilotCluster{{{.id = "a"}, {.id = "b", .voter = false, .contact = kSilent}}}.step().empty()));
  PilotCluster cluster{{{"a"}, {"b", false}}};
  GroupStatus group = cluster.group();
  group.configuration_committed = false;
  BOOST_TEST(!Autopilot().look(group, cluster.members(), {}, BootTime{}, WallTime{})->due.has_value());
  group = cluster.group();
  group.serving = false;
  BOOST_TEST(!Autopilot().look(group, cluster.members(), {}, BootTime{}, WallTime{}).has_value());
  BOOST_TEST(!Autopilot().look(cluster.group(), {cluster.members()[0]}, {}, BootTime{}, WallTime{})->due.has_value());
}

BOOST_AUTO_TEST_CASE(what_is_shown) {
  PilotCluster cluster{{{"a"}, {"b"}, {.id = "c", .contact = kGone}, {"d", false}}};
  PilotState state = cluster.look();
  BOOST_TEST(!state.healthy);
  BOOST_TEST(state.failure_tolerance == 0u);
  cluster.nodes[2].contact = std::chrono::seconds(9);
  state = cluster.look();
  BOOST_TEST(state.healthy);
  BOOST_TEST(state.failure_tolerance == 1u);
  BOOST_TEST(state.servers.size() == 4u);
  BOOST_TEST(state.leader()->member.id == "a");
  BOOST_TEST(state.servers[1].last_index.get() == kLast);
  BOOST_TEST(state.servers[1].last_term.get() == 3u);
  BOOST_TEST((phase_name(state.upgrade) == "idle"));
  cluster.nodes[1].matched = 3999;
  BOOST_TEST(!cluster.look().servers[1].healthy);
  BOOST_TEST(cluster.look().servers[1].alive);
}

BOOST_AUTO_TEST_CASE(the_dead_are_cleaned_up) {
  PilotCluster cluster{
      {{"a"}, {"b"}, {"c"}, {.id = "d", .contact = kLong}, {.id = "e", .voter = false, .contact = kLong}}};
  BOOST_TEST(cluster.run() == Texts());  // not asked for
  cluster.settings.cleanup_dead_servers = true;
  cluster.settings.min_quorum = 3;
  cluster.nodes[3].contact = std::chrono::hours(23);
  cluster.nodes[4].contact = std::chrono::hours(23);
  BOOST_TEST(cluster.run() == Texts());
  cluster.nodes[3].contact = kLong;
  cluster.nodes[4].contact = kLong;
  BOOST_TEST(cluster.run() == (Texts{"remove e", "remove d"}));
  cluster.nodes[2].contact = kLong;
  BOOST_TEST(cluster.run() == Texts());  // min_quorum
  PilotCluster half{{{"a"}, {"b"}, {"c"}}, cluster.settings};
  for (const char* id : {"d", "e", "f"})
    half.nodes.push_back({.id = id, .contact = kLong});
  BOOST_TEST(half.run() == Texts());  // not a minority
}

BOOST_AUTO_TEST_CASE(a_zone_has_one_voter) {
  PilotCluster cluster{{{"a1", true, "a"}}};
  for (const char* id : {"a2", "b1", "b2", "c1", "c2"})
    cluster.nodes.push_back({id, false, std::string(1, *id)});
  cluster.run();
  std::map<std::string, int> voters;
  for (const PilotNode& node : cluster.nodes)
    voters[node.zone] += node.voter ? 1 : 0;
  BOOST_TEST((voters == std::map<std::string, int>{{"a", 1}, {"b", 1}, {"c", 1}}));
  // Whoever votes in zone b dies; the other one takes its place, and the dead one has none any more.
  auto voter =
      std::ranges::find_if(cluster.nodes, [](const PilotNode& node) { return node.voter && node.zone == "b"; });
  const std::string first = voter->id;
  const std::string second = first == "b1" ? "b2" : "b1";
  BOOST_TEST(cluster.look().optimistic_failure_tolerance == 4u);
  voter->contact = kGone;
  BOOST_TEST(cluster.step(100) == "promote " + second);
  BOOST_TEST(cluster.step(100) == "demote " + first);
  BOOST_TEST(cluster.step(100) == "");
  cluster.find(member_number(first))->contact = Nanos(0);
  BOOST_TEST(cluster.run() == Texts());
}

BOOST_AUTO_TEST_CASE(a_newer_version_takes_over) {
  PilotCluster cluster{{{"a"}, {"b"}, {"c"}, {"d", false, "", "1.10.0"}, {"e", false, "", "1.10.0"}}};
  BOOST_TEST(cluster.run() == Texts());
  BOOST_TEST((phase_name(cluster.look().upgrade) == "await-new-voters"));
  BOOST_TEST(cluster.look().target_version == "1.10.0");
  cluster.nodes.push_back({"f", false, "", "1.10.0"});
  BOOST_TEST(cluster.run() == (Texts{"promote d", "promote e", "promote f", "hand over d", "demote a", "demote b",
                                     "demote c"}));
  BOOST_TEST(cluster.voters() == (Texts{"d", "e", "f"}));
  BOOST_TEST((phase_name(cluster.look().upgrade) == "await-server-removal"));
  cluster.nodes.erase(cluster.nodes.begin(), cluster.nodes.begin() + 3);
  BOOST_TEST((phase_name(cluster.look().upgrade) == "idle"));
}

BOOST_AUTO_TEST_CASE(an_upgrade_in_place_moves_nobody) {
  PilotCluster cluster{{{"a"}, {"b"}, {"c"}}};
  for (PilotNode& node : cluster.nodes) {
    node.version = "2.0.0";
    BOOST_TEST(cluster.run() == Texts());
  }
  cluster.settings.disable_upgrade_migration = true;
  cluster.nodes[0].version = "3.0.0";
  BOOST_TEST((phase_name(cluster.look().upgrade) == "disabled"));
}

BOOST_AUTO_TEST_CASE(versions) {
  BOOST_TEST(compare_versions("1.9.0", "1.10.0") == -1);
  BOOST_TEST(compare_versions("v1.10", "1.10.0") == 0);
  BOOST_TEST(compare_versions("1.10.0-rc1", "1.10.0") == -1);
  BOOST_TEST(compare_versions("1.10.0-rc.2", "1.10.0-rc.10") == -1);
  BOOST_TEST(compare_versions("1.10.0+ent", "1.10.0") == 0);
  BOOST_TEST(compare_versions("1.21.0+coffer.0.9.0", "1.21.0+coffer.0.10.0") == -1);
  BOOST_TEST(compare_versions("1.22.0+coffer.0.9.0", "1.21.0+coffer.0.10.0") == 1);
  BOOST_TEST(compare_versions("2", "1.99.99") == 1);
}

BOOST_AUTO_TEST_CASE(settings_are_kept_and_checked) {
  AutopilotSettings one;
  one.cleanup_dead_servers = true;
  one.min_quorum = 5;
  one.max_trailing_logs = 250;
  one.server_stabilization_time = std::chrono::seconds(3);
  const std::string bytes = encode(one);
  BOOST_TEST((std::move(decode_autopilot_settings(bytes)).value() == one));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    BOOST_TEST((decode_autopilot_settings(std::string_view(bytes).substr(0, size)).code() == Code::kDataLoss));
  ServerSettings all;
  BOOST_TEST(take_setting(kAutopilotRecord, &bytes, all).ok());
  BOOST_TEST((all.autopilot == one));
  BOOST_TEST(take_setting(kAutopilotRecord, nullptr, all).ok());
  BOOST_TEST((all.autopilot == AutopilotSettings()));
  one.min_quorum = 2;
  BOOST_TEST((check_autopilot_settings(one).code() == Code::kInvalid));
}

// Random clusters in which servers die, come back, fall behind and come in: whatever step is taken, more than half of
// the voters that it leaves are healthy, no live server is removed, and with everything at rest there is an end to it.
namespace {

PilotCluster random_cluster(std::mt19937_64& random) {
  const auto draw = [&random](std::uint64_t below) { return random() % below; };
  PilotCluster out{{{"n0"}}};
  const std::size_t size = 1 + draw(9);
  const bool zones = draw(2) == 0;
  for (std::size_t i = 0; i < size; ++i) {
    PilotNode node{"n" + std::to_string(i), i == 0 || draw(3) != 0};
    if (zones && draw(5) != 0)
      node.zone = std::string(1, static_cast<char>('a' + draw(3)));
    node.version = draw(4) == 0 ? "1.1.0" : "1.0.0";
    node.non_voter = !node.voter && draw(5) == 0;
    if (i > 0 && draw(4) == 0)
      node.contact = draw(2) == 0 ? kGone : kLong;
    if (i > 0 && draw(6) == 0)
      node.matched = draw(kLast);
    if (i > 0)
      out.nodes.push_back(node);
    else
      out.nodes.front() = node;
  }
  out.settings.cleanup_dead_servers = draw(2) == 0;
  out.settings.min_quorum = static_cast<std::uint32_t>(3 + draw(3));
  return out;
}

bool well(const PilotCluster& cluster, const PilotNode& node) {
  return node.id == cluster.leader_id || (node.contact <= std::chrono::seconds(10) && node.matched + 1000 >= kLast);
}

// What is wrong with a step, or nothing.
std::string wrong_step(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  PilotCluster cluster = random_cluster(random);
  cluster.look();
  cluster.millis += 20'000;
  for (int steps = 0;; ++steps) {
    if (steps > 60)
      return "no end";
    const std::vector<PilotNode> before = cluster.nodes;
    const std::size_t voted = cluster.voters().size();
    const std::string step = cluster.step(100);
    if (step.empty())
      return {};
    std::size_t healthy = 0;
    for (const PilotNode& node : cluster.nodes)
      healthy += node.voter && well(cluster, node) ? 1 : 0;
    const std::size_t voters = cluster.voters().size();
    const bool changes = !step.starts_with("hand over") && (voters != voted || !step.starts_with("remove"));
    if (changes && healthy < voters / 2 + 1)
      return step + " leaves no majority";
    if (step.starts_with("remove")) {
      const auto gone = std::ranges::find(before, step.substr(7), &PilotNode::id);
      if (gone->contact != kLong)
        return step + ", which is alive";
      if (gone->voter && voted - 1 < cluster.settings.min_quorum)
        return step + " below min_quorum";
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(no_step_breaks_a_quorum) {
  for (std::uint64_t seed = 0; seed < 20'000; ++seed)
    if (const std::string wrong = wrong_step(seed); !wrong.empty())
      BOOST_ERROR("seed " << seed << ": " << wrong);
}

BOOST_AUTO_TEST_CASE(a_clean_up_that_breaks_it_is_found) {
  const testing::ScopedMutant on(Mutant::kPilotBreaksQuorum);
  bool found = false;
  for (std::uint64_t seed = 0; seed < 20'000 && !found; ++seed)
    found = wrong_step(seed).find("no majority") != std::string::npos;
  BOOST_TEST(found);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::core
