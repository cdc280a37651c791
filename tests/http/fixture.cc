#include "tests/http/fixture.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "base/check.h"

namespace coffer::testing {

Seen see(const core::Request& request) {
  static constexpr const char* kNames[] = {"read", "write", "delete", "list", "patch", "help"};
  Seen seen;
  seen.operation = kNames[static_cast<int>(request.operation)];
  seen.path = request.path.str();
  seen.namespace_path = request.namespace_path;
  seen.token = request.token;
  json::write(request.data, seen.data);
  seen.content_type = request.content_type;
  seen.remote_address = request.remote_address;
  seen.id = request.id;
  if (request.wrap_ttl)
    seen.wrap_ttl = *request.wrap_ttl;
  return seen;
}

void ScriptedDispatcher::dispatch(std::unique_ptr<core::Exchange> exchange) {
  {
    const std::lock_guard lock(mutex_);
    seen_.push_back(see(exchange->request));
    if (holding_) {
      held_.push_back(std::move(exchange));
      changed_.notify_all();
      return;
    }
  }
  answer(std::move(exchange));
}

void ScriptedDispatcher::resume(std::unique_ptr<core::Exchange> exchange) { answer(std::move(exchange)); }

void ScriptedDispatcher::answer(std::unique_ptr<core::Exchange> exchange) {
  Script script;
  {
    const std::lock_guard lock(mutex_);
    script = script_;
  }
  if (script)
    script(*exchange);
  else
    exchange->response.data = json::Value::raw("{\"ok\":true}");
  core::Home* home = exchange->home;
  home->respond(std::move(exchange));
}

void ScriptedDispatcher::set_script(Script script) {
  const std::lock_guard lock(mutex_);
  script_ = std::move(script);
}

void ScriptedDispatcher::hold() {
  const std::lock_guard lock(mutex_);
  holding_ = true;
}

void ScriptedDispatcher::wait_held(std::size_t count) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return held_.size() >= count; });
}

void ScriptedDispatcher::let_go(bool resumed) {
  std::vector<std::unique_ptr<core::Exchange>> held;
  {
    const std::lock_guard lock(mutex_);
    held.swap(held_);
    holding_ = false;
  }
  for (auto& exchange : held) {
    core::Home* home = exchange->home;
    if (resumed)
      home->resume_later(std::move(exchange));
    else
      answer(std::move(exchange));
  }
}

std::vector<Seen> ScriptedDispatcher::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

Client::Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  COFFER_CHECK(fd_ >= 0);
  const timeval limit{10, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  COFFER_CHECK(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
}

Client::~Client() {
  if (fd_ >= 0)
    ::close(fd_);
}

bool Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0)
      return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

void Client::finish_sending() { ::shutdown(fd_, SHUT_WR); }

bool Client::fill() {
  char buffer[65536];
  const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
  if (n <= 0)
    return false;
  rest_.append(buffer, static_cast<std::size_t>(n));
  return true;
}

Answer Client::receive(bool without_body) {
  Answer answer;
  std::size_t end;
  while ((end = rest_.find("\r\n\r\n")) == std::string::npos) {
    if (!fill()) {
      answer.closed = true;
      return answer;
    }
  }
  std::string head = rest_.substr(0, end + 2);
  rest_.erase(0, end + 4);
  answer.status = std::stoi(head.substr(9, 3));
  for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
    const std::size_t line = head.find("\r\n", at);
    const std::size_t colon = head.find(": ", at);
    std::string name = head.substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? char(c | 0x20) : c; });
    answer.headers[name] = head.substr(colon + 2, line - colon - 2);
    at = line + 2;
  }
  const auto length = answer.headers.find("content-length");
  const std::size_t size = length == answer.headers.end() || without_body ? 0 : std::stoul(length->second);
  while (rest_.size() < size) {
    if (!fill()) {
      answer.closed = true;
      return answer;
    }
  }
  answer.body = rest_.substr(0, size);
  rest_.erase(0, size);
  return answer;
}

std::string Client::receive_all() {
  while (fill()) {
  }
  return std::move(rest_);
}

bool Client::closed_by_server() { return rest_.empty() && !fill(); }

Answer ask(std::uint16_t port, std::string_view request) {
  Client client(port);
  client.send(request);
  return client.receive(request.substr(0, 4) == "HEAD");
}

http::Config ServerFixture::default_config() {
  http::Config config;
  config.threads = 2;
  config.listeners.push_back({"127.0.0.1", 0, {}});
  return config;
}

ServerFixture::~ServerFixture() {
  if (server)
    server->stop(Nanos(0));
}

std::uint16_t ServerFixture::start() {
  auto made = http::Server::create(config, dispatcher, system_random(), clock, [this](std::string_view line) {
    const std::lock_guard lock(mutex_);
    log_.emplace_back(line);
  });
  COFFER_CHECK(made.ok());
  server = std::move(made).value();
  server->start();
  return server->bound().front().port;
}

std::vector<std::string> ServerFixture::log() const {
  const std::lock_guard lock(mutex_);
  return log_;
}

void ServerFixture::pass(Nanos time) {
  clock.advance(time);
  server->wake();
}

}  // namespace coffer::testing
