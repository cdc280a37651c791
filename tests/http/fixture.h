// A server on a loopback port with a dispatcher that the test scripts, a clock that the test moves, and a client that
// speaks bytes.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "core/request.h"
#include "http/server.h"

namespace coffer::testing {

// Any thread, unlike ManualClock.
class SharedClock final : public Clock {
 public:
  WallTime wall_now() const override { return WallTime(Nanos(now_.load())); }
  BootTime boot_now() const override { return BootTime(Nanos(now_.load())); }
  void advance(Nanos by) { now_ += by.count(); }

 private:
  std::atomic<std::int64_t> now_{1'800'000'000'000'000'000};
};

// What a request looked like, kept as text.
struct Seen {
  std::string operation;
  std::string path;
  std::string namespace_path;
  std::string token;
  std::string data;  // JSON
  std::string content_type;
  std::string remote_address;
  std::string id;
  Nanos wrap_ttl{-1};
};

class ScriptedDispatcher final : public core::Dispatcher {
 public:
  using Script = std::function<void(core::Exchange&)>;

  void dispatch(std::unique_ptr<core::Exchange> exchange) override;
  void resume(std::unique_ptr<core::Exchange> exchange) override;

  // What each request is answered with; the default is {"ok":true}.
  void set_script(Script script);
  // From now on exchanges are kept until let_go().
  void hold();
  // Waits until `count` exchanges are held.
  void wait_held(std::size_t count);
  // Answers all that are held, from this thread; by way of resume() when `resumed`.
  void let_go(bool resumed = false);
  std::vector<Seen> seen() const;

 private:
  void answer(std::unique_ptr<core::Exchange> exchange);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Script script_;
  bool holding_ = false;
  std::vector<std::unique_ptr<core::Exchange>> held_;
  std::vector<Seen> seen_;
};

Seen see(const core::Request& request);

struct Answer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  bool closed = false;  // the server closed before a whole answer came
};

// A blocking client; every wait ends after ten seconds.
class Client {
 public:
  explicit Client(std::uint16_t port);
  ~Client();
  Client(Client&& other) noexcept : fd_(std::exchange(other.fd_, -1)), rest_(std::move(other.rest_)) {}
  Client(const Client&) = delete;

  // False when the server has closed.
  bool send(std::string_view bytes);
  void finish_sending();
  Answer receive(bool without_body = false);
  // Everything until the server closes.
  std::string receive_all();
  // True when the server has closed and there was nothing more to read.
  bool closed_by_server();
  int fd() const { return fd_; }

 private:
  bool fill();
  int fd_;
  std::string rest_;
};

// One request and its answer on a connection of its own.
Answer ask(std::uint16_t port, std::string_view request);

class ServerFixture {
 public:
  ServerFixture() = default;
  ~ServerFixture();

  http::Config config = default_config();
  SharedClock clock;
  ScriptedDispatcher dispatcher;
  std::unique_ptr<http::Server> server;

  static http::Config default_config();
  // Starts with `config`; returns the port.
  std::uint16_t start();
  std::vector<std::string> log() const;
  // Moves the clock and has the server look at it.
  void pass(Nanos time);

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> log_;
};

}  // namespace coffer::testing
