// Which requests a node that does not lead passes on to the one that does.
#pragma once

#include "core/request.h"

namespace coffer::core {

class Published;

enum class Way : std::uint8_t {
  kForward,     // it runs at the node that leads, unless it may be read here
  kHere,        // it is about the node that is asked; while a leader is known, so that this node's state is of now
  kHereAlways,  // the same, also when nobody leads
  kRedirect,    // its answer is a stream, which is not passed on: the client is sent to the node that leads
};

// Any thread. Of a request that was not forwarded already.
Way way_of(const Request& request) noexcept;

// Of a request whose way is kForward: whether a node that does not lead may try to answer it, because it changes
// nothing and asks for nothing that only the leader has. What no path leads to is refused by any node. Any thread.
bool may_read_here(const Request& request, const Published& published);

// Its client does not want the request to be forwarded (X-Vault-No-Request-Forwarding): a node that does not lead says
// who does. Before the exchange is dispatched.
void forbid_forwarding(Exchange& exchange);

}  // namespace coffer::core
