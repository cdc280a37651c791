#include "http/feed_session.h"

#include <utility>

namespace coffer::http {
namespace {

using websocket::Opcode;

std::uint16_t code_of(core::FeedEnd end) {
  switch (end) {
    case core::FeedEnd::kBehind:  // there is a code for it that many clients do not know
    case core::FeedEnd::kRefused: return websocket::kPolicyViolation;
    case core::FeedEnd::kBroken: return websocket::kInternalError;
    default: return websocket::kGoingAway;
  }
}

}  // namespace

FeedSession::Next FeedSession::end(std::uint16_t code, std::string_view reason, std::string& out) {
  if (!std::exchange(ended_, true))
    websocket::append_close(code, reason, nullptr, out);
  return Next::kEnded;
}

FeedSession::Next FeedSession::next(BootTime now, std::string& out) {
  if (ended_)
    return Next::kEnded;
  if (now - heard_ > limits::kFeedSilenceMax)
    return end(websocket::kPolicyViolation, "no answer to pings", out);
  if (now - heard_ > limits::kFeedPingInterval && now - asked_ > limits::kFeedPingInterval) {
    asked_ = now;
    websocket::append_frame(Opcode::kPing, {}, nullptr, out);
  }
  std::shared_ptr<const core::Event> event;
  while (out.size() < limits::kFeedPieceBytesMax) {
    switch (feed_->next(event)) {
      case core::EventFeed::Step::kEvent:
        text_.clear();
        core::append_json(*event, feed_->source(), text_);
        websocket::append_frame(Opcode::kText, text_, nullptr, out);
        break;
      case core::EventFeed::Step::kMore:
        return Next::kMore;
      case core::EventFeed::Step::kNothing:
        return Next::kWait;
      case core::EventFeed::Step::kEnded:
        return end(code_of(feed_->end()), core::text_of(feed_->end()), out);
    }
  }
  return Next::kMore;
}

FeedSession::Next FeedSession::received(std::string_view bytes, BootTime now, std::string& out) {
  if (ended_)
    return Next::kEnded;
  heard_ = now;
  reader_.put(bytes);
  for (;;) {
    const Result<std::optional<websocket::Frame>> frame = reader_.next();
    if (!frame.ok())
      return end(frame.status().code() == Code::kTooLarge ? websocket::kTooLarge : websocket::kProtocolError,
                 frame.status().message(), out);
    if (!*frame)
      return Next::kWait;
    if (answer(**frame, out) == Next::kEnded)
      return Next::kEnded;
  }
}

// A subscriber has nothing to say; what it says all the same is not looked at.
FeedSession::Next FeedSession::answer(const websocket::Frame& frame, std::string& out) {
  if (frame.opcode == Opcode::kPing)
    websocket::append_frame(Opcode::kPong, frame.payload, nullptr, out);
  if (frame.opcode == Opcode::kClose)
    return end(websocket::kNormal, {}, out);
  return Next::kWait;
}

void FeedSession::stop(std::string& out) { end(websocket::kGoingAway, core::text_of(core::FeedEnd::kNone), out); }

}  // namespace coffer::http
