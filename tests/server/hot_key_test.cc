// Many clients on one path: how often a handler runs for one success, and how long the slowest wait, over the real log
// and LMDB in a folder on disk, composed as server/app.cc does it. Two threads with 16 clients each stand for two
// connections' threads.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "actors/host.h"
#include "actors/node.h"
#include "base/check.h"
#include "base/disk.h"
#include "base/rng.h"
#include "core/pipeline.h"
#include "core/sys_engine.h"
#include "core/token_engine.h"
#include "engines/cubbyhole/cubbyhole.h"
#include "engines/kv/kv.h"
#include "store/current.h"
#include "store/flush_thread.h"
#include "store/wal.h"
#include "tests/store/temp_folder.h"

namespace coffer::server {
namespace {

constexpr std::size_t kThreads = 2;
constexpr std::size_t kClientsPerThread = 16;
constexpr std::size_t kPutsPerThread = 800;
constexpr std::size_t kAlonePuts = 100;
constexpr double kRunsPerSuccessMax = 3;
constexpr std::size_t kSlowestInCommitsMax = 40;
constexpr int kRoundsMax = 12;

// Something that happens once on another thread.
class Signal {
 public:
  void set() {
    const std::lock_guard lock(mutex_);
    set_ = true;
    changed_.notify_all();
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [this] { return set_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

// Log, LMDB, node, core and an unsealed dev state, without listeners.
class Composition {
 public:
  Composition() : logger(std::move(Logger::open({.level = LogLevel::kError})).value()) {
    Disk& disk = posix_disk();
    BOOST_REQUIRE(disk.make_folder(folder.path() + "/log").ok());
    auto table = store::open_state(disk, folder.path(), store::LmdbOptions{}, system_random());
    BOOST_REQUIRE(table.ok());
    log = std::move(store::WriteAheadLog::open(disk, folder.path() + "/log", store::WalOptions{})).value();
    backend = std::make_unique<store::StateBackend>(std::move(*table), store::StateBackendOptions{});
    flusher = std::make_unique<store::FlushThread>(*backend, [](const Status&) {}, std::chrono::seconds(3600));
    engines.add(*sys, core::MountTable::kSecret, false);
    engines.add(*cubbyhole, core::MountTable::kSecret, false);
    engines.add(*kv, core::MountTable::kSecret, true);
    engines.add(*token, core::MountTable::kAuth, false);
    core::AuditEnvironment environment;
    environment.clock = &system_clock();
    audit = std::make_unique<core::AuditRegistry>(std::move(environment));
    deriver = std::make_unique<core::StateDeriver>(engines, *audit, core::SystemConfig{});
    start();
  }
  ~Composition() {
    host.stop_node();
    audit->stop();
    flusher.reset();
  }

  testing::TempFolder folder;
  std::unique_ptr<Logger> logger;
  std::unique_ptr<store::Log> log;
  std::unique_ptr<store::StateBackend> backend;
  std::unique_ptr<store::FlushThread> flusher;
  std::unique_ptr<core::Engine> sys = core::make_sys_engine(), token = core::make_token_engine(),
                                kv = engines::make_kv_engine(), cubbyhole = engines::make_cubbyhole_engine();
  core::EngineRegistry engines;
  std::unique_ptr<core::AuditRegistry> audit;
  std::unique_ptr<core::StateDeriver> deriver;
  actors::Host host;
  std::unique_ptr<actors::Node> node;
  std::unique_ptr<core::Services> services;
  std::unique_ptr<core::Lifecycle> lifecycle;
  std::unique_ptr<core::Pipeline> pipeline;

 private:
  void start() {
    actors::Node::Options options;
    options.raft.id = raft::NodeId(7);
    Signal serves;
    actors::Node::Ports ports{*log,
                              *backend,
                              backend.get(),
                              *deriver,
                              system_clock(),
                              *logger,
                              host.node_wake(),
                              [](const Status&) {},
                              {},
                              [&] {
                                COFFER_CHECK(lifecycle->begin().ok());
                                serves.set();
                              }};
    node = std::move(actors::Node::create(options, std::move(ports))).value();
    services.reset(new core::Services{*backend, *node, engines, *audit, system_random()});
    core::Lifecycle::Info info;
    info.first.dev = true;
    info.first.root_token = "root";
    lifecycle = std::make_unique<core::Lifecycle>(
        info, core::Lifecycle::Ports{*backend, *node, *node, *deriver, nullptr, system_random(), system_clock(),
                                     *logger, [this] { return node->applied_index(); },
                                     [this] { return node->commit_index(); }, [](bool) {}});
    pipeline = std::make_unique<core::Pipeline>(*services, lifecycle.get());
    host.start_node(*node, std::chrono::milliseconds(20));
    BOOST_REQUIRE(serves.wait());
    Signal unsealed;
    bool initialized = false;
    lifecycle->init_dev([&](Result<core::Lifecycle::DevKeys> keys) {  // on the node's thread
      initialized = keys.ok();
      unsealed.set();
    });
    BOOST_REQUIRE(unsealed.wait());
    BOOST_REQUIRE(initialized);
  }
};

// One thread and its clients, each of which puts again as soon as it is answered.
class Clients final : private core::Home {
 public:
  // `path` of the n-th put; `commits`, when not null, counts the successes of all who share it.
  Clients(core::Dispatcher& dispatcher, std::size_t clients, std::size_t puts, std::atomic<std::size_t>* commits,
          std::function<std::string(std::size_t)> path)
      : dispatcher_(dispatcher), commits_(commits), path_(std::move(path)), puts_(puts), started_(clients) {
    for (Client& client : started_)
      client.exchange = std::make_unique<core::Exchange>();
  }

  void run() {
    for (std::size_t i = 0; i < started_.size(); ++i)
      put(std::move(started_[i].exchange), i);
    while (answered_ < sent_) {
      std::deque<Item> items;
      {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, std::chrono::seconds(60), [this] { return !items_.empty(); }))
          return;  // the counts say it
        items.swap(items_);
      }
      for (Item& item : items) {
        if (item.again)
          dispatcher_.resume(std::move(item.exchange));
        else
          take(std::move(item.exchange));
      }
    }
  }

  // After run().
  std::vector<Nanos> latencies;  // of successes
  std::vector<std::size_t> waits;  // successes of all between a put and its answer, its own included
  std::size_t failures = 0;
  std::size_t runs = 0;

 private:
  struct Client {
    std::unique_ptr<core::Exchange> exchange;
    BootTime since{};
    std::size_t commits_before = 0;
    std::size_t commits_after = 0;
  };
  struct Item {
    std::unique_ptr<core::Exchange> exchange;
    bool again = false;
  };

  void put(std::unique_ptr<core::Exchange> exchange, std::size_t client) {
    core::Request& request = exchange->request;
    request.id = "00000000-0000-4000-8000-000000000000";
    request.operation = core::Operation::kWrite;
    request.path = std::move(CanonicalPath::from_text(path_(sent_))).value();
    request.token = exchange->arena.copy("root");
    request.data = std::move(json::parse_copy(exchange->arena,
                                              R"({"data":{"password":"a secret of usual length, 40 bytes long"}})"))
                       .value();
    exchange->home = this;
    exchange->connection = &started_[client];
    started_[client].since = system_clock().boot_now();
    started_[client].commits_before = commits_ != nullptr ? commits_->load() : 0;
    ++sent_;
    dispatcher_.dispatch(std::move(exchange));
  }

  void take(std::unique_ptr<core::Exchange> exchange) {
    ++answered_;
    auto* client = static_cast<Client*>(exchange->connection);
    // PipelineState counts the runs that were in vain.
    runs += exchange->pipeline->runs + 1;
    if (exchange->response.has_errors())
      ++failures;
    else
      latencies.push_back(system_clock().boot_now() - client->since);
    if (commits_ != nullptr)
      waits.push_back(client->commits_after - client->commits_before);
    exchange->reset();
    if (sent_ < puts_)
      put(std::move(exchange), static_cast<std::size_t>(client - started_.data()));
  }

  void resume_later(std::unique_ptr<core::Exchange> exchange) override { post({std::move(exchange), true}); }
  void respond(std::unique_ptr<core::Exchange> exchange) override {
    if (commits_ != nullptr)
      static_cast<Client*>(exchange->connection)->commits_after = commits_->fetch_add(1) + 1;
    post({std::move(exchange), false});
  }
  void post(Item item) {
    const std::lock_guard lock(mutex_);
    items_.push_back(std::move(item));
    changed_.notify_one();
  }

  core::Dispatcher& dispatcher_;
  std::atomic<std::size_t>* const commits_;
  const std::function<std::string(std::size_t)> path_;
  const std::size_t puts_;
  std::vector<Client> started_;
  std::size_t sent_ = 0, answered_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> items_;  // guarded by mutex_; at most one a client
};

template <typename T>
T percentile(std::vector<T> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(static_cast<double>(values.size() - 1) * share)];
}

// What one round measured.
struct Round {
  std::vector<Nanos> latencies;
  std::vector<std::size_t> waits;  // commits of the hot key between a put and its answer
  std::size_t runs = 0;
  Nanos commit{0};                 // mean of one client alone, before and after
  double slow_in_commits() const {
    return static_cast<double>(percentile(latencies, 0.99).count()) / static_cast<double>(commit.count());
  }
};

// Latencies of one client whose puts meet no other.
void put_alone(core::Dispatcher& dispatcher, std::vector<Nanos>& latencies) {
  Clients clients(dispatcher, 1, kAlonePuts, nullptr,
                  [](std::size_t n) { return "secret/data/alone/" + std::to_string(n % 50); });
  clients.run();
  BOOST_REQUIRE_EQUAL(clients.latencies.size(), kAlonePuts);
  latencies.insert(latencies.end(), clients.latencies.begin(), clients.latencies.end());
}

Round measure(core::Dispatcher& dispatcher) {
  Round round;
  std::vector<Nanos> alone;
  put_alone(dispatcher, alone);
  std::atomic<std::size_t> commits{0};
  std::vector<std::unique_ptr<Clients>> all;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i)
    all.push_back(std::make_unique<Clients>(dispatcher, kClientsPerThread, kPutsPerThread, &commits,
                                            [](std::size_t) { return std::string("secret/data/hot"); }));
  for (auto& clients : all)
    threads.emplace_back([&clients] { clients->run(); });
  for (std::thread& thread : threads)
    thread.join();
  for (auto& clients : all) {
    BOOST_TEST(clients->failures == 0u);
    BOOST_TEST(clients->latencies.size() == kPutsPerThread);
    round.latencies.insert(round.latencies.end(), clients->latencies.begin(), clients->latencies.end());
    round.waits.insert(round.waits.end(), clients->waits.begin(), clients->waits.end());
    round.runs += clients->runs;
  }
  put_alone(dispatcher, alone);
  round.commit = std::accumulate(alone.begin(), alone.end(), Nanos{0}) / alone.size();
  return round;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(hot_key)

BOOST_FIXTURE_TEST_CASE(thirty_two_clients_on_one_path, Composition) {
  // Runs and places in the queue do not depend on what else the machine does, and are asserted. Times do: one stall of
  // the disk delays all 32 at once. They are reported, and a warning says so when no round kept the bound.
  bool fair = false;
  double best = 1e9;
  for (int i = 0; i < kRoundsMax && !(fair && best <= kSlowestInCommitsMax); ++i) {
    const Round round = measure(*pipeline);
    const double runs_per_success = static_cast<double>(round.runs) / static_cast<double>(round.latencies.size());
    const std::size_t wait = percentile(round.waits, 0.99);
    BOOST_TEST_MESSAGE("hot key: " << runs_per_success << " runs a success; p99 " << wait << " commits, "
                                   << round.slow_in_commits() << " times the commit time of "
                                   << round.commit.count() / 1000 << " us; p50 "
                                   << percentile(round.latencies, 0.5).count() / 1000 << " us");
    BOOST_TEST(runs_per_success <= kRunsPerSuccessMax);
    fair = fair || wait <= kSlowestInCommitsMax;
    best = std::min(best, round.slow_in_commits());
  }
  BOOST_TEST(fair);
  BOOST_WARN_LE(best, static_cast<double>(kSlowestInCommitsMax));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::server
