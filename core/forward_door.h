// Where requests of other nodes come in. They are run as if their clients had asked here: authorised by the token that
// they carry, with the client's address, and audited. None is passed on to a third node.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/cluster.h"
#include "core/request.h"

namespace coffer::core {

// Thread-safe. Has a thread of its own for what goes on or ends on another one than it came by.
class ForwardDoor final : public ForwardHandler, private Home {
 public:
  static constexpr std::size_t kRequestsMax = 4096;  // at once; more are told to try again

  // `dispatcher` outlives this.
  explicit ForwardDoor(Dispatcher& dispatcher);
  // Waits until every request has been answered; none may come any more.
  ~ForwardDoor() override;

  // Runs the request on the calling thread as far as it goes without waiting.
  void take(raft::NodeId from, std::string request, std::function<void(std::string reply)> reply) override;
  // What comes from now on is told that nothing was done. Any thread.
  void stop();

 private:
  using Reply = std::function<void(std::string reply)>;
  struct Mail {
    std::unique_ptr<Exchange> exchange;
    bool resume;
  };

  void resume_later(std::unique_ptr<Exchange> exchange) override;
  void respond(std::unique_ptr<Exchange> exchange) override;
  void post(Mail mail);
  void run();
  void handle(std::vector<Mail> mail);
  void finish(std::unique_ptr<Exchange> exchange);
  std::unique_ptr<Exchange> take_exchange();

  Dispatcher& dispatcher_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Mail> mail_;                            // guarded by mutex_
  std::vector<std::unique_ptr<Exchange>> exchanges_;  // guarded by mutex_; ready for another request
  std::size_t out_ = 0;                               // guarded by mutex_; requests not yet answered
  bool refusing_ = false;                             // guarded by mutex_
  bool stopping_ = false;                             // guarded by mutex_
  std::thread thread_;
};

}  // namespace coffer::core
