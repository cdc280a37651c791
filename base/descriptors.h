// How many files and connections this process may have open.
#pragma once

#include <cstddef>

namespace coffer {

std::size_t descriptors_max();

}  // namespace coffer
