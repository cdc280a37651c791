// sys/storage/raft/certificates, rotate-certificates and bootstrap/certificates: the certificates that the nodes show
// to each other.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "core/path_table.h"

namespace coffer::core {

struct CallContext;

// Bytes of the request. kInvalid names the field.
Result<std::string> base64_field(const CallContext& ctx, std::string_view field);

void add_certificate_specs(std::vector<PathSpec>& specs);

}  // namespace coffer::core
