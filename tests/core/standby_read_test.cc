// A node that does not lead and serves reads: what it answers itself, what it leaves to the leader, and that each kind
// of derived state follows what the leader committed.
#include "core/activity.h"
#include "core/standby_reader.h"
#include "tests/core/fake_group.h"
#include "tests/core/forward_fixture.h"
#include "tests/mutant_on.h"

using namespace coffer;
using namespace coffer::core;
using namespace coffer::core::testing;
using coffer::testing::ScopedMutant;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

struct Reading : Cluster {
  Reading() {
    group.follow = [this] { by_snapshot ? replace() : replicate(); };
    standby.pipeline->set_reader(reader);
  }
  ~Reading() {
    while (!group.kept.empty())
      group.answer_first();
  }

  // The standby installs a snapshot of what the leader has committed.
  void replace() {
    if (leader.committer.accepted.empty())
      return;
    for (const Proposal& proposal : leader.committer.accepted)
      standby.committer.replace(proposal.ops);
    leader.committer.accepted.clear();
  }
  // What came back to its own thread goes on.
  void resume_all() {
    std::vector<std::unique_ptr<Exchange>> resumed;
    resumed.swap(client.resumed);
    for (auto& exchange : resumed)
      standby.pipeline->resume(std::move(exchange));
  }
  Answer in_team(CoreFixture& at, Operation operation, std::string_view path, std::string_view body = {},
                 std::string_view token = "root") {
    return at.request(operation, path, body, token, {}, "team");
  }

  bool by_snapshot = false;
  FakeGroup group;
  StandbyReader reader{group};
};

BOOST_AUTO_TEST_SUITE(standby_reads)

BOOST_FIXTURE_TEST_CASE(g12_what_is_acknowledged_is_read_at_once, Reading) {
  for (int i = 0; i < 5; ++i) {
    const std::string value = "v" + std::to_string(i);
    BOOST_TEST_REQUIRE(leader.write("secret/data/x", R"({"data":{"a":")" + value + "\"}}").status == 200);
    BOOST_TEST(standby.read("secret/data/x").text("data|data|a") == value);
  }
  BOOST_TEST(link.asked.empty());
  BOOST_TEST(group.questions == 5u);
  BOOST_TEST_REQUIRE(leader.write("secret/data/x", R"({"data":{"a":"newest"}})").status == 200);
  // A read that does not ask sees what this node had before.
  const ScopedMutant unasked(Mutant::kStandbyReadUnasked);
  BOOST_TEST(standby.read("secret/data/x").text("data|data|a") == "v4");
}

// What each node answers itself, it answers to those whom the leader still knows.
BOOST_FIXTURE_TEST_CASE(a_token_that_was_revoked_is_known_nowhere, Reading) {
  static constexpr int kLetIn = 404;  // these nodes have no instruments
  const auto revoked = [this] {
    const std::string token = leader.token(R"(["root"])");
    BOOST_TEST(standby.read("sys/host-info", token).status == kLetIn);
    BOOST_TEST(leader.write("auth/token/revoke", "{\"token\":\"" + token + "\"}").status < 300);
    return token;
  };
  BOOST_TEST(standby.read("sys/host-info", revoked()).status == 403);
  BOOST_TEST(standby.read("sys/loggers", revoked()).status == 403);
  BOOST_TEST(link.asked.empty());
  group.refusal = Status(Code::kUnavailable, "no leader");
  BOOST_TEST(standby.read("sys/host-info").status == 503);
  group.refusal = ok_status();
  group.known = raft::kNobody;  // what asks knows none, what forwards still does
  BOOST_TEST(standby.read("sys/host-info").status == 503);
  group.known = kLeader;
  const std::string token = revoked();
  const ScopedMutant unasked(Mutant::kStandbyReadUnasked);
  BOOST_TEST(standby.read("sys/host-info", token).status == kLetIn);
}

BOOST_FIXTURE_TEST_CASE(answers_are_the_leaders_word_for_word, Reading) {
  BOOST_TEST_REQUIRE(leader.write("secret/data/x", R"({"data":{"a":1.10}})").status == 200);
  const std::string token = leader.token(R"(["default"])");
  struct Row {
    Operation operation;
    const char* path;
    const char* body;
    std::string token;
    int status;
  };
  const Row rows[] = {
      {Operation::kRead, "secret/data/x", "", "root", 200},
      {Operation::kList, "secret/metadata", "", "root", 200},
      {Operation::kRead, "secret/data/x", "", token, 403},
      {Operation::kRead, "secret/data/x", "", "hvs.unknown", 403},
      {Operation::kRead, "secret/data/x", "", "", 403},
      {Operation::kRead, "secret/data/none", "", "root", 404},
      {Operation::kRead, "nothing/here", "", "root", 404},
      {Operation::kRead, "sys/mounts/", "", "root", 200},
      {Operation::kHelp, "secret/data/x", "", "root", 200},
      {Operation::kDelete, "auth/token/lookup-self", "", "root", 405},
      {Operation::kWrite, "auth/token/lookup-self", "{}", token, 403},
      {Operation::kWrite, "sys/capabilities-self", R"({"paths":"secret/data/x"})", token, 200},
      {Operation::kWrite, "sys/batch", R"({"paths":["secret/data/x","sys/mounts"]})", "root", 200},
  };
  for (const Row& row : rows) {
    BOOST_TEST_CONTEXT(row.path << " " << row.status) {
      const Answer there = leader.request(row.operation, row.path, row.body, row.token);
      const Answer here = standby.request(row.operation, row.path, row.body, row.token);
      BOOST_TEST(there.status == row.status);
      BOOST_TEST(here.status == there.status);
      BOOST_TEST(here.body == there.body);
      BOOST_TEST((here.headers == there.headers));
    }
  }
  BOOST_TEST(link.asked.empty());
}

// Everything that writes, or asks for the leader's memory, or wants the leader.
BOOST_FIXTURE_TEST_CASE(the_leader_answers_the_rest, Reading) {
  BOOST_TEST_REQUIRE(leader.write("secret/data/x", R"({"data":{"a":"b"}})").status == 200);
  const auto forwarded = [this](const Answer& answer, int status) {
    BOOST_TEST(answer.status == status);
    BOOST_TEST(link.asked.size() == 1u);
    link.asked.clear();
  };
  forwarded(standby.write("secret/data/y", R"({"data":{"a":"b"}})"), 200);
  forwarded(standby.erase("secret/data/y"), 204);
  forwarded(standby.read("sys/locked-users"), 200);
  forwarded(standby.read("sys/key-status"), 200);
  forwarded(standby.request(Operation::kRead, "secret/data/x", {}, "root", "1m"), 200);
  forwarded(standby.write("sys/batch", R"({"paths":["secret/data/x","sys/key-status"]})"), 200);
  BOOST_TEST(group.questions == 1u);  // of the batch, which did not know

  auto exchange = client.ask(Operation::kRead, "secret/data/x");
  exchange->request.at_leader = true;
  dispatch(std::move(exchange));
  BOOST_TEST(client.last().status < 400);
  BOOST_TEST(link.asked.size() == 1u);
  BOOST_TEST(group.questions == 1u);
}

BOOST_FIXTURE_TEST_CASE(a_use_is_counted_where_it_can_be, Reading) {
  const std::string token = leader.token(R"(["default"])", R"(,"num_uses":2)");
  BOOST_TEST(standby.read("auth/token/lookup-self", token).status == 200);
  BOOST_TEST(leader.write("auth/token/lookup", "{\"token\":\"" + token + "\"}").text("data|num_uses") == "1");
  BOOST_TEST(standby.read("auth/token/lookup-self", token).status == 200);
  BOOST_TEST(link.asked.size() == 2u);
  BOOST_TEST(standby.read("auth/token/lookup-self", token).status == 403);
  BOOST_TEST(link.asked.size() == 2u);
}

// Each is one kind of derived state: what this node answered from it before must not be what it answers afterwards.
BOOST_AUTO_TEST_CASE(each_derived_state_follows_the_leader) {
  for (const bool by_snapshot : {false, true}) {
    Reading c;
    c.by_snapshot = by_snapshot;
    CoreFixture& leader = c.leader;
    CoreFixture& standby = c.standby;
    BOOST_TEST_CONTEXT((by_snapshot ? "by snapshot" : "by entries")) {
      // Policies: compiled sets.
      const auto policy = [&](std::string_view capabilities) {
        return leader.write("sys/policies/acl/p", "{\"policy\":\"path \\\"secret/data/x\\\" { capabilities = [\\\"" +
                                                      std::string(capabilities) + "\\\"] }\"}");
      };
      leader.write("secret/data/x", R"({"data":{"a":"b"}})");
      BOOST_TEST(policy("read").status < 300);
      const std::string token = leader.token(R"(["p"])");
      BOOST_TEST(standby.read("secret/data/x", token).status == 200);
      BOOST_TEST(policy("deny").status < 300);
      BOOST_TEST(standby.read("secret/data/x", token).status == 403);
      BOOST_TEST(policy("read").status < 300);
      BOOST_TEST(standby.read("secret/data/x", token).status == 200);
      // Tokens, and trees of them, which a job ends: G12.
      const std::string child = leader.token(R"(["p"])", "", leader.token(R"(["root"])"));
      BOOST_TEST(standby.read("secret/data/x", child).status == 200);
      leader.write("auth/token/revoke", "{\"token\":\"" + child + "\"}");
      BOOST_TEST(standby.read("secret/data/x", child).status == 403);
      // Mounts: router, tuning.
      leader.write("sys/mounts/other", R"({"type":"kv"})");
      leader.write("other/a", R"({"k":"v"})");
      BOOST_TEST(standby.read("other/a").status == 200);
      leader.write("sys/mounts/other/tune", R"({"description":"tuned"})");
      BOOST_TEST(standby.read("sys/mounts/other").text("data|description") == "tuned");
      leader.erase("sys/mounts/other");
      BOOST_TEST(standby.read("other/a").status == 404);
      // Namespaces, and locks of them.
      leader.write("sys/namespaces/team");
      BOOST_TEST(c.in_team(leader, Operation::kWrite, "sys/mounts/kv", R"({"type":"kv"})").status == 204);
      BOOST_TEST(c.in_team(leader, Operation::kWrite, "kv/a", R"({"k":"v"})").status == 204);
      BOOST_TEST(c.in_team(standby, Operation::kRead, "kv/a").status == 200);
      BOOST_TEST(leader.write("sys/namespaces/api-lock/lock/team").status == 200);
      BOOST_TEST(c.in_team(standby, Operation::kRead, "kv/a").status == 503);
      // Entities and groups.
      leader.write("sys/auth/userpass", R"({"type":"userpass"})");
      leader.write("auth/userpass/users/ann", R"({"password":"p"})");
      const Answer login = leader.write("auth/userpass/login/ann", R"({"password":"p"})", "");
      const std::string ann = login.text("auth|client_token");
      const std::string entity = login.text("auth|entity_id");
      BOOST_TEST(standby.read("secret/data/x", ann).status == 403);
      leader.write("identity/entity/id/" + entity, R"({"policies":["p"]})");
      BOOST_TEST(standby.read("secret/data/x", ann).status == 200);
      leader.write("identity/entity/id/" + entity, R"({"policies":[]})");
      BOOST_TEST(standby.read("secret/data/x", ann).status == 403);
      leader.write("identity/group", R"({"name":"g","policies":["p"],"member_entity_ids":[")" + entity + "\"]}");
      BOOST_TEST(standby.read("secret/data/x", ann).status == 200);
      leader.write("identity/entity/id/" + entity, R"({"disabled":true})");
      BOOST_TEST(standby.read("auth/token/lookup-self", ann).status == 403);
      // Users, token roles, password rules, settings.
      leader.write("auth/userpass/users/ann", R"({"token_ttl":"5m"})");
      BOOST_TEST(standby.read("auth/userpass/users/ann").text("data|token_ttl") == "300");
      leader.write("auth/token/roles/r", R"({"allowed_policies":["p"]})");
      BOOST_TEST(standby.read("auth/token/roles/r").text("data|allowed_policies|0") == "p");
      leader.write("sys/config/cors", R"({"enabled":true,"allowed_origins":["https://a.example"]})");
      BOOST_TEST(standby.read("sys/config/cors").text("data|enabled") == "true");
      // The keyring: what was sealed by the new term opens.
      leader.write("sys/rotate");
      leader.write("secret/data/x", R"({"data":{"a":"new term"}})");
      BOOST_TEST(standby.read("secret/data/x").text("data|data|a") == "new term");
      // Quotas, and what is exempt from them: C6.
      leader.write("sys/quotas/rate-limit/q", R"({"rate":0.0001,"path":"secret/"})");
      standby.read("secret/data/x");
      BOOST_TEST(standby.read("secret/data/x").status == 429);
      leader.write("sys/quotas/config", R"({"rate_limit_exempt_paths":["secret/data/x"]})");
      standby.read("sys/mounts");  // a quota is judged before the leader is asked
      BOOST_TEST(standby.read("secret/data/x").status == 200);
      leader.write("sys/quotas/config", R"({"rate_limit_exempt_paths":[]})");
      leader.erase("sys/quotas/rate-limit/q");
      standby.read("sys/mounts");
      BOOST_TEST(standby.read("secret/data/x").status == 200);
      // Audit devices: the next answer has its line.
      leader.write("sys/audit/file", R"({"type":"file","options":{"file_path":"/var/log/audit.log"}})");
      standby.read("secret/data/x");
      {
        const std::scoped_lock lock(c.standby_files->mutex);
        BOOST_TEST(std::count(c.standby_files->content.begin(), c.standby_files->content.end(), '\n') == 2);
      }
    }
  }
}

// A policy change that the standby misses is found by the same look (advisory D13).
BOOST_FIXTURE_TEST_CASE(d13_a_missed_change_shows, Reading) {
  leader.write("secret/data/x", R"({"data":{"a":"b"}})");
  const auto policy = [this](std::string_view capability) {
    leader.write("sys/policies/acl/p", "{\"policy\":\"path \\\"secret/data/x\\\" { capabilities = [\\\"" +
                                           std::string(capability) + "\\\"] }\"}");
  };
  policy("read");
  const std::string token = leader.token(R"(["p"])");
  BOOST_TEST(standby.read("secret/data/x", token).status == 200);
  policy("deny");
  const ScopedMutant missed(Mutant::kPolicyChangeMissed);
  BOOST_TEST(standby.read("secret/data/x", token).status == 200);
}

BOOST_FIXTURE_TEST_CASE(c6_a_standby_knows_what_is_exempt, Reading) {
  leader.write("secret/data/x", R"({"data":{"a":"b"}})");
  leader.write("sys/quotas/rate-limit/q", R"({"rate":0.0001,"path":"secret/"})");
  leader.write("sys/quotas/config", R"({"rate_limit_exempt_paths":["secret/data/x"]})");
  BOOST_TEST(standby.read("sys/mounts").status == 200);
  for (int i = 0; i < 3; ++i)
    BOOST_TEST(standby.read("secret/data/x").status == 200);
  const ScopedMutant lost(Mutant::kQuotaExemptionsLost);
  standby.read("secret/data/x");
  BOOST_TEST(standby.read("secret/data/x").status == 429);
}

// A token is over by the cluster's time, whatever this node's own clock says.
BOOST_FIXTURE_TEST_CASE(a_token_that_is_over_is_over_here, Reading) {
  const std::string token = leader.token(R"(["default"])", R"(,"ttl":"1h")");
  BOOST_TEST(standby.read("auth/token/lookup-self", token).status == 200);
  group.follow = [this] {
    replicate();
    standby.committer.now = leader.committer.now;
  };
  leader.committer.now += hours(2);
  BOOST_TEST(standby.read("auth/token/lookup-self", token).status == 403);
  BOOST_TEST(link.asked.empty());
}

BOOST_FIXTURE_TEST_CASE(a_question_is_not_for_those_who_come_after_it, Reading) {
  group.keeps = true;
  for (unsigned i = 0; i < StandbyReader::kRoundsMax; ++i)
    read();
  BOOST_TEST(group.questions == StandbyReader::kRoundsMax);
  BOOST_TEST_REQUIRE(leader.write("secret/data/x", R"({"data":{"a":"b"}})").status == 200);
  read();
  read();
  BOOST_TEST(group.questions == StandbyReader::kRoundsMax);  // they wait together
  group.answer_first();
  BOOST_TEST(client.resumed.size() == 1u);
  BOOST_TEST(group.questions == StandbyReader::kRoundsMax + 1);
  group.answer_first();
  BOOST_TEST(client.resumed.size() == 2u);
  group.answer_first();
  BOOST_TEST(client.resumed.size() == 4u);
  BOOST_TEST(group.kept.empty());
  resume_all();
  BOOST_TEST(client.answered.size() == 4u);
  BOOST_TEST(client.last().status < 400);
  BOOST_TEST(reader.counts().questions == StandbyReader::kRoundsMax + 1);
  BOOST_TEST(reader.counts().confirmed == 4u);
}

BOOST_FIXTURE_TEST_CASE(what_nobody_confirmed_goes_to_the_leader, Reading) {
  BOOST_TEST_REQUIRE(leader.write("secret/data/x", R"({"data":{"a":"b"}})").status == 200);
  group.refusal = Status(Code::kUnavailable, "no leader confirmed the read in time");
  BOOST_TEST(standby.read("secret/data/x").text("data|data|a") == "b");
  BOOST_TEST(link.asked.size() == 1u);
  BOOST_TEST(reader.counts().unconfirmed == 1u);
  // Those behind a question without an answer do not wait for another.
  group.keeps = true;
  for (unsigned i = 0; i <= StandbyReader::kRoundsMax; ++i)
    read();
  group.answer_first();
  BOOST_TEST(client.resumed.size() == 2u);
  group.answer_first();
  resume_all();
  BOOST_TEST(client.answered.size() == StandbyReader::kRoundsMax + 1);
  // Nobody to ask, and nobody to send it to: it waits as everything else does, and not for ever.
  seen = {};
  group.known = raft::kNobody;
  const std::size_t before = client.answered.size();
  read();
  BOOST_TEST(client.answered.size() == before);
  tick(seconds(5));
  BOOST_TEST(client.last().status == 503);
  BOOST_TEST(client.error() == no_leader().message());
}

BOOST_FIXTURE_TEST_CASE(this_node_may_come_to_lead_meanwhile, Reading) {
  group.keeps = true;
  read();
  standby.committer.leading = true;
  seen.here = true;
  group.answer_first();
  resume_all();
  BOOST_TEST(client.last().status == 404);
  // What turned out to be the leader's begins again, here.
  const std::string token = standby.token(R"(["default"])", R"(,"num_uses":5)");
  standby.committer.leading = false;
  auto exchange = client.ask(Operation::kRead, "auth/token/lookup-self");
  exchange->request.token = exchange->arena.copy(token);
  dispatch(std::move(exchange));
  standby.committer.leading = true;
  group.answer_first();
  resume_all();
  resume_all();
  BOOST_TEST(client.answered.size() == 2u);
  BOOST_TEST(client.last().status < 400);
  BOOST_TEST(link.asked.empty());
}

BOOST_FIXTURE_TEST_CASE(a_state_that_is_asked_for, Reading) {
  const Answer written = leader.write("secret/data/x", R"({"data":{"a":"b"}})");
  const std::string state = written.headers.front().second;
  const auto ask = [&](bool if_behind, std::string_view what) {
    auto exchange = client.ask(Operation::kRead, "secret/data/x");
    const HeaderLine line{"X-Vault-Index", what, nullptr};
    exchange->request.known_states = &line;
    exchange->request.leader_if_behind = if_behind;
    dispatch(std::move(exchange));
    resume_all();
    const int status = client.last().status;
    client.answered.clear();
    return status;
  };
  BOOST_TEST(ask(false, state) < 400);
  BOOST_TEST(ask(true, state) < 400);
  BOOST_TEST(ask(false, "bm9uZQ==") == 400);
  BOOST_TEST(link.asked.empty());
  // Nobody has such a state yet, as after a restore.
  group.follow = [] {};
  const Answer next = leader.write("secret/data/x", R"({"data":{"a":"c"}})");
  const std::string later = next.headers.front().second;
  BOOST_TEST(ask(false, later) == 412);
  BOOST_TEST(link.asked.empty());
  BOOST_TEST(ask(true, later) < 400);
  BOOST_TEST(link.asked.size() == 1u);
}

// In its own devices, with nothing in the clear (advisory H3); and not at all without a device that takes the line.
BOOST_FIXTURE_TEST_CASE(h3_a_standby_audits_what_it_serves, Reading) {
  BOOST_TEST_REQUIRE(leader.write("sys/audit/file", R"({"type":"file","options":{"file_path":"/var/log/audit.log"}})")
                         .status == 204);
  leader.write("secret/data/x", R"({"data":{"a":"canary-value"}})");
  const std::string token = leader.token(R"(["root"])");
  const auto content = [](FakeAuditFiles& files) {
    const std::scoped_lock lock(files.mutex);
    return std::exchange(files.content, {});
  };
  standby.read("sys/mounts");
  content(*leader_files);
  content(*standby_files);
  BOOST_TEST(standby.read("secret/data/x", token).text("data|data|a") == "canary-value");
  const std::string lines = content(*standby_files);
  BOOST_TEST(std::count(lines.begin(), lines.end(), '\n') == 2);
  BOOST_TEST(lines.find("canary-value") == std::string::npos);
  BOOST_TEST(lines.find(token) == std::string::npos);
  // One that is left to the leader has its lines there and no part of one here.
  const std::string limited = leader.token(R"(["root"])", R"(,"num_uses":3)");
  content(*leader_files);
  BOOST_TEST(standby.read("secret/data/x", limited).status == 200);
  BOOST_TEST(content(*standby_files).empty());
  const std::string there = content(*leader_files);
  BOOST_TEST(std::count(there.begin(), there.end(), '\n') == 2);
  {
    const std::scoped_lock lock(standby_files->mutex);
    standby_files->write_fails = Status(Code::kIo, "write: Input/output error");
  }
  BOOST_TEST(standby.read("secret/data/x", token).status == 500);
}

// The leader counts who is new here, once; nobody is lost and nobody goes there twice.
BOOST_FIXTURE_TEST_CASE(clients_are_counted_by_the_leader, Reading) {
  ActivityLog at_leader;
  ActivityLog here;
  leader.services.activity = &at_leader;
  standby.services.activity = &here;
  const std::string token = leader.token(R"(["default"])");
  link.nodes.clear();  // the leader is out of reach: it has counted nobody, and is asked again
  counted = [&](std::uint64_t mark) { here.note_counted(mark, standby.committer.now); };
  auto exchange = client.ask(Operation::kRead, "auth/token/lookup-self");
  exchange->request.token = exchange->arena.copy(token);
  dispatch(std::move(exchange));
  resume_all();
  BOOST_TEST(client.answered.empty());
  link.nodes[kLeader] = &leader_door;
  tick(milliseconds(60));
  BOOST_TEST(client.last().status < 400);
  BOOST_TEST(at_leader.pending() == 1u);
  link.asked.clear();
  for (int i = 0; i < 3; ++i)
    BOOST_TEST(standby.read("auth/token/lookup-self", token).status == 200);
  BOOST_TEST(link.asked.empty());
  BOOST_TEST(here.pending() == 0u);
  // Root is nobody in particular.
  BOOST_TEST(standby.read("auth/token/lookup-self").status == 200);
  BOOST_TEST(link.asked.empty());
}

BOOST_FIXTURE_TEST_CASE(who_forbids_forwarding_may_read, Reading) {
  const auto ask = [this](Operation operation, std::string_view path) {
    auto exchange = client.ask(operation, path, operation == Operation::kWrite ? "{}" : "");
    forbid_forwarding(*exchange);
    dispatch(std::move(exchange));
    resume_all();
    return client.last().status;
  };
  BOOST_TEST(ask(Operation::kRead, "sys/mounts") < 300);
  BOOST_TEST(ask(Operation::kWrite, "secret/data/x") == 307);
  BOOST_TEST(ask(Operation::kRead, "sys/key-status") == 307);
}

// One that leads without a lease asks the others instead of waiting for it; what is about the node itself is answered.
BOOST_FIXTURE_TEST_CASE(a_leader_without_its_lease_reads_with_the_others, Reading) {
  standby.committer.leading = true;
  standby.committer.lease = false;
  seen.node = kStandby;
  BOOST_TEST(standby.read("sys/mounts").status == 200);
  BOOST_TEST(group.questions == 1u);
  BOOST_TEST(standby.write("sys/seal").status == leader.write("sys/seal").status);
  const Answer about_it = standby.read("sys/host-info");
  BOOST_TEST(about_it.status == 503);
  BOOST_TEST(about_it.text("errors|0") == no_leader().message());
  BOOST_TEST(forwarder.counts().requests == 0u);
}

// A login that came with a request is done nowhere when leadership is lost before it: the leader does both.
BOOST_FIXTURE_TEST_CASE(an_inline_login_moves_with_its_request, Reading) {
  leader.write("sys/auth/userpass", R"({"type":"userpass"})");
  leader.write("auth/userpass/users/ann", R"({"password":"p","policies":"default"})");
  replicate();
  standby.committer.leading = true;
  standby.committer.lease = false;
  auto exchange = client.ask(Operation::kRead, "auth/token/lookup-self");
  exchange->request.token = {};
  exchange->request.inline_login = std::make_shared<const InlineLogin>(
      InlineLogin{*CanonicalPath::from_text("auth/userpass/login/ann"), "",
                  *json::parse_copy(exchange->arena, R"({"password":"p"})")});
  dispatch(std::move(exchange));
  resume_all();
  BOOST_TEST(client.last().status < 400);
  BOOST_TEST(link.asked.size() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
