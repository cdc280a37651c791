#include "rpc/acceptor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
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
constexpr std::uint64_t kTimerTag = kStopTag - 1;
constexpr std::uint64_t kListenerBit = std::uint64_t{1} << 32;
constexpr std::uint64_t kMuteBit = std::uint64_t{1} << 62;
constexpr int kEvictedAtOnceMax = 8;      // then a pause of a millisecond
constexpr std::size_t kTicks = 50;        // within the longest silence
constexpr int kMutesExpiredMax = 50;      // closed at one of them: who comes again shall not come all at once
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

std::uint64_t received(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  return ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_received : 0;
}

std::string peer_name(std::string_view address, std::uint16_t port) {
  return std::string(address.substr(0, address.find('%'))) + " " + std::to_string(port);
}

// As gRPC names it: an IPv4 address within IPv6 is one of IPv4.
std::string peer_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  char text[INET6_ADDRSTRLEN] = "";
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    return {};
  if (address.ss_family == AF_INET) {
    const auto& four = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &four.sin_addr, text, sizeof text);
    return peer_name(text, ntohs(four.sin_port));
  }
  const auto& six = reinterpret_cast<const sockaddr_in6&>(address);
  if (IN6_IS_ADDR_V4MAPPED(&six.sin6_addr))
    ::inet_ntop(AF_INET, &six.sin6_addr.s6_addr[12], text, sizeof text);
  else
    ::inet_ntop(AF_INET6, &six.sin6_addr, text, sizeof text);
  return peer_name(text, ntohs(six.sin6_port));
}

}  // namespace

Acceptor::Acceptor(std::vector<int> listeners, const Limits& limits, Handover handover,
                   std::function<void(std::string_view)> log)
    : listeners_(std::move(listeners)),
      limits_(limits),
      handover_(std::move(handover)),
      log_(std::move(log)) {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  stop_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  COFFER_CHECK(epoll_ >= 0 && stop_ >= 0 && limits_.connections > 0 && limits_.silent > 0);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kStopTag;
  COFFER_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, stop_, &event) == 0);
  timer_ = ::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  const auto nanos = limits_.silence.count() / static_cast<std::int64_t>(kTicks);
  const timespec tick{nanos / 1'000'000'000, nanos % 1'000'000'000};
  const itimerspec interval{tick, tick};
  COFFER_CHECK(timer_ >= 0 && ::timerfd_settime(timer_, 0, &interval, nullptr) == 0);
  event.data.u64 = kTimerTag;
  COFFER_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, timer_, &event) == 0);
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    event.data.u64 = kListenerBit | i;
    COFFER_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, listeners_[i], &event) == 0);
  }
  handing_ = std::thread([this] { hand_over(); });
  thread_ = std::thread([this] { run(); });
}

void Acceptor::hand_over() {
  std::unique_lock lock(handing_mutex_);
  for (;;) {
    handing_changed_.wait(lock, [this] { return handing_ends_ || !to_hand_.empty(); });
    if (handing_ends_)
      return;
    const auto [listener, fd] = to_hand_.front();
    to_hand_.pop_front();
    lock.unlock();
    handover_(listener, listeners_[listener], fd);
    lock.lock();
  }
}

void Acceptor::end_handing() {
  {
    const std::lock_guard lock(handing_mutex_);
    handing_ends_ = true;
  }
  handing_changed_.notify_one();
  if (handing_.joinable())
    handing_.join();
  for (const auto& [listener, fd] : to_hand_)
    ::close(fd);
  to_hand_.clear();
}

void Acceptor::close() {
  if (!thread_.joinable())
    return;
  ::eventfd_write(stop_, 1);
  thread_.join();
}

void Acceptor::disconnect() {
  COFFER_CHECK(!thread_.joinable());
  while (!mutes_.empty())
    close_mute(mutes_.begin());
  for (const int fd : watched_)
    ::shutdown(fd, SHUT_RDWR);
  end_handing();
}

Acceptor::~Acceptor() {
  close();
  end_handing();
  while (!mutes_.empty())
    close_mute(mutes_.begin());
  for (const int fd : watched_)
    ::close(fd);
  for (const int fd : listeners_)
    ::close(fd);
  ::close(timer_);
  ::close(stop_);
  ::close(epoll_);
}

void Acceptor::run() {
  epoll_event events[64];
  for (;;) {
    const int n = ::epoll_wait(epoll_, events, 64, paused_millis_ != 0 ? paused_millis_ : -1);
    if (paused_millis_ != 0)
      resume();
    for (int i = 0; i < n; ++i) {
      const std::uint64_t tag = events[i].data.u64;
      if (tag == kStopTag)
        return close_retired();
      if (tag == kTimerTag)
        on_tick();
      else if ((tag & kMuteBit) != 0)
        greeted(tag & ~kMuteBit);
      else if ((tag & kListenerBit) != 0)
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

// For so long, or until something happens.
void Acceptor::pause(int millis) {
  paused_millis_ = millis;
  watch_listeners(0);
}

void Acceptor::resume() {
  paused_millis_ = evicted_at_once_ = 0;
  watch_listeners(EPOLLIN);
}

void Acceptor::watch_listeners(std::uint32_t events) const {
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    epoll_event event{};
    event.events = events;
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
  if (mutes_.size() >= limits_.silent && !mutant(Mutant::kRpcConnectionsUnbounded))
    evict_one();
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLRDHUP;
  event.data.u64 = kMuteBit | next_mute_;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0) {
    ::close(fd);
    return make_room();
  }
  mutes_.emplace(next_mute_++, Mute{fd, listener});
  count();
}

// From here on it is gRPC's, if there is something to read.
void Acceptor::greeted(std::uint64_t number) {
  const auto mute = mutes_.find(number);
  if (mute == mutes_.end())
    return;
  const auto [fd, listener] = mute->second;
  char first = 0;
  const ssize_t n = ::recv(fd, &first, 1, MSG_PEEK);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n != 1)
    return close_mute(mute);
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
  mutes_.erase(mute);
  if (watched_.size() >= limits_.connections && !mutant(Mutant::kRpcConnectionsUnbounded))
    evict_greeted();
  if (!track(fd)) {
    // Handed over it would be neither counted nor closed to make room.
    ::close(fd);
    count();
    return make_room();
  }
  {
    const std::lock_guard lock(handing_mutex_);
    to_hand_.emplace_back(listener, fd);
  }
  handing_changed_.notify_one();
}

void Acceptor::close_mute(std::map<std::uint64_t, Mute>::iterator mute) {
  ::close(mute->second.fd);
  mutes_.erase(mute);
  count();
}

void Acceptor::expire_mutes() {
  std::uint64_t ticks = 0;
  [[maybe_unused]] const ssize_t n = ::read(timer_, &ticks, sizeof ticks);
  ticks_.push_back(next_mute_);
  if (ticks_.size() <= kTicks)
    return;
  const std::uint64_t expired = ticks_.front();
  ticks_.pop_front();
  for (int left = kMutesExpiredMax; left > 0 && !mutes_.empty() && mutes_.begin()->first < expired; --left)
    close_mute(mutes_.begin());
}

void Acceptor::note_call(std::string_view address, std::uint16_t port, bool known) {
  if (limits_.bytes_without_call == UINT64_MAX)
    return;
  const std::lock_guard lock(calls_mutex_);
  bool& noted = calls_[peer_name(address, port)];
  noted = noted || known;
}

void Acceptor::on_tick() {
  expire_mutes();
  if (limits_.bytes_without_call != UINT64_MAX)
    close_floods();
}

void Acceptor::close_floods() {
  std::unordered_map<std::string, bool> calls;
  {
    const std::lock_guard lock(calls_mutex_);
    calls.swap(calls_);
  }
  for (std::size_t place = watched_.size(); place-- > 0;) {
    const std::uint64_t bytes = received(watched_[place]);
    Allowance& allowance = allowances_[place];
    if (const auto call = calls.find(allowance.peer); call != calls.end()) {
      allowance.bytes_max = bytes + (call->second ? limits_.bytes_of_known : limits_.bytes_without_call);
    } else if (bytes > allowance.bytes_max) {
      log_("a connection was closed that sent " + std::to_string(bytes) + " bytes without a call that ended");
      ::shutdown(watched_[place], SHUT_RDWR);
      untrack(place);
    }
  }
}

void Acceptor::count() { open_.store(watched_.size() + mutes_.size(), std::memory_order_relaxed); }

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
  allowances_.push_back({peer_of(copy), limits_.bytes_without_call});
  count();
  return true;
}

void Acceptor::untrack(std::size_t place) {
  const int fd = watched_[place];
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);  // closing is not enough while gRPC has the other descriptor
  retired_.push_back(fd);
  place_of_fd_[static_cast<std::size_t>(fd)] = SIZE_MAX;
  if (place + 1 != watched_.size()) {
    watched_[place] = watched_.back();
    allowances_[place] = std::move(allowances_.back());
    place_of_fd_[static_cast<std::size_t>(watched_[place])] = place;
  }
  watched_.pop_back();
  allowances_.pop_back();
  count();
}

// One connection less, and the next round tries again; without any, a later one does.
void Acceptor::make_room() {
  if (!watched_.empty() || !mutes_.empty())
    return evict_one();
  if (pauses_++ % 1000 == 0)
    log_("out of descriptors or memory: new connections wait");
  pause(kPauseMillis);
}

void Acceptor::evict_one() {
  if (mutes_.empty())
    return evict_greeted();
  note_eviction();
  close_mute(mutes_.begin());
}

// Who comes again at once is accepted again a little later.
void Acceptor::note_eviction() {
  if (evicted_++ % 1000 == 0)
    log_("too many connections or descriptors: " + std::to_string(evicted_) + " silent connections were closed so far");
  if (++evicted_at_once_ == kEvictedAtOnceMax)
    pause(1);
}

void Acceptor::evict_greeted() {
  note_eviction();
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
  ::shutdown(watched_[victim], SHUT_RDWR);
  untrack(victim);
}

}  // namespace coffer::rpc
