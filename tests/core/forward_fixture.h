// Two nodes in one process, one of which leads, and a link between them that does what the test says.
#pragma once

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <map>

#include "core/forward_door.h"
#include "core/forward_paths.h"
#include "core/forwarder.h"
#include "tests/core/audit_fixture.h"
#include "tests/core/core_fixture.h"

namespace coffer::core::testing {

using coffer::testing::FakeAuditFiles;

inline constexpr raft::NodeId kLeader(1);
inline constexpr raft::NodeId kStandby(2);
inline constexpr raft::NodeId kThird(3);

// Hands requests over at once, or keeps them, or does with them what the test says.
class FakeLink final : public ClusterLink {
 public:
  struct Kept {
    raft::NodeId to;
    std::string request;
    Nanos time_max;
    Done done;
  };

  void forward(raft::NodeId to, std::string request, Nanos time_max, Done done) override {
    BOOST_TEST((time_max > Nanos(0)));
    asked.push_back(to);
    if (keeps) {
      kept.push_back({to, std::move(request), time_max, std::move(done)});
      return;
    }
    pass(to, std::move(request), std::move(done));
  }

  void pass(raft::NodeId to, std::string request, Done done) {
    if (!fates.empty()) {
      const ClusterLink::Fate fate = fates.front();
      fates.erase(fates.begin());
      return done(fate, fate == ClusterLink::Fate::kAnswered ? garbage : std::string());
    }
    const auto node = nodes.find(to);
    if (node == nodes.end())
      return done(ClusterLink::Fate::kNotSent, {});
    node->second->take(kStandby, std::move(request),
                       [done](std::string reply) { done(ClusterLink::Fate::kAnswered, std::move(reply)); });
  }

  std::map<raft::NodeId, ForwardHandler*> nodes;
  std::vector<raft::NodeId> asked;
  std::vector<ClusterLink::Fate> fates;      // instead of handing over, first come first; an answer is `garbage`
  std::string garbage = "no reply";
  bool keeps = false;
  std::vector<Kept> kept;
};

// A client that waits while others are served.
class Client final : public Home {
 public:
  void resume_later(std::unique_ptr<Exchange> exchange) override { resumed.push_back(std::move(exchange)); }
  void respond(std::unique_ptr<Exchange> exchange) override { answered.push_back(std::move(exchange)); }

  std::unique_ptr<Exchange> ask(Operation operation, std::string_view path, std::string_view body = {}) {
    auto exchange = std::make_unique<Exchange>();
    Request& request = exchange->request;
    request.id = "00000000-0000-4000-8000-000000000000";
    request.operation = operation;
    request.path = *CanonicalPath::from_text(path);
    request.token = "root";
    request.remote_address = "127.0.0.1";
    if (!body.empty())
      request.data = *json::parse_copy(exchange->arena, body);
    exchange->home = this;
    return exchange;
  }
  const Response& last() const {
    BOOST_TEST_REQUIRE(!answered.empty());
    return answered.back()->response;
  }
  std::string_view error() const { return last().errors.empty() ? std::string_view() : last().errors.front(); }
  std::string_view header(std::string_view name) const {
    for (const auto& [key, value] : last().headers)
      if (key == name)
        return value;
    return {};
  }

  std::vector<std::unique_ptr<Exchange>> answered, resumed;
};

inline AuditEnvironment environment(const std::shared_ptr<FakeAuditFiles>& files) {
  AuditEnvironment made;
  made.files = files;
  return made;
}

struct Cluster {
  explicit Cluster(Forwarder::Options options = {.self = kStandby})
      : forwarder(options, {link, clock, [this] { return seen; },
                            [this](std::uint64_t mark) {
                              if (counted)
                                counted(mark);
                            },
                            [this] { ++waits; }}) {
    leader.committer.keep = true;
    standby.committer.leading = false;
    standby.pipeline->set_forwarder(forwarder);
    link.nodes[kLeader] = &leader_door;
    seen = {kLeader, "https://leader.example:8200", false};
  }
  ~Cluster() {
    forwarder.stop();
    BOOST_TEST(forwarder.counts().requests == 0u);
    BOOST_TEST(forwarder.counts().bytes == 0u);
  }

  // The standby applies what the leader has committed.
  void replicate() {
    for (const Proposal& proposal : leader.committer.accepted)
      standby.committer.apply(proposal.ops);
    leader.committer.accepted.clear();
  }
  void dispatch(std::unique_ptr<Exchange> exchange) { standby.pipeline->dispatch(std::move(exchange)); }
  void read(std::string_view path = "secret/data/x") { dispatch(client.ask(Operation::kRead, path)); }
  void tick(Nanos later) {
    clock.advance(later);
    forwarder.tick();
  }

  Client client;
  std::shared_ptr<FakeAuditFiles> leader_files = std::make_shared<FakeAuditFiles>();
  std::shared_ptr<FakeAuditFiles> standby_files = std::make_shared<FakeAuditFiles>();
  CoreFixture leader{environment(leader_files)};
  CoreFixture standby{environment(standby_files)};
  ManualClock clock;
  FakeLink link;
  ForwardDoor leader_door{*leader.pipeline};
  ForwardDoor standby_door{*standby.pipeline};
  Forwarder::Leader seen;
  std::function<void(std::uint64_t mark)> counted;  // of clients that the leader has counted
  std::atomic<int> waits{0};                        // how often it was told that requests wait
  Forwarder forwarder;
};

}  // namespace coffer::core::testing
