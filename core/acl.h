// The access decision. An Acl is compiled from the policies of one token and never changes, so any number of threads
// ask it at once; asking allocates nothing.
//
// Of the rules that match a path one decides. A rule without wildcards beats all others. Of the rest the one whose
// first wildcard stands latest decides; then one that does not end in '*'; then the one with fewer '+'; then the
// longer; then the one later in byte order. Rules of several policies for the same path text are one rule with all
// their capabilities, or deny if any denies.
//
// LIST of "a/b/" is decided by the best of all rules that match "a/b/" or "a/b", except that an exact rule for "a/b/"
// comes before an exact rule for "a/b". So a deny of "a/b/*" holds for the list of the folder itself (advisory D3).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"
#include "core/policy.h"

namespace coffer::core {

// All but deny.
inline constexpr CapabilitySet kAnyCapability = 0xffff & ~bit(Capability::kDeny);

struct Decision {
  bool allowed = false;             // the capability that was asked for is granted
  bool sudo = false;
  CapabilitySet capabilities = 0;   // all that the deciding rule grants; all but deny for root
  bool root = false;
  const Constraints* constraints = nullptr;  // null: none; lives as long as the Acl
  std::span<const std::string> event_types{};  // that the deciding rule lets a subscriber hear of; likewise
};

// Gives the value of a template expression such as identity.entity.id, or nothing.
using TemplateValues = std::function<std::optional<std::string>(std::string_view expression)>;

class Acl {
 public:
  // `policies` are those of one token; a policy named "root" makes everything allowed. Rules with templates take their
  // values from `values`. One that has no value, or whose value is not a single literal segment (it holds '/', '+', '*'
  // or is empty), grants nothing; if it denies, everything is denied, because what it was to protect is not known
  // (advisories D4, D5). Rules whose time is over at `now` are left out.
  static std::shared_ptr<const Acl> compile(std::span<const std::shared_ptr<const Policy>> policies,
                                            const TemplateValues& values = {}, WallTime now = WallTime::min());
  // Whether no rule's time ends between `now` and when this was compiled for.
  bool holds_at(WallTime now) const noexcept { return now >= since_ && now < until_; }
  static std::shared_ptr<const Acl> root();
  ~Acl();
  Acl(const Acl&) = delete;
  Acl& operator=(const Acl&) = delete;

  // `path` is canonical, from the token's namespace on. For kList both spellings, with and without the trailing '/',
  // decide alike.
  Decision allows(std::string_view path, Capability capability) const noexcept;

  // What sys/capabilities answers for `path`: the deciding rule's set, as for a list when `path` ends in '/'.
  Decision capabilities(std::string_view path) const noexcept;

  // Whether any rule grants anything of `wanted` at or below `folder` (which ends in '/'), as sys/internal/ui/mounts
  // asks.
  bool has_access_below(std::string_view folder, CapabilitySet wanted = kAnyCapability) const noexcept;

  bool is_root() const noexcept { return root_; }

  // The path of the rule that decides, as written but with its templates filled; nothing when none matches.
  std::optional<std::string> deciding_rule(std::string_view path, Capability capability) const;
  // A rule's path with its templates filled, or nothing where one has no value that may stand there.
  static std::optional<std::string> filled_path(const PathRule& rule, const TemplateValues& values);
  // Every rule: its path, whether it is a glob, and what it grants; in order. For sys/internal/ui/resultant-acl.
  void each_rule(const std::function<void(std::string_view path, bool glob, CapabilitySet set)>& tell) const;

 private:
  struct Index;
  Acl();

  bool root_ = false;
  bool deny_all_ = false;
  WallTime since_ = WallTime::min();  // the last end of a rule that was left out
  WallTime until_ = WallTime::max();  // the first end of one that was not
  std::unique_ptr<const Index> index_;
};

// The second half of a decision: does a request with this body and wrapping TTL (nothing: not wrapped) keep to the
// constraints? Parameters are looked at for create, read, update and patch only; of a list, whether it asks for no more
// names than it may have. kDenied, naming the parameter, when not.
Status check_constraints(const Decision& decision, Capability capability, const json::Value& data,
                         std::optional<Nanos> wrap_ttl);

}  // namespace coffer::core
