#include "proto/coffer/v1/logical.grpc.pb.h"
#include "rpc/messages.h"
#include "rpc/services.h"
#include "rpc/values.h"

namespace coffer::rpc {
namespace {

using core::Operation;
using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

class LogicalService final : public v1::Logical::CallbackService {
 public:
  explicit LogicalService(Gateway& gateway) : gateway_(gateway) {}

  Reactor* Read(Context* context, const v1::ReadRequest* request, v1::Response* reply) override {
    return with_parameters(*context, Operation::kRead, request->path(), request->parameters(), *reply);
  }
  Reactor* List(Context* context, const v1::ListRequest* request, v1::Response* reply) override {
    return with_parameters(*context, Operation::kList, request->path(), request->parameters(), *reply);
  }
  Reactor* Scan(Context* context, const v1::ListRequest* request, v1::Response* reply) override {
    return with_parameters(*context, Operation::kScan, request->path(), request->parameters(), *reply);
  }
  Reactor* Delete(Context* context, const v1::DeleteRequest* request, v1::Response* reply) override {
    return with_parameters(*context, Operation::kDelete, request->path(), request->parameters(), *reply);
  }
  Reactor* Write(Context* context, const v1::WriteRequest* request, v1::Response* reply) override {
    return with_json(*context, Operation::kWrite, request->path(), request->data_json(), *reply);
  }
  Reactor* Patch(Context* context, const v1::PatchRequest* request, v1::Response* reply) override {
    return with_json(*context, Operation::kPatch, request->path(), request->data_json(), *reply);
  }

 private:
  static Status decode(core::Exchange& exchange, v1::Response& reply) {
    fill_response(exchange, reply);
    return ok_status();
  }

  Reactor* with_parameters(Context& context, Operation operation, const std::string& path, const StringMap& parameters,
                           v1::Response& reply) {
    Ask ask{operation, path, nullptr, true};
    if (!parameters.empty())
      ask.data = [&parameters](json::Arena& arena) -> Result<json::Value> { return object_from(arena, parameters); };
    return unary<v1::Response>(gateway_, context, ask, reply, decode);
  }

  Reactor* with_json(Context& context, Operation operation, const std::string& path, const std::string& text,
                     v1::Response& reply) {
    const Ask ask{
        operation, path,
        [&text, this](json::Arena& arena) { return parse_object(arena, text, gateway_.limits(), "data_json"); }, true,
        text.size()};
    return unary<v1::Response>(gateway_, context, ask, reply, decode);
  }

  Gateway& gateway_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_logical_service(Gateway& gateway) {
  return std::make_unique<LogicalService>(gateway);
}

}  // namespace coffer::rpc
