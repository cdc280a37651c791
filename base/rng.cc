#include "base/rng.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>

namespace coffer {
namespace {

class SystemRandom final : public RandomSource {
 public:
  Status fill(std::span<std::uint8_t> out) override {
    while (!out.empty()) {
      const ssize_t got = getrandom(out.data(), out.size(), 0);
      if (got < 0 && errno == EINTR)
        continue;
      if (got <= 0)
        return Status(Code::kInternal, "the kernel's random source failed");
      out = out.subspan(static_cast<std::size_t>(got));
    }
    return Status();
  }
};

}  // namespace

RandomSource& system_random() {
  static SystemRandom source;
  return source;
}

}  // namespace coffer
