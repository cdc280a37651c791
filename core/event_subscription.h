// A subscription to events, with the authority of a token. What the token may hear is asked anew for each event,
// against the state of that moment: a token that is revoked, expired or moved to another policy hears nothing that was
// not its to hear when it would have been told.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/secret.h"
#include "core/audit_filter.h"
#include "core/call.h"
#include "core/event_feed.h"

namespace coffer::core {

// What was asked for.
struct EventInterest {
  std::string type;                     // "kv-v2/data-write", "kv*"
  std::vector<std::string> namespaces;  // patterns of absolute paths, without slashes at their ends
  std::optional<AuditFilter> filter;
  static constexpr std::string_view kFilterNames[] = {"event_type", "operation", "source_plugin_mount", "data_path",
                                                      "namespace"};
  bool matches(const Event& event) const;
};

// Who asked for it.
struct EventListener {
  std::string token_hash;  // empty: a batch token, whose text is kept
  SecretBytes token_text;
  std::string address;     // of the client; the token may be bound to some
  std::string path;        // of the request, as it was authorised
  NamespaceId ns{0};       // and its namespace
};

class EventSubscription final : public EventFeed {
 public:
  // `services` and its bus outlive it. Null when as many subscribe as may.
  static std::shared_ptr<EventSubscription> open(const Services& services, EventInterest interest,
                                                 EventListener listener);

  Step next(std::shared_ptr<const Event>& out) override;
  FeedEnd end() const override { return end_; }
  void on_ready(std::function<void()> ready) override { place_->wake_by(std::move(ready)); }
  std::string_view source() const override { return services_.events->source(); }

 private:
  EventSubscription(const Services& services, EventInterest interest, EventListener listener,
                    std::unique_ptr<EventBus::Place> place)
      : services_(services), interest_(std::move(interest)), listener_(std::move(listener)), place_(std::move(place)) {}

  Step finish(FeedEnd why);
  // Whether the listener may hear of `event`; without one, whether it may listen at all. False: end_ says why, unless
  // it is kNone.
  bool allowed(const Event* event);
  bool allowed_in(const store::View& view, const Published& published, const Event* event);
  bool may_hear(const Published& published, const Acl& acl, const TokenRecord& token, const Event& event) const;

  const Services& services_;
  const EventInterest interest_;
  const EventListener listener_;
  const std::unique_ptr<EventBus::Place> place_;
  json::Arena arena_;
  TxnImpl::Buffers buffers_;
  WallTime looked_{};  // at the token, while nothing happened
  FeedEnd end_ = FeedEnd::kNone;
};

}  // namespace coffer::core
