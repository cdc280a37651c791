#include "server/descriptors.h"

#include <algorithm>

namespace coffer::server {
namespace {

constexpr std::size_t kSilentPart = 8;  // one of so many is kept for silent connections, where others are cut down

}  // namespace

ConnectionBounds bounded_connections(const ConnectionBounds& wanted, std::size_t descriptors) {
  const std::size_t reserved = std::min(kDescriptorsReserved, descriptors / 2);
  const std::size_t room = descriptors - reserved;
  if (wanted.grpc == 0)
    return {std::max<std::size_t>(1, std::min(wanted.http, room)), 0, 0};
  const std::size_t greeted = wanted.http + 2 * wanted.grpc;
  const std::size_t rest = room - room / kSilentPart;
  if (greeted <= rest)
    return {wanted.http, wanted.grpc, std::min(wanted.grpc_silent, room - greeted)};
  ConnectionBounds out;
  out.http = std::min(wanted.http, std::max(rest / 2, rest - std::min(rest, 2 * wanted.grpc)));
  out.grpc = std::min(wanted.grpc, (rest - out.http) / 2);
  out.grpc_silent = std::min(wanted.grpc_silent, room / kSilentPart);
  return {std::max<std::size_t>(1, out.http), std::max<std::size_t>(1, out.grpc),
          std::max<std::size_t>(1, out.grpc_silent)};
}

std::size_t descriptors_wanted(const ConnectionBounds& wanted) {
  if (wanted.grpc == 0)
    return wanted.http + kDescriptorsReserved;
  const std::size_t greeted = wanted.http + 2 * wanted.grpc;
  return greeted + greeted / (kSilentPart - 1) + 1 + kDescriptorsReserved;
}

}  // namespace coffer::server
