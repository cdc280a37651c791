// Nodes of a cluster without any Raft, for tests of what they say to each other.
#pragma once

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>

#include "raft/entry.h"
#include "rpc/cluster.h"

namespace coffer::rpc::nodes {

inline constexpr std::chrono::seconds kPatience{20};
inline constexpr raft::NodeId kA{0xaaaa}, kB{0xbbbb}, kC{0xcccc};

inline const crypto::Authority& authority() {
  static const crypto::Authority made = [] {
    auto result = crypto::make_authority(system_clock().wall_now(), 10, system_random());
    BOOST_REQUIRE(result.ok());
    return std::move(result).value();
  }();
  return made;
}

inline crypto::NodeCertificate certificate(raft::NodeId node, const crypto::Authority& from = authority()) {
  auto made = crypto::issue_node_certificate(from, node.get(), system_clock().wall_now(), 10, system_random());
  BOOST_REQUIRE(made.ok());
  return std::move(made).value();
}

// Asks again until it is so, or patience ends.
inline bool eventually(const std::function<bool()>& condition) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  const BootTime end = system_clock().boot_now() + kPatience;
  while (!condition()) {
    if (system_clock().boot_now() > end)
      return false;
    never.wait_for(lock, std::chrono::milliseconds(2));
  }
  return true;
}

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "coffer-cluster-XXXXXX").string();
    BOOST_REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  const std::string& path() const { return path_; }
  std::string file(const std::string& name, const std::string& content) const {
    std::ofstream(path_ + "/" + name, std::ios::binary) << content;
    return path_ + "/" + name;
  }
  bool empty() const { return std::filesystem::is_empty(path_); }

 private:
  std::string path_;
};

// Keeps what comes. A gate that is shut holds up whoever brings something.
class Inbox final : public raft::Inbox {
 public:
  bool receive(raft::Message message) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return open_; });
    messages_.push_back(std::move(message));
    changed_.notify_all();
    return true;
  }
  bool receive_snapshot(raft::Message message, std::string path) override {
    const std::lock_guard lock(mutex_);
    if (!takes_snapshots_)
      return false;
    snapshots_.emplace_back(std::move(message), std::move(path));
    return true;
  }
  std::string spool_folder() const override { return folder_.path(); }

  std::vector<raft::Message> await(std::size_t count) {
    std::unique_lock lock(mutex_);
    BOOST_TEST(changed_.wait_for(lock, kPatience, [&] { return messages_.size() >= count; }));
    return messages_;
  }
  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return messages_.size();
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    messages_.clear();
  }
  void gate(bool open) {
    const std::lock_guard lock(mutex_);
    open_ = open;
    changed_.notify_all();
  }
  void take_snapshots(bool takes) {
    const std::lock_guard lock(mutex_);
    takes_snapshots_ = takes;
  }
  std::vector<std::pair<raft::Message, std::string>> snapshots() const {
    const std::lock_guard lock(mutex_);
    return snapshots_;
  }
  const Folder& folder() const { return folder_; }

 private:
  Folder folder_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<raft::Message> messages_;
  std::vector<std::pair<raft::Message, std::string>> snapshots_;
  bool open_ = true;
  bool takes_snapshots_ = true;
};

// Answers "<from> <request>", or keeps the reply for later.
inline constexpr const char* kStrangersQuestion = "a stranger's question";

class Handler final : public core::ForwardHandler {
 public:
  void take(raft::NodeId from, std::string request, std::function<void(std::string)> reply) override {
    {
      const std::lock_guard lock(mutex_);
      ++taken_;
      changed_.notify_all();
      if (keeps_) {
        kept_.push_back(std::move(reply));
        return;
      }
    }
    reply(std::to_string(from.get()) + " " + request);
  }
  bool takes_of_strangers(std::string_view request) const override { return request == kStrangersQuestion; }
  void keep() {
    const std::lock_guard lock(mutex_);
    keeps_ = true;
  }
  std::vector<std::function<void(std::string)>> kept() {
    const std::lock_guard lock(mutex_);
    return kept_;
  }
  void await(std::size_t count) {
    std::unique_lock lock(mutex_);
    BOOST_TEST(changed_.wait_for(lock, kPatience, [&] { return taken_ >= count; }));
  }
  std::size_t taken() const {
    const std::lock_guard lock(mutex_);
    return taken_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::function<void(std::string)>> kept_;
  std::size_t taken_ = 0;
  bool keeps_ = false;
};

struct Node {
  explicit Node(raft::NodeId number) : self(number) {}

  void start(std::uint16_t port = 0, const crypto::Authority& from = authority(), ClusterBounds bounds = {}) {
    ClusterConfig config;
    config.host = "127.0.0.1";
    config.port = port;
    config.self = self;
    config.certificate = certificate(self, from);
    config.bounds = bounds;
    auto made = Cluster::create(std::move(config), {inbox, handler, system_clock()}, [this](std::string_view line) {
      const std::lock_guard lock(mutex);
      lines += std::string(line) + "\n";
    });
    BOOST_REQUIRE_MESSAGE(made.ok(), made.status().message());
    cluster = std::move(made).value();
  }
  std::string log() {
    const std::lock_guard lock(mutex);
    return lines;
  }
  core::Member member() const {
    core::Member out;
    out.number = self;
    out.cluster_address = "127.0.0.1:" + std::to_string(cluster->port());
    return out;
  }
  PeerStatus peer(raft::NodeId number) const {
    for (const PeerStatus& status : cluster->peers()) {
      if (status.number == number)
        return status;
    }
    return {};
  }
  // For messages and for requests.
  bool connected(raft::NodeId number) const { return peer(number).connected && peer(number).requests_connected; }

  const raft::NodeId self;
  std::mutex mutex;
  std::string lines;
  Inbox inbox;
  Handler handler;
  std::unique_ptr<Cluster> cluster;  // last: it uses the rest
};

inline void join(const std::vector<Node*>& nodes) {
  std::vector<core::Member> members;
  for (const Node* node : nodes)
    members.push_back(node->member());
  for (Node* node : nodes)
    node->cluster->set_members(members);
  for (const Node* node : nodes) {
    for (const Node* other : nodes)
      BOOST_TEST((node == other || eventually([&] { return node->connected(other->self); })));
  }
}

inline raft::Message append(raft::NodeId from, raft::NodeId to, std::uint64_t index, std::size_t bytes = 64) {
  raft::Message m;
  m.kind = raft::MessageKind::kAppend;
  m.from = from;
  m.to = to;
  m.term = m.log_term = Term(1);
  m.index = Index(index);
  m.entries.push_back({Index(index + 1), Term(1), 1, std::make_shared<const std::string>(bytes, 'e')});
  return m;
}

inline raft::Message heartbeat(raft::NodeId from, raft::NodeId to, std::uint64_t round) {
  raft::Message m;
  m.kind = raft::MessageKind::kHeartbeat;
  m.from = from;
  m.to = to;
  m.term = Term(1);
  m.round = round;
  return m;
}

inline raft::Message snapshot(raft::NodeId from, raft::NodeId to) {
  raft::Message m;
  m.kind = raft::MessageKind::kSnapshot;
  m.from = from;
  m.to = to;
  m.term = Term(4);
  m.snapshot = std::make_shared<raft::SnapshotMeta>(raft::SnapshotMeta{Index(7), Term(3), {{kA, kB}, {}}, {}});
  return m;
}

struct Outcome {
  core::ClusterLink::Fate fate;
  std::string reply;
};

// Outcomes of requests, by number.
class Outcomes {
 public:
  core::ClusterLink::Done slot(int number) {
    return [this, number](core::ClusterLink::Fate fate, std::string reply) {
      const std::lock_guard lock(mutex_);
      BOOST_TEST(got_.emplace(number, Outcome{fate, std::move(reply)}).second);
      changed_.notify_all();
    };
  }
  std::map<int, Outcome> await(std::size_t count) {
    std::unique_lock lock(mutex_);
    BOOST_TEST(changed_.wait_for(lock, kPatience, [&] { return got_.size() >= count; }));
    return got_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int, Outcome> got_;
};

inline Outcome forward(const Node& from, raft::NodeId to, std::string request, Nanos time_max = kPatience) {
  Outcomes outcomes;
  from.cluster->forward(to, std::move(request), time_max, outcomes.slot(0));
  return outcomes.await(1).at(0);
}

}  // namespace coffer::rpc::nodes
