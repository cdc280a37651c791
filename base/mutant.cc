#include "base/mutant.h"

#include <array>

#include "base/check.h"

namespace coffer {

std::string_view mutant_name(Mutant which) noexcept {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(Mutant::kCount)> kNames = {
#define COFFER_MUTANT(id, name) name,
#include "base/mutants.inc"
#undef COFFER_MUTANT
  };
  COFFER_CHECK(which < Mutant::kCount);
  return kNames[static_cast<std::size_t>(which)];
}

}  // namespace coffer
