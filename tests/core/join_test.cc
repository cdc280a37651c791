// How a node shows that it can open the seal (core/join.h), and what is stored of the cluster's nodes.
#include <boost/test/unit_test.hpp>

#include "core/join.h"
#include "core/join_gate.h"
#include "tests/core/core_fixture.h"
#include "tests/mutant_on.h"

namespace coffer::core {
namespace {

WallTime at(std::int64_t seconds) { return WallTime{std::chrono::seconds(seconds)}; }

Member member(const std::string& id, const std::string& address = "127.0.0.1:8201") {
  Member out;
  out.id = id;
  out.number = member_number(id);
  out.cluster_address = address;
  out.api_address = "http://127.0.0.1:8200";
  return out;
}

struct Joining {
  std::shared_ptr<const seal::Keyring> keyring =
      std::move(seal::Keyring::create(KeyringId(0), at(1000), system_random())).value();
  std::string challenge = std::move(make_challenge(*keyring, "b", at(1000), system_random())).value();
  std::string answer = answer_challenge(*keyring, challenge, member("b"));

  Status check(const Member& joiner, std::int64_t seconds = 1001) const {
    return check_answer(*keyring, challenge, answer, joiner, at(seconds));
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(join)

BOOST_AUTO_TEST_CASE(who_opens_the_keyring_is_let_in) {
  const Joining joining;
  BOOST_TEST(joining.check(member("b")).ok());
  BOOST_TEST(joining.check(member("b"), 1060).ok());
}

BOOST_AUTO_TEST_CASE(nobody_else_is) {
  Joining joining;
  BOOST_TEST((joining.check(member("b"), 1061).code() == Code::kDenied));  // too late
  BOOST_TEST((joining.check(member("b"), 999).code() == Code::kDenied));   // from the future
  BOOST_TEST((joining.check(member("c")).code() == Code::kDenied));        // another's challenge
  BOOST_TEST((joining.check(member("b", "10.0.0.1:8201")).code() == Code::kDenied));  // says other things of itself
  Member voter = member("b");
  voter.non_voter = true;
  BOOST_TEST((joining.check(voter).code() == Code::kDenied));
  const Joining other;
  BOOST_TEST((check_answer(*joining.keyring, joining.challenge, other.answer, member("b"), at(1001)).code() ==
              Code::kDenied));
  BOOST_TEST((check_answer(*joining.keyring, other.challenge, answer_challenge(*joining.keyring, other.challenge,
                                                                               member("b")),
                           member("b"), at(1001))
                  .code() == Code::kDenied));  // a challenge that this cluster never gave
  for (std::size_t i = 0; i < joining.challenge.size(); ++i) {
    std::string changed = joining.challenge;
    changed[i] ^= 1;
    BOOST_TEST((check_answer(*joining.keyring, changed, answer_challenge(*joining.keyring, changed, member("b")),
                             member("b"), at(1001))
                    .code() == Code::kDenied));
  }
  joining.answer.pop_back();
  BOOST_TEST((joining.check(member("b")).code() == Code::kDenied));
}

BOOST_AUTO_TEST_CASE(a_challenge_counts_once) {
  JoinGate gate;
  BOOST_TEST(gate.answered("one", "request-a", at(1000)).ok());
  BOOST_TEST(gate.answered("one", "request-a", at(1001)).ok());  // the same request, run again
  BOOST_TEST((gate.answered("one", "request-b", at(1060)).code() == Code::kDenied));
  BOOST_TEST(gate.answered("two", "request-b", at(1060)).ok());
  for (std::size_t i = 2; i < JoinGate::kAnswersKeptMax; ++i)
    BOOST_TEST(gate.answered("more" + std::to_string(i), "request-c", at(1060)).ok());
  BOOST_TEST((gate.answered("too many", "request-c", at(1060)).code() == Code::kUnavailable));
  BOOST_TEST(gate.answered("later", "request-c", at(1121)).ok());
}

BOOST_AUTO_TEST_CASE(the_records_are_not_given_without_end) {
  JoinGate gate;
  int given = 0;
  for (int i = 0; i < 1000; ++i)
    given += gate.may_ask("10.0.0." + std::to_string(i % 20), at(1000)).ok() ? 1 : 0;
  BOOST_TEST(given == 60);
  BOOST_TEST((gate.may_ask("10.0.1.1", at(999)).code() == Code::kUnavailable));
  BOOST_TEST(gate.may_ask("10.0.1.1", at(1001)).ok());
  BOOST_TEST(gate.may_ask("10.0.1.1", at(1001)).ok());
  BOOST_TEST(!gate.may_ask("10.0.1.1", at(1001)).ok());
}

BOOST_AUTO_TEST_CASE(nobody_is_kept_out_by_one_who_asks_again_and_again) {
  JoinGate gate;
  int given = 0;
  for (int i = 0; i < 1000; ++i)
    given += gate.may_ask("10.0.0.1", at(1000)).ok() ? 1 : 0;
  BOOST_TEST(given == 12);
  BOOST_TEST(gate.may_ask("10.0.0.2", at(1000)).ok());
  // For as long as it likes.
  for (int second = 1001; second < 1100; ++second) {
    for (int i = 0; i < 100; ++i)
      static_cast<void>(gate.may_ask("10.0.0.1", at(second)));
    BOOST_TEST(gate.may_ask("10.0." + std::to_string(second) + ".1", at(second)).ok());
  }
}

BOOST_AUTO_TEST_CASE(addresses_are_forgotten_when_they_may_be) {
  JoinGate gate;
  for (std::size_t i = 0; i < 3 * JoinGate::kSourcesKeptMax; ++i)
    BOOST_TEST(gate.may_ask("source" + std::to_string(i), at(1000 + static_cast<std::int64_t>(i))).ok());
}

// Asked by so many addresses, and answered so often, as one who wants the memory of a leader would.
JoinGate::Kept kept_after_a_flood() {
  constexpr std::int64_t kRequests = 100'000;
  JoinGate gate;
  for (std::int64_t i = 0; i < kRequests; ++i) {
    static_cast<void>(gate.may_ask("source" + std::to_string(i), at(1000)));
    static_cast<void>(gate.answered("challenge" + std::to_string(i), "request", at(1000)));
  }
  return gate.kept();
}

BOOST_AUTO_TEST_CASE(k4_a_flood_of_joiners_takes_no_memory) {
  const JoinGate::Kept kept = kept_after_a_flood();
  BOOST_TEST(kept.sources <= JoinGate::kSourcesKeptMax);
  BOOST_TEST(kept.answers <= JoinGate::kAnswersKeptMax);
}

BOOST_AUTO_TEST_CASE(k4_the_bounds_make_the_difference) {
  {
    const coffer::testing::ScopedMutant on(Mutant::kJoinAsksUnbounded);
    BOOST_TEST(kept_after_a_flood().sources > JoinGate::kSourcesKeptMax);
  }
  const coffer::testing::ScopedMutant on(Mutant::kJoinAnswersUnbounded);
  BOOST_TEST(kept_after_a_flood().answers > JoinGate::kAnswersKeptMax);
}

BOOST_AUTO_TEST_CASE(a_members_record) {
  Member one = member("node-a", "host.example.com:8201");
  one.version = "1.21.0";
  one.non_voter = true;
  const Result<Member> read = decode_member(encode(one));
  BOOST_REQUIRE(read.ok());
  BOOST_TEST((*read == one));
  BOOST_TEST(encode(one).front() == 1);  // a form that older servers read
  Member placed = one;
  placed.zone = "rack-1";
  BOOST_TEST((std::move(decode_member(encode(placed))).value() == placed));
  placed.upgrade_version = "1.2.3";
  BOOST_TEST((std::move(decode_member(encode(placed))).value() == placed));
  for (const Member& each : {one, placed}) {
    const std::string bytes = encode(each);
    for (std::size_t size = 0; size < bytes.size(); ++size)
      BOOST_TEST((decode_member(std::string_view(bytes).substr(0, size)).code() == Code::kDataLoss));
  }
  for (const char* bad : {"", "host", ":8201", "host:", "a b:1", "h\n:1"})
    BOOST_TEST((check_member(member("a", bad)).code() == Code::kInvalid), bad);
  for (const std::string& bad : {std::string(), std::string("a b"), std::string(129, 'a'), std::string("a\0b", 3)})
    BOOST_TEST((check_member(member(bad)).code() == Code::kInvalid));
}

BOOST_AUTO_TEST_CASE(a_list_of_members) {
  const Members some{member("a"), member("b", "[::1]:8201")};
  const std::string bytes = encode(some);
  const Result<Members> read = decode_members(bytes);
  BOOST_REQUIRE(read.ok());
  BOOST_TEST((*read == some));
  BOOST_TEST((decode_members("").ok() == false));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    BOOST_TEST(!decode_members(std::string_view(bytes).substr(0, size)).ok());
  BOOST_TEST((decode_members(std::string("\xff\xff\xff\x7f", 4)).code() == Code::kInvalid));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::core
