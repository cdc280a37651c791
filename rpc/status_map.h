// Failures in gRPC's terms.
#pragma once

#include <grpcpp/support/status.h>

#include "base/status.h"
#include "core/request.h"

namespace coffer::rpc {

grpc::StatusCode code_of_http(int status) noexcept;

// A failed answer, with a coffer.v1.Error among its details.
grpc::Status failure_of(const core::Exchange& exchange);
grpc::Status failure_of(const Status& status);

// What a call hears whose request or answer asks for more memory than there is.
Status out_of_memory();

}  // namespace coffer::rpc
