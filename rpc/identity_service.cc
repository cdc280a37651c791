#include "proto/coffer/v1/identity.grpc.pb.h"
#include "rpc/messages.h"
#include "rpc/services.h"
#include "rpc/values.h"

namespace coffer::rpc {
namespace {

using core::Operation;
using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

// Fields of a request that are sent when they are set.
class Fields {
 public:
  explicit Fields(json::Arena& arena) : arena_(arena), data_(arena, 8) {}
  Fields& text(std::string_view name, const std::string& value) {
    if (!value.empty())
      data_.add(name, value);
    return *this;
  }
  Fields& list(std::string_view name, const StringList& values) {
    if (values.size() != 0)
      data_.add(name, array_from(arena_, values));
    return *this;
  }
  Fields& set(std::string_view name, bool given, const v1::StringSet& values) {
    if (given)
      data_.add(name, array_from(arena_, values.values()));
    return *this;
  }
  Fields& map(std::string_view name, const StringMap& values) {
    if (!values.empty())
      data_.add(name, object_from(arena_, values));
    return *this;
  }
  Fields& flag(std::string_view name, bool given, bool value) {
    if (given)
      data_.add(name, value);
    return *this;
  }
  json::Value build() { return data_.build(); }

 private:
  json::Arena& arena_;
  json::ObjectBuilder data_;
};

json::Value query_data(json::Arena& arena, const v1::IdentityQuery& query) {
  return Fields(arena)
      .text("id", query.id())
      .text("name", query.name())
      .text("alias_id", query.alias_id())
      .text("alias_name", query.alias_name())
      .text("alias_mount_accessor", query.alias_mount_accessor())
      .build();
}

json::Value alias_data(json::Arena& arena, const v1::PutAliasRequest& request) {
  return Fields(arena)
      .text("id", request.id())
      .text("name", request.name())
      .text("mount_accessor", request.mount_accessor())
      .text("canonical_id", request.canonical_id())
      .map("custom_metadata", request.custom_metadata())
      .build();
}

void decode_alias(const json::Value& data, v1::IdentityAlias& out) {
  out.set_id(string_of(data, "id"));
  out.set_name(string_of(data, "name"));
  out.set_canonical_id(string_of(data, "canonical_id"));
  out.set_mount_accessor(string_of(data, "mount_accessor"));
  out.set_mount_path(string_of(data, "mount_path"));
  out.set_mount_type(string_of(data, "mount_type"));
  map_of(object_of(data, "metadata"), *out.mutable_metadata());
  map_of(object_of(data, "custom_metadata"), *out.mutable_custom_metadata());
}

Status decode_entity(core::Exchange& exchange, v1::Entity& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  if (data.is_null())
    return Status(Code::kNotFound, "there is no such entity");
  reply.set_id(string_of(data, "id"));
  reply.set_name(string_of(data, "name"));
  reply.set_disabled(bool_of(data, "disabled"));
  list_of(data, "policies", *reply.mutable_policies());
  list_of(data, "direct_group_ids", *reply.mutable_direct_group_ids());
  list_of(data, "inherited_group_ids", *reply.mutable_inherited_group_ids());
  list_of(data, "merged_entity_ids", *reply.mutable_merged_entity_ids());
  map_of(object_of(data, "metadata"), *reply.mutable_metadata());
  if (const json::Value* aliases = data.find("aliases"); aliases != nullptr && aliases->is_array())
    for (const json::Value& alias : aliases->elements())
      decode_alias(alias, *reply.add_aliases());
  reply.set_creation_time(string_of(data, "creation_time"));
  reply.set_last_update_time(string_of(data, "last_update_time"));
  return ok_status();
}

Status decode_group(core::Exchange& exchange, v1::Group& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  if (data.is_null())
    return Status(Code::kNotFound, "there is no such group");
  reply.set_id(string_of(data, "id"));
  reply.set_name(string_of(data, "name"));
  reply.set_type(string_of(data, "type"));
  list_of(data, "policies", *reply.mutable_policies());
  list_of(data, "member_entity_ids", *reply.mutable_member_entity_ids());
  list_of(data, "member_group_ids", *reply.mutable_member_group_ids());
  list_of(data, "parent_group_ids", *reply.mutable_parent_group_ids());
  map_of(object_of(data, "metadata"), *reply.mutable_metadata());
  if (const json::Value alias = object_of(data, "alias"); alias.is_object() && alias.size() != 0)
    decode_alias(alias, *reply.mutable_alias());
  reply.set_creation_time(string_of(data, "creation_time"));
  reply.set_last_update_time(string_of(data, "last_update_time"));
  return ok_status();
}

Status decode_ref(core::Exchange& exchange, v1::IdentityRef& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  reply.set_id(string_of(data, "id"));
  reply.set_name(string_of(data, "name"));
  return ok_status();
}

Status decode_alias_ref(core::Exchange& exchange, v1::AliasRef& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  reply.set_id(string_of(data, "id"));
  reply.set_canonical_id(string_of(data, "canonical_id"));
  return ok_status();
}

Status decode_explanation(core::Exchange& exchange, v1::ExplainResponse& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  reply.set_allowed(bool_of(data, "allowed"));
  reply.set_explanation(string_of(data, "explanation"));
  reply.set_sudo_needed(bool_of(data, "sudo_needed"));
  const json::Value rule = object_of(data, "rule");
  reply.set_rule(string_of(rule, "path"));
  list_of(rule, "capabilities", *reply.mutable_capabilities());
  return ok_status();
}

Status nothing(core::Exchange&, v1::IdentityDone&) { return ok_status(); }

class IdentityService final : public v1::Identity::CallbackService {
 public:
  explicit IdentityService(Gateway& gateway) : gateway_(gateway) {}

  Reactor* PutEntity(Context* context, const v1::PutEntityRequest* request, v1::IdentityRef* reply) override {
    const Ask ask{Operation::kWrite, "identity/entity", [request](json::Arena& arena) -> Result<json::Value> {
                    return Fields(arena)
                        .text("id", request->id())
                        .text("name", request->name())
                        .set("policies", request->has_policies(), request->policies())
                        .map("metadata", request->metadata())
                        .flag("disabled", request->has_disabled(), request->disabled())
                        .build();
                  }};
    return unary<v1::IdentityRef>(gateway_, *context, ask, *reply, decode_ref);
  }

  Reactor* GetEntity(Context* context, const v1::IdentityQuery* request, v1::Entity* reply) override {
    const Ask ask{Operation::kWrite, "identity/lookup/entity", [request](json::Arena& arena) -> Result<json::Value> {
                    return query_data(arena, *request);
                  }};
    return unary<v1::Entity>(gateway_, *context, ask, *reply, decode_entity);
  }

  Reactor* DeleteEntity(Context* context, const v1::IdentityId* request, v1::IdentityDone* reply) override {
    return erase(*context, "entity", *request, *reply);
  }

  Reactor* MergeEntities(Context* context, const v1::MergeEntitiesRequest* request, v1::IdentityDone* reply) override {
    const Ask ask{Operation::kWrite, "identity/entity/merge", [request](json::Arena& arena) -> Result<json::Value> {
                    return Fields(arena)
                        .list("from_entity_ids", request->from_entity_ids())
                        .text("to_entity_id", request->to_entity_id())
                        .list("conflicting_alias_ids_to_keep", request->conflicting_alias_ids_to_keep())
                        .build();
                  }};
    return unary<v1::IdentityDone>(gateway_, *context, ask, *reply, nothing);
  }

  Reactor* PutAlias(Context* context, const v1::PutAliasRequest* request, v1::AliasRef* reply) override {
    return put_alias(*context, "identity/entity-alias", *request, *reply);
  }

  Reactor* DeleteAlias(Context* context, const v1::IdentityId* request, v1::IdentityDone* reply) override {
    return erase(*context, "entity-alias", *request, *reply);
  }

  Reactor* PutGroup(Context* context, const v1::PutGroupRequest* request, v1::IdentityRef* reply) override {
    const Ask ask{Operation::kWrite, "identity/group", [request](json::Arena& arena) -> Result<json::Value> {
                    return Fields(arena)
                        .text("id", request->id())
                        .text("name", request->name())
                        .text("type", request->type())
                        .set("policies", request->has_policies(), request->policies())
                        .set("member_entity_ids", request->has_member_entity_ids(), request->member_entity_ids())
                        .set("member_group_ids", request->has_member_group_ids(), request->member_group_ids())
                        .map("metadata", request->metadata())
                        .build();
                  }};
    return unary<v1::IdentityRef>(gateway_, *context, ask, *reply, decode_ref);
  }

  Reactor* GetGroup(Context* context, const v1::IdentityQuery* request, v1::Group* reply) override {
    const Ask ask{Operation::kWrite, "identity/lookup/group", [request](json::Arena& arena) -> Result<json::Value> {
                    return query_data(arena, *request);
                  }};
    return unary<v1::Group>(gateway_, *context, ask, *reply, decode_group);
  }

  Reactor* DeleteGroup(Context* context, const v1::IdentityId* request, v1::IdentityDone* reply) override {
    return erase(*context, "group", *request, *reply);
  }

  Reactor* PutGroupAlias(Context* context, const v1::PutAliasRequest* request, v1::AliasRef* reply) override {
    return put_alias(*context, "identity/group-alias", *request, *reply);
  }

  Reactor* Explain(Context* context, const v1::ExplainRequest* request, v1::ExplainResponse* reply) override {
    const Ask ask{Operation::kWrite, "sys/policies/explain", [request](json::Arena& arena) -> Result<json::Value> {
                    return Fields(arena)
                        .text("path", request->path())
                        .text("operation", request->operation())
                        .list("policies", request->policies())
                        .text("accessor", request->accessor())
                        .build();
                  }};
    return unary<v1::ExplainResponse>(gateway_, *context, ask, *reply, decode_explanation);
  }

 private:
  Reactor* erase(Context& context, std::string_view kind, const v1::IdentityId& request, v1::IdentityDone& reply) {
    const Ask ask{Operation::kDelete, "identity/" + std::string(kind) + "/id/" + request.id(), nullptr};
    return unary<v1::IdentityDone>(gateway_, context, ask, reply, nothing);
  }

  Reactor* put_alias(Context& context, std::string path, const v1::PutAliasRequest& request, v1::AliasRef& reply) {
    const Ask ask{Operation::kWrite, std::move(path), [&request](json::Arena& arena) -> Result<json::Value> {
                    return alias_data(arena, request);
                  }};
    return unary<v1::AliasRef>(gateway_, context, ask, reply, decode_alias_ref);
  }

  Gateway& gateway_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_identity_service(Gateway& gateway) {
  return std::make_unique<IdentityService>(gateway);
}

}  // namespace coffer::rpc
