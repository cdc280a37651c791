// Listening TCP sockets for the servers of the layers above.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace coffer {

// A non-blocking socket that listens on `host`:`port` (0: the system chooses), owned by the caller. `host` is an
// address or a name, IPv6 without brackets. The message of a failure names the address.
Result<int> listen_tcp(const std::string& host, std::uint16_t port);

// The port that a bound socket has; 0 when it has none.
std::uint16_t bound_port(int fd);

}  // namespace coffer
