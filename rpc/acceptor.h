// Accepts connections for gRPC and keeps their number within a bound, which gRPC itself cannot (advisory K8). When the
// bound is reached a connection makes room: one that has not greeted, or else the one that has been silent longest,
// whose client comes back by itself.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <thread>
#include <vector>

namespace coffer::rpc {

class Acceptor {
 public:
  // Takes over a connected socket from listener number `listener`. On the acceptor's thread.
  using Handover = std::function<void(std::size_t listener, int listener_fd, int fd)>;

  // Owns the listening sockets. `log` hears of evictions and of pauses for want of descriptors, of each the first and
  // then every thousandth.
  Acceptor(std::vector<int> listeners, std::size_t connections_max, Handover handover,
           std::function<void(std::string_view)> log);
  // As close(); connections stay with gRPC.
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Accepts no more.
  void close();
  // Ends every connection that is open, in both directions; gRPC sees that. After close().
  void disconnect();

  std::size_t connections() const noexcept { return open_.load(std::memory_order_relaxed); }

 private:
  void run();
  void accept_from(std::size_t listener);
  // False when the connection's end could not be seen.
  bool track(int fd);
  void untrack(std::size_t place);
  void make_room();
  void evict_one();
  void pause(bool paused);
  void close_retired();

  const std::vector<int> listeners_;
  const std::size_t connections_max_;
  const Handover handover_;
  const std::function<void(std::string_view)> log_;
  int epoll_ = -1;
  int stop_ = -1;
  // A second descriptor of each connection, by which its end is seen. Thread only.
  std::vector<int> watched_;
  std::vector<std::size_t> place_of_fd_;
  // Of connections that are over; closed after the round, or an event in hand might be taken for a new connection's.
  std::vector<int> retired_;
  bool paused_ = false;
  std::size_t hand_ = 0;
  std::uint64_t evicted_ = 0;
  std::uint64_t pauses_ = 0;
  std::atomic<std::size_t> open_{0};
  std::thread thread_;
};

}  // namespace coffer::rpc
