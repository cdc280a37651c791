// Nothing leaves before a device has accepted it: answers, proposals, tokens. And what happens when transactions meet.
#include <boost/test/unit_test.hpp>

#include <thread>

#include "core/expiry_driver.h"
#include "tests/core/audit_fixture.h"
#include "tests/core/core_fixture.h"
#include "tests/core/fake_outside.h"
#include "tests/mutant_on.h"

using namespace coffer;
using namespace coffer::core;
using coffer::core::testing::Answer;
using coffer::core::testing::CoreFixture;
using coffer::testing::FakeAuditFiles;
using coffer::testing::ScopedMutant;

namespace {

AuditEnvironment environment(const std::shared_ptr<FakeAuditFiles>& files) {
  AuditEnvironment made;
  made.files = files;
  return made;
}

struct Audited {
  std::shared_ptr<FakeAuditFiles> files = std::make_shared<FakeAuditFiles>();
  CoreFixture core{environment(files)};

  Audited() {
    const Answer enabled = core.write("sys/audit/file", R"({"type":"file",)"
                                                        R"("options":{"file_path":"/var/log/audit.log"}})");
    BOOST_TEST_REQUIRE(enabled.status == 204);
    clear();
  }
  void clear() {
    const std::scoped_lock lock(files->mutex);
    files->content.clear();
  }
  std::size_t lines() {
    const std::scoped_lock lock(files->mutex);
    return static_cast<std::size_t>(std::count(files->content.begin(), files->content.end(), '\n'));
  }
  std::string content() {
    const std::scoped_lock lock(files->mutex);
    return files->content;
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(audited_requests)

BOOST_FIXTURE_TEST_CASE(each_request_is_two_lines, Audited) {
  BOOST_TEST(core.write("secret/data/x", R"({"data":{"a":"canary-1"}})").status == 200);
  BOOST_TEST(lines() == 2u);
  BOOST_TEST(core.read("secret/data/x").status == 200);
  BOOST_TEST(lines() == 4u);
  BOOST_TEST(core.read("secret/data/x", "hvs.unknown").status == 403);
  BOOST_TEST(lines() == 6u);
  BOOST_TEST(core.read("nope/x").status == 404);
  BOOST_TEST(lines() == 8u);
  const std::string all = content();
  BOOST_TEST(all.find("canary-1") == std::string::npos);
  BOOST_TEST(all.find("hvs.unknown") == std::string::npos);
  BOOST_TEST(all.find("hmac-sha256:") != std::string::npos);
  BOOST_TEST(all.find("secret/data/x") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_response_line_has_the_time_of_the_response, Audited) {
  const auto times = [this] {
    std::vector<std::string> out;
    const std::string all = content();
    for (std::size_t at = all.find("{\"time\":\""); at != std::string::npos; at = all.find("\n{\"time\":\"", at + 1))
      out.push_back(all.substr(all.find(":\"", at) + 2, 20));
    return out;
  };
  core.committer.now = WallTime(std::chrono::seconds(1795315230));
  core.committer.before = [this](const Proposal&) { core.committer.now += std::chrono::seconds(5); };
  BOOST_TEST(core.write("secret/data/x", R"({"data":{"a":"b"}})").status == 200);
  const std::vector<std::string> written = times();
  BOOST_TEST_REQUIRE(written.size() == 2u);
  BOOST_TEST(written[0] == "2026-11-22T02:40:30Z");
  BOOST_TEST(written[1] == "2026-11-22T02:40:35Z");
}

BOOST_FIXTURE_TEST_CASE(a_request_beyond_the_memory_fails_alone, Audited) {
  core.random.out_of_memory = true;
  const std::size_t commits = core.committer.commits;
  const Answer failed = core.write("secret/data/x", R"({"data":{"a":"canary-2"}})");
  BOOST_TEST(failed.status == 503);
  BOOST_TEST(failed.text("errors|0") == "the server is out of memory");
  BOOST_TEST(core.committer.commits == commits);
  BOOST_TEST(lines() >= 1u);
  core.random.out_of_memory = false;
  BOOST_TEST(core.write("secret/data/x", R"({"data":{"a":"b"}})").status == 200);
}

BOOST_FIXTURE_TEST_CASE(a_request_that_takes_too_long_is_refused_and_changes_nothing, Audited) {
  core.time_max = std::chrono::seconds(90);
  const auto put = [this](Nanos each_try) {
    // Loses once; both tries take as long.
    core.committer.before = [this, each_try](const Proposal&) {
      core.committer.now += each_try;
      core.committer.forced.push_back({CommitOutcome::kConflict, ok_status()});
    };
    return core.write("secret/data/x", R"({"data":{"a":"b"}})");
  };
  BOOST_TEST(put(std::chrono::seconds(90)).status == 200);
  clear();
  const std::size_t commits = core.committer.commits;
  const std::size_t abandoned = core.committer.abandoned;
  const Answer late = put(std::chrono::seconds(91));
  BOOST_TEST(late.status == 503);
  BOOST_TEST(late.late);
  BOOST_TEST(late.text("errors|0") == "the request took longer than it may");
  BOOST_TEST(core.committer.commits == commits);
  BOOST_TEST(core.committer.abandoned == abandoned + 1);
  BOOST_TEST(lines() == 2u);
  BOOST_TEST(core.read("secret/data/x").status == 200);
}

BOOST_FIXTURE_TEST_CASE(a_write_refused_when_its_time_is_over_is_late, Audited) {
  core.time_max = std::chrono::seconds(90);
  const auto put = [this](Nanos wait) {
    core.committer.before = [this, wait](const Proposal&) {
      core.committer.now += wait;
      core.committer.forced.push_back({CommitOutcome::kRefused, Status(Code::kUnavailable, "storage is behind")});
    };
    return core.write("secret/data/x", R"({"data":{"a":"b"}})");
  };
  for (const int seconds : {89, 90}) {
    clear();
    const Answer refused = put(std::chrono::seconds(seconds));
    BOOST_TEST(refused.status == 503);
    BOOST_TEST(refused.late == (seconds == 90));
    BOOST_TEST(refused.text("errors|0") == "storage is behind");
    BOOST_TEST(lines() == 2u);
  }
}

BOOST_FIXTURE_TEST_CASE(lists_hashes_and_disables_the_device, Audited) {
  BOOST_TEST(core.read("sys/audit").text("data|file/|type") == "file");
  BOOST_TEST(core.read("sys/audit").text("data|file/|options|file_path") == "/var/log/audit.log");
  clear();
  core.write("secret/data/x", R"({"data":{"a":"P@ssw0rd"}})");
  const std::string hash = core.write("sys/audit-hash/file", R"({"input":"P@ssw0rd"})").text("data|hash");
  BOOST_TEST(content().find(hash) != std::string::npos);
  BOOST_TEST(core.write("sys/audit-hash/nope", R"({"input":"a"})").text("errors|0") ==
             "unknown audit backend \"nope/\"");
  BOOST_TEST(core.write("sys/audit/file", R"({"type":"file",)"
                                          R"("options":{"file_path":"/b"}})")
                 .text("errors|0") == "path already in use");
  BOOST_TEST(core.write("sys/audit/other", R"({"type":"nope"})").status == 400);
  BOOST_TEST(core.erase("sys/audit/file").status == 204);
  clear();
  BOOST_TEST(core.read("sys/mounts").status == 200);
  BOOST_TEST(lines() == 0u);
  BOOST_TEST(core.erase("sys/audit/file").status == 400);
}

BOOST_FIXTURE_TEST_CASE(no_answer_before_its_lines_are_accepted, Audited) {
  core.write("secret/data/x", R"({"data":{"a":"b"}})");
  clear();
  const auto waits = [this] {
    files->set_blocked(true);
    std::atomic<bool> answered{false};
    std::thread client([&] {
      core.read("secret/data/x");
      answered = true;
    });
    files->await_blocked_write();
    const bool early = answered;
    files->set_blocked(false);
    client.join();
    return !early;
  };
  BOOST_TEST(waits());
  // With the mutant the answer does not wait for any line: nothing is written at all.
  clear();
  ScopedMutant on(Mutant::kAnswerBeforeAudit);
  core.read("secret/data/x");
  BOOST_TEST(lines() == 0u);
}

BOOST_FIXTURE_TEST_CASE(no_proposal_before_its_line_is_accepted, Audited) {
  const std::size_t commits = core.committer.commits;
  files->set_blocked(true);
  std::thread client([&] { core.write("secret/data/x", R"({"data":{"a":"b"}})"); });
  files->await_blocked_write();
  BOOST_TEST(core.committer.commits == commits);
  files->set_blocked(false);
  client.join();
  BOOST_TEST(core.committer.commits == commits + 1);
}

BOOST_FIXTURE_TEST_CASE(a_request_that_no_device_accepts_changes_nothing, Audited) {
  const std::size_t commits = core.committer.commits;
  {
    const std::scoped_lock lock(files->mutex);
    files->write_fails = Status(Code::kIo, "write: Input/output error");
  }
  BOOST_TEST(core.write("secret/data/x", R"({"data":{"a":"b"}})").status == 500);
  BOOST_TEST(core.read("secret/data/x").status == 500);
  BOOST_TEST(core.committer.commits == commits);
}

BOOST_FIXTURE_TEST_CASE(a_token_whose_answer_was_not_audited_is_revoked, Audited) {
  const std::size_t before = core.records(store::KeyClass::kClusterLocal, MountId(0));
  core.committer.before = [this](const Proposal&) {
    const std::scoped_lock lock(files->mutex);
    files->write_fails = Status(Code::kIo, "write: Input/output error");
  };
  const Answer withheld = core.write("auth/token/create", R"({"policies":["default"],"ttl":"1h"})");
  BOOST_TEST(withheld.status == 500);
  BOOST_TEST(withheld.body.find("hvs.") == std::string::npos);
  BOOST_TEST(core.records(store::KeyClass::kClusterLocal, MountId(0)) == before);
}

BOOST_FIXTURE_TEST_CASE(a_lease_whose_answer_was_not_audited_is_revoked, Audited) {
  coffer::core::testing::FakeOutside outside;
  coffer::core::testing::ManualPool pool;
  pool.inline_ = true;
  const std::unique_ptr<Engine> engine = coffer::core::testing::make_fake_engine(outside);
  this->core.engines.add(*engine, MountTable::kSecret, true);
  this->core.services.calls = &pool;
  BOOST_TEST_REQUIRE(this->core.write("sys/mounts/fake", R"({"type":"fake"})").status == 204);
  // The second entry is the one that activates it.
  int commits = 0;
  this->core.committer.before = [&](const Proposal&) {
    ++commits;
    this->core.committer.before = [&](const Proposal&) {
      const std::scoped_lock lock(files->mutex);
      ++commits;
      files->write_fails = Status(Code::kIo, "write: Input/output error");
    };
  };
  BOOST_TEST(this->core.read("fake/creds/a").status == 500);
  BOOST_TEST(commits > 1);
  BOOST_TEST(outside.created.size() == 1u);
  ExpiryDriver driver(this->core.services);
  for (int i = 0; i < 50; ++i)
    driver.tick();
  BOOST_TEST(outside.users.empty());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(conflicts)

BOOST_FIXTURE_TEST_CASE(the_loser_runs_again_on_what_the_winner_left, CoreFixture) {
  committer.before = [this](const Proposal&) { write("secret/data/x", R"({"data":{"a":"first"}})"); };
  const Answer second = write("secret/data/x", R"({"data":{"a":"second"}})");
  BOOST_TEST(second.text("data|version") == "2");
  BOOST_TEST(committer.conflicts == 1u);
  BOOST_TEST(read("secret/data/x").text("data|data|a") == "second");
}

BOOST_FIXTURE_TEST_CASE(authority_is_part_of_what_was_read, CoreFixture) {
  write("sys/policies/acl/writer", R"({"policy":"path \"secret/data/*\" { capabilities = [\"create\",\"update\"] }"})");
  const std::string writer = token(R"(["writer"])");
  // The token, its policy or its mount go while the write is under way.
  committer.before = [&](const Proposal&) { write("auth/token/revoke", "{\"token\":\"" + writer + "\"}"); };
  BOOST_TEST(write("secret/data/x", R"({"data":{"a":"b"}})", writer).status == 403);
  const std::string other = token(R"(["writer"])");
  committer.before = [&](const Proposal&) { erase("sys/policies/acl/writer"); };
  BOOST_TEST(write("secret/data/x", R"({"data":{"a":"b"}})", other).status == 403);
  committer.before = [&](const Proposal&) { erase("sys/mounts/secret"); };
  BOOST_TEST(write("secret/data/x", R"({"data":{"a":"b"}})").status == 404);
}

BOOST_FIXTURE_TEST_CASE(two_mounts_never_meet_at_one_path, CoreFixture) {
  committer.before = [this](const Proposal&) { write("sys/mounts/a", R"({"type":"kv"})"); };
  BOOST_TEST(write("sys/mounts/a/b", R"({"type":"kv"})").text("errors|0") == "path is already in use at a/");
}

BOOST_FIXTURE_TEST_CASE(outcomes_have_their_answers, CoreFixture) {
  const std::string body = R"({"data":{"a":"b"}})";
  committer.forced = {{CommitOutcome::kRefused, Status(Code::kExhausted, "too many proposals")}};
  BOOST_TEST(write("secret/data/x", body).status == 429);
  committer.forced = {{CommitOutcome::kOutcomeUnknown, ok_status()}};
  const Answer unknown = write("secret/data/x", body);
  BOOST_TEST(unknown.status == 500);
  BOOST_TEST(unknown.text("errors|0").starts_with("outcome unknown"));
  for (std::size_t i = 0; i < limits::kTransactionRunsMax; ++i)
    committer.forced.emplace_back(CommitOutcome::kConflict, ok_status());
  BOOST_TEST(write("secret/data/x", body).status == 503);
  BOOST_TEST(committer.forced.empty());
  committer.leading = false;
  BOOST_TEST(write("secret/data/x", body).status == 503);
  BOOST_TEST(read("secret/data/x").status == 503);
}

BOOST_AUTO_TEST_SUITE_END()
