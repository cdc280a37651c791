// Switches that re-introduce a known bug, so that the test that guards against it can be shown to fail (a test that
// survives its mutant does not count). Asked at the very check that the mutant removes:
//     if (!mutant(Mutant::kSkipLogSync)) COFFER_TRY(file.sync());
// The shipped binary links base/mutant_off.cc, which always says no; test binaries link tests/mutant_on.cc instead,
// which reads the mutant's name from the environment variable COFFER_MUTANT or from a setter.
#pragma once

#include <string_view>

namespace coffer {

enum class Mutant {
#define COFFER_MUTANT(id, name) id,
#include "base/mutants.inc"
#undef COFFER_MUTANT
  kCount
};

// Any thread. False in production.
bool mutant(Mutant which) noexcept;

std::string_view mutant_name(Mutant which) noexcept;

}  // namespace coffer
