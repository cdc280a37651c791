#include "proto/coffer/v1/auth.grpc.pb.h"
#include "rpc/messages.h"
#include "rpc/mount_messages.h"
#include "rpc/services.h"
#include "rpc/values.h"

namespace coffer::rpc {
namespace {

using core::Operation;
using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

// "auth/" + the mount, or the method's own name, + "/" + rest.
std::string below(const std::string& mount, std::string_view type, std::string_view rest) {
  std::string_view path = mount.empty() ? type : std::string_view(mount);
  if (path.ends_with('/'))
    path.remove_suffix(1);
  return std::string("auth/").append(path).append("/").append(rest);
}

Result<json::Value> secret_id_data(json::Arena& arena, const v1::MakeSecretIdRequest& request) {
  json::ObjectBuilder data(arena, 5);
  if (!request.metadata().empty())
    data.add("metadata", object_from(arena, request.metadata()));
  if (request.cidr_list_size() != 0)
    data.add("cidr_list", array_from(arena, request.cidr_list()));
  if (request.token_bound_cidrs_size() != 0)
    data.add("token_bound_cidrs", array_from(arena, request.token_bound_cidrs()));
  if (request.has_num_uses())
    data.add("num_uses", static_cast<std::int64_t>(request.num_uses()));
  if (!request.ttl().empty())
    data.add("ttl", request.ttl());
  return data.build();
}

Status decode_secret_id(core::Exchange& exchange, v1::SecretId& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  reply.set_secret_id(string_of(data, "secret_id"));
  reply.set_accessor(string_of(data, "secret_id_accessor"));
  reply.set_num_uses(integer_of(data, "secret_id_num_uses"));
  reply.set_ttl_seconds(integer_of(data, "secret_id_ttl"));
  return ok_status();
}

class AuthService final : public v1::AuthMethods::CallbackService {
 public:
  explicit AuthService(Gateway& gateway) : gateway_(gateway) {}

  Reactor* ListMethods(Context* context, const v1::ListMethodsRequest*, v1::ListMountsResponse* reply) override {
    return unary<v1::ListMountsResponse>(gateway_, *context, {Operation::kRead, "sys/auth", nullptr}, *reply,
                                         decode_mounts);
  }

  Reactor* EnableMethod(Context* context, const v1::EnableMethodRequest* request, v1::SysEmpty* reply) override {
    const Ask ask{Operation::kWrite, "sys/auth/" + request->path(),
                  [request](json::Arena& arena) -> Result<json::Value> {
                    return json::ObjectBuilder(arena, 3)
                        .add("type", request->type())
                        .add("description", request->description())
                        .add("local", request->local())
                        .build();
                  }};
    return unary<v1::SysEmpty>(gateway_, *context, ask, *reply, nothing);
  }

  Reactor* DisableMethod(Context* context, const v1::DisableMethodRequest* request, v1::SysEmpty* reply) override {
    const Ask ask{Operation::kDelete, "sys/auth/" + request->path(), nullptr};
    return unary<v1::SysEmpty>(gateway_, *context, ask, *reply, nothing);
  }

  Reactor* LoginUserpass(Context* context, const v1::LoginUserpassRequest* request, v1::Auth* reply) override {
    const Ask ask{Operation::kWrite, below(request->mount(), "userpass", "login/" + request->username()),
                  [request](json::Arena& arena) -> Result<json::Value> {
                    return json::ObjectBuilder(arena, 1).add("password", request->password()).build();
                  }};
    return unary<v1::Auth>(gateway_, *context, ask, *reply, fill_auth);
  }

  Reactor* LoginAppRole(Context* context, const v1::LoginAppRoleRequest* request, v1::Auth* reply) override {
    const Ask ask{Operation::kWrite, below(request->mount(), "approle", "login"),
                  [request](json::Arena& arena) -> Result<json::Value> {
                    return json::ObjectBuilder(arena, 2)
                        .add("role_id", request->role_id())
                        .add("secret_id", request->secret_id())
                        .build();
                  }};
    return unary<v1::Auth>(gateway_, *context, ask, *reply, fill_auth);
  }

  Reactor* MakeSecretId(Context* context, const v1::MakeSecretIdRequest* request, v1::SecretId* reply) override {
    const Ask ask{Operation::kWrite, below(request->mount(), "approle", "role/" + request->role() + "/secret-id"),
                  [request](json::Arena& arena) { return secret_id_data(arena, *request); }};
    return unary<v1::SecretId>(gateway_, *context, ask, *reply, decode_secret_id);
  }

 private:
  static Status nothing(core::Exchange&, v1::SysEmpty&) { return ok_status(); }

  Gateway& gateway_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_auth_service(Gateway& gateway) { return std::make_unique<AuthService>(gateway); }

}  // namespace coffer::rpc
