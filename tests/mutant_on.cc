#include "tests/mutant_on.h"

#include <atomic>
#include <cstdlib>

#include "base/check.h"

namespace coffer {
namespace {

// kCount means that none is on. COFFER_MUTANT=<name> switches one on for the whole process.
Mutant from_environment() {
  const char* wanted = std::getenv("COFFER_MUTANT");
  if (wanted == nullptr || *wanted == '\0')
    return Mutant::kCount;
  for (int i = 0; i < static_cast<int>(Mutant::kCount); ++i) {
    if (mutant_name(static_cast<Mutant>(i)) == wanted)
      return static_cast<Mutant>(i);
  }
  COFFER_CHECK(!"COFFER_MUTANT names no mutant");
  return Mutant::kCount;
}

std::atomic<Mutant>& active() {
  static std::atomic<Mutant> value{from_environment()};
  return value;
}

}  // namespace

bool mutant(Mutant which) noexcept { return active().load(std::memory_order_relaxed) == which; }

namespace testing {

ScopedMutant::ScopedMutant(Mutant which) : previous_(active().exchange(which)) {}
ScopedMutant::~ScopedMutant() { active().store(previous_); }

}  // namespace testing
}  // namespace coffer
