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

std::string mount_record(MountId id) {
  std::string out(kMountPrefix);
  append_hex(out, id.get(), 8);
  return out;
}

}  // namespace coffer::core::layout
