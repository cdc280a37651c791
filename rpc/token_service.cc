#include "proto/coffer/v1/token.grpc.pb.h"
#include "rpc/messages.h"
#include "rpc/services.h"
#include "rpc/values.h"

namespace coffer::rpc {
namespace {

using core::Operation;
using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

Result<json::Value> create_data(json::Arena& arena, const v1::TokenCreateRequest& request) {
  json::ObjectBuilder data(arena, 12);
  if (request.policies_size() != 0)
    data.add("policies", array_from(arena, request.policies()));
  if (!request.ttl().empty())
    data.add("ttl", request.ttl());
  if (!request.explicit_max_ttl().empty())
    data.add("explicit_max_ttl", request.explicit_max_ttl());
  if (!request.period().empty())
    data.add("period", request.period());
  if (request.has_renewable())
    data.add("renewable", request.renewable());
  if (request.no_parent())
    data.add("no_parent", true);
  if (request.no_default_policy())
    data.add("no_default_policy", true);
  if (!request.display_name().empty())
    data.add("display_name", request.display_name());
  if (request.num_uses() != 0)
    data.add("num_uses", static_cast<std::int64_t>(request.num_uses()));
  if (!request.metadata().empty())
    data.add("meta", object_from(arena, request.metadata()));
  if (!request.type().empty())
    data.add("type", request.type());
  if (!request.entity_alias().empty())
    data.add("entity_alias", request.entity_alias());
  return data.build();
}

std::string create_path(const v1::TokenCreateRequest& request) {
  if (!request.role().empty())
    return "auth/token/create/" + request.role();
  return request.orphan() ? "auth/token/create-orphan" : "auth/token/create";
}

Status decode_info(core::Exchange& exchange, v1::TokenInfo& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  reply.set_id(string_of(data, "id"));
  reply.set_accessor(string_of(data, "accessor"));
  reply.set_display_name(string_of(data, "display_name"));
  reply.set_entity_id(string_of(data, "entity_id"));
  reply.set_path(string_of(data, "path"));
  reply.set_type(string_of(data, "type"));
  list_of(data, "policies", *reply.mutable_policies());
  reply.set_creation_time(integer_of(data, "creation_time"));
  reply.set_creation_ttl_seconds(integer_of(data, "creation_ttl"));
  reply.set_ttl_seconds(integer_of(data, "ttl"));
  reply.set_explicit_max_ttl_seconds(integer_of(data, "explicit_max_ttl"));
  reply.set_issue_time(string_of(data, "issue_time"));
  reply.set_expire_time(string_of(data, "expire_time"));
  reply.set_renewable(bool_of(data, "renewable"));
  reply.set_orphan(bool_of(data, "orphan"));
  reply.set_num_uses(integer_of(data, "num_uses"));
  map_of(object_of(data, "meta"), *reply.mutable_metadata());
  return ok_status();
}

class TokenService final : public v1::Token::CallbackService {
 public:
  explicit TokenService(Gateway& gateway) : gateway_(gateway) {}

  Reactor* Create(Context* context, const v1::TokenCreateRequest* request, v1::Auth* reply) override {
    const Ask ask{Operation::kWrite, create_path(*request),
                  [request](json::Arena& arena) { return create_data(arena, *request); }};
    return unary<v1::Auth>(gateway_, *context, ask, *reply, fill_auth);
  }

  Reactor* Lookup(Context* context, const v1::TokenLookupRequest* request, v1::TokenInfo* reply) override {
    const Ask ask{Operation::kWrite, "auth/token/lookup", [request](json::Arena& arena) -> Result<json::Value> {
                    return json::ObjectBuilder(arena, 1).add("token", request->token()).build();
                  }};
    return unary<v1::TokenInfo>(gateway_, *context, ask, *reply, decode_info);
  }

  Reactor* LookupSelf(Context* context, const v1::TokenSelfRequest*, v1::TokenInfo* reply) override {
    const Ask ask{Operation::kRead, "auth/token/lookup-self", nullptr};
    return unary<v1::TokenInfo>(gateway_, *context, ask, *reply, decode_info);
  }

  Reactor* Renew(Context* context, const v1::TokenRenewRequest* request, v1::Auth* reply) override {
    const Ask ask{Operation::kWrite, request->token().empty() ? "auth/token/renew-self" : "auth/token/renew",
                  [request](json::Arena& arena) -> Result<json::Value> {
                    json::ObjectBuilder data(arena, 2);
                    if (!request->token().empty())
                      data.add("token", request->token());
                    if (!request->increment().empty())
                      data.add("increment", request->increment());
                    return data.build();
                  }};
    return unary<v1::Auth>(gateway_, *context, ask, *reply, fill_auth);
  }

  Reactor* Revoke(Context* context, const v1::TokenRevokeRequest* request, v1::TokenRevokeResponse* reply) override {
    Ask ask{Operation::kWrite, "auth/token/revoke-self", nullptr};
    if (!request->token().empty()) {
      ask.path = "auth/token/revoke";
      ask.data = [request](json::Arena& arena) -> Result<json::Value> {
        return json::ObjectBuilder(arena, 1).add("token", request->token()).build();
      };
    }
    return unary<v1::TokenRevokeResponse>(gateway_, *context, ask, *reply,
                                          [](core::Exchange&, v1::TokenRevokeResponse&) { return ok_status(); });
  }

 private:
  Gateway& gateway_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_token_service(Gateway& gateway) { return std::make_unique<TokenService>(gateway); }

}  // namespace coffer::rpc
