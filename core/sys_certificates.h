// sys/storage/raft/certificates and rotate-certificates: the certificates that the nodes show to each other.
#pragma once

#include <vector>

#include "core/path_table.h"

namespace coffer::core {

void add_certificate_specs(std::vector<PathSpec>& specs);

}  // namespace coffer::core
