// A system outside that makes and drops users, with an engine that leases them (reliability row T21). What is asked of
// it may fail, take effect although it failed, or take effect later, as long as that is within the time it was given.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "core/outside.h"
#include "tests/lab/leased_users.h"

namespace coffer::core::testing {

class FakeOutside final : public UserSystem {
 public:
  enum class Fate : std::uint8_t {
    kWorks,
    kFails,        // nothing happens, and it says so
    kWorksSilent,  // it happens, and an error is reported
    kLate,         // an error is reported, and it happens later, within the time given
  };
  Status create(const std::string& user, Nanos time_max) override;
  Status drop(const std::string& user) override;
  // What is under way happens when its time has come.
  void advance(WallTime now);

  WallTime now{};
  std::set<std::string> users;
  std::map<std::string, int> created;  // each name is made at most once
  std::set<std::string> dropped;
  std::function<Fate()> fate;  // of the next call; empty: works

 private:
  Fate next() { return fate ? fate() : Fate::kWorks; }
  std::multimap<WallTime, std::string> late_;
  std::function<std::uint64_t(std::uint64_t)> below_;

 public:
  void set_random(std::function<std::uint64_t(std::uint64_t)> below) { below_ = std::move(below); }
};

// Tasks wait until the test runs them; what is dropped never runs, as after a crash.
class ManualPool final : public CallPool {
 public:
  bool submit(std::function<void()> task) override {
    if (refusing)
      return false;
    if (inline_)
      task();
    else
      tasks.push_back(std::move(task));
    return true;
  }
  bool run_one() {
    if (tasks.empty())
      return false;
    std::function<void()> task = std::move(tasks.front());
    tasks.pop_front();
    task();
    return true;
  }
  void run_all() {
    while (run_one()) {
    }
  }
  std::deque<std::function<void()>> tasks;
  bool refusing = false;
  bool inline_ = true;
};

}  // namespace coffer::core::testing
