#include "proto/coffer/v1/sys.grpc.pb.h"
#include "rpc/messages.h"
#include "rpc/mount_messages.h"
#include "rpc/named.h"
#include "rpc/services.h"
#include "rpc/values.h"

namespace coffer::rpc {
namespace {

using core::Operation;
using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

Status decode_nothing(core::Exchange&, v1::SysEmpty&) { return ok_status(); }

Status decode_health(core::Exchange& exchange, v1::HealthResponse& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  reply.set_initialized(bool_of(data, "initialized"));
  reply.set_sealed(bool_of(data, "sealed"));
  reply.set_standby(bool_of(data, "standby"));
  reply.set_performance_standby(bool_of(data, "performance_standby"));
  reply.set_version(string_of(data, "version"));
  reply.set_cluster_name(string_of(data, "cluster_name"));
  reply.set_cluster_id(string_of(data, "cluster_id"));
  reply.set_server_time_utc(integer_of(data, "server_time_utc"));
  reply.set_http_status(exchange.response.status != 0 ? exchange.response.status : 200);
  reply.set_health_json(text_of(data));
  return ok_status();
}

Status decode_seal_status(core::Exchange& exchange, v1::SealStatusResponse& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  fill_seal_status(data, reply);
  return ok_status();
}

Status decode_devices(core::Exchange& exchange, v1::ListAuditDevicesResponse& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  for (const json::Member& member : data.members()) {
    if (!member.value.is_object())
      continue;
    v1::AuditDevice& device = (*reply.mutable_devices())[std::string(member.key())];
    device.set_type(string_of(member.value, "type"));
    device.set_description(string_of(member.value, "description"));
    device.set_local(bool_of(member.value, "local"));
    map_of(object_of(member.value, "options"), *device.mutable_options());
  }
  return ok_status();
}

Status decode_policies(core::Exchange& exchange, v1::ListPoliciesResponse& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  list_of(data, "keys", *reply.mutable_names());
  return ok_status();
}

class SysService final : public v1::Sys::CallbackService {
 public:
  explicit SysService(Gateway& gateway) : gateway_(gateway) {}

  Reactor* Health(Context* context, const v1::HealthRequest*, v1::HealthResponse* reply) override {
    return unary<v1::HealthResponse>(gateway_, *context, {Operation::kRead, "sys/health", nullptr}, *reply,
                                     decode_health);
  }
  Reactor* SealStatus(Context* context, const v1::SealStatusRequest*, v1::SealStatusResponse* reply) override {
    return unary<v1::SealStatusResponse>(gateway_, *context, {Operation::kRead, "sys/seal-status", nullptr}, *reply,
                                         decode_seal_status);
  }
  Reactor* Init(Context* context, const v1::InitRequest* request, v1::InitResponse* reply) override {
    return named(gateway_, *context, {Operation::kWrite, "sys/init"}, *request, *reply);
  }
  Reactor* Unseal(Context* context, const v1::UnsealRequest* request, v1::SealStatusResponse* reply) override {
    const Ask ask{Operation::kWrite, "sys/unseal", [request](json::Arena& arena) -> Result<json::Value> {
                    json::ObjectBuilder data(arena, 4);
                    if (!request->key().empty())
                      data.add("key", request->key());
                    if (request->migrate())
                      data.add("migrate", true);
                    if (request->reset())
                      data.add("reset", true).add("nonce", request->nonce());
                    return data.build();
                  }};
    return unary<v1::SealStatusResponse>(gateway_, *context, ask, *reply, decode_seal_status);
  }
  Reactor* Seal(Context* context, const v1::SealRequest*, v1::SysEmpty* reply) override {
    return unary<v1::SysEmpty>(gateway_, *context, {Operation::kWrite, "sys/seal", nullptr}, *reply, decode_nothing);
  }

  Reactor* ListMounts(Context* context, const v1::ListMountsRequest*, v1::ListMountsResponse* reply) override {
    return unary<v1::ListMountsResponse>(gateway_, *context, {Operation::kRead, "sys/mounts", nullptr}, *reply,
                                         decode_mounts);
  }
  Reactor* EnableSecretsEngine(Context* context, const v1::EnableSecretsEngineRequest* request,
                               v1::SysEmpty* reply) override {
    return named(gateway_, *context, {Operation::kWrite, "sys/mounts/{path}"}, *request, *reply);
  }
  Reactor* DisableSecretsEngine(Context* context, const v1::DisableSecretsEngineRequest* request,
                                v1::SysEmpty* reply) override {
    return named(gateway_, *context, {Operation::kDelete, "sys/mounts/{path}"}, *request, *reply);
  }

  Reactor* ListPolicies(Context* context, const v1::ListPoliciesRequest*, v1::ListPoliciesResponse* reply) override {
    return unary<v1::ListPoliciesResponse>(gateway_, *context, {Operation::kList, "sys/policies/acl", nullptr}, *reply,
                                           decode_policies);
  }
  Reactor* ReadPolicy(Context* context, const v1::PolicyRequest* request, v1::Policy* reply) override {
    return named(gateway_, *context, {Operation::kRead, "sys/policies/acl/{name}"}, *request, *reply);
  }
  Reactor* WritePolicy(Context* context, const v1::Policy* request, v1::SysEmpty* reply) override {
    return named(gateway_, *context, {Operation::kWrite, "sys/policies/acl/{name}"}, *request, *reply);
  }
  Reactor* DeletePolicy(Context* context, const v1::PolicyRequest* request, v1::SysEmpty* reply) override {
    return named(gateway_, *context, {Operation::kDelete, "sys/policies/acl/{name}"}, *request, *reply);
  }

  Reactor* ListAuditDevices(Context* context, const v1::ListAuditDevicesRequest*,
                            v1::ListAuditDevicesResponse* reply) override {
    return unary<v1::ListAuditDevicesResponse>(gateway_, *context, {Operation::kRead, "sys/audit", nullptr}, *reply,
                                               decode_devices);
  }
  Reactor* EnableAuditDevice(Context* context, const v1::EnableAuditDeviceRequest* request,
                             v1::SysEmpty* reply) override {
    return named(gateway_, *context, {Operation::kWrite, "sys/audit/{path}"}, *request, *reply);
  }
  Reactor* DisableAuditDevice(Context* context, const v1::DisableAuditDeviceRequest* request,
                              v1::SysEmpty* reply) override {
    return named(gateway_, *context, {Operation::kDelete, "sys/audit/{path}"}, *request, *reply);
  }
  Reactor* HashAuditInput(Context* context, const v1::AuditHashRequest* request,
                          v1::AuditHashResponse* reply) override {
    return named(gateway_, *context, {Operation::kWrite, "sys/audit-hash/{path}"}, *request, *reply);
  }

 private:
  Gateway& gateway_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_sys_service(Gateway& gateway) { return std::make_unique<SysService>(gateway); }

}  // namespace coffer::rpc
