// The whole way of a request through the core.
#include <boost/test/unit_test.hpp>

#include "tests/core/core_fixture.h"
#include "tests/mutant_on.h"

using namespace coffer;
using namespace coffer::core;
using coffer::core::testing::Answer;
using coffer::core::testing::CoreFixture;

BOOST_AUTO_TEST_SUITE(pipeline)

BOOST_FIXTURE_TEST_CASE(keeps_and_reads_a_secret, CoreFixture) {
  Answer put = write("secret/data/my-app/database", R"({"data":{"username":"app_user","port":1.10}})");
  BOOST_TEST(put.status == 200);
  BOOST_TEST(put.text("data|version") == "1");
  Answer get = read("secret/data/my-app/database");
  BOOST_TEST(get.status == 200);
  BOOST_TEST(get.text("data|data|username") == "app_user");
  BOOST_TEST(get.text("data|data|port") == "1.10");
  BOOST_TEST(list("secret/metadata").text("data|keys") == R"(["my-app/"])");
  BOOST_TEST(list("secret/metadata/my-app").text("data|keys") == R"(["database"])");
}

BOOST_FIXTURE_TEST_CASE(missing_things_are_404, CoreFixture) {
  BOOST_TEST(read("secret/data/nope").status == 404);
  BOOST_TEST(read("secret/data/nope").text("errors") == "[]");
  BOOST_TEST(read("nope/a").status == 404);
  BOOST_TEST(read("nope/a").text("errors|0") == "no handler for route \"nope/a\". route entry not found.");
  BOOST_TEST(read("sys/nope").status == 404);
  BOOST_TEST(read("identity/nope").status == 404);
  BOOST_TEST(erase("sys/key-status").status == 405);
}

BOOST_FIXTURE_TEST_CASE(denies_without_a_grant, CoreFixture) {
  const std::string plain = token(R"(["default"])");
  Answer denied = read("secret/data/x", plain);
  BOOST_TEST(denied.status == 403);
  BOOST_TEST(denied.text("errors|0") == "1 error occurred:\n\t* permission denied\n\n");
  BOOST_TEST(read("auth/token/lookup-self", plain).status == 200);
}

BOOST_FIXTURE_TEST_CASE(sealed_is_503, CoreFixture) {
  deriver->stop();
  backend.publish(deriver->attachment());
  Answer sealed = read("secret/data/x");
  BOOST_TEST(sealed.status == 503);
  BOOST_TEST(sealed.text("errors|0") == "Vault is sealed");
}

BOOST_FIXTURE_TEST_CASE(unknown_namespace_is_404, CoreFixture) {
  Answer none = request(Operation::kRead, "sys/mounts", {}, "root", {}, "team-a");
  BOOST_TEST(none.status == 404);
  BOOST_TEST(none.text("errors|0") == "namespace not found");
}

// A write that was proposed is read by the next one before it is committed: a write may follow from it, an answer may
// not.
BOOST_FIXTURE_TEST_CASE(runs_on_what_is_proposed_and_tells_nobody, CoreFixture) {
  const auto put = [this](std::string_view options) {
    return write("secret/data/x", R"({"options":{)" + std::string(options) + R"(},"data":{"n":"1"}})");
  };
  BOOST_TEST(put("").status == 200);
  std::shared_ptr<const Speculation> second;
  committer.before = [&](const Proposal& proposal) {
    second = Speculation::after(proposal, Term(1), Index(1'000'000), Index(0), nullptr);
  };
  committer.forced = {{CommitOutcome::kRefused, ok_status()}};
  BOOST_TEST(put("").status == 503);
  BOOST_REQUIRE(second != nullptr);
  BOOST_TEST(second->records().size() == 1u);

  // Its first run fails on the view, its second succeeds on the speculation.
  const auto conflict = std::pair(CommitOutcome::kConflict, ok_status());
  committer.forced = {conflict};
  committer.speculation = second;
  committer.keep = true;
  const Answer third = put("");
  BOOST_TEST(third.text("data|version") == "3");
  BOOST_REQUIRE(committer.accepted.size() == 1u);
  BOOST_TEST(!committer.accepted[0].speculative_reads.empty());
  BOOST_TEST((committer.accepted[0].speculation == second));
  BOOST_TEST(committer.accepted[0].may_speculate);

  const auto cas = [&] {
    std::size_t settled = 0;
    committer.forced = {conflict, conflict};
    committer.speculation = second;
    committer.before = [&](const Proposal&) {
      committer.before = [&](const Proposal& unsettled) {
        settled += unsettled.ops.empty() && !unsettled.speculative_reads.empty() ? 1 : 0;
      };
    };
    const Answer answer = put(R"("cas":3)");
    committer.forced.clear();
    committer.before = nullptr;
    return std::pair(answer.status, settled);
  };
  // On what is committed the version is 3, and 2 on what is not.
  BOOST_TEST((cas() == std::pair(200, std::size_t{1})));
  const coffer::testing::ScopedMutant on(Mutant::kSpeculationAnswered);
  BOOST_TEST((cas() == std::pair(400, std::size_t{0})));
}

BOOST_AUTO_TEST_SUITE_END()
