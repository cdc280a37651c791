// What changed, for whoever wants to hear of it. Events are made of what transactions noted (core/change.h) when these
// are committed, in the order of their commits, and held for a while; each subscriber takes them at its own pace. Who
// is further behind than what is held hears so and has lost its place: nobody ever waits for a subscriber, and what
// all of them cost together is bounded. Nothing is kept on disk; an event is a hint to look, not a record.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/strong.h"
#include "core/change.h"

namespace coffer::core {

struct Services;

// Holds no secret: names and numbers alone.
struct Event {
  std::string id;              // UUID
  std::string type;            // "kv-v2/data-write"
  WallTime time{};
  NamespaceId ns{0};
  std::string namespace_path;  // "" or "team/alpha/"
  std::string data_path;       // in its namespace; who may hear of the event is decided by it
  std::vector<std::pair<std::string, std::string>> metadata;  // sorted by name
  std::string mount_path;      // "secret/"; empty when the mount is gone
  std::string mount_class;     // "secret" or "auth"
  std::string mount_accessor;
  std::string plugin;          // "kv"

  std::string_view operation() const noexcept { return std::string_view(type).substr(type.find('/') + 1); }
  std::size_t bytes() const noexcept;
};

// As CloudEvents 1.0 in JSON; `source` says which server tells.
void append_json(const Event& event, std::string_view source, std::string& out);

// Whether `text` is `pattern`, in which '*' stands for any text, also none. Linear in their product at worst.
bool glob_matches(std::string_view pattern, std::string_view text) noexcept;

class EventBus {
 public:
  // A place in the order of events. Made by subscribe(), which it outlives no bus of; ends its subscription itself.
  class Place {
   public:
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    enum class Took : std::uint8_t { kEvent, kNothing, kBehind };
    // The next event. After kNothing the function of wake_by() is called once when there is one. After kBehind some
    // are lost, for good. One thread at a time.
    Took take(std::shared_ptr<const Event>& out);
    // `ready` is called under the bus's lock, on any thread, and not after this object is gone: it must neither block
    // nor call the bus.
    void wake_by(std::function<void()> ready);

   private:
    friend class EventBus;
    explicit Place(EventBus& bus) : bus_(bus) {}
    EventBus& bus_;
    std::uint64_t next_ = 0;       // guarded by the bus's mutex, as is all below
    bool waiting_ = false;
    std::function<void()> ready_;
  };

  // `source`: "coffer://" and the node's name.
  explicit EventBus(std::string source) : source_(std::move(source)) {}
  ~EventBus();
  EventBus(const EventBus&) = delete;
  EventBus& operator=(const EventBus&) = delete;

  // Any thread. Whether anybody listens: all that a commit costs while nobody does.
  bool wanted() const noexcept { return subscribers_.load(std::memory_order_relaxed) != 0; }
  // Any thread; the order of calls is the order of events.
  void publish(std::vector<Event> events);
  // Any thread. Hears of everything that is published from now on. Null when there are as many as there may be.
  std::unique_ptr<Place> subscribe();

  const std::string& source() const noexcept { return source_; }
  std::size_t subscribers() const noexcept { return subscribers_.load(std::memory_order_relaxed); }

 private:
  void drop(Place& place);

  const std::string source_;
  std::atomic<std::size_t> subscribers_{0};
  std::mutex mutex_;
  std::vector<Place*> places_;                          // guarded by mutex_, as is all below
  std::deque<std::shared_ptr<const Event>> held_;
  std::uint64_t first_ = 0;                             // number of held_.front()
  std::size_t bytes_ = 0;                               // of all that is held
};

// After a commit, before it is acknowledged: on the node's thread. Mounts and namespaces are looked up as they are now.
void publish_changes(const Services& services, std::span<const Change> changes);

}  // namespace coffer::core
