// A standby's requests go to the node that leads, and its answers to their clients.
//
// A request is sent again only after the other node said that it did nothing, or was not reached (Fate::kNotSent).
// Whatever else goes wrong is "outcome unknown". It is sent to whoever leads by then, at once when that is another node
// than before, else after a pause. While nobody leads it waits, holding nothing but its exchange; if this node comes to
// lead it runs here. Where it runs it is authorised and audited (core/forward_door.h).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "core/cluster.h"
#include "core/request.h"

namespace coffer::core {

// What is said while nobody leads.
Status no_leader();

// Thread-safe. Outlives the exchanges that it was given: call stop(), let the link answer, then destroy it.
class Forwarder {
 public:
  // As this node sees it now.
  struct Leader {
    raft::NodeId node = raft::kNobody;  // who leads; nobody while none is known
    std::string api_address;            // of `node`: "https://host:port"; empty: not known
    bool here = false;                  // this node leads and may answer: Committer::lease_valid()
  };
  struct Options {
    raft::NodeId self = raft::kNobody;          // this node: nothing is sent to it, whatever `Leader::node` says
    std::size_t requests_max = 1024;            // that wait or are under way
    std::size_t bytes_max = 64u << 20;          // of their messages
    unsigned sends_max = 12;                    // of one request
    Nanos patience_max{std::chrono::seconds(5)};  // how long it is held for want of a leader that takes it
    Nanos pause_min{std::chrono::milliseconds(5)};    // before the same node is asked again; doubles...
    Nanos pause_max{std::chrono::seconds(1)};         // ...up to this
    Nanos time_max{std::chrono::seconds(90)};   // of a request that has no bound of its own
  };
  // Borrowed; they outlive this.
  struct Ports {
    ClusterLink& link;
    const Clock& clock;
    std::function<Leader()> leader;  // any thread; must not call back
    // The node that leads has counted the client (PipelineState::client_mark). Any thread; may be empty.
    std::function<void(std::uint64_t mark)> counted = {};
    // A request waits where none did: tick() is wanted every few milliseconds. Any thread; may be empty.
    std::function<void()> waits = {};
  };
  struct Counts {
    std::uint64_t sent = 0;
    std::uint64_t sent_again = 0;
    std::uint64_t unknown = 0;   // outcomes
    std::uint64_t refused = 0;   // for a bound, or because no leader was found in time
    std::size_t requests = 0;    // now
    std::size_t bytes = 0;       // now
  };

  Forwarder(const Options& options, Ports ports) : options_(options), ports_(std::move(ports)) {}
  ~Forwarder();
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  // Any thread. Of an exchange that the pipeline was given. Exactly one of Home::respond() and Home::resume_later()
  // follows.
  void forward(std::unique_ptr<Exchange> exchange);
  // Answers 307 with the leader's address, or 503 while it is not known.
  void redirect(std::unique_ptr<Exchange> exchange);
  bool knows_leader() const;

  // Looks after those that wait. Every kLookPeriod while waits(), and as soon as somebody else leads; any thread.
  static constexpr Nanos kLookPeriod{std::chrono::milliseconds(5)};
  void tick();
  bool waits() const;
  // Answers those that wait, and refuses what comes; what is under way is answered when the link does.
  void stop();
  Counts counts() const;

 private:
  struct Item {
    std::unique_ptr<Exchange> exchange;
    std::size_t bytes = 0;
    BootTime deadline{};          // its answer is due
    BootTime patience_ends{};
    BootTime next_try{};          // at the node that was asked last
    raft::NodeId asked = raft::kNobody;
    unsigned sends = 0;
  };

  Leader look() const;
  void attempt(Item item);
  void send(Item item, raft::NodeId to, Nanos left);
  void done(Item item, ClusterLink::Fate fate, std::string reply);
  void again(Item item);
  void hold(Item item);
  void refuse(Item item, const Status& why);
  void answer(Item item);
  void run_here(Item item);
  void let_go(const Item& item);
  Status admit(std::size_t bytes);

  const Options options_;
  const Ports ports_;
  mutable std::mutex mutex_;
  std::vector<Item> held_;      // guarded by mutex_; at most requests_max
  std::size_t requests_ = 0;    // guarded by mutex_
  std::size_t bytes_ = 0;       // guarded by mutex_
  bool looked_after_ = false;   // guarded by mutex_; tick() is on its way for those that wait
  bool stopped_ = false;        // guarded by mutex_
  std::atomic<std::uint64_t> sent_{0};
  std::atomic<std::uint64_t> sent_again_{0};
  std::atomic<std::uint64_t> unknown_{0};
  std::atomic<std::uint64_t> refused_{0};
};

}  // namespace coffer::core
