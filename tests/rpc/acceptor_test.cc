#include "rpc/acceptor.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/listen.h"

namespace coffer::rpc {
namespace {

// The number of descriptors that this process may have, as it was before when this goes.
class DescriptorLimit {
 public:
  DescriptorLimit() { BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0); }
  ~DescriptorLimit() { lift(); }
  // All numbers below the lowest free one are taken; of the free ones `count` can be had.
  void leave(unsigned count) const {
    const int lowest = ::dup(0);
    BOOST_REQUIRE(lowest >= 0);
    ::close(lowest);
    const rlimit now{static_cast<rlim_t>(lowest) + count, before_.rlim_max};
    BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &now) == 0);
  }
  void lift() const { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

class Fixture {
 public:
  Fixture() {
    auto listener = listen_tcp("127.0.0.1", 0);
    BOOST_REQUIRE(listener.ok());
    port = bound_port(*listener);
    start(*listener, std::chrono::seconds(60));
  }
  void start(int listener, Nanos silence, std::uint64_t without_call = UINT64_MAX, std::uint64_t known = UINT64_MAX) {
    acceptor.emplace(
        std::vector<int>{listener}, Acceptor::Limits{10, 9, silence, without_call, known},
        [this](std::size_t, int, int fd) { add(fd); }, [](std::string_view) {});
  }
  ~Fixture() {
    acceptor.reset();
    for (const int fd : taken)
      ::close(fd);
  }

  void add(int fd) {
    const std::lock_guard lock(mutex);
    taken.push_back(fd);
    changed.notify_all();
  }
  void await_taken(std::size_t count) {
    std::unique_lock lock(mutex);
    BOOST_TEST(changed.wait_for(lock, std::chrono::seconds(20), [&] { return taken.size() >= count; }));
    BOOST_TEST(taken.size() == count);
  }

  std::uint16_t port = 0;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<int> taken;
  std::optional<Acceptor> acceptor;
};

class Client {
 public:
  Client() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) { BOOST_REQUIRE(fd_ >= 0); }
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  void connect(std::uint16_t port) const {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    BOOST_REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  }
  // As a client of gRPC does at once; the acceptor looks at no more than that there is something.
  void greet() const { BOOST_REQUIRE(::send(fd_, "PRI", 3, MSG_NOSIGNAL) == 3); }
  void call(std::uint16_t port) const {
    connect(port);
    greet();
  }
  void send(std::size_t bytes) const {
    const std::string text(bytes, 'x');
    BOOST_REQUIRE(::send(fd_, text.data(), bytes, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes));
  }
  std::uint16_t own_port() const {
    sockaddr_in own{};
    socklen_t size = sizeof own;
    BOOST_REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&own), &size) == 0);
    return ntohs(own.sin_port);
  }
  bool open() const {
    char byte = 0;
    return ::recv(fd_, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
  }
  // Waits for that.
  bool closed_by_server() const {
    const timeval patience{20, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char byte = 0;
    const ssize_t n = ::recv(fd_, &byte, 1, 0);
    return n == 0 || (n < 0 && errno == ECONNRESET);
  }

 private:
  int fd_;
};

BOOST_FIXTURE_TEST_SUITE(rpc_acceptor, Fixture)

BOOST_AUTO_TEST_CASE(a_connection_that_cannot_be_watched_is_not_handed_over) {
  const Client first, second;
  const DescriptorLimit limit;
  limit.leave(1);
  first.call(port);
  BOOST_TEST(first.closed_by_server());
  limit.lift();
  second.call(port);
  await_taken(1);
  BOOST_TEST(acceptor->connections() == 1u);
}

BOOST_AUTO_TEST_CASE(a_connection_waits_for_a_descriptor) {
  const Client first, second;
  const DescriptorLimit limit;
  limit.leave(1);
  first.call(port);
  BOOST_TEST(first.closed_by_server());
  limit.leave(0);  // the one before found nobody to close: accepting has paused
  second.call(port);
  limit.lift();
  await_taken(1);
}

BOOST_AUTO_TEST_CASE(a_connection_makes_room_when_descriptors_are_scarce) {
  const Client first, second, third;
  first.call(port);
  await_taken(1);
  const DescriptorLimit limit;
  limit.leave(1);
  second.call(port);
  BOOST_TEST(first.closed_by_server());
  BOOST_TEST(second.closed_by_server());
  // The first one's second descriptor is free again.
  third.call(port);
  await_taken(2);
  BOOST_TEST(acceptor->connections() == 1u);
}

// Who says nothing is never gRPC's, and the first to make room (advisory K8).
BOOST_AUTO_TEST_CASE(the_silent_make_room_for_others) {
  const Client first, eleventh;
  first.call(port);
  await_taken(1);
  std::vector<std::unique_ptr<Client>> silent;
  for (int i = 0; i < 9; ++i) {
    silent.push_back(std::make_unique<Client>());
    silent.back()->connect(port);
  }
  eleventh.call(port);
  await_taken(2);
  BOOST_TEST(silent[0]->closed_by_server());
  BOOST_TEST(acceptor->connections() == 10u);
  // One that speaks late is as good as any.
  silent[8]->greet();
  await_taken(3);
}

// gRPC keeps a header that never ends; what ends a call is what counts.
BOOST_AUTO_TEST_CASE(who_sends_without_a_call_that_ends_is_closed) {
  const auto listener = listen_tcp("127.0.0.1", 0);
  BOOST_REQUIRE(listener.ok());
  port = bound_port(*listener);
  start(*listener, std::chrono::milliseconds(500), 1000, 10'000);
  const Client flood, caller, known, late;
  for (const Client* one : {&flood, &caller, &known, &late})
    one->call(port);
  await_taken(4);
  known.send(500);
  acceptor->note_call("127.0.0.1", known.own_port(), true);
  // Whatever is closed after this shows that the calls were seen.
  flood.send(2000);
  BOOST_TEST(flood.closed_by_server());
  known.send(5000);
  caller.send(900);
  acceptor->note_call("127.0.0.1", caller.own_port(), false);
  late.send(2000);
  BOOST_TEST(late.closed_by_server());
  BOOST_TEST(known.open());
  BOOST_TEST(caller.open());
  caller.send(2000);
  BOOST_TEST(caller.closed_by_server());
  known.send(20'000);
  BOOST_TEST(known.closed_by_server());
}

// gRPC may read a connection on the thread that brings it, as long as its client sends: who floods is closed all the
// same.
BOOST_AUTO_TEST_CASE(a_flood_that_holds_the_handover_is_closed) {
  const auto listener = listen_tcp("127.0.0.1", 0);
  BOOST_REQUIRE(listener.ok());
  port = bound_port(*listener);
  const auto reads_on = [this](std::size_t, int, int fd) {
    char bytes[4096];
    pollfd readable{fd, POLLIN, 0};
    while (::poll(&readable, 1, 20'000) == 1 && ::recv(fd, bytes, sizeof bytes, 0) > 0) {
    }
    add(fd);
  };
  acceptor.emplace(std::vector<int>{*listener},
                   Acceptor::Limits{10, 9, std::chrono::milliseconds(500), 1000, 10'000}, reads_on,
                   [](std::string_view) {});
  const Client flood;
  flood.call(port);
  flood.send(2000);
  BOOST_TEST(flood.closed_by_server());
  await_taken(1);
}

BOOST_AUTO_TEST_CASE(silence_ends) {
  const auto listener = listen_tcp("127.0.0.1", 0);
  BOOST_REQUIRE(listener.ok());
  port = bound_port(*listener);
  start(*listener, std::chrono::milliseconds(10));
  const Client silent;
  silent.connect(port);
  BOOST_TEST(silent.closed_by_server());
  BOOST_TEST(taken.empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::rpc
