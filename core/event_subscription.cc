#include "core/event_subscription.h"

#include <algorithm>

#include "base/limits.h"
#include "base/mutant.h"
#include "core/cidr.h"
#include "core/identity_access.h"
#include "core/token_store.h"

namespace coffer::core {
namespace {

constexpr Nanos kLookInterval = std::chrono::seconds(1);

std::string_view without_slash(std::string_view path) {
  return path.ends_with('/') ? path.substr(0, path.size() - 1) : path;
}

class Subject final : public AuditFilterSubject {
 public:
  explicit Subject(const Event& event) : event_(event) {}
  void values(std::string_view selector, std::vector<std::string_view>& out) const override {
    if (selector == "event_type")
      out.push_back(event_.type);
    else if (selector == "operation")
      out.push_back(event_.operation());
    else if (selector == "source_plugin_mount")
      out.push_back(event_.mount_path);
    else if (selector == "data_path")
      out.push_back(event_.data_path);
    else
      out.push_back(event_.namespace_path);
  }

 private:
  const Event& event_;
};

}  // namespace

std::string_view text_of(FeedEnd end) noexcept {
  switch (end) {
    case FeedEnd::kBehind: return "too slow: events were lost";
    case FeedEnd::kRefused: return "permission denied";
    case FeedEnd::kSealed: return "the node is sealed or does not lead";
    case FeedEnd::kBroken: return "internal error";
    case FeedEnd::kNone: break;
  }
  return "the server is stopping";
}

bool EventInterest::matches(const Event& event) const {
  if (!glob_matches(type, event.type))
    return false;
  const std::string_view ns = without_slash(event.namespace_path);
  if (!mutant(Mutant::kEventOfOtherNamespace) &&
      std::ranges::none_of(namespaces, [ns](const std::string& pattern) { return glob_matches(pattern, ns); }))
    return false;
  return !filter || filter->matches(Subject(event));
}

std::shared_ptr<EventSubscription> EventSubscription::open(const Services& services, EventInterest interest,
                                                           EventListener listener) {
  std::unique_ptr<EventBus::Place> place = services.events->subscribe();
  if (!place)
    return nullptr;
  return std::shared_ptr<EventSubscription>(
      new EventSubscription(services, std::move(interest), std::move(listener), std::move(place)));
}

EventFeed::Step EventSubscription::finish(FeedEnd why) {
  end_ = why;
  return Step::kEnded;
}

EventFeed::Step EventSubscription::next(std::shared_ptr<const Event>& out) {
  if (end_ != FeedEnd::kNone)
    return Step::kEnded;
  for (std::size_t looked = 0; looked < limits::kEventScanMax; ++looked) {
    const EventBus::Place::Took took = place_->take(out);
    if (took == EventBus::Place::Took::kBehind)
      return finish(FeedEnd::kBehind);
    if (took == EventBus::Place::Took::kNothing) {
      const WallTime now = services_.committer.cluster_now();
      if (now - looked_ >= kLookInterval) {
        looked_ = now;
        if (!allowed(nullptr) && !mutant(Mutant::kEventAfterRevocation))
          return Step::kEnded;
      }
      return Step::kNothing;
    }
    if (!interest_.matches(*out))
      continue;
    if (mutant(Mutant::kEventAfterRevocation) || allowed(out.get()))
      return Step::kEvent;
    if (end_ != FeedEnd::kNone)
      return Step::kEnded;
  }
  return Step::kMore;
}

bool EventSubscription::allowed(const Event* event) {
  Result<std::unique_ptr<store::View>> view = services_.backend.view();
  const Published* published = view.ok() ? published_in((*view)->attachment()) : nullptr;
  if (!view.ok() || (published != nullptr && !published->damage.ok())) {
    end_ = FeedEnd::kBroken;
    return false;
  }
  if (published == nullptr || published->sealed || !services_.committer.lease_valid()) {
    end_ = FeedEnd::kSealed;
    return false;
  }
  arena_.reset();
  return allowed_in(**view, *published, event);
}

bool EventSubscription::allowed_in(const store::View& view, const Published& published, const Event* event) {
  const WallTime now = services_.committer.cluster_now();
  TxnImpl txn(view, *published.barrier, arena_, now, buffers_);
  TokenStore tokens(txn, published, arena_);
  const Result<std::optional<StoredToken>> token = listener_.token_hash.empty()
                                                       ? tokens.live_by_text(listener_.token_text.reveal_text())
                                                       : tokens.live(listener_.token_hash);
  std::shared_ptr<const Acl> owner;
  Result<const Acl*> acl = nullptr;
  if (token.ok() && *token && in_networks(listener_.address, (*token)->record.bound_cidrs))
    acl = acl_of_token(txn, published, arena_, (*token)->record, owner, now);
  if (!token.ok() || !acl.ok()) {
    end_ = FeedEnd::kBroken;
    return false;
  }
  const NamespaceRecord* made = *acl == nullptr ? nullptr : published.namespaces->find((*token)->record.ns);
  const NamespaceRecord* asked = published.namespaces->find(listener_.ns);
  if (made == nullptr || asked == nullptr || made->deleting || asked->deleting || !made->covers(*asked) ||
      !(*acl)->allows(asked->path.substr(made->path.size()) + listener_.path, Capability::kRead).allowed) {
    end_ = FeedEnd::kRefused;
    return false;
  }
  return event == nullptr || may_hear(published, **acl, (*token)->record, *event);
}

// The namespace where it happened may have gone, been locked, or lie beside that of the token.
bool EventSubscription::may_hear(const Published& published, const Acl& acl, const TokenRecord& token,
                                 const Event& event) const {
  const NamespaceRecord* made = published.namespaces->find(token.ns);
  const NamespaceRecord* where = published.namespaces->find(event.ns);
  if (where == nullptr || where->deleting || published.namespaces->locked_above(*where) != nullptr)
    return false;
  if (!made->covers(*where))
    return mutant(Mutant::kEventOfOtherNamespace);
  const std::string path = where->path.substr(made->path.size()) + event.data_path;
  const Decision decision = acl.allows(path, Capability::kSubscribe);
  if (decision.root || mutant(Mutant::kEventWithoutSubscribe))
    return true;
  return decision.allowed && std::ranges::any_of(decision.event_types, [&](const std::string& pattern) {
           return glob_matches(pattern, event.type);
         });
}

}  // namespace coffer::core
