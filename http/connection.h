// One client's connection: handshake, requests one after the other, answers. Lives on one io thread, which calls
// everything here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "core/body_pipe.h"
#include "core/request.h"
#include "http/feed_session.h"
#include "http/request_reader.h"
#include "http/shared.h"

namespace coffer::http {

class Connection {
 public:
  Connection(IoThread& thread, NewConnection&& connection);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Events of epoll, edge-triggered. After each of these the connection may be closed: closed() says so, and the thread
  // was told by release().
  void on_event(std::uint32_t events);
  // Goes on with input that is there.
  void advance();
  // The answer of this connection's exchange.
  void on_answer(std::unique_ptr<core::Exchange> exchange);
  // Closes when the deadline of its state has passed.
  void on_tick();
  // At the start of a drain: closes when idle, else after its answer.
  void on_drain();
  void close();
  // There may be something to tell a client that listens, or room for more of a body.
  void on_feed_ready();

  bool closed() const noexcept { return fd_ < 0; }
  // The dispatcher has an exchange that points here.
  bool awaits_answer() const noexcept { return state_ == State::kWaiting; }
  // Reads what may be long: a body, or what follows a refusal.
  bool bulk() const noexcept { return state_ == State::kBody || state_ == State::kLinger || pipe_ != nullptr; }
  // May be closed to make room: it is between requests, has not shown a whole head, or was refused.
  bool evictable() const noexcept {
    return !closed() && output_.empty() &&
           (state_ == State::kIdle || state_ == State::kHead || state_ == State::kHandshake ||
            state_ == State::kLinger);
  }
  bool known() const noexcept { return known_; }
  // What it has to go on with waits for the strangers' turn.
  bool waits_with_strangers() const noexcept { return !trusted_ && (bulk() || !known_); }
  int fd() const noexcept { return fd_; }
  // The exchange that the dispatcher has, or null: it is somebody's, but neither its request nor its arena's content
  // changes until it is back. And since when.
  const core::Exchange* out() const noexcept { return out_; }
  BootTime out_since() const noexcept { return out_since_; }
  std::string peer() const;

  std::size_t place = 0;  // the thread's index
  bool queued = false;    // the thread will let it go on

 private:
  enum class State : std::uint8_t { kHandshake, kIdle, kHead, kBody, kWaiting, kLinger, kStream };
  enum class Got : std::uint8_t { kBytes, kNothing, kClosed };

  bool shake_hands();
  bool plain_text_on_tls();
  void remember(int status, bool authenticated);
  Got read_some(std::size_t& got);
  bool read_and_process();
  bool process(std::string_view input);
  RequestReader::Step step(std::string_view& input);
  void start_request();
  void refuse();
  void refuse_for_memory(bool is_head);
  void linger();
  bool discard();
  void begin_piping();
  void end_piping(const Status& why);
  bool pass_body();
  bool pass_some();
  void write_out(bool close_after);
  bool write_some(std::string_view bytes, std::size_t& written);
  bool flush();
  void keep_input(std::string_view rest);
  void set_deadline(Nanos after);
  void begin_stream(std::unique_ptr<core::Exchange> exchange);
  void add_to_feeds();
  void go_on_with_stream();
  void end_stream();
  bool go_on_listening();
  bool client_listens();
  void begin_feed(std::unique_ptr<core::Exchange> exchange);
  void go_on_with_feed();
  void after_feed(FeedSession::Next next);
  const CustomHeaders* custom() const noexcept;

  IoThread& thread_;
  int fd_;
  State state_;
  bool readable_ = false;     // the socket may have bytes
  bool half_closed_ = false;  // the peer has said that it sends no more
  bool close_after_ = false;
  bool keep_alive_ = true;
  bool is_head_ = false;
  bool known_ = false;        // a request of it was answered as one that makes sense
  bool trusted_ = false;      // one of them showed a token that was alive
  std::uint8_t turns_ = 0;    // requests since the last round of the loop
  std::uint32_t discarded_ = 0;
  std::uint16_t port_;
  BootTime deadline_{};
  std::unique_ptr<TlsSession> tls_;
  const Listener* listener_;
  const core::Exchange* out_ = nullptr;
  BootTime out_since_{};
  std::shared_ptr<core::BodyPipe> pipe_;      // kWaiting: the body still goes there
  bool in_feeds_ = false;                     // it hears of IoThread::wake_feeds()
  std::shared_ptr<core::ByteStream> stream_;  // kStream: this...
  std::unique_ptr<FeedSession> feed_;         // ...or this
  std::unique_ptr<core::Exchange> exchange_;  // while its body arrives
  std::string address_;
  std::string input_;         // received and not yet used; shown again with what follows
  std::string output_;        // what the socket did not take; nothing is read meanwhile
  std::size_t output_sent_ = 0;
  RequestReader reader_;
};

}  // namespace coffer::http
