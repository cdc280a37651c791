// sys/events/subscribe: a request whose answer goes on.
#include <algorithm>

#include "base/limits.h"
#include "core/event_subscription.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

std::string_view trimmed(std::string_view text) {
  while (text.starts_with('/'))
    text.remove_prefix(1);
  while (text.ends_with('/'))
    text.remove_suffix(1);
  return text;
}

// That of the request, and those below it that are named: relative to it, with '*' for any text.
Result<std::vector<std::string>> namespaces_of(CallContext& ctx) {
  COFFER_ASSIGN(const std::vector<std::string_view> named, ctx.list_field("namespaces"));
  if (named.size() > limits::kEventNamespacesMax)
    return Status(Code::kInvalid, "field \"namespaces\" names more than " +
                                      std::to_string(limits::kEventNamespacesMax) + " namespaces");
  std::vector<std::string> out{std::string(trimmed(ctx.ns.path))};
  for (const std::string_view one : named) {
    const std::string_view pattern = trimmed(one);
    if (pattern.size() > limits::kPathBytesMax)
      return Status(Code::kInvalid, "field \"namespaces\" holds a pattern that is too long");
    if (!pattern.empty())
      out.push_back(ctx.ns.path + std::string(pattern));
  }
  return out;
}

Result<EventInterest> interest_of(CallContext& ctx) {
  EventInterest interest;
  interest.type = ctx.captures.front();
  COFFER_ASSIGN(interest.namespaces, namespaces_of(ctx));
  COFFER_ASSIGN(const std::string_view filter, ctx.string_field("filter", ""));
  if (filter.empty())
    return interest;
  if (filter.size() > limits::kEventFilterBytesMax)
    return Status(Code::kInvalid,
                  "field \"filter\" is longer than " + std::to_string(limits::kEventFilterBytesMax) + " bytes");
  Result<AuditFilter> parsed = AuditFilter::parse(filter, EventInterest::kFilterNames);
  if (!parsed.ok())
    return Status(Code::kInvalid, "field \"filter\": " + parsed.status().message());
  interest.filter = std::move(*parsed);
  return interest;
}

Status handle_subscribe(HandlerContext& base) {
  CallContext& ctx = call(base);
  if (ctx.services.events == nullptr)
    return Status(Code::kNotFound, "this server tells nothing of what changes");
  COFFER_ASSIGN(const bool json, ctx.bool_field("json", false));
  COFFER_ASSIGN(EventInterest interest, interest_of(ctx));
  if (!json)
    return Status(Code::kInvalid, "field \"json\" must be true: events are told as JSON only");
  if (ctx.request.wrap_ttl)
    return Status(Code::kInvalid, "a subscription cannot be wrapped");
  if (!ctx.request.takes_feed) {
    ctx.response.status = 426;
    ctx.response.errors.push_back("events are told over a WebSocket: ask for an upgrade to one");
    ctx.response.headers = {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}};
    return ok_status();
  }
  EventListener listener;
  listener.token_hash = ctx.token_hash;
  if (listener.token_hash.empty())
    listener.token_text = SecretBytes::copy_of(ctx.request.token);
  listener.address = ctx.request.remote_address;
  listener.path = ctx.full_path;
  listener.ns = ctx.ns.id;
  auto feed = EventSubscription::open(ctx.services, std::move(interest), std::move(listener));
  if (!feed)
    return Status(Code::kExhausted, "as many clients as may listen to events already");
  ctx.response.feed = std::move(feed);
  return ok_status();
}

}  // namespace

std::vector<PathSpec> sys_event_specs() {
  return {{"events/subscribe/*type",
           "What changes on this server, as it happens.",
           {{"type", FieldType::kString, "Which events: a type, or a pattern with '*' for any text."},
            {"json", FieldType::kBool, "Must be true: events are told as JSON."},
            {"namespaces", FieldType::kStringList, "Namespaces below that of the request, with '*' for any text."},
            {"filter", FieldType::kString,
             "A condition on event_type, operation, source_plugin_mount, data_path and namespace."}},
           {{Operation::kRead, Effect::kReads, handle_subscribe, "Tells of events until the client goes."}}}};
}

}  // namespace coffer::core
