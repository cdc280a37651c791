// A request's body that is as long as the state, on its way from the connection to whoever takes it: never in memory as
// a whole. The connection puts pieces in while there is room, one other thread takes them out.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "core/request.h"

namespace coffer::core {

// Whether the body of this request comes through a pipe. Decided by the head: operation and path.
bool pipes_body(const Request& request) noexcept;

class BodyPipe {
 public:
  // For the connection's thread.
  // `ready` is called when the body is wanted, and whenever there is room again; by the thread that takes.
  void on_ready(std::function<void()> ready);
  // Somebody takes it: a client that waits to be told so may go on. Until then nothing is to be put in.
  bool wanted() const;
  bool has_room() const;
  void put(std::string_view piece);
  void end();
  // The rest will not come. What ends or breaks off once stays so.
  void break_off(Status why);

  // For the thread that takes. Empty at the body's end. Blocks; kUnavailable when nothing came for `time_max`, or why
  // the body was broken off.
  Result<std::string> take(Nanos time_max);

 private:
  mutable std::mutex mutex_;
  std::condition_variable came_;
  std::function<void()> ready_;  // the rest is guarded by mutex_
  std::string held_;             // limits::kPipeBytesMax and one piece at most
  Status broken_;
  bool wanted_ = false;
  bool ended_ = false;
};

}  // namespace coffer::core
