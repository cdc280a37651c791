#include "base/mutant.h"

namespace coffer {

bool mutant(Mutant) noexcept { return false; }

}  // namespace coffer
