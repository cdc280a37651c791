// One client that listens to events over a WebSocket, without its socket: events become text frames, what the client
// sends is answered as the protocol wants it, and a client that says nothing for long is let go. One thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/limits.h"
#include "base/websocket.h"
#include "core/event_feed.h"

namespace coffer::http {

class FeedSession {
 public:
  enum class Next : std::uint8_t {
    kWait,   // until the feed is ready, the client says something, or the next tick
    kMore,   // ask again as soon as this is sent
    kEnded,  // what was appended is the last
  };

  // Nothing is told before the first call of next().
  FeedSession(std::shared_ptr<core::EventFeed> feed, BootTime now) : feed_(std::move(feed)), heard_(now), asked_(now) {}

  void on_ready(std::function<void()> ready) { feed_->on_ready(std::move(ready)); }

  // Appends frames: about limits::kFeedPieceBytesMax at most.
  Next next(BootTime now, std::string& out);
  // What the client sent; answers are appended.
  Next received(std::string_view bytes, BootTime now, std::string& out);
  // The server is stopping.
  void stop(std::string& out);

 private:
  Next answer(const websocket::Frame& frame, std::string& out);
  Next end(std::uint16_t code, std::string_view reason, std::string& out);

  const std::shared_ptr<core::EventFeed> feed_;
  websocket::FrameReader reader_{true, limits::kFeedFrameBytesMax};
  BootTime heard_;   // the client last
  BootTime asked_;   // it whether it is there
  bool ended_ = false;
  std::string text_;
};

}  // namespace coffer::http
