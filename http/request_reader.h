// From bytes to a core::Request, without a socket. The head is looked at only when it is there as a whole, so a client
// that sends it byte by byte costs its bytes and nothing else; each limit is checked before what it limits is kept or
// parsed.
//
//   scan_head(input)            until kReady
//   begin(input, exchange, n)   reads the head and what there is of the body
//   more(input, n)              until kDone or kRefused
//   ... dispatch, answer ...
//   reset()
//
// `n` is how much of the input was used; the caller keeps the rest and shows it again with more behind it. Used by one
// thread at a time. After kRefused the connection can go on only if whole(): else where the next request would begin is
// not known.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "base/status.h"
#include "core/request.h"
#include "http/body.h"
#include "http/config.h"

namespace coffer::http {

// An answer that needs no dispatcher. The text never holds anything that the client sent.
struct Refusal {
  int status = 0;
  std::string text;  // empty: an empty list of errors
};

class RequestReader {
 public:
  // kPiped: the head is read and the body goes to request.body; it is dispatched now and more() gets the rest.
  enum class Step : std::uint8_t { kMore, kReady, kPiped, kDone, kRefused };

  // The first two are borrowed and outlive the reader. With a `listener` its rules hold, and it
  // outlives the reader too.
  RequestReader(const Config& config, BodyBudget& budget, const Listener* listener = nullptr);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  // `input` is everything received and not used. kReady, kMore or kRefused. Leading line ends are counted in `skipped`.
  Step scan_head(std::string_view input, std::size_t& skipped);

  // Fills exchange.request but for id and remote address. kMore, kPiped, kDone or kRefused. The exchange stays with the
  // reader until reset(), unless kPiped, and has the client's address already. kDone without whole(): a rate quota
  // refuses it, and its body was left unread.
  Step begin(std::string_view input, core::Exchange& exchange, std::size_t& used);
  Step more(std::string_view input, std::size_t& used);

  // True once, when the client waits for "100 Continue" before it sends the body.
  bool take_expect_continue() noexcept;

  const Refusal& refusal() const noexcept;
  bool whole() const noexcept;       // the request was read to its end, refused or not
  bool keep_alive() const noexcept;  // when whole()
  bool is_head() const noexcept;     // answers have no body
  std::string_view websocket_key() const noexcept;  // of a client that takes a feed; in the exchange's arena
  // Ready for the next request; the body is wiped.
  void reset();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::http
