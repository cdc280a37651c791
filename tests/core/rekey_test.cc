#include "core/rekeys.h"

#include <boost/test/unit_test.hpp>

#include "tests/core/shares_fixture.h"
#include "tests/mutant_on.h"
#include "tests/seal/plain_pgp.h"

namespace coffer::core {
namespace {

using testing::Answer;

struct Fixture : testing::SharesFixture {
  Fixture() { services.rekeys = &rekeys; }
  std::string begin(std::string_view more = "") {
    const Answer answer =
        write("sys/rekey/init", R"({"secret_shares":4,"secret_threshold":2)" + std::string(more) + "}");
    BOOST_TEST(answer.status == 200);
    return answer.text("data|nonce");
  }
  Answer give(std::size_t share, std::string_view nonce, std::string_view path = "sys/rekey/update",
              std::string_view token = "") {
    return write(path, given(share, nonce), token);
  }
  Answer cancel(std::string_view nonce, std::string_view token = "root") {
    return request(Operation::kDelete, "sys/rekey/init", R"({"nonce":")" + std::string(nonce) + R"("})", token);
  }

  coffer::testing::PlainPgp pgp;
  Rekeys rekeys{nullptr, &pgp, random};
};

}  // namespace

BOOST_AUTO_TEST_SUITE(rekey_test)

BOOST_FIXTURE_TEST_CASE(shares_are_exchanged, Fixture) {
  const std::string before = seal_record();
  const std::string nonce = begin();
  BOOST_TEST(write("sys/rekey/init", R"({"secret_shares":4,"secret_threshold":2})").text("errors|0") ==
             "rekey already in progress");
  const Answer first = give(0, nonce);
  BOOST_TEST(first.status == 200);
  BOOST_TEST(first.text("data|progress") == "1");
  BOOST_TEST(first.text("data|required") == "3");
  BOOST_TEST(give(0, nonce).text("data|progress") == "1");
  BOOST_TEST(give(1, nonce).text("data|progress") == "2");
  BOOST_TEST(seal_record() == before);
  const Answer last = give(4, nonce);
  BOOST_TEST(last.text("data|complete") == "true");
  BOOST_TEST(last.at("data|keys").size() == 4u);
  BOOST_TEST(last.at("data|keys_base64").size() == 4u);
  BOOST_TEST(seal_record() != before);
  BOOST_TEST(read("sys/rekey/init").text("data|started") == "false");
  BOOST_TEST(read("sys/rekey/init").text("data|required") == "2");
  BOOST_TEST(give(0, nonce).text("errors|0") == "no rekey in progress");
  // The old ones are good for nothing, the new ones for the next exchange.
  const std::string next = begin();
  give(0, next);
  BOOST_TEST(give(1, next).status == 400);
  BOOST_TEST(read("sys/rekey/init").text("data|progress") == "0");
}

BOOST_FIXTURE_TEST_CASE(new_shares_that_are_to_be_shown_wait_for_it, Fixture) {
  const std::string before = seal_record();
  const std::string nonce = begin(R"(,"require_verification":true)");
  BOOST_TEST(read("sys/rekey/verify").status == 400);
  give(0, nonce);
  give(1, nonce);
  const Answer made = give(2, nonce);
  BOOST_TEST(made.text("data|verification_required") == "true");
  const std::string shown = made.text("data|verification_nonce");
  BOOST_TEST(seal_record() == before);
  BOOST_TEST(give(3, nonce).status == 400);  // nothing more is to be given
  const auto show = [&](std::string_view key, std::string_view by) {
    return write("sys/rekey/verify", R"({"key":")" + std::string(key) + R"(","nonce":")" + std::string(by) + R"("})",
                 "");
  };
  BOOST_TEST(show(made.text("data|keys|0"), nonce).status == 400);
  BOOST_TEST(show(made.text("data|keys|0"), shown).text("data|progress") == "1");
  const Answer anew = erase("sys/rekey/verify");
  BOOST_TEST(anew.text("data|progress") == "0");
  BOOST_TEST(show(made.text("data|keys|0"), shown).status == 400);
  show(made.text("data|keys|3"), anew.text("data|nonce"));
  BOOST_TEST(seal_record() == before);
  BOOST_TEST(show(made.text("data|keys|1"), anew.text("data|nonce")).text("data|complete") == "true");
  BOOST_TEST(seal_record() != before);
}

BOOST_FIXTURE_TEST_CASE(j7_shares_are_for_the_exchange_that_they_were_given_for, Fixture) {
  const std::string first = begin();
  give(0, first);
  BOOST_TEST(cancel(first).status == 204);
  const std::string second = begin();
  BOOST_TEST(second != first);
  BOOST_TEST(read("sys/rekey/init").text("data|progress") == "0");
  BOOST_TEST(give(1, first).status == 400);
  BOOST_TEST(give(1, "").status == 400);
  BOOST_TEST(read("sys/rekey/init").text("data|progress") == "0");
  const coffer::testing::ScopedMutant planted(Mutant::kRekeySharesOfAnyNonce);
  BOOST_TEST(give(1, first).status == 200);
}

BOOST_FIXTURE_TEST_CASE(j8_an_exchange_is_ended_by_who_may_and_knows_it, Fixture) {
  BOOST_TEST(write("sys/policies/acl/p", R"({"policy":"path \"sys/rekey/*\" {capabilities=[\"update\",\"delete\"]}"})")
                 .status == 204);
  const std::string weak = token(R"(["p"])");
  const std::string nonce = begin();
  give(0, nonce);
  for (const std::string_view who : {std::string_view(""), std::string_view("a guess"), std::string_view(weak)}) {
    BOOST_TEST(cancel(nonce, who).status == 403);
    BOOST_TEST(write("sys/rekey/init", R"({"secret_shares":1,"secret_threshold":1})", who).status == 403);
    BOOST_TEST(request(Operation::kDelete, "sys/rekey/verify", "{}", who).status == 403);
  }
  BOOST_TEST(cancel("").status == 400);
  BOOST_TEST(cancel("00000000-0000-4000-8000-000000000000").status == 400);
  BOOST_TEST(read("sys/rekey/init").text("data|progress") == "1");
  {
    const coffer::testing::ScopedMutant planted(Mutant::kRekeyEndedByAnybody);
    BOOST_TEST(cancel("").status == 204);
  }
  BOOST_TEST(cancel("").status == 204);  // nothing is under way: no error
}

BOOST_FIXTURE_TEST_CASE(j8_the_nonce_is_told_to_who_has_a_token, Fixture) {
  const std::string nonce = begin();
  BOOST_TEST(read("sys/rekey/init").text("data|nonce") == nonce);
  BOOST_TEST(read("sys/rekey/init", "").text("data|started") == "true");
  BOOST_TEST(read("sys/rekey/init", "").text("data|nonce") == "");
  BOOST_TEST(give(0, "x", "sys/rekey/update", "root").text("errors|0").find(nonce) != std::string::npos);  // S2-33
  BOOST_TEST(give(0, "x").body.find(nonce) == std::string::npos);
  const coffer::testing::ScopedMutant planted(Mutant::kRekeyNonceTold);
  BOOST_TEST(read("sys/rekey/init", "").text("data|nonce") == nonce);
}

BOOST_FIXTURE_TEST_CASE(s2_35_it_ends_with_the_leadership_and_with_time, Fixture) {
  const std::string nonce = begin();
  give(0, nonce);
  committer.term = Term(committer.term.get() + 1);
  BOOST_TEST(read("sys/rekey/init").text("data|started") == "false");
  BOOST_TEST(give(1, nonce).status == 400);
  begin();
  advance(Rekeys::kTimeMax);
  BOOST_TEST(read("sys/rekey/init").text("data|started") == "false");
  begin();
  rekeys.forget();
  BOOST_TEST(read("sys/rekey/init").text("data|started") == "false");
}

BOOST_FIXTURE_TEST_CASE(what_cannot_be_is_refused_before_anything_begins, Fixture) {
  for (const std::string_view body :
       {R"({"secret_shares":3,"secret_threshold":5})", R"({"secret_shares":0,"secret_threshold":0})", "{}",
        R"({"secret_shares":5,"secret_threshold":3,"pgp_keys":["x"]})",
        R"({"secret_shares":5,"secret_threshold":3,"backup":true})", R"({"secret_shares":"many"})"})
    BOOST_TEST(write("sys/rekey/init", body).status == 400);
  BOOST_TEST(write("sys/rekey-recovery-key/init", R"({"secret_shares":5,"secret_threshold":3})").status == 400);
  BOOST_TEST(read("sys/rekey/init").text("data|started") == "false");
  const std::string nonce = begin();
  BOOST_TEST(write("sys/rekey/update", R"({"key":"??","nonce":")" + nonce + R"("})", "").status == 400);
  BOOST_TEST(write("sys/rekey/update", R"({"nonce":")" + nonce + R"("})", "").status == 400);
  // The same with a token for every step.
  BOOST_TEST(give(0, nonce, "sys/rotate/root/update").status == 403);
  BOOST_TEST(give(0, nonce, "sys/rotate/root/update", "root").text("data|progress") == "1");
}

BOOST_FIXTURE_TEST_CASE(shares_are_told_encrypted_alone, Fixture) {
  const std::string keys = R"(,"pgp_keys":["YWE=","YmI=","YWE=","Y2M="])";
  BOOST_TEST(write("sys/rekey/init", R"({"secret_shares":5,"secret_threshold":2)" + keys + "}").text("errors|0") ==
             "count mismatch between number of provided PGP keys and number of shares: 4 keys, 5 shares");
  const std::string nonce = begin(keys + R"(,"backup":true)");
  BOOST_TEST(read("sys/rekey/init").text("data|pgp_fingerprints|2") == "of aa");
  give(0, nonce);
  give(1, nonce);
  // Nothing is exchanged when they cannot be encrypted.
  const std::string before = seal_record();
  pgp.failure = Status(Code::kUnavailable, "away");
  BOOST_TEST(give(2, nonce).status == 503);
  BOOST_TEST(seal_record() == before);
  BOOST_TEST(read("sys/rekey/backup").status == 404);
  pgp.failure = ok_status();
  give(0, nonce);
  give(1, nonce);
  const Answer last = give(2, nonce);
  BOOST_TEST(last.text("data|complete") == "true");
  BOOST_TEST(last.text("data|backup") == "true");
  for (const auto& [place, key] : {std::pair{"data|keys_base64|1", "to bb: "}, {"data|keys_base64|3", "to cc: "}})
    BOOST_TEST(base64_decode(last.text(place))->starts_with(key));
  const std::string mine = base64_decode(last.text("data|keys_base64|2")).value();
  BOOST_TEST(mine.size() == 7u + 66u);
  // They are kept as they were told, for whoever has sudo.
  BOOST_TEST(read("sys/rekey/backup", "").status == 403);
  BOOST_TEST(read("sys/rekey/backup").text("data|nonce") == nonce);
  BOOST_TEST(read("sys/rotate/root/backup").at("data|keys|of aa").size() == 2u);
  BOOST_TEST(read("sys/rekey/recovery-key-backup").status == 404);
  // Shares that are exchanged without a backup take what was kept with them: it opens nothing any more.
  shares.clear();
  for (const char* place : {"data|keys_base64|0", "data|keys_base64|1"})
    shares.push_back(SecretBytes::copy_of(hex_decode(base64_decode(last.text(place))->substr(7)).value()));
  const std::string next = begin();
  give(0, next);
  BOOST_TEST(give(1, next).text("data|complete") == "true");
  BOOST_TEST(read("sys/rekey/backup").status == 404);
}

// The seal is another one by the time that the new shares are made.
BOOST_FIXTURE_TEST_CASE(a_seal_that_changed_meanwhile_keeps_its_shares, Fixture) {
  const std::string nonce = begin();
  give(0, nonce);
  give(1, nonce);
  const auto wrapper = seal::make_shamir_wrapper(SecretBytes::copy_of("another key of thirty-two bytes!"));
  const std::string changed = seal::make_seal_config(*wrapper, {1, 1}, root_key, SecretBytes(), random)->encode();
  committer.before = [&](const Proposal&) { put_seal(changed); };
  const Answer last = give(2, nonce);
  BOOST_TEST(last.status == 503);
  BOOST_TEST(last.body.find("keys") == std::string::npos);
  BOOST_TEST(seal_record() == changed);
  BOOST_TEST(read("sys/rekey/init").text("data|started") == "false");
}

// The new shares are told when their record is committed, and never before.
BOOST_FIXTURE_TEST_CASE(nothing_is_told_of_shares_that_are_not_in_effect, Fixture) {
  const std::string before = seal_record();
  for (const CommitOutcome outcome : {CommitOutcome::kRefused, CommitOutcome::kOutcomeUnknown}) {
    const std::string nonce = begin();
    give(0, nonce);
    give(1, nonce);
    committer.forced.push_back({outcome, ok_status()});
    const Answer last = give(2, nonce);
    BOOST_TEST(last.status >= 500);
    BOOST_TEST(last.body.find("keys") == std::string::npos);
    BOOST_TEST(seal_record() == before);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::core
