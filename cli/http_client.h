// The transport over libcurl.
#pragma once

#include "cli/transport.h"

namespace coffer::cli {

// kInvalid when a certificate or key file cannot be read, naming it.
Result<std::unique_ptr<Transport>> make_curl_transport(const TransportOptions& options);

}  // namespace coffer::cli
