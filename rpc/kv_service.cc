#include "proto/coffer/v1/kv.grpc.pb.h"
#include "rpc/services.h"
#include "rpc/values.h"

namespace coffer::rpc {
namespace {

using core::Operation;
using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

void fill_version(const json::Value& from, v1::KVVersion& to) {
  to.set_version(integer_of(from, "version"));
  to.set_created_time(string_of(from, "created_time"));
  to.set_deletion_time(string_of(from, "deletion_time"));
  to.set_destroyed(bool_of(from, "destroyed"));
  map_of(object_of(from, "custom_metadata"), *to.mutable_custom_metadata());
  const json::Value author = object_of(from, "created_by");
  to.set_created_by_display_name(string_of(author, "display_name"));
  to.set_created_by_entity_id(string_of(author, "entity_id"));
}

Status decode_put(core::Exchange& exchange, v1::KVPutResponse& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  fill_version(data, *reply.mutable_metadata());
  return ok_status();
}

Status decode_get(core::Exchange& exchange, v1::KVGetResponse& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  reply.set_data_json(text_of(object_of(data, "data")));
  fill_version(object_of(data, "metadata"), *reply.mutable_metadata());
  return ok_status();
}

Status decode_list(core::Exchange& exchange, v1::KVListResponse& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  list_of(data, "keys", *reply.mutable_keys());
  return ok_status();
}

Status decode_metadata(core::Exchange& exchange, v1::KVMetadata& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  reply.set_created_time(string_of(data, "created_time"));
  reply.set_updated_time(string_of(data, "updated_time"));
  reply.set_current_version(integer_of(data, "current_version"));
  reply.set_oldest_version(integer_of(data, "oldest_version"));
  reply.set_max_versions(integer_of(data, "max_versions"));
  reply.set_cas_required(bool_of(data, "cas_required"));
  reply.set_delete_version_after(string_of(data, "delete_version_after"));
  reply.set_current_metadata_version(integer_of(data, "current_metadata_version"));
  reply.set_metadata_cas_required(bool_of(data, "metadata_cas_required"));
  map_of(object_of(data, "custom_metadata"), *reply.mutable_custom_metadata());
  for (const json::Member& member : object_of(data, "versions").members()) {
    const auto number = json::Value::number_from_text(member.key()).as_int64();
    if (!number.ok())
      continue;
    v1::KVVersion& version = (*reply.mutable_versions())[*number];
    fill_version(member.value, version);
    version.set_version(*number);
  }
  return ok_status();
}

Status decode_subkeys(core::Exchange& exchange, v1::KVSubkeysResponse& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  reply.set_subkeys_json(text_of(object_of(data, "subkeys")));
  fill_version(object_of(data, "metadata"), *reply.mutable_metadata());
  return ok_status();
}

Status decode_config(core::Exchange& exchange, v1::KVConfig& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  reply.set_max_versions(integer_of(data, "max_versions"));
  reply.set_cas_required(bool_of(data, "cas_required"));
  reply.set_delete_version_after(string_of(data, "delete_version_after"));
  reply.set_deleted_metadata_retention(string_of(data, "deleted_metadata_retention"));
  reply.set_metadata_cas_required(bool_of(data, "metadata_cas_required"));
  return ok_status();
}

Status decode_search(core::Exchange& exchange, v1::KVSearchResponse& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  for (const json::Member& member : object_of(data, "key_info").members())
    map_of(object_of(member.value, "custom_metadata"),
           *(*reply.mutable_hits())[std::string(member.key())].mutable_custom_metadata());
  reply.set_after(string_of(data, "after"));
  map_of(object_of(data, "after"), *reply.mutable_unfinished());
  return ok_status();
}

Status decode_batch(core::Exchange& exchange, v1::KVBatchGetResponse& reply) {
  COFFER_ASSIGN(const json::Value data, tree_of(exchange));
  for (const json::Member& member : object_of(data, "answers").members()) {
    v1::KVBatchAnswer& answer = (*reply.mutable_answers())[std::string(member.key())];
    answer.set_http_status(static_cast<int>(integer_of(member.value, "status")));
    if (const json::Value* found = member.value.find("data"); found != nullptr && !found->is_null())
      answer.set_data_json(text_of(*found));
    list_of(member.value, "errors", *answer.mutable_errors());
  }
  return ok_status();
}

// Members that a request leaves out stay out.
void add_text(json::ObjectBuilder& data, std::string_view name, const std::string& text) {
  if (!text.empty())
    data.add(name, text);
}
void add_number(json::ObjectBuilder& data, std::string_view name, std::int64_t number) {
  if (number != 0)
    data.add(name, number);
}

Status decode_nothing(core::Exchange&, v1::KVEmpty&) { return ok_status(); }

class KvService final : public v1::KV::CallbackService {
 public:
  explicit KvService(Gateway& gateway) : gateway_(gateway) {}

  Reactor* Put(Context* context, const v1::KVPutRequest* request, v1::KVPutResponse* reply) override {
    return put(*context, Operation::kWrite, *request, *reply);
  }
  Reactor* Patch(Context* context, const v1::KVPatchRequest* request, v1::KVPutResponse* reply) override {
    return put(*context, Operation::kPatch, *request, *reply);
  }

  Reactor* Get(Context* context, const v1::KVGetRequest* request, v1::KVGetResponse* reply) override {
    Ask ask{Operation::kRead, under(request->mount(), "/data/", request->path()), nullptr};
    if (request->version() != 0) {
      ask.data = [version = request->version()](json::Arena& arena) -> Result<json::Value> {
        return json::ObjectBuilder(arena, 1).add("version", std::to_string(version)).build();
      };
    }
    return unary<v1::KVGetResponse>(gateway_, *context, ask, *reply, decode_get);
  }

  Reactor* Delete(Context* context, const v1::KVVersionsRequest* request, v1::KVEmpty* reply) override {
    if (request->versions_size() != 0)
      return versions(*context, "/delete/", *request, *reply);
    const Ask ask{Operation::kDelete, under(request->mount(), "/data/", request->path()), nullptr};
    return unary<v1::KVEmpty>(gateway_, *context, ask, *reply, decode_nothing);
  }
  Reactor* Undelete(Context* context, const v1::KVVersionsRequest* request, v1::KVEmpty* reply) override {
    return versions(*context, "/undelete/", *request, *reply);
  }
  Reactor* Destroy(Context* context, const v1::KVVersionsRequest* request, v1::KVEmpty* reply) override {
    return versions(*context, "/destroy/", *request, *reply);
  }

  Reactor* List(Context* context, const v1::KVListRequest* request, v1::KVListResponse* reply) override {
    const Ask ask{request->recursive() ? Operation::kScan : Operation::kList,
                  under(request->mount(), "/metadata/", request->path()),
                  [request](json::Arena& arena) -> Result<json::Value> {
                    json::ObjectBuilder data(arena);
                    add_text(data, "after", request->after());
                    add_number(data, "limit", request->limit());
                    return data.build();
                  }};
    return unary<v1::KVListResponse>(gateway_, *context, ask, *reply, decode_list);
  }

  Reactor* GetMetadata(Context* context, const v1::KVMetadataRequest* request, v1::KVMetadata* reply) override {
    const Ask ask{Operation::kRead, under(request->mount(), "/metadata/", request->path()), nullptr};
    return unary<v1::KVMetadata>(gateway_, *context, ask, *reply, decode_metadata);
  }
  Reactor* DeleteMetadata(Context* context, const v1::KVMetadataRequest* request, v1::KVEmpty* reply) override {
    const Ask ask{Operation::kDelete, under(request->mount(), "/metadata/", request->path()),
                  [request](json::Arena& arena) -> Result<json::Value> {
                    return json::ObjectBuilder(arena, 1).add("destroy", request->destroy()).build();
                  }};
    return unary<v1::KVEmpty>(gateway_, *context, ask, *reply, decode_nothing);
  }
  Reactor* PutMetadata(Context* context, const v1::KVPutMetadataRequest* request, v1::KVEmpty* reply) override {
    return metadata(*context, Operation::kWrite, *request, *reply);
  }
  Reactor* PatchMetadata(Context* context, const v1::KVPutMetadataRequest* request, v1::KVEmpty* reply) override {
    return metadata(*context, Operation::kPatch, *request, *reply);
  }

  Reactor* GetSubkeys(Context* context, const v1::KVSubkeysRequest* request, v1::KVSubkeysResponse* reply) override {
    const Ask ask{Operation::kRead, under(request->mount(), "/subkeys/", request->path()),
                  [request](json::Arena& arena) -> Result<json::Value> {
                    json::ObjectBuilder data(arena);
                    add_number(data, "version", request->version());
                    add_number(data, "depth", request->depth());
                    return data.build();
                  }};
    return unary<v1::KVSubkeysResponse>(gateway_, *context, ask, *reply, decode_subkeys);
  }

  Reactor* GetConfig(Context* context, const v1::KVConfigRequest* request, v1::KVConfig* reply) override {
    const Ask ask{Operation::kRead, under(request->mount(), "/config", ""), nullptr};
    return unary<v1::KVConfig>(gateway_, *context, ask, *reply, decode_config);
  }
  Reactor* PutConfig(Context* context, const v1::KVPutConfigRequest* request, v1::KVEmpty* reply) override {
    const Ask ask{Operation::kWrite, under(request->mount(), "/config", ""),
                  [request](json::Arena& arena) -> Result<json::Value> {
                    json::ObjectBuilder data(arena);
                    add_settings(data, *request);
                    if (request->has_deleted_metadata_retention())
                      data.add("deleted_metadata_retention", request->deleted_metadata_retention());
                    return data.build();
                  }};
    return unary<v1::KVEmpty>(gateway_, *context, ask, *reply, decode_nothing);
  }

  Reactor* Move(Context* context, const v1::KVMoveRequest* request, v1::KVPutResponse* reply) override {
    return transfer(*context, "/move/", *request, *reply);
  }
  Reactor* Copy(Context* context, const v1::KVMoveRequest* request, v1::KVPutResponse* reply) override {
    return transfer(*context, "/copy/", *request, *reply);
  }

  Reactor* Search(Context* context, const v1::KVSearchRequest* request, v1::KVSearchResponse* reply) override {
    const Ask ask{Operation::kRead,
                  request->mount().empty() ? std::string("sys/search") : under(request->mount(), "/search", ""),
                  [request](json::Arena& arena) -> Result<json::Value> {
                    json::ObjectBuilder data(arena);
                    data.add("q", request->text());
                    add_text(data, "after", request->after());
                    add_number(data, "limit", request->limit());
                    return data.build();
                  }};
    return unary<v1::KVSearchResponse>(gateway_, *context, ask, *reply, decode_search);
  }

  Reactor* BatchGet(Context* context, const v1::KVBatchGetRequest* request, v1::KVBatchGetResponse* reply) override {
    const Ask ask{Operation::kWrite, "sys/batch", [request](json::Arena& arena) -> Result<json::Value> {
                    return json::ObjectBuilder(arena, 1).add("paths", array_from(arena, request->paths())).build();
                  }};
    return unary<v1::KVBatchGetResponse>(gateway_, *context, ask, *reply, decode_batch);
  }

 private:
  // What metadata and configuration have in common.
  template <typename Request>
  static void add_settings(json::ObjectBuilder& data, const Request& request) {
    if (request.has_max_versions())
      data.add("max_versions", static_cast<std::int64_t>(request.max_versions()));
    if (request.has_cas_required())
      data.add("cas_required", request.cas_required());
    if (request.has_delete_version_after())
      data.add("delete_version_after", request.delete_version_after());
    if (request.has_metadata_cas_required())
      data.add("metadata_cas_required", request.metadata_cas_required());
  }

  Reactor* metadata(Context& context, Operation operation, const v1::KVPutMetadataRequest& request,
                    v1::KVEmpty& reply) {
    const Ask ask{operation, under(request.mount(), "/metadata/", request.path()),
                  [&request, operation](json::Arena& arena) -> Result<json::Value> {
                    json::ObjectBuilder data(arena);
                    add_settings(data, request);
                    if (request.has_metadata_cas())
                      data.add("metadata_cas", static_cast<std::int64_t>(request.metadata_cas()));
                    json::ObjectBuilder custom(arena);
                    for (const auto& [key, value] : request.custom_metadata())
                      custom.add(key, value);
                    if (operation == Operation::kPatch)
                      for (const std::string& key : request.remove_custom_metadata())
                        custom.add(key, json::Value::null());
                    if (custom.size() != 0)
                      data.add("custom_metadata", custom.build());
                    return data.build();
                  }};
    return unary<v1::KVEmpty>(gateway_, context, ask, reply, decode_nothing);
  }

  Reactor* transfer(Context& context, const char* verb, const v1::KVMoveRequest& request, v1::KVPutResponse& reply) {
    const Ask ask{Operation::kWrite, under(request.mount(), verb, request.path()),
                  [&request](json::Arena& arena) -> Result<json::Value> {
                    json::ObjectBuilder data(arena);
                    data.add("to", request.to()).add("overwrite", request.overwrite());
                    add_text(data, "mount", request.to_mount());
                    return data.build();
                  }};
    return unary<v1::KVPutResponse>(gateway_, context, ask, reply, decode_put);
  }

  template <typename Request>
  Reactor* put(Context& context, Operation operation, const Request& request, v1::KVPutResponse& reply) {
    const Ask ask{operation,
                  under(request.mount(), "/data/", request.path()),
                  [&request, this](json::Arena& arena) -> Result<json::Value> {
                    COFFER_ASSIGN(const json::Value secret,
                                  parse_object(arena, request.data_json(), gateway_.limits(), "data_json"));
                    json::ObjectBuilder data(arena);
                    data.add("data", secret);
                    if (request.has_cas()) {
                      const json::Value options =
                          json::ObjectBuilder(arena, 1).add("cas", static_cast<std::int64_t>(request.cas())).build();
                      data.add("options", options);
                    }
                    return data.build();
                  },
                  false,
                  request.data_json().size()};
    return unary<v1::KVPutResponse>(gateway_, context, ask, reply, decode_put);
  }

  Reactor* versions(Context& context, const char* verb, const v1::KVVersionsRequest& request, v1::KVEmpty& reply) {
    const Ask ask{Operation::kWrite, under(request.mount(), verb, request.path()),
                  [&request](json::Arena& arena) -> Result<json::Value> {
                    json::ArrayBuilder numbers(arena, static_cast<std::size_t>(request.versions_size()));
                    for (const std::int64_t version : request.versions())
                      numbers.add(version);
                    return json::ObjectBuilder(arena, 1).add("versions", numbers.build()).build();
                  }};
    return unary<v1::KVEmpty>(gateway_, context, ask, reply, decode_nothing);
  }

  Gateway& gateway_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_kv_service(Gateway& gateway) { return std::make_unique<KvService>(gateway); }

}  // namespace coffer::rpc
