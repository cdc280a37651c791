#include "core/root_attempts.h"

#include <boost/test/unit_test.hpp>

#include "core/layout.h"
#include "tests/core/shares_fixture.h"
#include "tests/mutant_on.h"
#include "tests/seal/plain_pgp.h"

namespace coffer::core {
namespace {

using testing::Answer;

struct Fixture : testing::SharesFixture {
  Fixture() { services.root_attempts = &attempts; }
  Answer begin(std::string_view token = "", std::string_view body = "{}") {
    return write("sys/generate-root/attempt", body, token);
  }
  Answer give(std::size_t share, std::string_view nonce, std::string_view path = "sys/generate-root/update",
              std::string_view token = "") {
    return write(path, given(share, nonce), token);
  }
  Answer cancel(std::string_view nonce) {
    return request(Operation::kDelete, "sys/generate-root/attempt", R"({"nonce":")" + std::string(nonce) + R"("})", "");
  }
  std::string progress(std::string_view nonce) {
    return request(Operation::kRead, "sys/generate-root/attempt", R"({"nonce":")" + std::string(nonce) + R"("})", "")
        .text("data|progress");
  }

  coffer::testing::PlainPgp pgp;
  RootAttempts attempts{&pgp, random};
};

RootAttempts::Asked asked(std::string remote, bool by_token = false) {
  return {Term(1), WallTime{std::chrono::hours(1)}, by_token, std::move(remote)};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(root_attempts_test)

BOOST_FIXTURE_TEST_CASE(shares_make_a_root_token, Fixture) {
  const Answer begun = begin();
  BOOST_TEST(begun.status == 200);
  const std::string nonce = begun.text("data|nonce"), otp = begun.text("data|otp");
  BOOST_TEST(otp.size() == kRootTokenBytes);
  BOOST_TEST(begun.text("data|required") == "3");
  BOOST_TEST(give(0, nonce).text("data|progress") == "1");
  BOOST_TEST(give(0, nonce).text("data|progress") == "1");
  give(3, nonce);
  const Answer done = give(1, nonce);
  BOOST_TEST(done.text("data|complete") == "true");
  BOOST_TEST(done.text("data|progress") == "3");
  const std::string encoded = done.text("data|encoded_token");
  BOOST_TEST(encoded == done.text("data|encoded_root_token"));
  BOOST_TEST(encoded.find('=') == std::string::npos);
  const Answer decoded =
      write("sys/decode-token", R"({"encoded_token":")" + encoded + R"(","otp":")" + otp + R"("})", "");
  const std::string token = decoded.text("data|token");
  BOOST_TEST(token.starts_with("hvs."));
  const Answer self = read("auth/token/lookup-self", token);
  BOOST_TEST(self.text("data|policies") == R"(["root"])");
  BOOST_TEST(self.text("data|ttl") == "0");
  BOOST_TEST(self.text("data|orphan") == "true");
  BOOST_TEST(give(0, nonce).status == 400);
}

BOOST_FIXTURE_TEST_CASE(wrong_shares_make_none, Fixture) {
  const std::string nonce = begin().text("data|nonce");
  const SecretBytes right = std::move(shares[2]);
  SecretBytes wrong = right.clone();
  wrong.reveal_mutable()[0] ^= 1;
  shares[2] = std::move(wrong);
  give(0, nonce);
  give(1, nonce);
  BOOST_TEST(give(2, nonce).status == 400);
  BOOST_TEST(progress(nonce) == "0");
  shares[2] = right.clone();
  for (const std::size_t share : {0u, 1u})
    give(share, nonce);
  BOOST_TEST(give(2, nonce).text("data|complete") == "true");
  const std::string again = begin().text("data|nonce");
  shares[2].reveal_mutable()[0] ^= 1;
  give(0, again);
  give(1, again);
  const coffer::testing::ScopedMutant planted(Mutant::kRootByAnyShares);
  BOOST_TEST(give(2, again).text("data|complete") == "true");
}

BOOST_FIXTURE_TEST_CASE(j9_attempts_do_not_disturb_each_other, Fixture) {
  const auto undisturbed = [this] {
    const std::string nonce = begin().text("data|nonce");
    give(0, nonce);
    for (int i = 0; i < 40; ++i)
      BOOST_TEST(begin().status == 200);
    cancel("00000000-0000-4000-8000-000000000000");
    return progress(nonce) == "1";
  };
  BOOST_TEST(undisturbed());
  BOOST_TEST(cancel("").status == 400);
  BOOST_TEST(begin("", "{}").text("data|nonce") != begin().text("data|nonce"));
  {
    const coffer::testing::ScopedMutant planted(Mutant::kRootAttemptsOneSlot);
    BOOST_TEST(!undisturbed());
  }
  const coffer::testing::ScopedMutant planted(Mutant::kRootAttemptEndedByAnybody);
  BOOST_TEST(!undisturbed());
}

BOOST_FIXTURE_TEST_CASE(a_token_is_told_encrypted, Fixture) {
  const Answer begun = begin("", R"({"pgp_key":"YWE="})");
  BOOST_TEST(begun.text("data|pgp_fingerprint") == "of aa");
  BOOST_TEST(begun.text("data|otp") == "");
  for (std::size_t share = 0; share < 2; ++share)
    give(share, begun.text("data|nonce"));
  const std::string told = base64_decode(give(2, begun.text("data|nonce")).text("data|encoded_token")).value();
  BOOST_TEST(told.starts_with("to aa: hvs."));
  BOOST_TEST(read("auth/token/lookup-self", told.substr(7)).status == 200);
  // Of one that cannot be told nothing stays.
  const std::string nonce = begin("", R"({"pgp_key":"YWE="})").text("data|nonce");
  give(0, nonce);
  give(1, nonce);
  pgp.failure = Status(Code::kUnavailable, "away");
  BOOST_TEST(give(2, nonce).status == 503);
  BOOST_TEST(begin("", R"({"pgp_key":"YWE="})").status == 503);
}

// A stranger's key costs a process: many strangers cost no more than few, and who has a token waits for none of them.
BOOST_AUTO_TEST_CASE(j9_keys_of_strangers_are_bounded) {
  testing::CountingRandom random;
  coffer::testing::PlainPgp pgp;
  RootAttempts attempts(&pgp, random);
  RootAttempts::Asked stranger = asked("10.0.0.9");
  std::size_t looked = 0;
  for (int i = 0; i < 1000; ++i)
    looked += attempts.begin(stranger, "", "key", {5, 3}).ok() ? 1 : 0;
  BOOST_TEST(looked == RootAttempts::kKeysOfStrangersMax);
  BOOST_TEST((attempts.begin(stranger, "", "key", {5, 3}).code() == Code::kExhausted));
  BOOST_TEST(attempts.begin(stranger, "", "", {5, 3}).ok());
  BOOST_TEST(attempts.begin(asked("10.0.0.1", true), "", "key", {5, 3}).ok());
  stranger.now += RootAttempts::kKeysOfStrangersPeriod;
  BOOST_TEST(attempts.begin(stranger, "", "key", {5, 3}).ok());
}

// Of one who floods, the others' attempts stay even before anybody gave a share.
BOOST_AUTO_TEST_CASE(j9_who_floods_pushes_out_their_own) {
  testing::CountingRandom random;
  RootAttempts attempts(nullptr, random);
  const std::string mine = attempts.begin(asked("10.0.0.1"), "", "", {5, 3})->state.nonce;
  const std::string held = attempts.begin(asked("10.0.0.2", true), "", "", {5, 3})->state.nonce;
  for (int i = 0; i < 10'000; ++i)
    BOOST_REQUIRE(attempts.begin(asked("10.0.0.9"), "", "", {5, 3}).ok());
  BOOST_TEST(attempts.state(asked("x"), mine).started);
  // From many places at once: those who ask most go first, and who has a token never.
  for (int i = 0; i < 1000; ++i)
    BOOST_REQUIRE(attempts.begin(asked("10.1." + std::to_string(i % 20) + ".1"), "", "", {5, 3}).ok());
  BOOST_TEST(attempts.state(asked("x"), held).started);
}

BOOST_AUTO_TEST_CASE(what_has_shares_or_a_token_fills_all_places) {
  testing::CountingRandom random;
  RootAttempts attempts(nullptr, random);
  for (std::size_t i = 0; i < RootAttempts::kAttemptsMax; ++i)
    BOOST_REQUIRE(attempts.begin(asked("10.0.0.1", true), "", "", {5, 3}).ok());
  BOOST_TEST((attempts.begin(asked("10.0.0.1"), "", "", {5, 3}).code() == Code::kExhausted));
  BOOST_TEST((attempts.begin(asked("10.0.0.1", true), "", "", {5, 3}).code() == Code::kExhausted));
  RootAttempts::Asked later = asked("10.0.0.1");
  later.now += RootAttempts::kTimeMax;
  BOOST_TEST(attempts.begin(later, "", "", {5, 3}).ok());
}

BOOST_FIXTURE_TEST_CASE(nonces_are_told_to_who_has_a_token, Fixture) {
  const std::string nonce = begin().text("data|nonce");
  BOOST_TEST(read("sys/generate-root/attempt").text("data|nonce") == nonce);
  BOOST_TEST(read("sys/generate-root/attempt", "").text("data|nonce") == "");
  BOOST_TEST(read("sys/generate-root/attempt", "").text("data|started") == "true");
  BOOST_TEST(read("sys/generate-root/attempt").text("data|otp") == "");
  BOOST_TEST(give(0, "").status == 400);
  BOOST_TEST(give(0, "x").body.find(nonce) == std::string::npos);
  // The family that wants a token for every step.
  BOOST_TEST(write("sys/generate-root-token/attempt", "{}", "").status == 403);
  BOOST_TEST(give(0, nonce, "sys/generate-root-token/update").status == 403);
  BOOST_TEST(give(0, nonce, "sys/generate-root-token/update", "root").text("data|progress") == "1");
  committer.term = Term(committer.term.get() + 1);
  BOOST_TEST(read("sys/generate-root/attempt").text("data|started") == "false");
}

BOOST_FIXTURE_TEST_CASE(a_password_of_ones_own, Fixture) {
  const std::string otp(kRootTokenBytes, 'x');
  const Answer begun = begin("", R"({"otp":")" + otp + R"("})");
  BOOST_TEST(begun.text("data|otp") == otp);
  for (const std::string_view wrong : {R"({"otp":"short"})", R"({"otp":"has a blank inside of it....."})",
                                       R"({"pgp_key":"x"})", R"({"otp":1})"})
    BOOST_TEST(begin("", wrong).status == 400);
  BOOST_TEST(!encode_root_token("hvs.a", "b").ok());
  BOOST_TEST(!decode_root_token("", "").ok());
  BOOST_TEST(!decode_root_token("????", "abc").ok());
  BOOST_TEST(decode_root_token(*encode_root_token("hvs.abcd", "01234567"), "01234567")->reveal_text() == "hvs.abcd");
  BOOST_TEST(decode_root_token(*encode_root_token("hvs.abcd", "01234567") + "=", "01234567").ok());
}

BOOST_FIXTURE_TEST_CASE(who_has_no_token_makes_no_record, Fixture) {
  const std::string nonce = begin().text("data|nonce");
  const std::size_t before = records(store::KeyClass::kClusterLocal, layout::kSystemMount);
  const std::string body = given(0, nonce);
  for (const std::string_view path : {"sys/generate-root/attempt", "sys/generate-root/update", "sys/rekey/update"})
    BOOST_TEST(request(Operation::kWrite, path, body, "", "1h").status == 400);
  BOOST_TEST(records(store::KeyClass::kClusterLocal, layout::kSystemMount) == before);
  BOOST_TEST(progress(nonce) == "0");
}

// A token whose answer nobody got is none.
BOOST_FIXTURE_TEST_CASE(nothing_is_made_that_is_not_committed, Fixture) {
  const std::string nonce = begin().text("data|nonce");
  give(0, nonce);
  give(1, nonce);
  committer.forced.push_back({CommitOutcome::kRefused, ok_status()});
  const Answer last = give(2, nonce);
  BOOST_TEST(last.status == 503);
  BOOST_TEST(last.body.find("encoded") == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::core
