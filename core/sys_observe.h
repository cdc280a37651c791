// sys/metrics and its kind: what the server tells of itself.
#pragma once

#include "core/instruments.h"
#include "core/request.h"

namespace coffer::core {

// The answer to a read of sys/metrics, in the format that the request names.
void answer_metrics(const Instruments& instruments, const Request& request, Response& response, json::Arena& arena);

}  // namespace coffer::core
