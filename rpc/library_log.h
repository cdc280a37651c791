// What gRPC itself would write to standard error.
#pragma once

namespace coffer::rpc {

// Drops it, once for the process: its lines hold what a peer sent, before anybody knows who that is, as many as the
// peer likes, beside the server's own log and in no form of that. Who looks for an error inside gRPC sets
// GRPC_VERBOSITY or GRPC_TRACE: then everything stays as gRPC has it.
void quiet_library_log();

}  // namespace coffer::rpc
