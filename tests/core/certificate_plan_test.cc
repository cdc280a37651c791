// Which authorities of the cluster count, step by step (core/certificate_plan.h).
#include "core/certificate_plan.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <random>
#include <set>

#include "base/encoding.h"
#include "base/mutant.h"
#include "tests/mutant_on.h"

namespace coffer::core {
namespace {

using Phase = CertificatePlan::Phase;
using Steps = std::vector<std::optional<CertificateStep>>;

WallTime at(std::int64_t seconds) { return WallTime{std::chrono::seconds(seconds)}; }
constexpr std::int64_t kYear = 365 * 24 * 3600;

CertificateStep taken(const CertificatePlan& plan, bool settled = true) { return {plan.step(), settled}; }

// Nodes that take the plan up when they like, a leader that looks at those in touch, and members who sleep.
class Cluster {
 public:
  explicit Cluster(unsigned seed) : random_(seed) {}

  // True: in each pair of nodes that are awake, each trusts what the other shows.
  bool step() {
    now_ += std::chrono::milliseconds(500);
    const unsigned dice = random_() % 10;
    const std::size_t who = random_() % nodes_.size();
    if (dice == 0 && std::ranges::count(asleep_, true) < 2)
      asleep_[who] = true;  // and hears of nothing
    else if (dice == 1 && asleep_[who])
      asleep_[who] = false, nodes_[who] = plan_;  // it asked its way back
    else if (dice < 7 && !asleep_[who])
      nodes_[who] = plan_;
    else if (dice == 7 && plan_.phase == Phase::kSteady)
      plan_ = *begin_rotation(plan_, now_);
    // Whoever leads now knows the plan, and asks anew.
    Steps alive;
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      if (!asleep_[i])
        alive.push_back(random_() % 8 == 0 ? std::nullopt : std::optional(taken(nodes_[i])));
    if (const auto next = due_plan(plan_, alive, now_))
      plan_ = *next;
    return all_meet();
  }
  std::uint64_t generation() const { return plan_.generation; }

 private:
  bool all_meet() const {
    for (std::size_t a = 0; a < nodes_.size(); ++a)
      for (std::size_t b = 0; b < nodes_.size(); ++b)
        if (!asleep_[a] && !asleep_[b] && std::ranges::count(nodes_[b].trusted(), nodes_[a].shown()) == 0)
          return false;
    return true;
  }
  std::minstd_rand random_;
  WallTime now_ = at(1000);
  CertificatePlan plan_{1, Phase::kSteady, at(1000)};
  std::vector<CertificatePlan> nodes_ = std::vector<CertificatePlan>(5, plan_);
  std::vector<bool> asleep_ = std::vector<bool>(5, false);
};

bool always_meet() {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    Cluster cluster(seed);
    for (int i = 0; i < 400; ++i)
      if (!cluster.step())
        return false;
    BOOST_TEST(cluster.generation() > 1u);
  }
  return true;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(certificate_plan)

BOOST_AUTO_TEST_CASE(a_rotation_goes_step_by_step) {
  const CertificatePlan first{1, Phase::kSteady, at(1000)};
  BOOST_TEST((first.shown() == 1 && first.trusted() == std::vector<std::uint64_t>{1}));
  const CertificatePlan announced = *begin_rotation(first, at(2000));
  BOOST_TEST((announced == CertificatePlan{2, Phase::kAnnounced, at(2000)}));
  BOOST_TEST((announced.shown() == 1 && announced.trusted() == std::vector<std::uint64_t>{1, 2}));
  BOOST_TEST((begin_rotation(announced, at(2001)).code() == Code::kInvalid));
  // Somebody in touch has not said that it trusts the next one.
  BOOST_TEST((!due_plan(announced, {taken(announced), taken(first)}, at(9000))));
  BOOST_TEST((!due_plan(announced, {taken(announced), std::nullopt}, at(9000))));
  const CertificatePlan changing = *due_plan(announced, {taken(announced, false), taken(announced)}, at(2002));
  BOOST_TEST((changing.shown() == 2 && changing.trusted() == std::vector<std::uint64_t>{1, 2}));
  // Somebody still has connections of before, or the grace is not over.
  BOOST_TEST((!due_plan(changing, {taken(changing), taken(changing, false)}, at(9000))));
  BOOST_TEST((!due_plan(changing, {taken(changing), taken(changing)}, at(2002) + kChangeGrace - Nanos(1))));
  const CertificatePlan last = *due_plan(changing, {taken(changing), taken(changing)}, at(2002) + kChangeGrace);
  BOOST_TEST((last.shown() == 2 && last.trusted() == std::vector<std::uint64_t>{2} && last.phase == Phase::kSteady));
  BOOST_TEST((first.step() < announced.step() && announced.step() < changing.step() && changing.step() < last.step()));
}

BOOST_AUTO_TEST_CASE(an_old_authority_goes) {
  const CertificatePlan fresh;
  const CertificatePlan noted = *due_plan(fresh, {taken(fresh)}, at(5000));
  BOOST_TEST((noted == CertificatePlan{1, Phase::kSteady, at(5000)}));
  BOOST_TEST(noted.step() == fresh.step());
  BOOST_TEST((!due_plan(noted, {}, at(5000 + kYear - 1))));
  BOOST_TEST((due_plan(noted, {}, at(5000 + kYear)) == CertificatePlan{2, Phase::kAnnounced, at(5000 + kYear)}));
}

BOOST_AUTO_TEST_CASE(nobody_in_touch_is_shown_what_it_does_not_trust) { BOOST_TEST(always_meet()); }

BOOST_AUTO_TEST_CASE(the_steps_make_the_difference) {
  const testing::ScopedMutant early(Mutant::kCertificateShownEarly);
  BOOST_TEST(!always_meet());
}

BOOST_AUTO_TEST_CASE(the_last_authority_is_forgotten) {
  const CertificatePlan steady{3, Phase::kSteady, at(1)};
  BOOST_TEST((steady.trusted() == std::vector<std::uint64_t>{3}));
  const testing::ScopedMutant kept(Mutant::kOldAuthorityTrusted);
  BOOST_TEST((steady.trusted() != std::vector<std::uint64_t>{3}));
}

BOOST_AUTO_TEST_CASE(the_record_reads_as_it_was_written) {
  const CertificatePlan plan{300, Phase::kChanging, WallTime{Nanos(1'700'000'000'123'456'789)}};
  const std::string bytes = encode(plan);
  BOOST_TEST((decode_certificate_plan(bytes).value() == plan));
  std::ifstream golden("tests/golden/certificates.hex");
  std::string hex;
  std::getline(golden, hex);
  BOOST_TEST(hex_encode(bytes) == hex);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    BOOST_TEST(!decode_certificate_plan(bytes.substr(0, size)).ok());
  BOOST_TEST(!decode_certificate_plan(bytes + "x").ok());
  BOOST_TEST(!decode_certificate_plan(encode(CertificatePlan{1, Phase::kAnnounced, {}})).ok());
  BOOST_TEST(!decode_certificate_plan(encode(CertificatePlan{0, Phase::kSteady, {}})).ok());
  const CertificateStep step{901, true};
  BOOST_TEST((decode_certificate_step(encode(step)).value() == step));
  BOOST_TEST(!decode_certificate_step("").ok());
}

BOOST_AUTO_TEST_CASE(each_generation_is_an_authority_of_its_own) {
  std::set<std::string> purposes;
  for (std::uint64_t generation = 1; generation <= 20; ++generation)
    BOOST_TEST(purposes.insert(authority_purpose(generation)).second);
}

BOOST_AUTO_TEST_CASE(only_who_has_the_keyring_tells_the_plan) {
  const auto made = [] {
    return std::move(seal::Keyring::create(KeyringId(0), at(1000), system_random())).value();
  };
  const auto keyring = made(), other = made();
  const std::string proof = prove_plan(*keyring, "nonce", "plan");
  BOOST_TEST(is_plan_proven(*keyring, "nonce", "plan", proof));
  BOOST_TEST(!is_plan_proven(*keyring, "before", "plan", proof));
  BOOST_TEST(!is_plan_proven(*keyring, "nonce", "other", proof));
  BOOST_TEST(!is_plan_proven(*keyring, "noncep", "lan", proof));
  BOOST_TEST(!is_plan_proven(*other, "nonce", "plan", proof));
  BOOST_TEST(!is_plan_proven(*keyring, "nonce", "plan", ""));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::core
