// The services of package coffer.v1. Each method names an operation and a path and turns fields into JSON and back;
// what happens is the core's business alone.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/service_type.h>

#include <memory>
#include <vector>

#include "rpc/gateway.h"

namespace coffer::rpc {

class Ticker;

// All borrow the gateway and the ticker, which outlive them.
std::unique_ptr<grpc::Service> make_logical_service(Gateway& gateway);
std::unique_ptr<grpc::Service> make_kv_service(Gateway& gateway);
std::unique_ptr<grpc::Service> make_token_service(Gateway& gateway);
std::unique_ptr<grpc::Service> make_identity_service(Gateway& gateway);
std::unique_ptr<grpc::Service> make_sys_service(Gateway& gateway);
std::unique_ptr<grpc::Service> make_ceremony_service(Gateway& gateway);
std::unique_ptr<grpc::Service> make_auth_service(Gateway& gateway);
std::unique_ptr<grpc::Service> make_lease_service(Gateway& gateway);
std::unique_ptr<grpc::Service> make_quota_service(Gateway& gateway);
std::unique_ptr<grpc::Service> make_namespace_service(Gateway& gateway);
std::unique_ptr<grpc::Service> make_watch_service(Gateway& gateway, Ticker& ticker);

}  // namespace coffer::rpc
