#include "rpc/acceptor.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "base/mutant.h"

namespace coffer::rpc {
namespace {

constexpr std::uint64_t kStopTag = ~std::uint64_t{0};
constexpr std::uint64_t kListenerBit = std::uint64_t{1} << 32;
constexpr std::size_t kCandidatesMax = 64;  // looked at for one eviction

constexpr int kPauseMillis = 100;           // without descriptors, and without a connection to close

constexpr std::uint64_t kGreetingBytesMin = 64;  // less than any client of gRPC sends before its first call

// How fit a connection is to be closed: first those that have not even greeted, then by how long they have been silent.
std::uint64_t idleness(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
    return UINT64_MAX;
  const std::uint64_t mute = info.tcpi_bytes_received < kGreetingBytesMin ? std::uint64_t{1} << 32 : 0;
  return mute + info.tcpi_last_data_recv;
}

}  // namespace

Acceptor::Acceptor(std::vector<int> listeners, std::size_t connections_max, Handover handover,
                   std::function<void(std::string_view)> log)
    : listeners_(std::move(listeners)),
      connections_max_(connections_max),
      handover_(std::move(handover)),
      log_(std::move(log)) {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  stop_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  COFFER_CHECK(epoll_ >= 0 && stop_ >= 0 && connections_max_ > 0);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kStopTag;
  COFFER_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, stop_, &event) == 0);
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    event.data.u64 = kListenerBit | i;
    COFFER_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, listeners_[i], &event) == 0);
  }
  thread_ = std::thread([this] { run(); });
}

void Acceptor::close() {
  if (!thread_.joinable())
    return;
  ::eventfd_write(stop_, 1);
  thread_.join();
}

void Acceptor::disconnect() {
  COFFER_CHECK(!thread_.joinable());
  for (const int fd : watched_)
    ::shutdown(fd, SHUT_RDWR);
}

Acceptor::~Acceptor() {
  close();
  for (const int fd : watched_)
    ::close(fd);
  for (const int fd : listeners_)
    ::close(fd);
  ::close(stop_);
  ::close(epoll_);
}

void Acceptor::run() {
  epoll_event events[64];
  for (;;) {
    const int n = ::epoll_wait(epoll_, events, 64, paused_ ? kPauseMillis : -1);
    if (paused_)
      pause(false);
    for (int i = 0; i < n; ++i) {
      const std::uint64_t tag = events[i].data.u64;
      if (tag == kStopTag)
        return close_retired();
      if ((tag & kListenerBit) != 0)
        accept_from(static_cast<std::size_t>(tag & 0xffffffffu));
      else if (tag < place_of_fd_.size() && place_of_fd_[tag] != SIZE_MAX)
        untrack(place_of_fd_[tag]);
    }
    close_retired();
  }
}

void Acceptor::close_retired() {
  for (const int fd : retired_)
    ::close(fd);
  retired_.clear();
}

void Acceptor::pause(bool paused) {
  paused_ = paused;
  if (paused && pauses_++ % 1000 == 0)
    log_("out of descriptors or memory: new connections wait");
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    epoll_event event{};
    event.events = paused ? 0u : static_cast<std::uint32_t>(EPOLLIN);
    event.data.u64 = kListenerBit | i;
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, listeners_[i], &event);
  }
}

void Acceptor::accept_from(std::size_t listener) {
  const int fd = ::accept4(listeners_[listener], nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
      make_room();
    return;
  }
  if (watched_.size() >= connections_max_ && !mutant(Mutant::kRpcConnectionsUnbounded))
    evict_one();
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!track(fd)) {
    // Handed over it would be neither counted nor closed to make room.
    ::close(fd);
    make_room();
    return;
  }
  handover_(listener, listeners_[listener], fd);
}

bool Acceptor::track(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0)
    return false;
  epoll_event event{};
  // EPOLLHUP and EPOLLERR come unasked: both directions are shut, as gRPC does before it closes
  event.events = EPOLLET;
  event.data.u64 = static_cast<std::uint64_t>(copy);
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, copy, &event) != 0) {
    ::close(copy);
    return false;
  }
  if (place_of_fd_.size() <= static_cast<std::size_t>(copy))
    place_of_fd_.resize(static_cast<std::size_t>(copy) + 1, SIZE_MAX);
  place_of_fd_[static_cast<std::size_t>(copy)] = watched_.size();
  watched_.push_back(copy);
  open_.store(watched_.size(), std::memory_order_relaxed);
  return true;
}

void Acceptor::untrack(std::size_t place) {
  const int fd = watched_[place];
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);  // closing is not enough while gRPC has the other descriptor
  retired_.push_back(fd);
  place_of_fd_[static_cast<std::size_t>(fd)] = SIZE_MAX;
  if (place + 1 != watched_.size()) {
    watched_[place] = watched_.back();
    place_of_fd_[static_cast<std::size_t>(watched_[place])] = place;
  }
  watched_.pop_back();
  open_.store(watched_.size(), std::memory_order_relaxed);
}

// One connection less, and the next round tries again; without any, a later one does.
void Acceptor::make_room() {
  if (watched_.empty())
    pause(true);
  else
    evict_one();
}

void Acceptor::evict_one() {
  std::size_t victim = 0;
  std::uint64_t most = 0;
  const std::size_t candidates = std::min(kCandidatesMax, watched_.size());
  for (std::size_t i = 0; i < candidates; ++i) {
    hand_ = (hand_ + 1) % watched_.size();
    const std::uint64_t idle = idleness(watched_[hand_]);
    if (i == 0 || idle > most) {
      most = idle;
      victim = hand_;
    }
  }
  if (evicted_++ % 1000 == 0)
    log_("too many connections or descriptors: " + std::to_string(evicted_) + " silent connections were closed so far");
  ::shutdown(watched_[victim], SHUT_RDWR);
  untrack(victim);
}

}  // namespace coffer::rpc
