// Which step is due. Order: what is dead goes, a newer version takes over, zones keep one voter each, and last who is
// well becomes a voter.
#include <algorithm>
#include <charconv>

#include "base/mutant.h"
#include "core/autopilot.h"

namespace coffer::core {
namespace {

// The next number or word of a version, and what is left.
std::string_view next_part(std::string_view& rest) noexcept {
  const std::size_t end = std::min(rest.find('.'), rest.size());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

int compare_parts(std::string_view a, std::string_view b) noexcept {
  std::uint64_t left = 0;
  std::uint64_t right = 0;
  const bool numbers = std::from_chars(a.data(), a.data() + a.size(), left).ptr == a.data() + a.size() &&
                       std::from_chars(b.data(), b.data() + b.size(), right).ptr == b.data() + b.size();
  if (numbers || a.empty() || b.empty())
    return left < right ? -1 : left > right ? 1 : 0;
  return a < b ? -1 : a > b ? 1 : 0;
}

int compare_all(std::string_view a, std::string_view b) noexcept {
  int order = 0;
  while (order == 0 && (!a.empty() || !b.empty()))
    order = compare_parts(next_part(a), next_part(b));
  return order;
}

// What follows `mark`; `text` keeps what stands before it.
std::string_view cut_off(std::string_view& text, char mark) noexcept {
  const std::size_t at = text.find(mark);
  const std::string_view rest = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
  text = text.substr(0, at);
  return rest;
}

using Servers = std::vector<const PilotServer*>;

class Planner {
 public:
  Planner(PilotState& state, const AutopilotSettings& settings) : state_(state), settings_(settings) {}

  std::optional<PilotAction> clean_up() const;
  // Sets phase and target; the action that the phase needs, if one can be taken now.
  std::optional<PilotAction> upgrade();
  std::optional<PilotAction> even_zones() const;
  std::optional<PilotAction> promote() const;

 private:
  using Kind = PilotAction::Kind;

  // More than half of the voters that are left when `gone` is none of them are healthy.
  bool quorum_without(const PilotServer& gone) const {
    const std::size_t left = state_.voters() - (gone.voter ? 1 : 0);
    const std::size_t healthy = state_.healthy_voters() - (gone.voter && gone.healthy ? 1 : 0);
    return left > 0 && healthy >= left / 2 + 1;
  }
  // Likewise with one more that is.
  bool quorum_with_another() const { return state_.healthy_voters() + 1 >= (state_.voters() + 1) / 2 + 1; }
  bool dead(const PilotServer& one) const {
    return !one.leader && !one.alive && one.last_contact > settings_.dead_server_last_contact_threshold;
  }
  bool zone_is_served(const std::string& zone) const {
    return !zone.empty() && std::ranges::any_of(state_.servers, [&zone](const PilotServer& one) {
      return one.voter && one.alive && one.member.zone == zone;
    });
  }
  bool of_target(const PilotServer& one) const {
    return compare_versions(one.upgrade_version(), state_.target_version) == 0;
  }
  bool under_way() const {
    return state_.upgrade != UpgradePhase::kIdle && state_.upgrade != UpgradePhase::kDisabled;
  }
  // An upgrade says who may vote: the newer ones once there are enough, the older ones until then.
  bool held(const PilotServer& one) const {
    return under_way() && of_target(one) == (state_.upgrade == UpgradePhase::kAwaitNewVoters);
  }
  std::optional<PilotAction> migrate(const Servers& newer, const Servers& older);

  PilotState& state_;
  const AutopilotSettings& settings_;
};

// Never more than a minority, however many are dead.
std::optional<PilotAction> Planner::clean_up() const {
  if (!settings_.cleanup_dead_servers)
    return std::nullopt;
  std::size_t dead_voters = 0;
  const PilotServer* first = nullptr;
  for (const PilotServer& one : state_.servers) {
    if (!dead(one))
      continue;
    if (!one.voter)
      return PilotAction{Kind::kRemove, one.member.number, "a dead server that did not vote is removed"};
    ++dead_voters;
    first = first == nullptr ? &one : first;
  }
  const std::size_t voters = state_.voters();
  if (first == nullptr || voters - 1 < settings_.min_quorum)
    return std::nullopt;
  if (!mutant(Mutant::kPilotBreaksQuorum) && (dead_voters * 2 >= voters || !quorum_without(*first)))
    return std::nullopt;
  return PilotAction{Kind::kRemove, first->member.number, "a dead voter is removed"};
}

std::optional<PilotAction> Planner::upgrade() {
  Servers all;
  for (const PilotServer& one : state_.servers)
    if (one.known && !one.member.non_voter && !one.upgrade_version().empty())
      all.push_back(&one);
  if (all.empty())
    return std::nullopt;
  state_.target_version = (*std::ranges::max_element(all, [](const PilotServer* a, const PilotServer* b) {
                            return compare_versions(a->upgrade_version(), b->upgrade_version()) < 0;
                          }))->upgrade_version();
  if (settings_.disable_upgrade_migration) {
    state_.upgrade = UpgradePhase::kDisabled;
    return std::nullopt;
  }
  Servers newer;
  Servers older;
  for (const PilotServer* one : all)
    (of_target(*one) ? newer : older).push_back(one);
  if (older.empty())
    return std::nullopt;
  return migrate(newer, older);
}

std::optional<PilotAction> Planner::migrate(const Servers& newer, const Servers& older) {
  const auto votes = [](const PilotServer* one) { return one->voter; };
  const auto older_voters = static_cast<std::size_t>(std::ranges::count_if(older, votes));
  const auto ready = static_cast<std::size_t>(
      std::ranges::count_if(newer, [](const PilotServer* one) { return one->healthy && (one->voter || one->stable); }));
  state_.upgrade = UpgradePhase::kAwaitNewVoters;
  if (older_voters == 0) {
    state_.upgrade = UpgradePhase::kAwaitServerRemoval;
    return std::nullopt;
  }
  // In an upgrade in place the last of three is awaited, so that never fewer than three vote.
  if (ready < std::max(older_voters, std::min(Autopilot::kVotersWanted, state_.voters())))
    return std::nullopt;
  state_.upgrade = UpgradePhase::kPromoting;
  for (const PilotServer* one : newer) {
    const bool zone_has = !one->member.zone.empty() && std::ranges::any_of(newer, [one](const PilotServer* other) {
      return other->voter && other->alive && other->member.zone == one->member.zone;
    });
    if (!one->voter && one->caught_up && one->stable && !zone_has && quorum_with_another())
      return PilotAction{Kind::kPromote, one->member.number, "a server of the newer version votes"};
  }
  if (const PilotServer* leader = state_.leader(); leader != nullptr && !of_target(*leader)) {
    state_.upgrade = UpgradePhase::kLeaderTransfer;
    const PilotServer* best = nullptr;
    for (const PilotServer* one : newer)
      if (one->voter && one->healthy && (best == nullptr || one->last_index > best->last_index))
        best = one;
    if (best == nullptr)
      return std::nullopt;
    return PilotAction{Kind::kHandOver, best->member.number, "leadership moves to the newer version"};
  }
  state_.upgrade = UpgradePhase::kDemoting;
  const PilotServer* next = nullptr;
  for (const PilotServer* one : older)
    if (one->voter && quorum_without(*one) && (next == nullptr || (next->healthy && !one->healthy)))
      next = one;
  if (next == nullptr)
    return std::nullopt;
  return PilotAction{Kind::kDemote, next->member.number, "a server of the older version votes no more"};
}

// Of two voters in a zone one is not needed: the one that died, or, when enough vote besides, the later one.
std::optional<PilotAction> Planner::even_zones() const {
  if (under_way())
    return std::nullopt;
  const PilotServer* next = nullptr;
  for (const PilotServer& one : state_.servers) {
    if (!one.voter || one.leader || one.member.zone.empty() || !quorum_without(one))
      continue;
    const bool other_serves = std::ranges::any_of(state_.servers, [&one](const PilotServer& other) {
      return &other != &one && other.voter && other.healthy && other.member.zone == one.member.zone;
    });
    if (!other_serves || (one.alive && state_.voters() <= Autopilot::kVotersWanted))
      continue;
    if (next == nullptr || !one.alive || next->alive)
      next = &one;
  }
  if (next == nullptr)
    return std::nullopt;
  return PilotAction{Kind::kDemote, next->member.number, "its zone has another voter"};
}

std::optional<PilotAction> Planner::promote() const {
  const bool at_once = state_.voters() < Autopilot::kVotersWanted;
  for (const PilotServer& one : state_.servers) {
    if (one.voter || !one.known || one.member.non_voter || !one.caught_up || held(one))
      continue;
    if (!at_once && (!one.stable || zone_is_served(one.member.zone)))
      continue;
    if (quorum_with_another())
      return PilotAction{Kind::kPromote, one.member.number, "it has caught up and votes"};
  }
  return std::nullopt;
}

}  // namespace

int compare_versions(std::string_view a, std::string_view b) noexcept {
  if (a.starts_with('v'))
    a.remove_prefix(1);
  if (b.starts_with('v'))
    b.remove_prefix(1);
  const std::string_view left_build = cut_off(a, '+');
  const std::string_view right_build = cut_off(b, '+');
  const std::string_view left_tail = cut_off(a, '-');
  const std::string_view right_tail = cut_off(b, '-');
  if (const int order = compare_all(a, b); order != 0)
    return order;
  if (left_tail.empty() != right_tail.empty())
    return left_tail.empty() ? 1 : -1;
  if (const int order = compare_all(left_tail, right_tail); order != 0)
    return order;
  return left_build.empty() || right_build.empty() ? 0 : compare_all(left_build, right_build);
}

void plan_next(PilotState& state, const AutopilotSettings& settings, bool may_change) {
  Planner planner(state, settings);
  std::optional<PilotAction> due = planner.upgrade();
  if (std::optional<PilotAction> clean = planner.clean_up())
    due = clean;
  if (!due)
    due = planner.even_zones();
  if (!due)
    due = planner.promote();
  state.due = may_change ? due : std::nullopt;
}

}  // namespace coffer::core
