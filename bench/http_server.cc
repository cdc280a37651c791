// This project's HTTP listener with a dispatcher that answers each request at once with what a KV v2 read answers: the
// listener's own cost. `http_server PORT later` answers from another thread instead, as a write is answered.
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

#include "core/request.h"
#include "http/server.h"

namespace {

using coffer::core::Exchange;

void answer(Exchange& exchange) {
  exchange.response.mount_type = "kv";
  exchange.response.data = coffer::json::Value::raw(
      R"({"data":{"password":"correct horse battery staple","user":"app"},)"
      R"("metadata":{"created_time":"2026-01-01T00:00:00.000000001Z",)"
      R"("custom_metadata":null,"deletion_time":"","destroyed":false,"version":1}})");
}

class Immediate final : public coffer::core::Dispatcher {
 public:
  void dispatch(std::unique_ptr<Exchange> exchange) override {
    answer(*exchange);
    coffer::core::Home* home = exchange->home;
    home->respond(std::move(exchange));
  }
  void resume(std::unique_ptr<Exchange>) override {}
};

class Later final : public coffer::core::Dispatcher {
 public:
  Later() : worker_([this] { run(); }) { worker_.detach(); }
  void dispatch(std::unique_ptr<Exchange> exchange) override {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(exchange));
    if (queue_.size() == 1)
      changed_.notify_one();
  }
  void resume(std::unique_ptr<Exchange>) override {}

 private:
  void run() {
    std::vector<std::unique_ptr<Exchange>> batch;
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !queue_.empty(); });
        batch.swap(queue_);
      }
      for (auto& exchange : batch) {
        answer(*exchange);
        coffer::core::Home* home = exchange->home;
        home->respond(std::move(exchange));
      }
      batch.clear();
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Exchange>> queue_;
  std::thread worker_;
};

}  // namespace

int main(int argc, char** argv) {
  coffer::http::Config config;
  config.listeners.push_back({"127.0.0.1", static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0), {}});
  if (argc > 4)
    config.listeners[0].tls = coffer::crypto::TlsFiles{argv[3], argv[4]};
  std::unique_ptr<coffer::core::Dispatcher> dispatcher;
  if (argc > 2 && std::strcmp(argv[2], "later") == 0)
    dispatcher = std::make_unique<Later>();
  else
    dispatcher = std::make_unique<Immediate>();
  auto server = coffer::http::Server::create(
      config, *dispatcher, coffer::system_random(), coffer::system_clock(),
      [](std::string_view line) { std::fprintf(stderr, "%.*s\n", int(line.size()), line.data()); });
  if (!server.ok()) {
    std::fprintf(stderr, "%s\n", server.status().message().c_str());
    return 1;
  }
  std::printf("http://127.0.0.1:%u/v1/secret/data/x\n", (*server)->bound()[0].port);
  std::fflush(stdout);
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGINT);
  sigaddset(&stops, SIGTERM);
  sigprocmask(SIG_BLOCK, &stops, nullptr);
  (*server)->start();
  int signal = 0;
  sigwait(&stops, &signal);
  (*server)->stop(std::chrono::seconds(1));
}
