// The outside system: a database that counts its users. A user may exist only while the lease that names it does.
#pragma once

#include <cstdint>
#include <set>
#include <string>

namespace coffer::sim {

class Database {
 public:
  void create(const std::string& user) {
    users_.insert(user);
    ++created_;
  }
  // Revoking what is not there succeeds.
  void drop(const std::string& user) { dropped_ += users_.erase(user); }
  const std::set<std::string>& users() const noexcept { return users_; }
  std::uint64_t created() const noexcept { return created_; }
  std::uint64_t dropped() const noexcept { return dropped_; }

  bool down = false;

 private:
  std::set<std::string> users_;
  std::uint64_t created_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace coffer::sim
