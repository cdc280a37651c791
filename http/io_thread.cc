#include "http/io_thread.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/encoding.h"
#include "base/secret.h"
#include "base/wake.h"
#include "http/answer.h"

namespace coffer::http {
namespace {

constexpr Nanos kTick = std::chrono::milliseconds(500);
constexpr int kEventsMax = 256;          // taken from the kernel at once
constexpr int kEventsPerWakeMax = 32;    // handled before those who wait for this thread are woken
constexpr std::size_t kStrangersFirstMax = 256;  // looked at for a stranger before a known one makes room
constexpr int kAcceptedMax = 4;          // at once
constexpr int kStrangersMax = 2;         // events of new connections and listeners taken at once
constexpr Nanos kTurnMax = std::chrono::microseconds(100);
constexpr int kBulkReadsMax = 2;         // in a slice
constexpr Nanos kStrangersSlice = std::chrono::microseconds(200);
constexpr int kStrangersPauseMs = 1;     // until the next slice, when nothing else happens
constexpr int kStrangersPauseRounds = 16;  // and at most so many looks at what is new
constexpr std::size_t kContinuedMax = 4;  // connections that go on after their share, in one round
constexpr unsigned kLogLinesMax = 20;    // about failures of clients, per tick
constexpr std::size_t kBufferKeptBytesMax = 256u << 10;

thread_local const IoThread* current_thread = nullptr;

// Odd, as no address is: what is not a connection.
constexpr std::uint64_t kEventTag = 1;
constexpr std::uint64_t kStrangersTag = 3;
constexpr std::uint64_t kFirstListenerTag = 5;
std::uint64_t listener_tag(std::size_t listener) {
  return (static_cast<std::uint64_t>(listener) << 1) + kFirstListenerTag;
}

void shrink(std::string& buffer) {
  wipe(buffer.data(), buffer.size());
  buffer.clear();
  if (buffer.capacity() > kBufferKeptBytesMax)
    std::string().swap(buffer);
}

NewConnection describe(int fd, TlsContext* tls, const sockaddr_storage& peer) {
  NewConnection connection;
  connection.fd = fd;
  connection.tls = tls;
  char text[INET6_ADDRSTRLEN] = "";
  if (peer.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(peer);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    connection.port = ntohs(v4.sin_port);
  } else if (peer.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(peer);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    connection.port = ntohs(v6.sin6_port);
  }
  connection.address = text;
  return connection;
}

}  // namespace

// What ends the wait of epoll. Whoever is about to ring it may do so when the thread is over.
class IoThread::Alarm final : public Sleeper {
 public:
  Alarm() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Alarm() override { ::close(fd_); }
  void wake() noexcept override { ::eventfd_write(fd_, 1); }
  int fd() const noexcept { return fd_; }

 private:
  const int fd_;
};

Shared::Shared(Config c, core::Dispatcher& d, RandomSource& r, const Clock& k, std::function<void(std::string_view)> l)
    : config(std::move(c)), dispatcher(d), random(r), clock(k), log(std::move(l)),
      bodies(config.limits.small_bodies_bytes, config.limits.large_bodies_bytes) {}

Shared::~Shared() = default;

IoThread::IoThread(Shared& shared, std::vector<int> listeners)
    : shared_(shared), listeners_(std::move(listeners)), alarm_(std::make_shared<Alarm>()),
      read_buffer_(new char[kReadBytesMax]) {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  strangers_ = ::epoll_create1(EPOLL_CLOEXEC);
  COFFER_CHECK(epoll_ >= 0 && strangers_ >= 0 && alarm_->fd() >= 0);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = kEventTag;
  COFFER_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, alarm_->fd(), &event) == 0);
  event.events = EPOLLIN | EPOLLONESHOT;
  event.data.u64 = kStrangersTag;
  COFFER_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_ADD, strangers_, &event) == 0);
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    event.events = EPOLLIN;
    event.data.u64 = listener_tag(i);
    COFFER_CHECK(::epoll_ctl(strangers_, EPOLL_CTL_ADD, listeners_[i], &event) == 0);
  }
}

IoThread::~IoThread() {
  COFFER_CHECK(connections_.empty());
  for (NewConnection& connection : arrivals_)
    ::close(connection.fd);
  ::close(strangers_);
  ::close(epoll_);
}

bool IoThread::on_this_thread() const noexcept { return current_thread == this; }

void IoThread::run() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);  // SIGPIPE of TLS writes too
  pthread_setname_np(pthread_self(), "http-io");
  current_thread = this;
  last_tick_ = now_ = shared_.clock.boot_now();
  log_lines_left_ = kLogLinesMax;
  format_date(shared_.clock.wall_now(), date_);
  while (!stopping_ || !connections_.empty())
    wait_and_handle();
  closed_.clear();
  current_thread = nullptr;
}

// Milliseconds that there is nothing to do, but for events.
int IoThread::next_timeout() {
  int timeout = static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(kTick).count());
  if (strangers_wait())
    timeout = strangers_pause_ == 0 ? 0 : kStrangersPauseMs;
  const std::lock_guard lock(mutex_);
  if (!mail_.empty() || !arrivals_.empty() || !continue_.empty() || tick_wanted_ || feeds_wanted_ ||
      stop_wanted_)
    timeout = 0;
  sleeping_ = timeout != 0;
  return timeout;
}

void IoThread::wait_and_handle() {
  const int timeout = next_timeout();
  epoll_event events[kEventsMax];
  const int n = ::epoll_wait(epoll_, events, kEventsMax, timeout);
  now_ = shared_.clock.boot_now();
  let_others_run();
  const WakeScope round;
  take_mail();
  for (int i = 0; i < n; ++i) {
    handle_event(events[i].data.u64, events[i].events);
    pump();
    if (i % kEventsPerWakeMax == kEventsPerWakeMax - 1)
      WakeScope::now();
  }
  continue_some();
  strangers_pause_ = n == 0 || now_ >= strangers_due_ ? 0 : std::max(strangers_pause_ - 1, 0);
  if (strangers_wait() && strangers_pause_ == 0)
    serve_strangers();
  if (now_ - last_tick_ >= kTick)
    tick();
  // One that stands in a queue is freed when its turn has come.
  std::erase_if(closed_, [](const auto& connection) { return !connection->queued; });
  shrink(out_);
  shrink(scratch_);
}

// One slice of new connections and long bodies, in turn.
void IoThread::serve_strangers() {
  now_ = shared_.clock.boot_now();  // the round may have taken long already
  const BootTime end = now_ + kStrangersSlice;
  bool more = true;
  for (int reads = 0; more && now_ < end; now_ = shared_.clock.boot_now()) {
    more = strangers_ready_;
    if (strangers_ready_)
      take_strangers_events();
    while (!bulk_.empty() && bulk_.front()->closed()) {
      bulk_.front()->queued = false;
      bulk_.pop_front();
    }
    if (!bulk_.empty() && reads < kBulkReadsMax) {
      Connection& connection = *bulk_.front();
      bulk_.pop_front();
      go_on(connection);
      ++reads;
      more = true;
    }
    if (shared_.bodies.dirty()) {
      shared_.bodies.clean_some();
      more = true;
    }
  }
  strangers_due_ = now_ + std::chrono::milliseconds(kStrangersPauseMs);
  if (strangers_wait())
    strangers_pause_ = kStrangersPauseRounds;
}

void IoThread::take_strangers_events() {
  epoll_event events[kStrangersMax];
  const int n = ::epoll_wait(strangers_, events, kStrangersMax, 0);
  for (int i = 0; i < n; ++i) {
    handle_event(events[i].data.u64, events[i].events);
    pump();
  }
  if (n == kStrangersMax)
    return;
  strangers_ready_ = false;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLONESHOT;
  event.data.u64 = kStrangersTag;
  COFFER_CHECK(::epoll_ctl(epoll_, EPOLL_CTL_MOD, strangers_, &event) == 0);
}

// The turn of a connection that stood in a queue.
void IoThread::go_on(Connection& connection) {
  connection.queued = false;
  if (!connection.closed())
    connection.advance();
  pump();
}

// When all is answered only clients can go on. Those of this machine may wait for this very processor, and while there
// is always one more request they would wait for the scheduler's whole slice, some milliseconds.
void IoThread::let_others_run() {
  if (now_ - last_yield_ < kTurnMax || counters_.in_flight.load(std::memory_order_relaxed) != 0)
    return;
  last_yield_ = now_;
  std::this_thread::yield();
}

// A few of those that have more to do, in turn; the others after the next look at what is new, so that who sends much
// makes nobody wait who sends little.
void IoThread::continue_some() {
  std::vector<Connection*> ready;
  ready.swap(continue_);
  const std::size_t share = std::min(ready.size(), kContinuedMax);
  for (std::size_t i = 0; i < share; ++i)
    go_on(*ready[i]);
  continue_.insert(continue_.begin(), ready.begin() + static_cast<std::ptrdiff_t>(share), ready.end());
}

void IoThread::handle_event(std::uint64_t tag, std::uint32_t events) {
  if (tag == kEventTag) {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t n = ::read(alarm_->fd(), &count, sizeof count);
  } else if (tag == kStrangersTag) {
    strangers_ready_ = true;
  } else if ((tag & 1) != 0) {
    accept_from((tag - kFirstListenerTag) >> 1);
  } else {
    reinterpret_cast<Connection*>(tag)->on_event(events);
  }
}

// Everything that others left for this thread since the last round, in one go.
void IoThread::take_mail() {
  std::vector<NewConnection> arrivals;
  bool tick_now = false;
  bool feeds_now = false;
  bool stop_now = false;
  {
    const std::lock_guard lock(mutex_);
    sleeping_ = false;
    handling_.swap(mail_);
    arrivals.swap(arrivals_);
    std::swap(tick_now, tick_wanted_);
    std::swap(feeds_now, feeds_wanted_);
    std::swap(stop_now, stop_wanted_);
    hard_deadline_ = stop_deadline_;
  }
  for (Mail& mail : handling_)
    local_.push_back(std::move(mail));
  handling_.clear();
  for (NewConnection& connection : arrivals)
    add_connection(std::move(connection));
  if (stop_now)
    begin_stop();
  if (tick_now)
    tick();
  for (std::size_t i = feeds_now ? feeds_.size() : 0; i-- > 0;)  // one that closes leaves the list
    feeds_[i]->on_feed_ready();
  answer_inspection();
  pump();
}

// Answers and resumptions, until none is left. Handling one may add others.
void IoThread::pump() {
  for (std::size_t i = 0; i < local_.size(); ++i) {
    Mail mail = std::move(local_[i]);
    if (mail.resume) {
      shared_.dispatcher.resume(std::move(mail.exchange));
      continue;
    }
    bump(counters_.in_flight, static_cast<std::uint64_t>(-1));
    auto* connection = static_cast<Connection*>(mail.exchange->connection);
    connection->on_answer(std::move(mail.exchange));
  }
  local_.clear();
}

void IoThread::tick() {
  last_tick_ = now_;
  format_date(shared_.clock.wall_now(), date_);
  if (log_lines_dropped_ != 0)
    shared_.log(std::to_string(log_lines_dropped_) + " more failures of clients were not logged");
  log_lines_dropped_ = 0;
  log_lines_left_ = kLogLinesMax;
  if (accepting_paused_ && !stopping_)
    pause_accepting(false);
  const bool out_of_time = stopping_ && now_ >= hard_deadline_;
  for (std::size_t i = connections_.size(); i-- > 0;) {  // closing moves the last one here
    Connection& connection = *connections_[i];
    if (out_of_time)
      connection.close();
    else
      connection.on_tick();
  }
}

void IoThread::begin_stop() {
  if (stopping_)
    return;
  stopping_ = true;
  pause_accepting(true);
  for (std::size_t i = connections_.size(); i-- > 0;)
    connections_[i]->on_drain();
  tick();
}

void IoThread::pause_accepting(bool paused) {
  accepting_paused_ = paused;
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    epoll_event event{};
    event.events = paused ? 0u : static_cast<std::uint32_t>(EPOLLIN);
    event.data.u64 = listener_tag(i);
    ::epoll_ctl(strangers_, EPOLL_CTL_MOD, listeners_[i], &event);
  }
}

void IoThread::accept_from(std::size_t listener) {
  for (int i = 0; i < kAcceptedMax && !stopping_; ++i) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    const int fd =
        ::accept4(listeners_[listener], reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      NewConnection connection = describe(fd, shared_.tls[listener].get(), peer);
      connection.listener = &shared_.config.listeners[listener];
      place(std::move(connection));
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      log_failure("cannot accept: the system is out of descriptors or memory");
      evict_one();
      pause_accepting(true);  // until the next tick
    }
    if (errno != ECONNABORTED && errno != EINTR)
      return;
  }
}

// Gives a connection to the thread that has the fewest.
void IoThread::place(NewConnection connection) {
  bump(counters_.accepted);
  const int on = 1;
  ::setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  IoThread* least = this;
  for (const auto& thread : shared_.threads) {
    if (thread->connections_open() < least->connections_open())
      least = thread.get();
  }
  // Counted here, or a burst would go to one thread.
  least->open_.fetch_add(1, std::memory_order_relaxed);
  if (least == this)
    add_connection(std::move(connection));
  else
    least->adopt(std::move(connection));
}

void IoThread::add_connection(NewConnection&& connection) {
  const std::size_t share = std::max<std::size_t>(1, shared_.config.limits.connections / shared_.threads.size());
  if (stopping_ || (connections_.size() >= share && !evict_one())) {
    ::close(connection.fd);
    open_.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  auto added = std::make_unique<Connection>(*this, std::move(connection));
  added->place = connections_.size();
  const bool registered = watch(strangers_, EPOLL_CTL_ADD, *added);
  connections_.push_back(std::move(added));
  if (!registered)
    connections_.back()->close();
}

bool IoThread::watch(int epoll, int operation, Connection& connection) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u64 = reinterpret_cast<std::uint64_t>(&connection);
  return ::epoll_ctl(epoll, operation, connection.fd(), &event) == 0;
}

// What came meanwhile makes an event at the new place.
void IoThread::promote(Connection& connection) {
  if (!watch(strangers_, EPOLL_CTL_DEL, connection) || !watch(epoll_, EPOLL_CTL_ADD, connection))
    connection.close();
}

// Makes room by closing one connection that has nothing under way; clients with a request are never touched. False when
// all have.
bool IoThread::evict_one() {
  for (std::size_t tried = 0; tried < connections_.size(); ++tried) {
    eviction_hand_ = (eviction_hand_ + 1) % connections_.size();
    const Connection& candidate = *connections_[eviction_hand_];
    if (!candidate.evictable() || (candidate.known() && tried < kStrangersFirstMax))
      continue;
    bump(counters_.evicted);
    connections_[eviction_hand_]->close();
    return true;
  }
  return false;
}

void IoThread::release(Connection& connection) {
  const std::size_t place = connection.place;
  COFFER_CHECK(place < connections_.size() && connections_[place].get() == &connection);
  std::erase(feeds_, &connection);
  closed_.push_back(std::move(connections_[place]));
  if (place + 1 != connections_.size()) {
    connections_[place] = std::move(connections_.back());
    connections_[place]->place = place;
  }
  connections_.pop_back();
  open_.fetch_sub(1, std::memory_order_relaxed);
}

void IoThread::continue_later(Connection& connection) {
  if (std::exchange(connection.queued, true))
    return;
  if (connection.waits_with_strangers())
    bulk_.push_back(&connection);
  else
    continue_.push_back(&connection);
}

void IoThread::log_failure(std::string_view line) {
  if (log_lines_left_ == 0) {
    ++log_lines_dropped_;
    return;
  }
  --log_lines_left_;
  shared_.log(line);
}

std::unique_ptr<core::Exchange> IoThread::take_exchange() {
  if (exchanges_.empty())
    return std::make_unique<core::Exchange>();
  auto exchange = std::move(exchanges_.back());
  exchanges_.pop_back();
  return exchange;
}

void IoThread::keep_exchange(std::unique_ptr<core::Exchange> exchange) {
  if (exchanges_.size() >= limits::kExchangesKeptMax)
    return;
  exchange->reset();
  exchanges_.push_back(std::move(exchange));
}

bool IoThread::set_request_id(core::Exchange& exchange) {
  if (random_used_ + 16 > random_.size()) {
    if (!shared_.random.fill(random_).ok())
      return false;
    random_used_ = 0;
  }
  char* text = static_cast<char*>(exchange.arena.allocate(kUuidTextBytes, 1));
  write_random_uuid(std::span(random_).subspan(random_used_).first<16>(), text);
  random_used_ += 16;
  exchange.request.id = {text, kUuidTextBytes};
  return true;
}

void IoThread::dispatch(std::unique_ptr<core::Exchange> exchange) {
  exchange->home = this;
  bump(counters_.requests);
  bump(counters_.in_flight);
  shared_.dispatcher.dispatch(std::move(exchange));
}

void IoThread::answer_at_once(std::unique_ptr<core::Exchange> exchange) {
  bump(counters_.in_flight);
  respond(std::move(exchange));
}

void IoThread::post(std::unique_ptr<core::Exchange> exchange, bool resume) {
  if (on_this_thread()) {
    local_.push_back({std::move(exchange), resume});
    return;
  }
  bool signal = false;
  {
    const std::lock_guard lock(mutex_);
    mail_.push_back({std::move(exchange), resume});
    std::swap(signal, sleeping_);
  }
  if (signal)
    WakeScope::wake(alarm_);
}

void IoThread::resume_later(std::unique_ptr<core::Exchange> exchange) { post(std::move(exchange), true); }
void IoThread::respond(std::unique_ptr<core::Exchange> exchange) { post(std::move(exchange), false); }

void IoThread::adopt(NewConnection connection) {
  {
    const std::lock_guard lock(mutex_);
    arrivals_.push_back(std::move(connection));
  }
  alarm_->wake();
}

std::vector<IoThread::InFlight> IoThread::in_flight(std::chrono::milliseconds time_max) {
  auto inspection = std::make_shared<Inspection>();
  {
    const std::lock_guard lock(mutex_);
    inspections_.push_back(inspection);
  }
  alarm_->wake();
  std::unique_lock lock(inspection->mutex);
  inspection->changed.wait_for(lock, time_max, [&] { return inspection->done; });
  return std::move(inspection->found);
}

void IoThread::answer_inspection() {
  std::vector<std::shared_ptr<Inspection>> asked;
  {
    const std::lock_guard lock(mutex_);
    asked.swap(inspections_);
  }
  for (const auto& inspection : asked) {
    const std::lock_guard lock(inspection->mutex);
    for (const auto& connection : connections_)
      if (const core::Exchange* exchange = connection->out(); exchange != nullptr)
        inspection->found.push_back({std::string(exchange->request.id), connection->peer(),
                                     std::string(exchange->request.path.view()), exchange->request.operation,
                                     connection->out_since()});
    inspection->done = true;
    inspection->changed.notify_all();
  }
}

void IoThread::request_stop(BootTime hard_deadline) {
  {
    const std::lock_guard lock(mutex_);
    stop_wanted_ = true;
    stop_deadline_ = hard_deadline;
  }
  alarm_->wake();
}

// Under a lock of the caller's: takes this thread's own for a moment, and wakes it only while it sleeps.
void IoThread::wake_feeds() {
  bool signal = false;
  {
    const std::lock_guard lock(mutex_);
    feeds_wanted_ = true;
    std::swap(signal, sleeping_);
  }
  if (signal)
    alarm_->wake();
}

void IoThread::wake() {
  {
    const std::lock_guard lock(mutex_);
    tick_wanted_ = true;
  }
  alarm_->wake();
}

}  // namespace coffer::http
