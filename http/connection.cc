#include "http/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <new>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "base/secret.h"
#include "http/answer.h"
#include "http/io_thread.h"

namespace coffer::http {
namespace {

constexpr std::uint8_t kTurnsMax = 32;                    // pipelined requests of one connection in one round
constexpr std::size_t kFirstReadBytesMax = 4096;
constexpr std::size_t kInputKeptBytesMax = 4096;          // capacity that an idle connection keeps
// read and thrown away so that a refusal is not lost to a reset
constexpr std::uint32_t kDiscardedBytesMax = 256u << 10;
// Of that before the next tick: who sends what was refused shall wait rather than come again.
constexpr std::uint32_t kDiscardedAtOnceBytesMax = 64u << 10;
constexpr Nanos kLingerTime = std::chrono::seconds(1);

void wipe_text(std::string& text) {
  wipe(text.data(), text.size());
  text.clear();
}

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

Connection::Connection(IoThread& thread, NewConnection&& connection)
    : thread_(thread),
      fd_(connection.fd),
      state_(connection.tls != nullptr ? State::kHandshake : State::kIdle),
      port_(connection.port),
      listener_(connection.listener),
      address_(std::move(connection.address)),
      reader_(thread.shared().config, thread.shared().bodies, connection.listener) {
  connection.fd = -1;
  const Timeouts& timeouts = thread_.shared().config.timeouts;
  if (connection.tls != nullptr) {
    tls_ = connection.tls->session(fd_);
    set_deadline(timeouts.handshake);
  } else {
    set_deadline(timeouts.header);  // a fresh connection owes a request sooner than one that has proven itself
  }
}

Connection::~Connection() {
  COFFER_CHECK(!awaits_answer());
  wipe_text(input_);
  wipe_text(output_);
  if (fd_ >= 0)
    ::close(fd_);
}

const CustomHeaders* Connection::custom() const noexcept {
  return listener_ == nullptr || listener_->headers.empty() ? nullptr : &listener_->headers;
}

std::string Connection::peer() const { return address_ + ":" + std::to_string(port_); }

void Connection::set_deadline(Nanos after) { deadline_ = thread_.now() + after; }

void Connection::close() {
  if (closed())
    return;
  end_piping(Status(Code::kUnavailable, "the client has gone"));
  if (tls_)
    tls_->shut_down();
  ::close(fd_);
  fd_ = -1;
  if (!awaits_answer())
    thread_.release(*this);
}

void Connection::on_event(std::uint32_t events) {
  if (closed())
    return;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
    half_closed_ = true;
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
    readable_ = true;
  if (state_ == State::kLinger && !half_closed_ && discarded_ >= kDiscardedAtOnceBytesMax)
    return;  // the next tick looks
  if (bulk())
    thread_.continue_later(*this);
  else
    advance();
}

void Connection::advance() {
  turns_ = 0;
  for (int refused = 0; !closed(); ++refused) {
    if (refused >= kTurnsMax)
      return thread_.continue_later(*this);
    if (!output_.empty() && !flush())
      return;
    if (closed() || (state_ == State::kWaiting && !pipe_))
      return;
    const bool go_on = state_ == State::kHandshake ? shake_hands()
                       : state_ == State::kWaiting ? pass_body()
                       : state_ == State::kStream  ? go_on_listening()
                       : state_ == State::kLinger  ? discard()
                                                   : read_and_process();
    if (!go_on)
      return;
    if (bulk())
      return thread_.continue_later(*this);  // one read at a time: others wait
  }
}

bool Connection::shake_hands() {
  if (!readable_)
    return false;
  if (tls_ && plain_text_on_tls())
    return false;
  const TlsStep result = tls_ ? tls_->handshake() : TlsStep::kFailed;
  if (result == TlsStep::kDone) {
    state_ = State::kIdle;
    set_deadline(thread_.shared().config.timeouts.header);
    return true;
  }
  if (result == TlsStep::kFailed || result == TlsStep::kClosed) {
    bump(thread_.counters().handshakes_failed);
    thread_.log_failure("TLS handshake error from " + peer() + ": " + (tls_ ? tls_->failure() : "no memory"));
    close();
  } else if (half_closed_ && result == TlsStep::kWantRead) {
    return true;  // the next read finds the end
  }
  return false;
}

// The wrong scheme is the commonest mistake of all; it deserves an answer in words.
bool Connection::plain_text_on_tls() {
  char first = 0;
  if (::recv(fd_, &first, 1, MSG_PEEK) != 1 || first < 'A' || first > 'Z')
    return false;
  bump(thread_.counters().handshakes_failed);
  thread_.log_failure("TLS handshake error from " + peer() + ": client sent an HTTP request to an HTTPS server");
  tls_.reset();
  thread_.out() += "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
  write_out(false);
  linger();
  return true;
}

Connection::Got Connection::read_some(std::size_t& got) {
  got = 0;
  if (tls_) {
    switch (tls_->read(thread_.read_buffer(), IoThread::kReadBytesMax, got)) {
      case TlsStep::kDone:
        return Got::kBytes;
      case TlsStep::kWantRead:
      case TlsStep::kWantWrite:
        readable_ = half_closed_;
        return half_closed_ ? Got::kClosed : Got::kNothing;
      default:
        return Got::kClosed;
    }
  }
  // Of a stranger a head first, and not the body that may be refused for what the head says.
  const std::size_t most = known_ || bulk() ? IoThread::kReadBytesMax : kFirstReadBytesMax;
  const ssize_t n = ::recv(fd_, thread_.read_buffer(), most, 0);
  if (n > 0) {
    got = static_cast<std::size_t>(n);
    // Less than asked for means that the socket is empty: the next bytes make a new edge.
    readable_ = got == most || half_closed_;
    return Got::kBytes;
  }
  if (n < 0 && would_block()) {
    readable_ = false;
    return Got::kNothing;
  }
  return Got::kClosed;
}

// True when there may be more to do at once.
bool Connection::read_and_process() {
  if (!input_.empty() && state_ == State::kIdle) {
    // Bytes that came with the previous request.
    std::string held;
    held.swap(input_);
    const bool go_on = process(held);
    wipe_text(held);
    return go_on || (readable_ && !closed());
  }
  if (!readable_)
    return false;
  std::size_t got = 0;
  switch (read_some(got)) {
    case Got::kNothing:
      return false;
    case Got::kClosed:
      close();
      return false;
    case Got::kBytes:
      break;
  }
  char* buffer = thread_.read_buffer();
  bool go_on;
  if (input_.empty()) {
    go_on = process({buffer, got});
  } else {
    std::string held;
    held.swap(input_);
    held.append(buffer, got);
    go_on = process(held);
    wipe_text(held);
  }
  wipe(buffer, got);
  return (go_on || readable_) && !closed();
}

// Uses `input` up to the end of one request and keeps the rest. True when another request may stand in what was kept.
bool Connection::process(std::string_view input) {
  RequestReader::Step result = RequestReader::Step::kMore;
  try {
    result = step(input);
    keep_input(input);
  } catch (const std::bad_alloc&) {
    refuse_for_memory(reader_.is_head());
    return false;
  }
  switch (result) {
    case RequestReader::Step::kMore:
      if (state_ == State::kBody && input.empty() && reader_.take_expect_continue()) {
        thread_.out() += "HTTP/1.1 100 Continue\r\n\r\n";
        write_out(false);
      }
      return false;
    case RequestReader::Step::kRefused:
      refuse();
      return !closed() && state_ == State::kIdle && !input_.empty();
    case RequestReader::Step::kReady:
    case RequestReader::Step::kPiped:
    case RequestReader::Step::kDone:
      start_request();
      return false;
  }
  return false;
}

RequestReader::Step Connection::step(std::string_view& input) {
  std::size_t used = 0;
  RequestReader::Step result;
  if (state_ == State::kBody || state_ == State::kWaiting) {
    result = reader_.more(input, used);
    input.remove_prefix(used);
    return result;
  }
  result = reader_.scan_head(input, used);
  input.remove_prefix(used);
  if (result == RequestReader::Step::kMore && state_ == State::kIdle && !input.empty()) {
    state_ = State::kHead;
    set_deadline(thread_.shared().config.timeouts.header);
  }
  if (result != RequestReader::Step::kReady)
    return result;
  exchange_ = thread_.take_exchange();
  exchange_->request.remote_address = address_;
  result = reader_.begin(input, *exchange_, used);
  input.remove_prefix(used);
  if (result == RequestReader::Step::kMore) {
    state_ = State::kBody;
    set_deadline(thread_.shared().config.timeouts.body);
  }
  return result;
}

void Connection::start_request() {
  keep_alive_ = reader_.keep_alive();
  is_head_ = reader_.is_head();
  exchange_->connection = this;
  exchange_->request.remote_port = port_;
  if (listener_ != nullptr)
    exchange_->request.door = listener_->door;
  exchange_->request.time_max = thread_.shared().config.timeouts.request;
  state_ = State::kWaiting;
  if (exchange_->request.body)
    begin_piping();
  if (!thread_.set_request_id(*exchange_)) {
    core::fail(*exchange_, 500, "the random source failed");
    thread_.answer_at_once(std::move(exchange_));
    return;
  }
  out_ = exchange_.get();
  out_since_ = thread_.now();
  thread_.dispatch(std::move(exchange_));
}

void Connection::on_answer(std::unique_ptr<core::Exchange> exchange) {
  COFFER_CHECK(awaits_answer());
  out_ = nullptr;
  end_piping(Status(Code::kUnavailable, "the request was answered"));
  state_ = State::kIdle;
  set_deadline(thread_.shared().config.timeouts.idle);
  if (closed()) {  // nobody is there any more
    thread_.keep_exchange(std::move(exchange));
    reader_.reset();
    thread_.release(*this);
    return;
  }
  if (exchange->response.feed && !exchange->response.has_errors() && !is_head_) {
    begin_feed(std::move(exchange));
    return;
  }
  if (exchange->response.stream && !is_head_) {
    begin_stream(std::move(exchange));
    return;
  }
  const bool close_after = !keep_alive_ || thread_.stopping();
  const bool whole = reader_.whole();
  const int status = exchange->response.status;
  const bool authenticated = exchange->authenticated;
  bool written = true;
  try {
    write_answer(*exchange, {is_head_, close_after, tls_ != nullptr, thread_.date(), custom()}, thread_.scratch(),
                 thread_.out());
  } catch (const std::bad_alloc&) {
    written = false;
  }
  thread_.keep_exchange(std::move(exchange));
  reader_.reset();
  if (written)
    write_out(close_after && whole);
  else
    refuse_for_memory(is_head_);
  remember(status, authenticated);
  if (written && !whole)
    linger();
  if (closed() || (input_.empty() && !readable_))
    return;
  if (++turns_ >= kTurnsMax || !known_) {
    thread_.continue_later(*this);
    return;
  }
  const std::uint8_t turns = turns_;
  advance();
  turns_ = turns;
}

// The dispatcher has the request while its body still comes.
void Connection::begin_piping() {
  exchange_->request.time_max = limits::kPipedRequestTimeMax;
  pipe_ = exchange_->request.body;
  IoThread& thread = thread_;
  pipe_->on_ready([&thread] { thread.wake_feeds(); });
  add_to_feeds();
}

void Connection::end_piping(const Status& why) {
  if (!pipe_)
    return;
  pipe_->on_ready(nullptr);
  pipe_->break_off(why);
  pipe_.reset();
}

// One read at most. Nothing is read before the body is wanted: who may not send it has sent nothing then.
bool Connection::pass_body() {
  if (!pipe_->wanted() || !pipe_->has_room())
    return false;
  if (!trusted_)
    remember(100, true);  // somebody has looked at who sends it
  if (closed())
    return false;
  if (reader_.take_expect_continue()) {
    thread_.out() += "HTTP/1.1 100 Continue\r\n\r\n";
    write_out(false);
  }
  if (closed() || !output_.empty())
    return false;
  try {
    return pass_some();
  } catch (const std::bad_alloc&) {
    end_piping(Status(Code::kUnavailable, "the server is out of memory"));
    return false;
  }
}

bool Connection::pass_some() {
  std::string held;
  held.swap(input_);
  std::size_t got = 0;
  if (readable_ && read_some(got) == Got::kClosed) {
    close();
    return false;
  }
  held.append(thread_.read_buffer(), got);
  wipe(thread_.read_buffer(), got);
  std::string_view left = held;
  const RequestReader::Step step = this->step(left);
  const bool used = left.size() < held.size();
  keep_input(left);
  wipe_text(held);
  if (step != RequestReader::Step::kMore) {
    pipe_->on_ready(nullptr);
    pipe_.reset();  // it was told the end
    return false;
  }
  return readable_ || (used && !input_.empty());
}

// The answer goes on until its source ends or the client has gone. The connection is closed behind it.
void Connection::begin_stream(std::unique_ptr<core::Exchange> exchange) {
  stream_ = std::move(exchange->response.stream);
  write_stream_head(*exchange, {false, true, tls_ != nullptr, thread_.date(), custom()}, thread_.out());
  trusted_ = trusted_ || exchange->authenticated;
  thread_.keep_exchange(std::move(exchange));
  reader_.reset();
  wipe_text(input_);
  state_ = State::kStream;
  IoThread& thread = thread_;
  stream_->on_ready([&thread] { thread.wake_feeds(); });
  add_to_feeds();
  write_out(false);
  if (!closed())
    go_on_with_stream();
}

void Connection::add_to_feeds() {
  if (!std::exchange(in_feeds_, true))
    thread_.add_feed(*this);
}

void Connection::go_on_with_stream() {
  if (!output_.empty())
    return;  // the client reads slower than the source writes
  set_deadline(thread_.shared().config.timeouts.write);
  std::string& piece = thread_.scratch();
  piece.clear();
  const core::ByteStream::Next next = stream_->next(piece);
  const bool more = next != core::ByteStream::Next::kEnd && !thread_.stopping();
  if (next == core::ByteStream::Next::kBroken ||
      (next != core::ByteStream::Next::kEnd && thread_.stopping() && stream_->must_be_whole())) {
    wipe_text(piece);
    end_stream();
    return close();  // the last chunk is missing, which tells the client
  }
  if (!piece.empty()) {
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
    thread_.out().append(size).append(piece).append("\r\n");
    wipe_text(piece);
  }
  if (!more)
    thread_.out() += "0\r\n\r\n";
  if (!thread_.out().empty())
    write_out(!more);
  if (!more)
    end_stream();
  else if (next == core::ByteStream::Next::kMore && !closed() && output_.empty())
    thread_.continue_later(*this);
}

void Connection::end_stream() {
  stream_.reset();
  feed_.reset();
}

// From here on the connection speaks WebSocket, until one of both ends it.
void Connection::begin_feed(std::unique_ptr<core::Exchange> exchange) {
  const Result<std::string> accept = websocket::accept_of(reader_.websocket_key());
  const bool authenticated = exchange->authenticated;
  feed_ = std::make_unique<FeedSession>(std::move(exchange->response.feed), thread_.now());
  thread_.keep_exchange(std::move(exchange));
  reader_.reset();
  if (!accept.ok())
    return close();
  IoThread& thread = thread_;
  feed_->on_ready([&thread] { thread.wake_feeds(); });
  add_to_feeds();
  write_upgrade_head(*accept, {false, false, tls_ != nullptr, thread_.date(), custom()}, thread_.out());
  state_ = State::kStream;
  remember(101, authenticated);
  if (closed())
    return;
  std::string held;
  held.swap(input_);
  after_feed(held.empty() ? FeedSession::Next::kWait : feed_->received(held, thread_.now(), thread_.out()));
  on_feed_ready();
}

void Connection::on_feed_ready() {
  if (closed())
    return;
  if (state_ == State::kStream && feed_)
    go_on_with_feed();
  else if (state_ == State::kStream && stream_)
    go_on_with_stream();
  else if (pipe_)
    thread_.continue_later(*this);
}

void Connection::go_on_with_feed() {
  if (!output_.empty())
    return;  // the client reads slower than there is to tell; the feed says when it is too slow
  FeedSession::Next next = FeedSession::Next::kEnded;
  if (thread_.stopping())
    feed_->stop(thread_.out());
  else
    next = feed_->next(thread_.now(), thread_.out());
  after_feed(next);
}

// Sends what was appended.
void Connection::after_feed(FeedSession::Next next) {
  if (!thread_.out().empty())
    write_out(false);
  if (closed())
    return;
  if (next == FeedSession::Next::kEnded) {
    end_stream();
    linger();
  } else if (next == FeedSession::Next::kMore && output_.empty()) {
    thread_.continue_later(*this);
  }
}

// Guesses and nonsense make nobody known.
void Connection::remember(int status, bool authenticated) {
  trusted_ = trusted_ || authenticated;
  if (closed() || known_ || (!authenticated && status >= 400))
    return;
  known_ = true;
  thread_.promote(*this);
}

void Connection::refuse() {
  const Refusal& refusal = reader_.refusal();
  bump(thread_.counters().refused);
  // The log says who; the answer says only what, whoever asks (advisory B6).
  const std::string line =
      "request from " + peer() + " refused: " + (refusal.text.empty() ? "no such path or method" : refusal.text);
  const std::string_view text =
      mutant(Mutant::kHttpErrorNamesAddress) ? std::string_view(line) : std::string_view(refusal.text);
  const bool whole = reader_.whole();
  const bool close_after = !whole || !reader_.keep_alive() || thread_.stopping();
  if (refusal.status >= 400 && refusal.status != 404 && refusal.status != 405)
    thread_.log_failure(line);
  const std::string_view origin = exchange_ ? exchange_->request.origin : std::string_view();
  write_refusal(refusal.status, text,
                {reader_.is_head(), close_after, tls_ != nullptr, thread_.date(), custom(), origin}, thread_.scratch(),
                thread_.out());
  if (exchange_)
    thread_.keep_exchange(std::move(exchange_));
  reader_.reset();
  state_ = State::kIdle;
  set_deadline(thread_.shared().config.timeouts.idle);
  write_out(close_after && whole);
  if (close_after && !whole)
    linger();
}

// This request or its answer asks for more than there is; the others go on.
void Connection::refuse_for_memory(bool is_head) {
  for (std::string* text : {&thread_.out(), &thread_.scratch()}) {
    wipe_text(*text);
    text->shrink_to_fit();
  }
  if (exchange_)
    thread_.keep_exchange(std::move(exchange_));
  reader_.reset();
  write_refusal(503, "the server is out of memory", {is_head, true, tls_ != nullptr, thread_.date()}, thread_.scratch(),
                thread_.out());
  write_out(false);
  linger();
}

// Says that nothing follows and reads on for a moment: closing with bytes unread would reset the connection, and the
// client might never see its answer.
void Connection::linger() {
  if (closed())
    return;
  state_ = State::kLinger;
  set_deadline(kLingerTime);
  wipe_text(input_);
  if (!output_.empty())
    return;  // flush() comes here again
  if (tls_)
    tls_->shut_down();
  ::shutdown(fd_, SHUT_WR);
}

// What the client says first, then what there is to tell it. Never more than one piece in a turn.
bool Connection::go_on_listening() {
  client_listens();
  on_feed_ready();
  return false;
}

// Whoever watches a log says nothing more; the end of what he sends is his end.
bool Connection::client_listens() {
  std::size_t got = 0;
  if (!readable_)
    return false;
  const Got what = read_some(got);
  if (what == Got::kBytes && feed_)
    after_feed(feed_->received({thread_.read_buffer(), got}, thread_.now(), thread_.out()));
  wipe(thread_.read_buffer(), got);
  if (what == Got::kClosed) {
    end_stream();
    close();
  }
  if (feed_ && !closed() && readable_)
    thread_.continue_later(*this);
  return false;
}

bool Connection::discard() {
  if (!readable_)
    return false;
  // Below TLS too: what it carries is of no interest any more, and not even copied.
  static_assert(kDiscardedAtOnceBytesMax <= IoThread::kReadBytesMax);
  const ssize_t n = ::recv(fd_, thread_.read_buffer(), kDiscardedAtOnceBytesMax, MSG_TRUNC);
  if (n < 0 && would_block()) {
    readable_ = false;
    return false;
  }
  discarded_ += n > 0 ? static_cast<std::uint32_t>(n) : 0;
  if (n <= 0 || discarded_ > kDiscardedBytesMax) {
    close();
    return false;
  }
  return half_closed_ || discarded_ < kDiscardedAtOnceBytesMax;
}

bool Connection::write_some(std::string_view bytes, std::size_t& written) {
  written = 0;
  if (tls_) {
    const TlsStep result = tls_->write(bytes.data(), bytes.size(), written);
    return result == TlsStep::kDone || result == TlsStep::kWantRead || result == TlsStep::kWantWrite;
  }
  const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (n >= 0) {
    written = static_cast<std::size_t>(n);
    return true;
  }
  return would_block();
}

// Sends the thread's output buffer; what the socket does not take waits in this connection.
void Connection::write_out(bool close_after) {
  std::string& out = thread_.out();
  std::string_view left = out;
  std::size_t written = 0;
  bool alive = output_.empty();
  close_after_ = close_after_ || close_after;
  while (alive && !left.empty()) {
    if (!write_some(left, written))
      alive = false;
    if (written == 0)
      break;
    left.remove_prefix(written);
  }
  if (alive && !left.empty()) {
    try {
      output_.assign(left);
      output_sent_ = 0;
      set_deadline(thread_.shared().config.timeouts.write);
    } catch (const std::bad_alloc&) {
      alive = false;  // part of the answer may be sent: only the end of the connection can say that the rest is missing
    }
  }
  wipe_text(out);
  if (!alive || (close_after_ && output_.empty()))
    close();
}

// True when all is sent and the connection goes on.
bool Connection::flush() {
  while (output_sent_ < output_.size()) {
    std::size_t written = 0;
    if (!write_some(std::string_view(output_).substr(output_sent_), written)) {
      close();
      return false;
    }
    if (written == 0)
      return false;
    output_sent_ += written;
    set_deadline(thread_.shared().config.timeouts.write);
  }
  wipe_text(output_);
  output_.shrink_to_fit();
  output_sent_ = 0;
  if (close_after_) {
    close();
    return false;
  }
  if (state_ == State::kLinger)
    linger();
  else if (state_ != State::kStream)
    set_deadline(thread_.shared().config.timeouts.idle);
  return true;
}

void Connection::keep_input(std::string_view rest) {
  if (rest.empty())
    return;
  input_.assign(rest);
}

void Connection::on_tick() {
  if (closed() || state_ == State::kWaiting)
    return;
  if (state_ == State::kStream && output_.empty())
    return feed_ ? go_on_with_feed() : go_on_with_stream();
  if (thread_.now() < deadline_) {
    if (state_ == State::kLinger && readable_)
      thread_.continue_later(*this);
    return;
  }
  if ((state_ == State::kHead || state_ == State::kBody) && output_.empty()) {
    write_refusal(408, "request timeout", {false, true, tls_ != nullptr, thread_.date()}, thread_.scratch(),
                  thread_.out());
    write_out(true);
  }
  if (state_ == State::kHandshake)
    thread_.log_failure("TLS handshake error from " + peer() + ": i/o timeout");
  close();
}

void Connection::on_drain() {
  if (closed() || state_ == State::kWaiting || state_ == State::kBody || !output_.empty())
    return;
  if (feed_)
    return go_on_with_feed();
  close();
}

}  // namespace coffer::http
