#include "cli/secret.h"

#include "cli/value_text.h"

namespace coffer::cli {
namespace {

bool is_empty(const json::Value& value) {
  if (value.is_string())
    return value.as_string().empty();
  if (value.is_bool())
    return !value.as_bool();
  if (value.is_number())
    return value.number_text() == "0";
  return value.is_null() || ((value.is_array() || value.is_object()) && value.size() == 0);
}

json::Value member_or(const json::Value& object, std::string_view key, json::Value otherwise) {
  const json::Value* found = member(object, key);
  return found == nullptr ? otherwise : *found;
}

json::Value printable_auth(Arena& arena, const json::Value& auth) {
  json::ObjectBuilder builder(arena, 12);
  builder.add("client_token", auth.string_or("client_token", ""));
  builder.add("accessor", auth.string_or("accessor", ""));
  for (std::string_view list : {"policies", "token_policies", "identity_policies", "metadata"})
    builder.add(list, sorted(arena, member_or(auth, list, json::Value::null())));
  builder.add("orphan", bool_or(auth, "orphan", false));
  builder.add("entity_id", auth.string_or("entity_id", ""));
  builder.add("lease_duration", number_or(auth, "lease_duration", 0));
  builder.add("renewable", bool_or(auth, "renewable", false));
  builder.add("mfa_requirement", member_or(auth, "mfa_requirement", json::Value::null()));
  return builder.build();
}

json::Value printable_wrap_info(Arena& arena, const json::Value& info) {
  json::ObjectBuilder builder(arena);
  builder.add("token", info.string_or("token", ""));
  builder.add("accessor", info.string_or("accessor", ""));
  builder.add("ttl", number_or(info, "ttl", 0));
  builder.add("creation_time", info.string_or("creation_time", ""));
  builder.add("creation_path", info.string_or("creation_path", ""));
  builder.add("wrapped_accessor", info.string_or("wrapped_accessor", ""));
  return builder.build();
}

bool has_envelope(const json::Value& root) {
  for (std::string_view name : {"lease_id", "data", "auth", "wrap_info", "warnings"}) {
    if (root.find(name) != nullptr)
      return true;
  }
  return root.size() == 0;
}

std::string_view without_prefix(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : std::string_view();
}

}  // namespace

Secret Secret::of(const json::Value& root) {
  Secret secret;
  secret.root = root;
  const json::Value* data = member(root, "data");
  if (data != nullptr && data->is_object())
    secret.data = *data;
  else if (root.is_object() && root.find("request_id") == nullptr && root.find("errors") == nullptr &&
           !has_envelope(root))
    secret.data = root;
  return secret;
}

const json::Value* Secret::auth() const {
  const json::Value* value = member(root, "auth");
  return value != nullptr && value->is_object() ? value : nullptr;
}

const json::Value* Secret::wrap_info() const {
  const json::Value* value = member(root, "wrap_info");
  return value != nullptr && value->is_object() ? value : nullptr;
}

bool Secret::wrapped() const {
  const json::Value* info = wrap_info();
  return info != nullptr && number_or(*info, "ttl", 0) != 0;
}

std::int64_t Secret::lease_duration() const { return number_or(root, "lease_duration", 0); }

json::Value printable(Arena& arena, const Secret& secret) {
  json::ObjectBuilder builder(arena, 10);
  builder.add("request_id", secret.root.string_or("request_id", ""));
  builder.add("lease_id", secret.lease_id());
  builder.add("lease_duration", secret.lease_duration());
  builder.add("renewable", bool_or(secret.root, "renewable", false));
  builder.add("data", sorted(arena, secret.data));
  builder.add("warnings", member_or(secret.root, "warnings", json::Value::null()));
  if (secret.auth() != nullptr)
    builder.add("auth", printable_auth(arena, *secret.auth()));
  if (secret.wrap_info() != nullptr)
    builder.add("wrap_info", printable_wrap_info(arena, *secret.wrap_info()));
  if (std::string_view type = secret.root.string_or("mount_type", ""); !type.empty())
    builder.add("mount_type", type);
  return builder.build();
}

std::optional<json::Value> raw_field(Arena& arena, const Secret& secret, std::string_view field) {
  const json::Value* found = nullptr;
  if (const json::Value* auth = secret.auth(); auth != nullptr) {
    if (field == "token")
      found = member(*auth, "client_token");
    else if (field == "token_accessor" || field == "token_renewable")
      found = member(*auth, without_prefix(field, "token_"));
    else if (field == "token_duration")
      found = member(*auth, "lease_duration");
    else if (field == "token_policies" || field == "identity_policies" || field == "policies")
      found = member(*auth, field);
    if (found == nullptr && (field == "token_policies" || field == "identity_policies" || field == "policies"))
      return json::Value::array({});
  } else if (const json::Value* info = secret.wrap_info(); info != nullptr) {
    if (field == "wrapped_accessor")
      found = member(*info, field);
    else if (field == "wrapping_token" || field == "wrapping_accessor")
      found = member(*info, without_prefix(field, "wrapping_"));
    else if (std::string_view rest = without_prefix(field, "wrapping_token_"); !rest.empty())
      found = member(*info, rest);
  } else if (field == "lease_duration" || field == "refresh_interval") {
    return json::Value::number(arena, secret.lease_duration());
  } else if (field == "lease_id" || field == "request_id") {
    return json::Value::string(arena, secret.root.string_or(field, ""));
  } else if (field == "renewable") {
    return json::Value::boolean(bool_or(secret.root, field, false));
  } else if (field == "data") {
    const json::Value* inner = secret.data.find("data");
    if (inner == nullptr)
      return secret.data.is_null() ? std::nullopt : std::optional<json::Value>(secret.data);
    found = member(secret.data, "data");
  }
  if (found == nullptr)
    found = member(secret.data, field);
  return found == nullptr ? std::nullopt : std::optional<json::Value>(*found);
}

json::Value picked(Arena& arena, const json::Value& object, std::initializer_list<std::string_view> names) {
  json::ObjectBuilder builder(arena, names.size());
  for (std::string_view name : names) {
    bool optional = name.ends_with('?');
    bool is_text = name.ends_with('=');
    if (optional || is_text)
      name.remove_suffix(1);
    json::Value value = member_or(object, name, is_text ? json::Value::borrowed("") : json::Value::null());
    if (!optional || !is_empty(value))
      builder.add(name, sorted(arena, value));
  }
  return builder.build();
}

}  // namespace coffer::cli
