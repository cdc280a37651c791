// One io thread: an epoll loop that owns its connections, reads requests, hands them to the dispatcher, and writes
// answers. Connections never change thread. Exchanges that other threads give back arrive in a mailbox, which wakes the
// loop once a batch and only while it sleeps. One coarse clock tick serves all deadlines.
//
// Whoever has had a request answered comes first. New connections, and long bodies of those who have shown no live
// token, are served in short slices between the others, and while they have more to do than a slice takes, slices are
// apart: so a flood of either costs those who are known little of their time (advisories K1, K8).
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/request.h"
#include "http/connection.h"
#include "http/shared.h"

namespace coffer::http {

class IoThread final : public core::Home {
 public:
  // All of `shared` is borrowed and outlives the thread. `listeners` is accepted from by this thread; only one thread
  // gets them.
  IoThread(Shared& shared, std::vector<int> listeners);
  ~IoThread() override;

  // Runs until stop() was asked for and every exchange is back. On the thread itself.
  void run();

  // Any thread.
  void adopt(NewConnection connection);
  void request_stop(BootTime hard_deadline);
  void wake();
  void wake_feeds();
  void resume_later(std::unique_ptr<core::Exchange> exchange) override;
  void respond(std::unique_ptr<core::Exchange> exchange) override;
  // Requests that connections of this thread wait for. From another thread; what the thread does not tell within
  // `time_max` is left out.
  struct InFlight {
    std::string id;
    std::string remote_address;
    std::string path;
    core::Operation operation = core::Operation::kRead;
    BootTime since{};
  };
  std::vector<InFlight> in_flight(std::chrono::milliseconds time_max);
  const Counters& counters() const noexcept { return counters_; }
  std::size_t connections_open() const noexcept { return open_.load(std::memory_order_relaxed); }

  // The rest is for Connection, on this thread.
  Shared& shared() noexcept { return shared_; }
  BootTime now() const noexcept { return now_; }
  std::string_view date() const noexcept { return date_; }
  std::unique_ptr<core::Exchange> take_exchange();
  void keep_exchange(std::unique_ptr<core::Exchange> exchange);
  // A random UUID in the exchange's arena; false when the random source failed.
  bool set_request_id(core::Exchange& exchange);
  void dispatch(std::unique_ptr<core::Exchange> exchange);
  // For an exchange that was answered without the dispatcher.
  void answer_at_once(std::unique_ptr<core::Exchange> exchange);
  Counters& counters() noexcept { return counters_; }
  // The connection has had its share; it goes on in a later round.
  void continue_later(Connection& connection);  // once, however often it is called
  // A request of it was answered as one that makes sense.
  void promote(Connection& connection);
  void release(Connection& connection);
  // It listens to events: from now on it hears of wake_feeds(), until it is released.
  void add_feed(Connection& connection) { feeds_.push_back(&connection); }
  void log_failure(std::string_view line);
  bool stopping() const noexcept { return stopping_; }

  // Buffers that every connection of this thread uses in turn; wiped by who used them.
  static constexpr std::size_t kReadBytesMax = 64u << 10;
  char* read_buffer() noexcept { return read_buffer_.get(); }
  std::string& out() noexcept { return out_; }
  std::string& scratch() noexcept { return scratch_; }

 private:
  class Alarm;
  struct Mail {
    std::unique_ptr<core::Exchange> exchange;
    bool resume;
  };

  struct Inspection {
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    std::vector<InFlight> found;
  };

  void answer_inspection();
  void post(std::unique_ptr<core::Exchange> exchange, bool resume);
  void wait_and_handle();
  int next_timeout();
  void let_others_run();
  void continue_some();
  void go_on(Connection& connection);
  void serve_strangers();
  void take_strangers_events();
  bool strangers_wait() const noexcept { return strangers_ready_ || !bulk_.empty() || shared_.bodies.dirty(); }
  bool watch(int epoll, int operation, Connection& connection);
  void handle_event(std::uint64_t tag, std::uint32_t events);
  void take_mail();
  void pump();
  void tick();
  void begin_stop();
  void accept_from(std::size_t listener);
  void place(NewConnection connection);
  void add_connection(NewConnection&& connection);
  bool evict_one();
  void pause_accepting(bool paused);
  bool on_this_thread() const noexcept;

  Shared& shared_;
  std::vector<int> listeners_;
  int epoll_ = -1;      // connections that are known, alarm_, and strangers_ while strangers_ready_ is not set
  int strangers_ = -1;  // listeners and new connections
  const std::shared_ptr<Alarm> alarm_;

  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<std::unique_ptr<Connection>> closed_;  // freed at the end of the round: events of it may still be in hand
  std::vector<Connection*> continue_;                // these have input left
  std::deque<Connection*> bulk_;                     // these too, and it may be long
  std::vector<Connection*> feeds_;                   // at most limits::kEventSubscribersMax
  bool strangers_ready_ = false;                     // strangers_ may have events
  int strangers_pause_ = 0;                          // rounds until the next slice...
  BootTime strangers_due_{};                         // ...or when it is due, if that is sooner
  std::vector<Mail> local_;                          // mail that this thread sent itself
  std::vector<Mail> handling_;
  std::vector<std::unique_ptr<core::Exchange>> exchanges_;
  std::size_t eviction_hand_ = 0;
  BootTime now_{};
  BootTime last_tick_{};
  BootTime last_yield_{};
  std::string date_;
  bool stopping_ = false;
  bool accepting_paused_ = false;
  BootTime hard_deadline_{};
  unsigned log_lines_left_ = 0;
  std::uint64_t log_lines_dropped_ = 0;
  std::array<std::uint8_t, 4096> random_{};
  std::size_t random_used_ = sizeof random_;
  std::unique_ptr<char[]> read_buffer_;
  std::string out_;
  std::string scratch_;
  std::atomic<std::size_t> open_{0};
  Counters counters_;

  std::mutex mutex_;
  std::vector<Mail> mail_;                 // guarded by mutex_, as is all below
  std::vector<NewConnection> arrivals_;
  std::vector<std::shared_ptr<Inspection>> inspections_;
  bool sleeping_ = false;
  bool tick_wanted_ = false;
  bool feeds_wanted_ = false;
  bool stop_wanted_ = false;
  BootTime stop_deadline_{};
};

}  // namespace coffer::http
