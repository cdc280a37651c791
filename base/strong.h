// Numbers that mean different things are different types: an Index does not convert into a Term.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace coffer {

template <typename Tag, typename Rep = std::uint64_t>
class Strong {
 public:
  constexpr Strong() noexcept = default;
  constexpr explicit Strong(Rep value) noexcept : value_(value) {}

  constexpr Rep get() const noexcept { return value_; }
  constexpr Strong next() const noexcept { return Strong(value_ + 1); }

  friend constexpr auto operator<=>(Strong, Strong) noexcept = default;

 private:
  Rep value_ = 0;
};

using Index = Strong<struct IndexTag>;          // position of a Raft entry; 0 is "before the first"
using Term = Strong<struct TermTag>;            // Raft term
using KeyTerm = Strong<struct KeyTermTag, std::uint32_t>;          // version of a barrier key; the first is 1
using KeyringId = Strong<struct KeyringIdTag, std::uint32_t>;      // 0 is the cluster's keyring
using NamespaceId = Strong<struct NamespaceIdTag, std::uint32_t>;  // never reused; 0 is root
using MountId = Strong<struct MountIdTag, std::uint32_t>;          // never reused; 0 is the system itself

}  // namespace coffer

template <typename Tag, typename Rep>
struct std::hash<coffer::Strong<Tag, Rep>> {
  std::size_t operator()(coffer::Strong<Tag, Rep> v) const noexcept { return std::hash<Rep>()(v.get()); }
};
