#include "core/events.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/time_text.h"
#include "core/call.h"

namespace coffer::core {
namespace {

using Metadata = std::vector<std::pair<std::string, std::string>>;

std::string joined(std::string_view a, std::string_view b, std::string_view c) {
  std::string out;
  out.reserve(a.size() + b.size() + c.size());
  return out.append(a).append(b).append(c);
}

void add_metadata(const Change& change, const std::string& mount_path, Event& event) {
  Metadata& out = event.metadata;
  if (change.versioned)
    out.emplace_back("current_version", std::to_string(change.current_version));
  event.data_path = change.lease ? std::string(change.name) : joined(mount_path, change.data_area, change.name);
  out.emplace_back("data_path", event.data_path);
  if (!change.numbers_key.empty())
    out.emplace_back(change.numbers_key, change.numbers);
  if (change.lease && change.expires != WallTime{})
    out.emplace_back("expire_time", format_time(change.expires));
  if (change.lease)
    out.emplace_back("lease_id", change.name);
  out.emplace_back("modified", "true");
  if (change.versioned)
    out.emplace_back("oldest_version", std::to_string(change.oldest_version));
  out.emplace_back("operation", event.operation());
  out.emplace_back("path", change.lease ? event.data_path : joined(mount_path, change.area, change.name));
  std::ranges::sort(out);
}

// Nothing where there is no such namespace, or no such mount, any more: who could be told?
std::optional<Event> event_of(const Change& change, const Services& services, const Published& published) {
  const NamespaceRecord* ns = published.namespaces->find(change.ns);
  if (ns == nullptr)
    return std::nullopt;
  const Route* route = change.lease && change.mount == MountId(0)
                           ? published.router->match(ns->path + std::string(change.name))
                           : published.router->by_id(change.ns, change.mount);
  if (route == nullptr && !change.lease)
    return std::nullopt;
  Result<std::string> id = random_uuid(services.random);
  if (!id.ok())
    return std::nullopt;
  Event event;
  event.id = std::move(*id);
  event.type = change.type;
  event.time = services.committer.cluster_now();
  event.ns = change.ns;
  event.namespace_path = ns->path;
  if (route != nullptr) {
    event.mount_path = route->prefix;
    event.mount_class = route->record.table == MountTable::kAuth ? "auth" : "secret";
    event.mount_accessor = route->record.info.accessor;
    event.plugin = route->record.info.type;
  }
  add_metadata(change, event.mount_path, event);
  return event;
}

}  // namespace

std::size_t Event::bytes() const noexcept {
  std::size_t sum = sizeof(Event) + id.size() + type.size() + namespace_path.size() + data_path.size() +
                    mount_path.size() + mount_class.size() + mount_accessor.size() + plugin.size();
  for (const auto& [name, value] : metadata)
    sum += sizeof(Metadata::value_type) + name.size() + value.size();
  return sum;
}

void append_json(const Event& event, std::string_view source, std::string& out) {
  json::Arena arena;
  json::ObjectBuilder metadata(arena, event.metadata.size());
  for (const auto& [name, value] : event.metadata)
    metadata.add(name, value);
  const json::Value inner =
      json::ObjectBuilder(arena, 2).add("id", event.id).add("metadata", metadata.build()).build();
  const json::Value plugin = json::ObjectBuilder(arena, 4)
                                 .add("mount_accessor", event.mount_accessor)
                                 .add("mount_class", event.mount_class)
                                 .add("mount_path", event.mount_path)
                                 .add("plugin", event.plugin)
                                 .build();
  const json::Value data = json::ObjectBuilder(arena, 4)
                               .add("event", inner)
                               .add("event_type", event.type)
                               .add("namespace", event.namespace_path)
                               .add("plugin_info", plugin)
                               .build();
  // The name with two t in a row less is what clients of such servers know; the other one is the standard's.
  constexpr std::string_view kContentType = "application/cloudevents";
  json::write(json::ObjectBuilder(arena, 8)
                  .add("data", data)
                  .add("datacontentype", kContentType)
                  .add("datacontenttype", kContentType)
                  .add("id", event.id)
                  .add("source", source)
                  .add("specversion", "1.0")
                  .add("time", format_time(event.time))
                  .add("type", "*")
                  .build(),
              out);
}

bool glob_matches(std::string_view pattern, std::string_view text) noexcept {
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = std::string_view::npos;  // the last one met, and how much of the text it stands for so far
  std::size_t from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++from;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*')
    ++p;
  return p == pattern.size();
}

EventBus::~EventBus() { COFFER_CHECK(places_.empty()); }

EventBus::Place::~Place() { bus_.drop(*this); }

EventBus::Place::Took EventBus::Place::take(std::shared_ptr<const Event>& out) {
  const std::lock_guard lock(bus_.mutex_);
  if (next_ < bus_.first_)
    return Took::kBehind;
  const std::size_t at = static_cast<std::size_t>(next_ - bus_.first_);
  if (at == bus_.held_.size()) {
    waiting_ = true;
    return Took::kNothing;
  }
  out = bus_.held_[at];
  ++next_;
  return Took::kEvent;
}

void EventBus::Place::wake_by(std::function<void()> ready) {
  const std::lock_guard lock(bus_.mutex_);
  ready_ = std::move(ready);
}

std::unique_ptr<EventBus::Place> EventBus::subscribe() {
  std::unique_ptr<Place> place(new Place(*this));
  bool room = false;
  {
    const std::lock_guard lock(mutex_);
    room = places_.size() < limits::kEventSubscribersMax;
    if (room) {
      place->next_ = first_ + held_.size();
      places_.push_back(place.get());
      subscribers_.store(places_.size());
    }
  }
  if (!room)
    place.reset();
  return place;
}

void EventBus::drop(Place& place) {
  const std::lock_guard lock(mutex_);
  std::erase(places_, &place);
  subscribers_.store(places_.size());
  if (!places_.empty())
    return;
  first_ += held_.size();
  held_.clear();
  bytes_ = 0;
}

void EventBus::publish(std::vector<Event> events) {
  const std::lock_guard lock(mutex_);
  if (places_.empty())
    return;
  for (Event& event : events) {
    bytes_ += event.bytes();
    held_.push_back(std::make_shared<const Event>(std::move(event)));
  }
  while (held_.size() > limits::kEventsHeldMax || bytes_ > limits::kEventBytesHeldMax) {
    bytes_ -= held_.front()->bytes();
    held_.pop_front();
    ++first_;
  }
  for (Place* place : places_)
    if (std::exchange(place->waiting_, false) && place->ready_)
      place->ready_();
}

void publish_changes(const Services& services, std::span<const Change> changes) {
  if (changes.empty() || services.events == nullptr || !services.events->wanted())
    return;
  const std::shared_ptr<const store::Attachment> attachment = services.backend.attachment();
  const Published* published = published_in(attachment);
  if (published == nullptr || published->sealed)
    return;
  std::vector<Event> events;
  events.reserve(changes.size());
  for (const Change& change : changes)
    if (std::optional<Event> event = event_of(change, services, *published))
      events.push_back(std::move(*event));
  services.events->publish(std::move(events));
}

}  // namespace coffer::core
