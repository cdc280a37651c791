// Several nodes in one process, each with a log and a store of its own, over a network that the test may cut. The test
// is the thread of all nodes and moves the clock; only the logs' threads and those of snapshots are their own.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actors/node.h"
#include "store/memory_log.h"
#include "tests/store/temp_folder.h"

namespace coffer::actors::testing {

std::string record_key(std::string_view name);

class Cluster;

class GroupObserver final : public core::StateObserver {
 public:
  void on_apply(Index, std::span<const store::Op>) override {}
  void on_replaced(const store::View& state) override { replaced_at = state.index(); }
  void on_restored() override { ++restores; }
  std::shared_ptr<const store::Attachment> attachment() override { return nullptr; }
  Index replaced_at;
  int restores = 0;
};

// One member: what survives a restart, and the node of one life.
class Member final : public raft::Transport {
 public:
  Member(Cluster& cluster, raft::NodeId id, bool on_disk);
  ~Member() override;

  // Opens what is there and makes a node of it.
  Status start(Node::Begin begin);
  // As a crash would: what is not durable is lost.
  void stop();
  bool up() const { return node != nullptr; }
  std::optional<std::string> value(std::string_view name) const;
  std::string folder() const { return folder_.path(); }
  std::string spool() const { return folder_.path() + "/spool"; }
  // Commits what is published to the disk; the log is cut with the next tick.
  void flush();
  // Reads state and log without a node.
  void open();
  void close();

  void send(std::vector<raft::Message> messages) override;
  void send_snapshot(raft::Message message, std::string path, std::function<void(const Status&)> done) override;

  const raft::NodeId id;
  const bool on_disk;
  std::unique_ptr<store::Log> log;
  std::unique_ptr<store::Backend> backend;
  store::StateBackend* state = nullptr;
  std::unique_ptr<store::SnapshotTarget> target;
  GroupObserver observer;
  std::uint64_t log_kept_entries_max = 100'000;
  store::StateBackendOptions generations;
  bool flushes = true;  // what is full; flush() does it at any time
  std::unique_ptr<Node> node;
  Status failure;  // why it stopped, if it did
  std::size_t sent = 0;
  bool handed_over = false;  // it told another to campaign
  bool loses_staged = false;  // the next answer to a stream
  bool takes_streams = true;  // else what is staged for it does not arrive
  int told_restored = 0;

 private:
  Cluster& cluster_;
  coffer::testing::TempFolder folder_;
};

class Cluster {
 public:
  explicit Cluster(bool on_disk) : on_disk_(on_disk) {}
  ~Cluster();

  // A member without a node; form() uses what was added before.
  Member& add(std::uint64_t id);
  Member& operator[](std::uint64_t id) { return *members_.at(raft::NodeId(id)); }
  // Members 1 to 3 as voters; returns the leader.
  Member& form();
  // Adds a running joiner as a learner, and promotes it when it has caught up.
  void admit(Member& leader, Member& joiner);

  // Moves everything until `reached`, at most for 20 seconds; false when it never was.
  bool run_until(const std::function<bool()>& reached);
  // For so long on the nodes' clock.
  void run_for(Nanos time);
  // Who serves, and is known to all that are up as the leader; null when there is none in time.
  Member* await_leader(const std::set<raft::NodeId>& but = {});
  // Waits for the outcome of a write of `name` on `leader`.
  core::CommitOutcome write(Member& leader, std::string_view name, std::string_view value);
  Status change(Member& leader, raft::Change::Kind kind, Member& of);
  // A stream in the leader's spool folder: what an initialized server has, and `records`.
  std::string stream(Member& leader, const std::map<std::string, std::string>& records);
  Status restore(Member& leader, const std::map<std::string, std::string>& records);
  bool all_have(std::string_view name, std::string_view value);

  // Nothing goes to or from it.
  void cut(Member& member) { cut_.insert(member.id); }
  void mend() { cut_.clear(); }

  void post(std::function<void()> delivery, raft::NodeId from, raft::NodeId to);
  void woken();
  Member* find(raft::NodeId id);
  bool connected(raft::NodeId from, raft::NodeId to) const { return !cut_.contains(from) && !cut_.contains(to); }

  ManualClock clock;
  std::unique_ptr<Logger> logger = std::move(Logger::open({.level = LogLevel::kError})).value();

 private:
  void round();

  const bool on_disk_;
  std::map<raft::NodeId, std::unique_ptr<Member>> members_;
  std::set<raft::NodeId> cut_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool woken_ = false;  // guarded by mutex_
  struct Delivery {
    raft::NodeId from;
    raft::NodeId to;
    std::function<void()> run;
  };
  std::deque<Delivery> network_;
};

}  // namespace coffer::actors::testing
