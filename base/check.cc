#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace coffer {

void check_failed(const char* file, int line, const char* expression) noexcept {
  std::fprintf(stderr, "%s:%d: invariant does not hold: %s\n", file, line, expression);
  std::fflush(stderr);
  std::abort();
}

}  // namespace coffer
