#include "tests/core/outside_sim.h"

#include <deque>
#include <memory>
#include <set>
#include <vector>

#include "base/time_text.h"
#include "core/expiry_driver.h"
#include "core/jobs.h"
#include "core/lease_store.h"
#include "tests/core/core_fixture.h"
#include "tests/core/fake_outside.h"

namespace coffer::core::testing {
namespace {

using namespace std::chrono_literals;

class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ull + 0x2545f4914f6cdd1dull) {}
  std::uint64_t below(std::uint64_t bound) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return (state_ >> 11) % bound;
  }
  bool chance(unsigned percent) { return below(100) < percent; }

 private:
  std::uint64_t state_;
};

// One leadership: what dies with its node.
struct Life final : Home {
  explicit Life(const Services& shared) : services(shared) {
    services.calls = &calls;
    pipeline = std::make_unique<Pipeline>(services, nullptr);
    driver = std::make_unique<ExpiryDriver>(services);
    jobs = std::make_unique<JobRunner>(services);
    calls.inline_ = false;
  }
  void resume_later(std::unique_ptr<Exchange> exchange) override {
    if (!dead)
      resumed.push_back(std::move(exchange));
  }
  void respond(std::unique_ptr<Exchange> exchange) override {
    if (dead || exchange->response.has_errors())
      return;
    answered.push_back({std::string(exchange->response.lease_id),
                        std::string(exchange->response.data.string_or("username", ""))});
  }
  void die() {
    dead = true;
    resumed.clear();
    driver.reset();
    jobs.reset();
  }

  struct Given {
    std::string lease;
    std::string user;
  };
  Services services;
  ManualPool calls;
  std::unique_ptr<Pipeline> pipeline;
  std::unique_ptr<ExpiryDriver> driver;
  std::unique_ptr<JobRunner> jobs;
  std::deque<std::unique_ptr<Exchange>> resumed;
  std::vector<Given> answered;
  bool dead = false;
};

class World {
 public:
  explicit World(std::uint64_t seed) : rng_(seed), engine_(make_fake_engine(outside_)) {
    core_.engines.add(*engine_, MountTable::kSecret, true);
    COFFER_CHECK(core_.write("sys/mounts/fake", R"({"type":"fake"})").status == 204);
    tokens_ = {"root", core_.token(R"(["root"])", R"(,"ttl":"1h")"), core_.token(R"(["root"])", R"(,"ttl":"2m")")};
    outside_.set_random([this](std::uint64_t bound) { return rng_.below(bound); });
    outside_.now = core_.committer.now;
    outside_.fate = [this] {
      if (!rng_.chance(trouble_))
        return FakeOutside::Fate::kWorks;
      const std::uint64_t which = rng_.below(3);
      report_.late += which == 2;
      return which == 0 ? FakeOutside::Fate::kFails
                        : which == 1 ? FakeOutside::Fate::kWorksSilent : FakeOutside::Fate::kLate;
    };
    lives_.push_back(std::make_unique<Life>(core_.services));
  }

  OutsideReport run() {
    const std::uint64_t steps = 20 + rng_.below(60);
    for (std::uint64_t i = 0; i < steps && report_.failure.empty(); ++i) {
      step();
      check();
    }
    heal();
    report_.created = outside_.created.size();
    for (const auto& life : lives_)
      report_.answered += life->answered.size();
    return report_;
  }

 private:
  Life& life() { return *lives_.back(); }

  void send(Operation operation, std::string_view path, std::string_view body) {
    auto exchange = std::make_unique<Exchange>();
    Request& request = exchange->request;
    request.id = "00000000-0000-4000-8000-000000000000";
    request.operation = operation;
    request.path = *CanonicalPath::from_text(path);
    request.token = exchange->arena.copy(tokens_[rng_.below(tokens_.size())]);
    request.data = *json::parse_copy(exchange->arena, body);
    exchange->home = &life();
    life().pipeline->dispatch(std::move(exchange));
  }

  void step() {
    const std::uint64_t what = rng_.below(100);
    if (what < 22)
      return send(Operation::kRead, "fake/creds/a", rng_.chance(50) ? R"({"ttl":"1m"})" : R"({"ttl":"10m"})");
    if (what < 40)
      return resume();
    if (what < 58) {
      life().calls.run_one();
      return;
    }
    if (what < 74) {
      life().driver->tick();
      life().jobs->tick();
      return;
    }
    if (what < 86)
      return pass(rng_.chance(60) ? Nanos(rng_.below(2'000'000'000)) : Nanos(1s * static_cast<int>(rng_.below(120))));
    if (what < 92)
      return crash();
    if (what < 94)
      return zombie();
    if (what < 98)
      return touch();
    if (what == 98)
      return send(Operation::kWrite, "auth/token/revoke-self", "{}");
    send(Operation::kWrite, "sys/leases/revoke-prefix/fake", rng_.chance(50) ? R"({"sync":true})" : "{}");
  }

  void resume() {
    if (life().resumed.empty())
      return;
    std::unique_ptr<Exchange> next = std::move(life().resumed.front());
    life().resumed.pop_front();
    life().pipeline->resume(std::move(next));
  }

  // A lease that a client was told of is renewed or revoked.
  void touch() {
    if (life().answered.empty())
      return;
    const Life::Given& given = life().answered[rng_.below(life().answered.size())];
    const std::string body = R"({"lease_id":")" + given.lease + (rng_.chance(50) ? R"(","sync":true})" : R"("})");
    send(Operation::kWrite, rng_.chance(50) ? "sys/leases/renew" : "sys/leases/revoke", body);
  }

  void pass(Nanos by) {
    core_.advance(by);
    outside_.advance(core_.committer.now);
  }

  void crash() {
    ++report_.crashes;
    core_.committer.term = Term(core_.committer.term.get() + 1);
    life().die();
    lives_.push_back(std::make_unique<Life>(core_.services));
  }

  // A thread of a node that was taken for dead goes on.
  void zombie() {
    Life& old = *lives_[rng_.below(lives_.size())];
    if (old.dead)
      old.calls.run_one();
  }

  std::set<std::string> leased() {
    std::set<std::string> users;
    auto view = core_.backend.view();
    json::Arena arena;
    TxnImpl::Buffers buffers;
    const Published* published = published_in((*view)->attachment());
    TxnImpl txn(**view, *published->barrier, arena, core_.committer.now, buffers);
    LeaseStore leases(txn, arena);
    auto names = txn.names(layout::token_key(layout::kLeasePrefix), {}, SIZE_MAX, false);
    COFFER_CHECK(names.ok());
    for (const std::string_view name : names->names) {
      auto lease = leases.stored(name.substr(layout::kLeasePrefix.size()));
      COFFER_CHECK(lease.ok() && *lease);
      users.emplace((*lease)->data);
    }
    return users;
  }

  void check() {
    if (outside_.users.empty())
      return;
    const std::set<std::string> leased_users = leased();
    for (const std::string& user : outside_.users)
      if (!leased_users.contains(user))
        report_.failure = "the user " + user + " exists and no lease names it";
  }

  void heal() {
    trouble_ = 0;
    for (int round = 0; round < 120 && report_.failure.empty(); ++round) {
      pass(1min);
      if (round == 60) {  // what became irrevocable goes when an operator asks
        tokens_ = {"root"};
        send(Operation::kWrite, "sys/leases/revoke-prefix/fake", "{}");
      }
      for (int i = 0; i < 4; ++i) {
        while (!life().resumed.empty())
          resume();
        for (const auto& one : lives_)
          one->calls.run_all();
        life().driver->tick();
        life().jobs->tick();
      }
      check();
      if (round > 20 && outside_.users.empty() && leased().empty())
        return;
    }
    if (report_.failure.empty())
      report_.failure = "not everything was revoked in two hours: " + std::to_string(outside_.users.size()) +
                        " users, " + std::to_string(leased().size()) + " leases";
  }

  Rng rng_;
  FakeOutside outside_;
  std::unique_ptr<Engine> engine_;
  CoreFixture core_;
  std::vector<std::string> tokens_;
  std::vector<std::unique_ptr<Life>> lives_;
  unsigned trouble_ = 30;  // percent of calls
  OutsideReport report_;
};

}  // namespace

OutsideReport run_outside_schedule(std::uint64_t seed) { return World(seed).run(); }

}  // namespace coffer::core::testing
