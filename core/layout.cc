#include "core/layout.h"

namespace coffer::core::layout {

bool is_own_key(std::string_view stored) noexcept {
  const Result<store::KeyHead> head = store::parse_key(stored);
  return !head.ok() || head->mount == kSystemMount;
}

void append_hex(std::string& out, std::uint64_t value, int digits) {
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4)
    out.push_back("0123456789abcdef"[value >> shift & 15]);
}

std::string mount_record(MountId id, NamespaceId ns) {
  std::string out(kMountPrefix);
  append_hex(out, id.get(), 8);
  if (id < kFirstMountId && ns != kRootNamespace)
    append_hex(out.append("-"), ns.get(), 8);
  return out;
}

std::string policy_folder(NamespaceId ns) {
  if (ns == kRootNamespace)
    return std::string(kPolicyPrefix);
  std::string out(kInnerPolicyPrefix);
  append_hex(out, ns.get(), 8);
  return out.append("/");
}

std::string policy_record(NamespaceId ns, std::string_view name) { return policy_folder(ns).append(name); }

std::string member_record(std::uint64_t number) {
  std::string out(kMemberPrefix);
  append_hex(out, number, 16);
  return out;
}

std::string namespace_record(NamespaceId id) {
  std::string out(kNamespacePrefix);
  append_hex(out, id.get(), 8);
  return out;
}

}  // namespace coffer::core::layout
