// Requests of a standby's clients over real connections: two cores, joined by nothing but the cluster's gRPC.
#include <boost/test/unit_test.hpp>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "core/forward_door.h"
#include "core/forwarder.h"
#include "rpc/cluster.h"
#include "tests/core/core_fixture.h"

namespace coffer::rpc {
namespace {

using core::Forwarder;
using core::testing::Answer;
using core::testing::CoreFixture;

constexpr raft::NodeId kLeader{0xaaaa}, kStandby{0xbbbb};

const crypto::Authority& authority() {
  static const crypto::Authority made = [] {
    auto result = crypto::make_authority(system_clock().wall_now(), 10, system_random());
    BOOST_REQUIRE(result.ok());
    return std::move(result).value();
  }();
  return made;
}

// No Raft here.
class NoInbox final : public raft::Inbox {
 public:
  bool receive(raft::Message) override { return true; }
  bool receive_snapshot(raft::Message, std::string) override { return false; }
  std::string spool_folder() const override { return std::filesystem::temp_directory_path().string(); }
};

struct Member {
  explicit Member(raft::NodeId number) : self(number), door(*core.pipeline) { start(); }
  ~Member() { stop(); }

  void start(std::uint16_t port = 0) {
    ClusterConfig config;
    config.host = "127.0.0.1";
    config.port = port;
    config.self = self;
    auto issued =
        crypto::issue_node_certificate(authority(), self.get(), system_clock().wall_now(), 10, system_random());
    BOOST_REQUIRE(issued.ok());
    config.certificate = std::move(issued).value();
    auto made = Cluster::create(std::move(config), {inbox, door, system_clock()}, [](std::string_view) {});
    BOOST_REQUIRE_MESSAGE(made.ok(), made.status().message());
    link = std::move(made).value();
  }
  void stop() {
    if (link)
      link->stop();
    link.reset();
  }
  core::Member told() const {
    core::Member out;
    out.number = self;
    out.cluster_address = "127.0.0.1:" + std::to_string(link->port());
    return out;
  }

  const raft::NodeId self;
  NoInbox inbox;
  CoreFixture core;
  core::ForwardDoor door;
  std::unique_ptr<Cluster> link;
};

struct Pair {
  Pair()
      : forwarder({.self = kStandby},
                  {*standby.link, system_clock(), [] { return Forwarder::Leader{kLeader, "", false}; }}) {
    standby.core.committer.leading = false;
    standby.core.pipeline->set_forwarder(forwarder);
    const std::vector<core::Member> members{leader.told(), standby.told()};
    leader.link->set_members(members);
    standby.link->set_members(members);
    ticker = std::thread([this] {
      std::unique_lock lock(mutex);
      while (!changed.wait_for(lock, std::chrono::milliseconds(10), [this] { return stopped; })) {
        lock.unlock();
        forwarder.tick();
        lock.lock();
      }
    });
  }
  ~Pair() {
    {
      const std::lock_guard lock(mutex);
      stopped = true;
    }
    changed.notify_all();
    ticker.join();
    forwarder.stop();
    standby.stop();
    leader.stop();
  }

  Member leader{kLeader};
  Member standby{kStandby};
  Forwarder forwarder;
  std::mutex mutex;
  std::condition_variable changed;
  bool stopped = false;
  std::thread ticker;
};

BOOST_AUTO_TEST_SUITE(forwarding_by_grpc)

// The first request may come before the connection: it waits for it.
BOOST_FIXTURE_TEST_CASE(a_standby_answers_as_its_leader, Pair) {
  const Answer written = standby.core.write("secret/data/x", R"({"data":{"a":1.10,"b":"é"}})");
  BOOST_TEST(written.status == 200);
  BOOST_TEST(standby.core.read("secret/data/x").body == leader.core.read("secret/data/x").body);
  BOOST_TEST(standby.core.read("secret/data/none").status == 404);
  BOOST_TEST(standby.core.read("secret/data/x", "hvs.unknown").status == 403);
  BOOST_TEST(standby.core.committer.commits == 0u);
  const std::string large(512u << 10, 'x');
  BOOST_TEST(standby.core.write("secret/data/y", R"({"data":{"a":")" + large + "\"}}").status == 200);
  BOOST_TEST(standby.core.read("secret/data/y").text("data|data|a") == large);
}

BOOST_FIXTURE_TEST_CASE(a_leader_that_is_gone_is_found_out, Pair) {
  BOOST_TEST(standby.core.read("sys/mounts").status == 200);
  leader.link->stop();
  const Answer refused = standby.core.read("sys/mounts");
  BOOST_TEST((refused.status == 503 || refused.status == 500));
  BOOST_TEST(forwarder.counts().requests == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::rpc
