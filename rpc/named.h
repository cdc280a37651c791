// Calls whose fields have the names of the HTTP API's members: one row says which operation and path a call is, and
// what it sends and answers follows from its messages.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

#include "rpc/gateway.h"

namespace coffer::rpc {

// `path` may hold "{field}": the text of that field of the request, which is not in the body then. A '/' before one
// that is empty at the end is left out.
struct Call {
  core::Operation operation;
  std::string_view path;
};

std::string path_of(const Call& call, const google::protobuf::Message& request);
// The fields that are set: texts, numbers, truth values, lists and maps of texts.
Result<json::Value> data_of(const Call& call, const google::protobuf::Message& request, json::Arena& arena);
// Fields whose names are members of the object, as far as their types fit; in lists, maps and messages too.
void fill(const json::Value& object, google::protobuf::Message& message);

Status decode_named(core::Exchange& exchange, google::protobuf::Message& reply);

// `request` and `reply` belong to the call.
template <typename Reply>
grpc::ServerUnaryReactor* named(Gateway& gateway, grpc::CallbackServerContext& context, const Call& call,
                                const google::protobuf::Message& request, Reply& reply) {
  const Ask ask{call.operation, path_of(call, request),
                [call, &request](json::Arena& arena) { return data_of(call, request, arena); }};
  return unary<Reply>(gateway, context, ask, reply, [](core::Exchange& exchange, Reply& out) {
    return decode_named(exchange, out);
  });
}

}  // namespace coffer::rpc
