// The way from a call to the core and back: one Exchange a call, with what the metadata says, and answers that come
// from any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "base/rng.h"
#include "core/door.h"
#include "core/request.h"
#include "rpc/status_map.h"

namespace coffer::rpc {

// Who waits for an answer. Called once, on a thread of gRPC or of the gateway.
class Pending {
 public:
  virtual ~Pending() = default;
  virtual void answered(core::Exchange& exchange) = 0;
};

// What a call asks for, in HTTP's terms.
struct Ask {
  core::Operation operation = core::Operation::kRead;
  std::string path;
  // The request's data, made in the exchange's arena; what it refers to outside lives until the answer. Null function:
  // no data.
  std::function<Result<json::Value>(json::Arena&)> data;
  // Whether the reply has a place for a wrapping token. Where it has none, a call that asks for one is refused before
  // anything is done.
  bool wrappable = false;
  // Bytes of JSON that `data` is to parse: what exceeds the caller's bound is refused before.
  std::size_t json_bytes = 0;
  bool takes_feed = false;  // whether the reply is a stream of events
};

class Gateway final : public core::Home {
 public:
  // What one call may take.
  struct CallLimits {
    json::Limits json;
    std::size_t tokenless_bytes_max = SIZE_MAX;  // of the texts of a call that shows no live token
    Nanos time_max{0};                           // from the call to its answer; 0: no bound
    // Hears of each call that ended, and whether it was authenticated. Any thread; may be empty.
    std::function<void(std::string_view address, std::uint16_t port, bool known)> ended;
    std::shared_ptr<const core::DoorBoard> board;  // null: nobody is asked before a call's data is looked at
  };

  // Borrowed; they outlive the gateway.
  Gateway(core::Dispatcher& dispatcher, RandomSource& random, const CallLimits& limits);
  // Waits for every exchange that is out.
  ~Gateway() override;

  const json::Limits& limits() const noexcept { return limits_.json; }

  // On success `pending` hears exactly once, perhaps before this returns. On failure it never does.
  Status send(const grpc::CallbackServerContext& context, const Ask& ask, Pending& pending);

  // A call with one answer exists, from its first moment until its answer was handed to the client's connection.
  void begin_call();
  void end_call();
  // Waits until there is none, or until the time is up.
  void await_quiet(Nanos time_max);

  void resume_later(std::unique_ptr<core::Exchange> exchange) override;
  void respond(std::unique_ptr<core::Exchange> exchange) override;

 private:
  struct Mail {
    std::unique_ptr<core::Exchange> exchange;
    bool resume;
  };

  Status fill(const grpc::CallbackServerContext& context, const Ask& ask, core::Exchange& exchange);
  // What a call may hold: more for who shows a live token.
  std::size_t text_bytes_max(core::Exchange& exchange, std::size_t wanted) const;
  Status set_id(core::Exchange& exchange);
  void post(Mail mail);
  void run();
  void handle(std::vector<Mail> first);
  std::unique_ptr<core::Exchange> take();
  void keep(std::unique_ptr<core::Exchange> exchange);

  core::Dispatcher& dispatcher_;
  RandomSource& random_;
  const CallLimits limits_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Mail> mail_;                                  // guarded by mutex_, as is all below
  std::vector<std::unique_ptr<core::Exchange>> exchanges_;
  std::size_t out_ = 0;                                     // exchanges sent and not answered
  std::size_t calls_ = 0;
  bool stopping_ = false;
  std::thread thread_;                                      // last: it uses all of the above
};

// The answer's headers beyond what every answer has (those of quotas) as trailing metadata.
void add_headers(const core::Exchange& exchange, grpc::CallbackServerContext& context);

// A call with one answer. Deletes itself when gRPC is done with it.
template <typename Reply>
class UnaryCall final : public grpc::ServerUnaryReactor, public Pending {
 public:
  using Decode = std::function<Status(core::Exchange&, Reply&)>;
  UnaryCall(Gateway& gateway, grpc::CallbackServerContext& context, Reply& reply, Decode decode)
      : gateway_(gateway), context_(context), reply_(reply), decode_(std::move(decode)) {
    gateway_.begin_call();
  }

  void answered(core::Exchange& exchange) override {
    add_headers(exchange, context_);
    Finish(outcome(exchange));
  }
  void OnDone() override {
    gateway_.end_call();
    delete this;
  }

 private:
  grpc::Status outcome(core::Exchange& exchange) {
    try {
      if (exchange.response.has_errors() && !exchange.response.bare)
        return failure_of(exchange);
      const Status status = decode_(exchange, reply_);
      return status.ok() ? grpc::Status::OK : failure_of(status);
    } catch (const std::bad_alloc&) {
      // This answer is larger than what there is; the others go on.
      reply_.Clear();
      return failure_of(out_of_memory());
    }
  }

  Gateway& gateway_;
  grpc::CallbackServerContext& context_;
  Reply& reply_;
  const Decode decode_;
};

// Asks and, when the answer is there, decodes it into `reply`. `context`, `reply` and what `ask` refers to belong to
// the call.
template <typename Reply>
grpc::ServerUnaryReactor* unary(Gateway& gateway, grpc::CallbackServerContext& context, const Ask& ask, Reply& reply,
                                typename UnaryCall<Reply>::Decode decode) {
  auto* call = new UnaryCall<Reply>(gateway, context, reply, std::move(decode));
  if (const Status status = gateway.send(context, ask, *call); !status.ok())
    call->Finish(failure_of(status));
  return call;
}

}  // namespace coffer::rpc
