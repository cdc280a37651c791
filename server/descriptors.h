// How many connections the open files of the process allow. What the store and the audit devices open must never fail
// for clients who do nothing but connect, so a part of the limit is not theirs.
#pragma once

#include <cstddef>

namespace coffer::server {

inline constexpr std::size_t kDescriptorsReserved = 256;  // for the store, audit files, logs and calls to other systems

// A connection of HTTP takes one descriptor, one of gRPC two, and one of gRPC that has said nothing yet one.
struct ConnectionBounds {
  std::size_t http = 0;
  std::size_t grpc = 0;  // all bounds of gRPC are 0 when it does not listen
  std::size_t grpc_silent = 0;
};

// `wanted`, cut down to what `descriptors` allow: HTTP and gRPC share evenly what is not reserved, and of each there is
// at least one. The bound of silent ones is cut first.
ConnectionBounds bounded_connections(const ConnectionBounds& wanted, std::size_t descriptors);

// From how many descriptors on nothing but silent connections is cut down.
std::size_t descriptors_wanted(const ConnectionBounds& wanted);

}  // namespace coffer::server
