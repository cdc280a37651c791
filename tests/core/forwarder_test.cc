// What a node that does not lead and serves no reads is asked is answered as the leader answers it.
#include <unistd.h>

#include "core/forward.h"
#include "core/lifecycle.h"
#include "tests/core/forward_fixture.h"
#include "tests/mutant_on.h"

using namespace coffer;
using namespace coffer::core;
using namespace coffer::core::testing;
using Fate = ClusterLink::Fate;
using std::chrono::milliseconds;
using std::chrono::seconds;

BOOST_AUTO_TEST_SUITE(forwarding)

BOOST_FIXTURE_TEST_CASE(what_is_written_at_a_standby_is_the_leaders, Cluster) {
  const Answer written = standby.write("secret/data/x", R"({"data":{"a":1.10,"b":"é"}})");
  BOOST_TEST(written.status == 200);
  BOOST_TEST(written.text("data|version") == "1");
  BOOST_TEST_REQUIRE(!written.headers.empty());
  BOOST_TEST(written.headers.front().first == "X-Vault-Index");
  BOOST_TEST(leader.read("secret/data/x").text("data|data|b") == "é");
  BOOST_TEST(standby.committer.commits == 0u);
  // Read there, too: this node's state is older.
  const Answer read = standby.read("secret/data/x");
  BOOST_TEST(read.body == leader.read("secret/data/x").body);
  BOOST_TEST(read.text("data|data|a") == "1.10");
  BOOST_TEST(standby.list("secret/metadata/").body == leader.list("secret/metadata/").body);
  BOOST_TEST(standby.erase("secret/metadata/x").status == 204);
  BOOST_TEST(leader.read("secret/data/x").status == 404);
  BOOST_TEST(link.asked.size() == 4u);
}

BOOST_FIXTURE_TEST_CASE(each_refusal_is_the_leaders_word_for_word, Cluster) {
  BOOST_TEST_REQUIRE(leader.write("secret/data/x", R"({"data":{"a":"b"}})").status == 200);
  const std::string token = leader.token(R"(["default"])");
  struct Row {
    Operation operation;
    const char* path;
    const char* body;
    std::string token;
    int status;
  };
  const Row rows[] = {
      {Operation::kRead, "secret/data/x", "", token, 403},
      {Operation::kRead, "secret/data/x", "", "hvs.unknown", 403},
      {Operation::kRead, "secret/data/x", "", "", 403},
      {Operation::kRead, "secret/data/none", "", "root", 404},
      {Operation::kRead, "nothing/here", "", "root", 404},
      {Operation::kWrite, "secret/data/x", R"({"options":{"cas":7},"data":{}})", "root", 400},
      {Operation::kWrite, "auth/token/create", R"({"ttl":"soon"})", "root", 400},
      {Operation::kWrite, "auth/token/lookup-self", "{}", "root", 200},
      {Operation::kDelete, "auth/token/lookup-self", "", "root", 405},
  };
  for (const Row& row : rows) {
    BOOST_TEST_CONTEXT(row.path << " " << row.status) {
      const Answer there = leader.request(row.operation, row.path, row.body, row.token);
      const std::size_t before = link.asked.size();
      const Answer here = standby.request(row.operation, row.path, row.body, row.token);
      BOOST_TEST(link.asked.size() == before + 1);
      BOOST_TEST(there.status == row.status);
      BOOST_TEST(here.status == there.status);
      BOOST_TEST(here.body == there.body);
      BOOST_TEST((here.headers == there.headers));
    }
  }
}

BOOST_FIXTURE_TEST_CASE(logins_tokens_and_wrapping_work_through_a_standby, Cluster) {
  BOOST_TEST_REQUIRE(standby.write("sys/auth/userpass", R"({"type":"userpass"})").status == 204);
  const char* user = R"({"password":"p","policies":"default"})";
  BOOST_TEST_REQUIRE(standby.write("auth/userpass/users/ann", user).status == 204);
  const Answer login = standby.write("auth/userpass/login/ann", R"({"password":"p"})", "");
  BOOST_TEST_REQUIRE(login.status == 200);
  const std::string token = login.text("auth|client_token");
  BOOST_TEST(login.text("auth|metadata|username") == "ann");
  BOOST_TEST(standby.read("auth/token/lookup-self", token).text("data|id") == token);
  BOOST_TEST(standby.write("auth/userpass/login/ann", R"({"password":"q"})", "").status == 400);

  const Answer wrapped = standby.request(Operation::kRead, "auth/token/lookup-self", {}, "root", "1m");
  BOOST_TEST_REQUIRE(wrapped.status == 200);
  BOOST_TEST(wrapped.text("wrap_info|creation_path") == "auth/token/lookup-self");
  const std::string wrapper = wrapped.text("wrap_info|token");
  BOOST_TEST(standby.write("sys/wrapping/unwrap", "{}", wrapper).text("data|id") == "root");
  BOOST_TEST(standby.write("sys/wrapping/unwrap", "{}", wrapper).status == 400);

  const Answer warned = standby.write("secret/config", R"({"max_versions":3,"nonsense":true})");
  BOOST_TEST(warned.body == leader.write("secret/config", R"({"max_versions":3,"nonsense":true})").body);
  BOOST_TEST(!warned.text("warnings|0").empty());
}

// Only an update of a login path gives a token, whatever comes from another node (advisory A1).
BOOST_FIXTURE_TEST_CASE(a1_only_an_update_logs_in, Cluster) {
  BOOST_TEST_REQUIRE(leader.write("sys/auth/userpass", R"({"type":"userpass"})").status == 204);
  BOOST_TEST_REQUIRE(leader.write("auth/userpass/users/ann", R"({"password":"p"})").status == 204);
  for (const Operation operation : {Operation::kRead, Operation::kWrite, Operation::kDelete, Operation::kList,
                                    Operation::kPatch, Operation::kHelp, Operation::kScan}) {
    const std::string path = lists(operation) ? "auth/userpass/login/ann/" : "auth/userpass/login/ann";
    const Answer answer = standby.request(operation, path, R"({"password":"p"})", "");
    BOOST_TEST((answer.status == 200 && !answer.at("auth").is_null()) == (operation == Operation::kWrite));
  }
}

// The client's own address counts, not the node's that passes its request on (advisories A18, A19).
BOOST_FIXTURE_TEST_CASE(a18_tokens_are_bound_to_the_clients_address, Cluster) {
  const auto bound_to = [this](std::string_view networks) {
    const std::string role = R"({"token_bound_cidrs":[")" + std::string(networks) + "\"]}";
    BOOST_TEST_REQUIRE(leader.write("auth/token/roles/bound", role).status == 204);
    return leader.write("auth/token/create/bound", R"({"policies":["default"]})").text("auth|client_token");
  };
  const std::string near = bound_to("127.0.0.1/32");
  const std::string far = bound_to("10.0.0.0/8");
  BOOST_TEST(standby.read("auth/token/lookup-self", near).status == 200);
  BOOST_TEST(standby.read("auth/token/lookup-self", far).status == 403);
  auto exchange = client.ask(Operation::kRead, "auth/token/lookup-self");
  exchange->request.token = exchange->arena.copy(far);
  exchange->request.remote_address = "10.7.0.1";
  dispatch(std::move(exchange));
  BOOST_TEST(client.last().status < 400);
  const coffer::testing::ScopedMutant unchecked(Mutant::kTokenCidrUnchecked);
  BOOST_TEST(standby.read("auth/token/lookup-self", far).status == 200);  // it is this check that refused
}

// A request stays in the namespace that it was asked in (advisory D14).
BOOST_FIXTURE_TEST_CASE(d14_namespaces_are_those_of_the_request, Cluster) {
  BOOST_TEST_REQUIRE(standby.write("sys/namespaces/team").status == 200);
  const auto in_team = [this](Operation operation, std::string_view path, std::string_view body,
                              std::string_view token) {
    return standby.request(operation, path, body, token, {}, "team");
  };
  BOOST_TEST(in_team(Operation::kWrite, "sys/mounts/kv", R"({"type":"kv"})", "root").status == 204);
  BOOST_TEST(in_team(Operation::kWrite, "kv/a", R"({"k":"v"})", "root").status == 204);
  BOOST_TEST(in_team(Operation::kRead, "kv/a", "", "root").text("data|k") == "v");
  BOOST_TEST(standby.read("kv/a").status == 404);
  const std::string token =
      in_team(Operation::kWrite, "auth/token/create", R"({"policies":["default"]})", "root").text("auth|client_token");
  BOOST_TEST(in_team(Operation::kRead, "auth/token/lookup-self", "", token).status == 200);
  BOOST_TEST(standby.read("auth/token/lookup-self", token).status == 403);
}

BOOST_FIXTURE_TEST_CASE(a_use_counts_once, Cluster) {
  const std::string token = leader.token(R"(["default"])", R"(,"num_uses":2)");
  BOOST_TEST(standby.read("auth/token/lookup-self", token).status == 200);
  BOOST_TEST(leader.write("auth/token/lookup", "{\"token\":\"" + token + "\"}").text("data|num_uses") == "1");
  BOOST_TEST(standby.read("auth/token/lookup-self", token).status == 200);
  BOOST_TEST(standby.read("auth/token/lookup-self", token).status == 403);
}

// In the clear nowhere, and told where it ran, with the client's address (advisory H3).
BOOST_FIXTURE_TEST_CASE(h3_the_leader_audits, Cluster) {
  BOOST_TEST_REQUIRE(leader.write("sys/audit/file", R"({"type":"file","options":{"file_path":"/var/log/audit.log"}})")
                         .status == 204);
  replicate();
  const auto clear = [](FakeAuditFiles& files) {
    const std::scoped_lock lock(files.mutex);
    files.content.clear();
  };
  const auto content = [](FakeAuditFiles& files) {
    const std::scoped_lock lock(files.mutex);
    return files.content;
  };
  clear(*leader_files);
  clear(*standby_files);
  const std::string token = standby.token(R"(["root"])");
  clear(*leader_files);
  standby.write("secret/data/x", R"({"data":{"a":"canary-value"}})", token);
  const std::string lines = content(*leader_files);
  BOOST_TEST(std::count(lines.begin(), lines.end(), '\n') == 2);
  BOOST_TEST(lines.find(R"("remote_address":"127.0.0.1")") != std::string::npos);
  BOOST_TEST(lines.find("canary-value") == std::string::npos);
  BOOST_TEST(lines.find(token) == std::string::npos);
  BOOST_TEST(content(*standby_files).empty());
  const coffer::testing::ScopedMutant clear_token(Mutant::kAuditTokenInClear);
  standby.read("secret/data/x", token);
  BOOST_TEST(content(*leader_files).find(token) != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_login_may_come_with_the_request, Cluster) {
  BOOST_TEST_REQUIRE(leader.write("sys/auth/userpass", R"({"type":"userpass"})").status == 204);
  const char* user = R"({"password":"p","policies":"default"})";
  BOOST_TEST_REQUIRE(leader.write("auth/userpass/users/ann", user).status == 204);
  for (const char* body : {R"({"password":"p"})", R"({"password":"wrong"})"}) {
    auto exchange = client.ask(Operation::kRead, "auth/token/lookup-self");
    exchange->request.token = {};
    exchange->request.inline_login = std::make_shared<const InlineLogin>(InlineLogin{
        *CanonicalPath::from_text("auth/userpass/login/ann"), "", *json::parse_copy(exchange->arena, body)});
    dispatch(std::move(exchange));
    BOOST_TEST((client.last().status < 400) == (std::string_view(body).find("wrong") == std::string_view::npos));
  }
  BOOST_TEST(link.asked.size() == 2u);
}

BOOST_FIXTURE_TEST_CASE(some_is_answered_by_each_node, Cluster) {
  BOOST_TEST(standby.read("sys/loggers", "hvs.unknown").status == 403);
  const int alone = leader.read("sys/host-info").status;
  BOOST_TEST(standby.read("sys/host-info").status == alone);
  BOOST_TEST(link.asked.empty());
  seen = {};
  const Answer leaderless = standby.read("sys/host-info");
  BOOST_TEST(leaderless.status == 503);
  BOOST_TEST(leaderless.text("errors|0") == no_leader().message());
  // Who seals a node that is cut off is not asked to wait; the path is Lifecycle's, so here it is not known.
  BOOST_TEST(standby.write("sys/seal").status == leader.write("sys/seal").status);
}

BOOST_AUTO_TEST_CASE(ways_are_known_by_path) {
  const auto way = [](std::string_view path) {
    Request request;
    request.path = *CanonicalPath::from_text(path);
    return way_of(request);
  };
  for (const char* path : {"sys/metrics", "sys/metrics/", "sys/loggers", "sys/loggers/", "sys/loggers/core",
                           "sys/monitor", "sys/host-info", "sys/in-flight-req", "sys/config/state/sanitized"})
    BOOST_TEST((way(path) == Way::kHere), path);
  for (const char* path : {"sys/seal", "sys/health", "sys/unseal", "sys/init", "sys/seal-status", "sys/leader"})
    BOOST_TEST((way(path) == Way::kHereAlways), path);
  for (const char* path : {"sys/events/subscribe/kv*", "sys/storage/raft/snapshot"})
    BOOST_TEST((way(path) == Way::kRedirect), path);
  for (const char* path : {"", "sys", "sys/", "sys/mounts", "sys/metricsx", "sys/loggersx", "sys/config/cors",
                           "metrics", "team/sys/metrics", "sys/seal/x", "secret/data/sys/metrics",
                           "sys/events/subscriptions"})
    BOOST_TEST((way(path) == Way::kForward), path);
}

BOOST_FIXTURE_TEST_CASE(who_wants_no_forwarding_is_sent_to_the_leader, Cluster) {
  const auto ask = [this](Operation operation, std::string_view path, std::string_view body = {}) {
    auto exchange = client.ask(operation, path, body);
    forbid_forwarding(*exchange);
    dispatch(std::move(exchange));
  };
  ask(Operation::kRead, "secret/data/a b/é", R"({"version":"2"})");
  BOOST_TEST(client.last().status == 307);
  BOOST_TEST(client.header("Location") == "https://leader.example:8200/v1/secret/data/a%20b/%C3%A9?version=2");
  BOOST_TEST(client.last().raw_body.empty());
  ask(Operation::kList, "secret/metadata/", R"({"after":"a&b=c","limit":"3"})");
  BOOST_TEST(client.header("Location") ==
             "https://leader.example:8200/v1/secret/metadata/?list=true&after=a%26b%3Dc&limit=3");
  ask(Operation::kRead, "secret/x", R"({"x":["1","2"],"y":""})");
  BOOST_TEST(client.header("Location") == "https://leader.example:8200/v1/secret/x?x=1&x=2&y=");
  ask(Operation::kWrite, "secret/data/x", R"({"data":{"a":"b"}})");
  BOOST_TEST(client.header("Location") == "https://leader.example:8200/v1/secret/data/x");
  seen.api_address.clear();
  ask(Operation::kRead, "secret/data/x");
  BOOST_TEST(client.last().status == 503);
  seen = {};
  ask(Operation::kRead, "secret/data/x");
  BOOST_TEST(client.last().status == 503);
  BOOST_TEST(client.error() == no_leader().message());
  BOOST_TEST(link.asked.empty());
}

BOOST_FIXTURE_TEST_CASE(streams_are_asked_of_the_leader, Cluster) {
  read("sys/events/subscribe/*");
  BOOST_TEST(client.last().status == 307);
  BOOST_TEST(client.header("Location") == "https://leader.example:8200/v1/sys/events/subscribe/%2A");
  auto exchange = client.ask(Operation::kRead, "sys/events/subscribe/*");
  exchange->request.surface = Surface::kGrpc;
  dispatch(std::move(exchange));
  BOOST_TEST(client.last().status == 503);
  BOOST_TEST(client.error() == "only the node that leads answers this: https://leader.example:8200");
}

// What a node says that leads no more was not done: whoever leads then is asked.
BOOST_FIXTURE_TEST_CASE(a_leader_that_leads_no_more_does_nothing, Cluster) {
  leader.committer.leading = false;
  dispatch(client.ask(Operation::kWrite, "secret/data/x", R"({"data":{"a":"b"}})"));
  BOOST_TEST(client.answered.empty());
  BOOST_TEST(link.asked.size() == 1u);
  BOOST_TEST(forwarder.waits());
  BOOST_TEST(waits == 1);
  BOOST_TEST(leader.committer.commits == 0u);
  forwarder.tick();
  BOOST_TEST(link.asked.size() == 1u);  // the same node is not asked again at once
  tick(milliseconds(6));
  BOOST_TEST(link.asked.size() == 2u);
  leader.committer.leading = true;
  tick(milliseconds(6));
  BOOST_TEST(client.answered.empty());  // pauses grow
  tick(milliseconds(6));
  BOOST_TEST(!forwarder.waits());
  BOOST_TEST(waits == 1);  // told once for all of the waiting
  BOOST_TEST(client.last().status < 400);
  BOOST_TEST(link.asked.size() == 3u);
  BOOST_TEST(leader.committer.commits == 1u);
  BOOST_TEST(forwarder.counts().sent_again == 2u);
}

BOOST_FIXTURE_TEST_CASE(what_is_refused_at_its_commit_is_tried_again, Cluster) {
  leader.committer.before = [this](const Proposal&) { leader.committer.leading = false; };
  dispatch(client.ask(Operation::kWrite, "secret/data/x", R"({"data":{"a":"b"}})"));
  BOOST_TEST(client.answered.empty());
  leader.committer.leading = true;
  tick(milliseconds(60));
  BOOST_TEST(client.last().status < 400);
  BOOST_TEST(leader.read("secret/data/x").text("data|metadata|version") == "1");
  // By a node that still leads it is refused for good; and once lost sight of, nobody knows.
  leader.committer.forced.emplace_back(CommitOutcome::kRefused, Status(Code::kExhausted, "full"));
  leader.committer.forced.emplace_back(CommitOutcome::kOutcomeUnknown, ok_status());
  dispatch(client.ask(Operation::kWrite, "secret/data/x", R"({"data":{"a":"b"}})"));
  BOOST_TEST(client.last().status == 429);
  dispatch(client.ask(Operation::kWrite, "secret/data/x", R"({"data":{"a":"b"}})"));
  BOOST_TEST(client.last().status == 500);
  BOOST_TEST(link.asked.size() == 4u);
}

BOOST_FIXTURE_TEST_CASE(another_leader_is_asked_without_a_pause, Cluster) {
  seen.node = kThird;  // not reached
  read("sys/mounts");
  BOOST_TEST(client.answered.empty());
  seen.node = kLeader;
  forwarder.tick();
  BOOST_TEST(client.last().status < 400);
  BOOST_TEST((link.asked == std::vector{kThird, kLeader}));
}

// A lost lease is as good as a lost leadership: nothing is read from a state that may be old.
BOOST_FIXTURE_TEST_CASE(a_leader_without_its_lease_answers_nobody, Cluster) {
  leader.committer.lease = false;
  read("sys/mounts");
  BOOST_TEST(client.answered.empty());
  leader.committer.lease = true;
  tick(milliseconds(60));
  BOOST_TEST(client.last().status < 400);
  // Its own clients wait for the next leader, and are not answered from the past.
  standby.committer.leading = true;
  standby.committer.lease = false;
  seen.node = kStandby;
  read("sys/mounts");
  BOOST_TEST(client.answered.size() == 1u);
  BOOST_TEST(forwarder.counts().requests == 1u);
  seen.node = kLeader;
  forwarder.tick();
  BOOST_TEST(client.answered.size() == 2u);
  BOOST_TEST(client.last().status < 400);
}

BOOST_FIXTURE_TEST_CASE(without_a_forwarder_it_is_refused, Cluster) {
  leader.committer.lease = false;
  const Answer refused = leader.read("sys/mounts");
  BOOST_TEST(refused.status == 503);
  BOOST_TEST(refused.text("errors|0") == "this node does not lead and cannot answer");
}

BOOST_FIXTURE_TEST_CASE(an_unknown_outcome_is_not_tried_again, Cluster) {
  link.fates = {Fate::kUnknown};
  dispatch(client.ask(Operation::kWrite, "secret/data/x", R"({"data":{"a":"b"}})"));
  BOOST_TEST(client.last().status == 500);
  BOOST_TEST(client.error() == "outcome unknown: the request may or may not take effect");
  link.fates = {Fate::kAnswered};  // what is no reply
  dispatch(client.ask(Operation::kWrite, "secret/data/x", R"({"data":{"a":"b"}})"));
  BOOST_TEST(client.last().status == 500);
  BOOST_TEST(client.error().find("outcome unknown") != std::string_view::npos);
  tick(seconds(10));
  BOOST_TEST(link.asked.size() == 2u);
  BOOST_TEST(forwarder.counts().unknown == 2u);
}

BOOST_FIXTURE_TEST_CASE(a_node_that_cannot_be_reached_is_tried_so_often, Cluster) {
  link.nodes.clear();
  read("sys/mounts");
  for (int i = 0; i < 200 && client.answered.empty(); ++i)
    tick(milliseconds(50));
  BOOST_TEST(client.last().status == 503);
  BOOST_TEST(client.error() == "the node that leads does not take the request, nothing was changed");
  BOOST_TEST(link.asked.size() == 12u);
}

BOOST_FIXTURE_TEST_CASE(nobody_waits_long_for_a_leader, Cluster) {
  seen = {};
  read("sys/mounts");
  tick(milliseconds(4900));
  BOOST_TEST(client.answered.empty());
  tick(milliseconds(100));
  BOOST_TEST(client.last().status == 503);
  BOOST_TEST(client.error() == no_leader().message());
  BOOST_TEST(!client.last().late);
  BOOST_TEST(link.asked.empty());
  auto exchange = client.ask(Operation::kRead, "sys/mounts");
  exchange->request.time_max = milliseconds(300);
  dispatch(std::move(exchange));
  tick(milliseconds(300));
  BOOST_TEST(client.error() == "the request took longer than it may");
  BOOST_TEST(client.last().late);
}

BOOST_FIXTURE_TEST_CASE(the_time_that_is_left_goes_along, Cluster) {
  link.keeps = true;
  seen = {};
  auto exchange = client.ask(Operation::kRead, "sys/mounts");
  exchange->request.time_max = seconds(9);
  dispatch(std::move(exchange));
  clock.advance(seconds(2));
  seen.node = kLeader;
  forwarder.tick();
  BOOST_TEST_REQUIRE(link.kept.size() == 1u);
  BOOST_TEST((link.kept[0].time_max == Nanos(seconds(7))));
  Exchange there;
  BOOST_TEST_REQUIRE(forward::decode_request(link.kept[0].request, there).ok());
  BOOST_TEST((there.request.time_max == Nanos(seconds(7))));
  link.kept[0].done(Fate::kUnknown, {});
}

BOOST_FIXTURE_TEST_CASE(what_waits_runs_here_when_this_node_comes_to_lead, Cluster) {
  seen = {};
  dispatch(client.ask(Operation::kWrite, "secret/data/x", R"({"data":{"a":"b"}})"));
  BOOST_TEST(client.resumed.empty());
  standby.committer.leading = true;
  seen.here = true;
  forwarder.tick();
  BOOST_TEST_REQUIRE(client.resumed.size() == 1u);
  standby.pipeline->resume(std::move(client.resumed.front()));
  BOOST_TEST(client.last().status < 400);
  BOOST_TEST(standby.committer.commits == 1u);
  BOOST_TEST(leader.committer.commits == 0u);
}

// Who leads and who may answer are asked one after the other, and may change in between.
BOOST_FIXTURE_TEST_CASE(what_came_back_too_early_waits, Cluster) {
  seen = {raft::kNobody, "", true};
  read("sys/mounts");
  BOOST_TEST_REQUIRE(client.resumed.size() == 1u);
  standby.committer.leading = true;
  standby.committer.lease = false;
  standby.pipeline->resume(std::move(client.resumed.front()));
  BOOST_TEST(client.resumed.size() == 1u);  // what was moved out of it
  client.resumed.clear();
  BOOST_TEST(client.answered.empty());
  standby.committer.lease = true;
  forwarder.tick();
  BOOST_TEST_REQUIRE(client.resumed.size() == 1u);
  standby.pipeline->resume(std::move(client.resumed.front()));
  BOOST_TEST(client.last().status < 400);
}

BOOST_FIXTURE_TEST_CASE(no_request_goes_round, Cluster) {
  link.nodes[kLeader] = &standby_door;  // two nodes that each take the other for the leader
  read("sys/mounts");
  BOOST_TEST(client.answered.empty());
  BOOST_TEST(link.asked.size() == 1u);
  BOOST_TEST(forwarder.counts().requests == 1u);
  link.nodes[kLeader] = &leader_door;
  tick(milliseconds(60));
  BOOST_TEST(client.last().status < 400);
}

BOOST_AUTO_TEST_CASE(so_many_wait_and_no_more) {
  Forwarder::Options options;
  options.requests_max = 2;
  options.bytes_max = 4096;
  Cluster cluster(options);
  cluster.link.keeps = true;
  cluster.read();
  cluster.seen = {};
  cluster.read();
  BOOST_TEST(cluster.client.answered.empty());
  cluster.read();
  BOOST_TEST(cluster.client.last().status == 503);
  BOOST_TEST(cluster.client.error() == "too many requests wait for the node that leads, nothing was changed");
  cluster.link.kept[0].done(Fate::kUnknown, {});
  const std::string large = R"({"data":{"a":")" + std::string(4000, 'x') + "\"}}";
  cluster.dispatch(cluster.client.ask(Operation::kWrite, "secret/data/x", large));
  BOOST_TEST(cluster.client.last().status == 503);
  BOOST_TEST(cluster.forwarder.counts().refused == 2u);
  cluster.read();
  BOOST_TEST(cluster.forwarder.counts().requests == 2u);
}

BOOST_FIXTURE_TEST_CASE(a_node_that_stops_answers_those_that_wait, Cluster) {
  link.keeps = true;
  read();
  seen = {};
  read();
  forwarder.stop();
  BOOST_TEST(client.answered.size() == 1u);
  BOOST_TEST(client.last().status == 503);
  read();
  BOOST_TEST(client.answered.size() == 2u);
  link.kept[0].done(Fate::kNotSent, {});
  BOOST_TEST(client.answered.size() == 3u);
  BOOST_TEST(client.error() == "the server stops, nothing was changed");
}

BOOST_FIXTURE_TEST_CASE(a_door_that_is_closed_lets_the_sender_try_again, Cluster) {
  leader_door.stop();
  read("sys/mounts");
  BOOST_TEST(client.answered.empty());
  link.nodes[kThird] = &standby_door;
  ForwardDoor open(*leader.pipeline);
  link.nodes[kThird] = &open;
  seen.node = kThird;
  forwarder.tick();
  BOOST_TEST(client.last().status < 400);
}

BOOST_FIXTURE_TEST_CASE(hostile_messages_are_answered_and_do_nothing, Cluster) {
  const auto told = [this](std::string message) {
    int status = -1;
    leader_door.take(kStandby, std::move(message), [&](std::string reply) {
      Exchange out;
      BOOST_TEST(forward::decode_reply(reply, out).ok());
      status = out.response.status;
    });
    return status;
  };
  BOOST_TEST(told("") == 400);
  BOOST_TEST(told(std::string(100, '\xff')) == 400);
  // What each node is asked itself would be answered about the wrong node.
  for (const char* path : {"sys/seal", "sys/unseal", "sys/init", "sys/metrics", "sys/monitor"}) {
    const auto exchange = client.ask(Operation::kWrite, path);
    BOOST_TEST(told(*forward::encode_request(*exchange, seconds(1))) == 400);
  }
  BOOST_TEST(leader.committer.commits == 0u);
}

BOOST_FIXTURE_TEST_CASE(a_sealed_node_says_so, Cluster) {
  standby.deriver->stop();
  standby.backend.publish(standby.deriver->attachment());
  read();
  BOOST_TEST(client.last().status == 503);
  BOOST_TEST(client.error() == "Vault is sealed");
  BOOST_TEST(link.asked.empty());
}

// Whoever seals a standby seals that node: not the leader, and also while nobody leads.
BOOST_FIXTURE_TEST_CASE(a_standby_is_sealed_alone, Cluster) {
  class Inline final : public ApplierPort {
   public:
    void on_applier(std::function<void()> step, std::function<void()> then) override {
      step();
      publish();
      then();
    }
    std::function<void()> publish;
  } applier;
  applier.publish = [this] { standby.backend.publish(standby.deriver->attachment()); };
  const std::string log = "/tmp/coffer-forwarder-test-" + std::to_string(::getpid()) + ".log";
  auto logger = Logger::open({LogLevel::kInfo, false, log});
  BOOST_TEST_REQUIRE(logger.ok());
  const auto no_index = [] { return Index(); };
  Lifecycle lifecycle({}, {standby.backend, standby.committer, applier, *standby.deriver, nullptr, standby.random,
                           clock, **logger, no_index, no_index, [](bool) {}});
  Pipeline pipeline(standby.services, &lifecycle);
  pipeline.set_forwarder(forwarder);
  seen = {};
  auto refused = client.ask(Operation::kWrite, "sys/seal");
  refused->request.token = "hvs.unknown";
  pipeline.dispatch(std::move(refused));
  BOOST_TEST(client.last().status == 403);
  pipeline.dispatch(client.ask(Operation::kRead, "sys/health"));
  BOOST_TEST(client.answered.size() == 2u);
  seen.node = kLeader;
  pipeline.dispatch(client.ask(Operation::kWrite, "sys/seal"));
  BOOST_TEST(client.last().status < 400);
  pipeline.dispatch(client.ask(Operation::kRead, "sys/mounts"));
  BOOST_TEST(client.error() == "Vault is sealed");
  BOOST_TEST(link.asked.empty());
  BOOST_TEST(leader.read("sys/mounts").status == 200);
  ::unlink(log.c_str());
}

// A client is charged where it asked, once (advisory C6).
BOOST_FIXTURE_TEST_CASE(c6_a_quota_is_charged_once, Cluster) {
  BOOST_TEST_REQUIRE(
      leader.write("sys/quotas/config", R"({"enable_rate_limit_response_headers":true})").status == 204);
  BOOST_TEST_REQUIRE(leader.write("sys/quotas/rate-limit/all", R"({"rate":3,"interval":"1h"})").status == 204);
  replicate();
  for (int i = 0; i < 4; ++i) {
    auto exchange = client.ask(Operation::kRead, "secret/data/x");
    const bool admitted = standby.pipeline->admit(*exchange);
    BOOST_TEST(admitted == (i < 3));
    dispatch(std::move(exchange));
    BOOST_TEST(client.last().status == (i < 3 ? 404 : 429));
    BOOST_TEST(client.header("X-Ratelimit-Limit") == "3");
  }
  BOOST_TEST(link.asked.size() == 3u);
  BOOST_TEST(leader.read("secret/data/x").status == 404);  // nobody was charged there
}

BOOST_FIXTURE_TEST_CASE(a_standby_knows_tokens, Cluster) {
  const std::string token = leader.token(R"(["default"])");
  auto exchange = client.ask(Operation::kRead, "secret/data/x");
  exchange->request.token = exchange->arena.copy(token);
  BOOST_TEST(!standby.pipeline->knows_token(*exchange));
  replicate();
  BOOST_TEST(standby.pipeline->knows_token(*exchange));
}

BOOST_AUTO_TEST_SUITE_END()
