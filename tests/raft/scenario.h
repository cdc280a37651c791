// A cluster that a text file drives step by step. Nothing happens by itself: time passes, messages arrive, disks sync
// and nodes tick when a line says so, and everything that follows is written into the transcript.
// tests/raft/scenarios/README.md lists the commands.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "raft/core.h"
#include "tests/raft/memory_log.h"
#include "tests/sim/raft_checker.h"

namespace coffer::testing {

class Scenario {
 public:
  // What the command prints, a line each.
  std::string run(const std::string& line);
  bool broken() const noexcept { return broken_; }

 private:
  using Words = std::vector<std::string>;
  struct Member {
    std::uint64_t id = 0;
    ManualClock clock;
    MemoryLog log;
    MemoryLog image;          // of its disk, as the last `image` found it
    Index image_applied;
    std::uint64_t lives = 0;  // on a disk that was rolled back
    std::unique_ptr<raft::Core> core;
    raft::Configuration initial;
    bool joining = false;
    std::vector<std::uint64_t> unsynced;  // numbers of batches
    Index applied;
    Term applied_term;
    raft::Configuration applied_configuration;
    std::vector<std::string> state;       // bodies applied
  };

  Member& member(const std::string& id);
  void start(Member& member);
  void perform(Member& member);
  void apply(Member& member, const raft::Ready& ready);
  void sync(Member& member);
  std::size_t deliver(const std::string& route, const std::string& kind, bool drop);
  bool cut_off(std::uint64_t from, std::uint64_t to) const;
  void print(const raft::Message& message);
  void status(Member& member);
  void print_log(Member& member);
  void send_snapshot(const Words& words);

  void make_cluster(const Words& words);
  void change(const Words& words);
  void settle();
  bool run_time(const Words& words);
  bool run_network(const Words& words);
  bool run_client(const Words& words);
  bool run_process(const Words& words);

  std::map<std::uint64_t, Member> members_;
  std::deque<raft::Message> wire_;
  std::vector<std::uint64_t> isolated_;
  sim::RaftChecker checker_;
  std::ostringstream out_;
  bool quiet_ = false;
  bool broken_ = false;
};

}  // namespace coffer::testing
