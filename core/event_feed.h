// What a subscriber to events is told, for as long as it listens: the port between the core, which knows who may hear
// what, and the listeners, which know how to tell it.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "core/events.h"

namespace coffer::core {

// Why a feed has ended. Each listener has its own way to say so.
enum class FeedEnd : std::uint8_t {
  kNone,      // it goes on
  kBehind,    // the subscriber was too slow
  kRefused,   // its token is gone, or may not listen any more
  kSealed,    // the node is sealed, or does not lead
  kBroken,    // the stored state cannot be read
};
std::string_view text_of(FeedEnd end) noexcept;

// One subscriber's; one thread at a time.
class EventFeed {
 public:
  virtual ~EventFeed() = default;

  enum class Step : std::uint8_t {
    kEvent,    // `out` is one that the subscriber may see, as of now
    kMore,     // none yet, and there is more to look at: ask again soon
    kNothing,  // none is there: ask again after on_ready's function was called, and now and then
    kEnded,    // see end(); nothing will follow
  };
  virtual Step next(std::shared_ptr<const Event>& out) = 0;
  virtual FeedEnd end() const = 0;
  // See EventBus::Place::wake_by.
  virtual void on_ready(std::function<void()> ready) = 0;
  // Which server tells.
  virtual std::string_view source() const = 0;
};

}  // namespace coffer::core
