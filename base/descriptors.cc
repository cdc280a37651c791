#include "base/descriptors.h"

#include <sys/resource.h>

namespace coffer {

std::size_t descriptors_max() {
  rlimit files{};
  return ::getrlimit(RLIMIT_NOFILE, &files) == 0 ? static_cast<std::size_t>(files.rlim_cur) : 1024;
}

}  // namespace coffer
