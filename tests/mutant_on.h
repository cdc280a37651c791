// For tests only: switches a mutant of base/mutant.h on for as long as the object lives.
#pragma once

#include "base/mutant.h"

namespace coffer::testing {

class ScopedMutant {
 public:
  explicit ScopedMutant(Mutant which);
  ~ScopedMutant();
  ScopedMutant(const ScopedMutant&) = delete;
  ScopedMutant& operator=(const ScopedMutant&) = delete;

 private:
  Mutant previous_;
};

}  // namespace coffer::testing
