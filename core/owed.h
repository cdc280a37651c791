// Answers that are given by other threads than the one that was asked.
#pragma once

#include <memory>
#include <utility>

#include "core/request.h"

namespace coffer::core {

inline void respond(std::unique_ptr<Exchange> exchange) {
  Home* home = exchange->home;
  home->respond(std::move(exchange));
}

inline void respond_failed(std::unique_ptr<Exchange> exchange, const Status& status) {
  fail(*exchange, status);
  respond(std::move(exchange));
}

// An exchange that waits for the applier. A node that has failed drops what it was given: the client hears of it then,
// and the connection, which cannot end without an answer, does not hold up the stop of the server.
class Owed {
 public:
  explicit Owed(std::unique_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~Owed() {
    if (exchange_)
      respond_failed(std::move(exchange_), Status(Code::kUnavailable, "the node has stopped"));
  }
  Owed(const Owed&) = delete;
  Owed& operator=(const Owed&) = delete;
  Exchange& operator*() const { return *exchange_; }
  std::unique_ptr<Exchange> take() { return std::move(exchange_); }

 private:
  std::unique_ptr<Exchange> exchange_;
};

}  // namespace coffer::core
