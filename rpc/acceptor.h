// Accepts connections for gRPC and keeps their number within a bound, which gRPC itself cannot (advisory K8). A
// connection is gRPC's once it has said something: one that is silent costs a descriptor and no more, and is closed
// after a while. When the bound is reached a connection makes room: the one that has been silent longest since it came,
// or else one that has been silent longest, whose client comes back by itself.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"

namespace coffer::rpc {

class Acceptor {
 public:
  // Takes over a connected socket from listener number `listener`. On a thread for this alone: gRPC may go on and read
  // the connection on the thread that brings it, for as long as its client sends.
  using Handover = std::function<void(std::size_t listener, int listener_fd, int fd)>;

  struct Limits {
    std::size_t connections;  // that are gRPC's
    std::size_t silent;       // that have said nothing, besides those
    Nanos silence;            // after it came; then a connection is closed, but at most 50 in a fiftieth of this time
    // That a connection may send before its first call ends, and from one call's end to the next; more when the last
    // one was of somebody who is known. gRPC 1.51 keeps a header that never ends, however long it is, and reads it
    // again with every frame.
    std::uint64_t bytes_without_call = UINT64_MAX;
    std::uint64_t bytes_of_known = UINT64_MAX;
  };

  // Owns the listening sockets. `log` hears of evictions and of pauses for want of descriptors, of each the first and
  // then every thousandth.
  Acceptor(std::vector<int> listeners, const Limits& limits, Handover handover,
           std::function<void(std::string_view)> log);
  // As close(); connections stay with gRPC.
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // A call on the connection from there has ended. Any thread.
  void note_call(std::string_view address, std::uint16_t port, bool known);

  // Accepts no more.
  void close();
  // Ends every connection that is open, in both directions; gRPC sees that. After close(). None is handed over any
  // more.
  void disconnect();

  std::size_t connections() const noexcept { return open_.load(std::memory_order_relaxed); }

 private:
  // Came and has not said anything. The descriptor is the acceptor's.
  struct Mute {
    int fd;
    std::size_t listener;
  };

  void run();
  void hand_over();
  void end_handing();
  void accept_from(std::size_t listener);
  void greeted(std::uint64_t number);
  void close_mute(std::map<std::uint64_t, Mute>::iterator mute);
  void expire_mutes();
  void close_floods();
  void on_tick();
  void count();
  // False when the connection's end could not be seen.
  bool track(int fd);
  void untrack(std::size_t place);
  void make_room();
  void watch_listeners(std::uint32_t events) const;
  void evict_one();
  void evict_greeted();
  void note_eviction();
  void pause(int millis);
  void resume();
  void close_retired();

  const std::vector<int> listeners_;
  const Limits limits_;
  const Handover handover_;
  const std::function<void(std::string_view)> log_;
  int epoll_ = -1;
  int stop_ = -1;
  int timer_ = -1;
  // Thread only, as all that follows. By order of arrival.
  std::map<std::uint64_t, Mute> mutes_;
  std::uint64_t next_mute_ = 0;
  std::deque<std::uint64_t> ticks_;  // next_mute_ at each of the last ones
  // A second descriptor of each connection that is gRPC's, by which its end is seen.
  std::vector<int> watched_;
  struct Allowance {
    std::string peer;         // as note_call() names it
    std::uint64_t bytes_max;  // received since it came
  };
  std::vector<Allowance> allowances_;  // by place in watched_
  std::vector<std::size_t> place_of_fd_;
  // Of connections that are over; closed after the round, or an event in hand might be taken for a new connection's.
  std::vector<int> retired_;
  int paused_millis_ = 0;  // 0: accepting
  int evicted_at_once_ = 0;
  std::size_t hand_ = 0;
  std::uint64_t evicted_ = 0;
  std::uint64_t pauses_ = 0;
  std::atomic<std::size_t> open_{0};
  std::mutex calls_mutex_;
  // Peers with a call since the last tick, and whether one was of somebody known. Guarded by calls_mutex_.
  std::unordered_map<std::string, bool> calls_;
  std::mutex handing_mutex_;
  std::condition_variable handing_changed_;
  std::deque<std::pair<std::size_t, int>> to_hand_;  // listeners and sockets; at most limits_.connections. Guarded, as:
  bool handing_ends_ = false;
  std::thread handing_;
  std::thread thread_;
};

}  // namespace coffer::rpc
