#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <thread>

#include "tests/rpc/cluster_nodes.h"

namespace coffer::rpc {
namespace {

using core::ClusterLink;
using namespace nodes;

crypto::Authority other_authority() {
  auto made = crypto::make_authority(system_clock().wall_now(), 10, system_random());
  BOOST_REQUIRE(made.ok());
  return std::move(made).value();
}

// Of `from`, and trusting each of `trusted`.
crypto::NodeCertificate shown(raft::NodeId node, const crypto::Authority& from,
                              const std::vector<const crypto::Authority*>& trusted) {
  crypto::NodeCertificate out = certificate(node, from);
  out.authority_pem.clear();
  for (const crypto::Authority* one : trusted)
    out.authority_pem += one->cert_pem;
  return out;
}

void show(Node& node, const crypto::Authority& from, const std::vector<const crypto::Authority*>& trusted) {
  const Status status = node.cluster->renew(shown(node.self, from, trusted));
  BOOST_REQUIRE_MESSAGE(status.ok(), status.message());
}

// Sends what a leader does, without a pause, until it is told to end: appends with numbers, heartbeats, and requests.
class Traffic {
 public:
  Traffic(Node& from, Node& to) : from_(from), to_(to), thread_([this] { run(); }) {}
  ~Traffic() { end(); }
  Traffic(const Traffic&) = delete;
  void end() {
    ending_ = true;
    if (thread_.joinable())
      thread_.join();
  }
  std::uint64_t appends() const { return appends_; }
  std::uint64_t requests() const { return requests_; }
  bool is_on_time() const { return is_on_time_; }
  std::map<int, Outcome> outcomes() { return outcomes_.await(requests_); }

 private:
  void run() {
    while (!ending_) {
      from_.cluster->send({append(from_.self, to_.self, appends_), heartbeat(from_.self, to_.self, appends_ + 1)});
      ++appends_;
      if (appends_ % 8 == 0)
        from_.cluster->forward(to_.self, "x", kPatience, outcomes_.slot(static_cast<int>(requests_++)));
      // As many as the other takes: what is measured here is not a full queue.
      is_on_time_ = eventually([&] { return to_.inbox.count() + 64 > 2 * appends_; }) && is_on_time_;
    }
  }
  Node& from_;
  Node& to_;
  Outcomes outcomes_;
  std::atomic<std::uint64_t> appends_{0};
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<bool> ending_{false};
  std::atomic<bool> is_on_time_{true};
  std::thread thread_;
};

void check_all_came(Node& from, Node& to, Traffic& traffic) {
  traffic.end();
  BOOST_TEST(traffic.is_on_time());
  const auto came = to.inbox.await(2 * traffic.appends());
  BOOST_REQUIRE_EQUAL(came.size(), 2 * traffic.appends());
  std::uint64_t appends = 0, rounds = 0;
  bool in_order = true;
  for (const raft::Message& message : came) {
    if (message.kind == raft::MessageKind::kAppend)
      in_order = in_order && message.index.get() == appends++;
    else
      in_order = in_order && message.round == ++rounds;
  }
  BOOST_TEST(in_order);
  BOOST_TEST(appends == traffic.appends());
  BOOST_TEST(from.peer(to.self).messages_dropped == 0u);
  const auto outcomes = traffic.outcomes();
  BOOST_TEST(outcomes.size() == traffic.requests());
  const auto ended = [&](ClusterLink::Fate fate) {
    return std::ranges::count_if(outcomes, [fate](const auto& one) { return one.second.fate == fate; });
  };
  BOOST_TEST(ended(ClusterLink::Fate::kUnknown) == 0);
  BOOST_TEST(ended(ClusterLink::Fate::kNotSent) == 0);
}

bool settle(const Node& node) {
  return eventually([&] { return node.cluster->settled(); });
}

// A stranger who shows a certificate of `from` gets no stream.
bool connects(Node& to, const crypto::Authority& from, const std::vector<const crypto::Authority*>& trusted) {
  Node probe(kC);
  ClusterConfig config;
  config.host = "127.0.0.1";
  config.self = kC;
  config.certificate = shown(kC, from, trusted);
  auto made = Cluster::create(std::move(config), {probe.inbox, probe.handler, system_clock()}, {});
  BOOST_REQUIRE(made.ok());
  probe.cluster = std::move(made).value();
  probe.cluster->set_members({to.member(), probe.member()});
  const BootTime end = system_clock().boot_now() + std::chrono::milliseconds(700);
  return eventually([&] { return probe.connected(to.self) || system_clock().boot_now() > end; }) &&
         probe.connected(to.self);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(renew_test)

BOOST_AUTO_TEST_CASE(nothing_is_lost_or_overtaken_when_the_sender_renews) {
  Node a(kA), b(kB);
  a.start();
  b.start();
  join({&a, &b});
  Traffic traffic(a, b);
  for (int round = 0; round < 5; ++round) {
    show(a, authority(), {&authority()});
    BOOST_TEST(settle(a));
  }
  check_all_came(a, b, traffic);
}

BOOST_AUTO_TEST_CASE(nothing_is_lost_or_overtaken_when_the_receiver_renews) {
  Node a(kA), b(kB);
  a.start();
  b.start();
  join({&a, &b});
  Traffic traffic(a, b);
  for (int round = 0; round < 3; ++round) {
    show(b, authority(), {&authority()});
    BOOST_TEST(settle(b));
  }
  BOOST_TEST(settle(a));
  check_all_came(a, b, traffic);
}

BOOST_AUTO_TEST_CASE(an_authority_goes_over_to_the_next_under_traffic) {
  Node a(kA), b(kB);
  a.start();
  b.start();
  join({&a, &b});
  const crypto::Authority next = other_authority();
  Traffic there(a, b), back(b, a);
  const auto all = [&](const crypto::Authority& from, const std::vector<const crypto::Authority*>& trusted) {
    show(a, from, trusted);
    show(b, from, trusted);
    BOOST_TEST((settle(a) && settle(b)));
  };
  all(authority(), {&authority(), &next});
  all(next, {&authority(), &next});
  all(next, {&next});
  check_all_came(a, b, there);
  check_all_came(b, a, back);
  for (Node* node : {&a, &b})
    node->cluster->set_members({a.member(), b.member(), {.number = kC, .cluster_address = "127.0.0.1:1"}});
  BOOST_TEST(!connects(a, authority(), {&authority(), &next}));
  BOOST_TEST(connects(a, next, {&next}));
}

// One that is down during it is reached with the new certificate when it comes.
BOOST_AUTO_TEST_CASE(a_member_that_is_away_is_met_later) {
  Node a(kA), b(kB);
  a.start();
  b.start();
  join({&a, &b});
  const std::uint16_t port = b.cluster->port();
  const core::Member there = b.member();
  b.cluster.reset();
  const crypto::Authority next = other_authority();
  show(a, next, {&next});
  BOOST_TEST(settle(a));
  b.start(port, next);
  b.cluster->set_members({a.member(), there});
  BOOST_TEST(eventually([&] { return a.connected(kB) && b.connected(kA); }));
  BOOST_TEST((forward(a, kB, "x").fate == ClusterLink::Fate::kAnswered));
}

// A request that takes long came by the old certificate, and is answered there.
BOOST_AUTO_TEST_CASE(a_request_under_way_is_answered) {
  Node a(kA), b(kB);
  a.start();
  b.start();
  join({&a, &b});
  b.handler.keep();
  Outcomes outcomes;
  a.cluster->forward(kB, "slow", kPatience, outcomes.slot(1));
  b.handler.await(1);
  show(b, authority(), {&authority()});
  show(a, authority(), {&authority()});
  BOOST_TEST(settle(a));
  BOOST_TEST(!b.cluster->settled());
  b.handler.kept().at(0)("late");
  BOOST_TEST((outcomes.await(1).at(1).fate == ClusterLink::Fate::kAnswered));
  BOOST_TEST((settle(a) && settle(b)));
}

BOOST_AUTO_TEST_CASE(it_ends_in_the_midst_of_it) {
  for (int round = 0; round < 5; ++round) {
    Node a(kA), b(kB);
    a.start();
    b.start();
    join({&a, &b});
    show(a, authority(), {&authority()});
    show(b, authority(), {&authority()});
    a.cluster->stop();
    BOOST_TEST((a.cluster->renew(certificate(kA)).code() == Code::kUnavailable));
  }
}

BOOST_AUTO_TEST_CASE(only_an_own_certificate_is_taken_and_so_many_at_a_time) {
  Node a(kA), b(kB);
  a.start();
  b.start();
  join({&a, &b});
  BOOST_TEST((a.cluster->renew(certificate(kB)).code() == Code::kInvalid));
  Status status = ok_status();
  for (std::size_t i = 0; i <= kServersRetiringMax && status.ok(); ++i)
    status = b.cluster->renew(certificate(kB));
  BOOST_TEST((status.code() == Code::kExhausted));
  BOOST_TEST(settle(b));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::rpc
