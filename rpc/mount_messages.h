// Mounts in messages, for the services of secrets engines and of auth methods.
#pragma once

#include "base/status.h"
#include "core/request.h"
#include "proto/coffer/v1/sys.pb.h"

namespace coffer::rpc {

// Of an answer as sys/mounts and sys/auth give it.
Status decode_mounts(core::Exchange& exchange, v1::ListMountsResponse& reply);

}  // namespace coffer::rpc
