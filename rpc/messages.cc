#include "rpc/messages.h"

#include "base/time_text.h"
#include "rpc/values.h"

namespace coffer::rpc {
namespace {

std::int64_t seconds(Nanos duration) { return std::chrono::duration_cast<std::chrono::seconds>(duration).count(); }

void add_all(const std::vector<std::string_view>& from, StringList& to) {
  for (const std::string_view text : from)
    *to.Add() = std::string(text);
}

void fill(const core::Auth& auth, v1::Auth& out) {
  out.set_client_token(std::string(auth.client_token));
  out.set_accessor(std::string(auth.accessor));
  add_all(auth.policies, *out.mutable_policies());
  add_all(auth.token_policies, *out.mutable_token_policies());
  add_all(auth.identity_policies, *out.mutable_identity_policies());
  if (!auth.metadata.is_null())
    out.set_metadata_json(text_of(auth.metadata));
  out.set_lease_duration_seconds(seconds(auth.lease_duration));
  out.set_renewable(auth.renewable);
  out.set_entity_id(std::string(auth.entity_id));
  out.set_token_type(std::string(auth.token_type));
  out.set_orphan(auth.orphan);
  out.set_num_uses(auth.num_uses);
}

void fill(const core::WrapInfo& wrap, v1::WrapInfo& out) {
  out.set_token(std::string(wrap.token));
  out.set_accessor(std::string(wrap.accessor));
  out.set_ttl_seconds(seconds(wrap.ttl));
  out.set_creation_time(format_time(wrap.creation_time));
  out.set_creation_path(std::string(wrap.creation_path));
  out.set_wrapped_accessor(std::string(wrap.wrapped_accessor));
}

}  // namespace

void fill_response(const core::Exchange& exchange, v1::Response& out) {
  const core::Response& response = exchange.response;
  out.set_request_id(std::string(exchange.request.id));
  out.set_lease_id(std::string(response.lease_id));
  out.set_lease_duration_seconds(seconds(response.lease_duration));
  out.set_renewable(response.renewable);
  if (!response.content_type.empty())
    json::write_string(response.raw_body, *out.mutable_data_json());
  else if (!response.data.is_null())
    out.set_data_json(text_of(response.data));
  if (response.wrap_info)
    fill(*response.wrap_info, *out.mutable_wrap_info());
  if (response.auth)
    fill(*response.auth, *out.mutable_auth());
  add_all(response.warnings, *out.mutable_warnings());
  out.set_mount_type(std::string(response.mount_type));
  const bool content = !response.data.is_null() || response.auth || response.wrap_info || !response.warnings.empty();
  out.set_http_status(response.status != 0 ? response.status : content ? 200 : 204);
}

Status fill_auth(const core::Exchange& exchange, v1::Auth& out) {
  if (exchange.response.wrap_info)
    return Status(Code::kInvalid, "this call hands out a token itself: use coffer.v1.Logical for a wrapped one");
  if (!exchange.response.auth)
    return Status(Code::kInternal, "the answer holds no token");
  fill(*exchange.response.auth, out);
  return ok_status();
}

void fill_seal_status(const json::Value& data, v1::SealStatusResponse& out) {
  out.set_type(string_of(data, "type"));
  out.set_initialized(bool_of(data, "initialized"));
  out.set_sealed(bool_of(data, "sealed"));
  out.set_threshold(integer_of(data, "t"));
  out.set_shares(integer_of(data, "n"));
  out.set_progress(integer_of(data, "progress"));
  out.set_nonce(string_of(data, "nonce"));
  out.set_version(string_of(data, "version"));
  out.set_storage_type(string_of(data, "storage_type"));
  out.set_cluster_name(string_of(data, "cluster_name"));
  out.set_cluster_id(string_of(data, "cluster_id"));
  out.set_recovery_seal(bool_of(data, "recovery_seal"));
  out.set_migration(bool_of(data, "migration"));
}

}  // namespace coffer::rpc
