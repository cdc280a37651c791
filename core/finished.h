// What is counted of a request when it is answered, and the span that is told of it.
#pragma once

#include "core/call.h"
#include "core/request.h"

namespace coffer::core {

// Once a request, on the thread that answers it. A few stores to this thread's own cells.
void note_finished(Exchange& exchange, const Services& services);

}  // namespace coffer::core
