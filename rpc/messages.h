// Messages that several services answer with.
#pragma once

#include "base/status.h"
#include "core/request.h"
#include "proto/coffer/v1/logical.pb.h"
#include "proto/coffer/v1/sys.pb.h"

namespace coffer::rpc {

void fill_response(const core::Exchange& exchange, v1::Response& out);
// kInternal when the answer holds no token.
Status fill_auth(const core::Exchange& exchange, v1::Auth& out);
void fill_seal_status(const json::Value& data, v1::SealStatusResponse& out);

}  // namespace coffer::rpc
