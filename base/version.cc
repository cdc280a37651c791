#include "base/version.h"

#ifndef COFFER_BUILD_REVISION
#define COFFER_BUILD_REVISION "unknown"
#endif
#ifndef COFFER_BUILD_DATE
#define COFFER_BUILD_DATE "1970-01-01T00:00:00Z"
#endif

namespace coffer {

std::string_view build_revision() noexcept { return COFFER_BUILD_REVISION; }
std::string_view build_date() noexcept { return COFFER_BUILD_DATE; }

}  // namespace coffer
