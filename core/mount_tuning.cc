#include "core/mount_tuning.h"

#include <algorithm>

#include "base/limits.h"
#include "base/mutant.h"
#include "base/split.h"
#include "base/time_text.h"
#include "core/answers.h"
#include "core/path_fields.h"
#include "core/token_ttl.h"

namespace coffer::core {
namespace {

constexpr std::size_t kTextsMax = 256;
constexpr std::size_t kTextBytesMax = 512;

Status bad(std::string_view name, std::string_view what) {
  return Status(Code::kInvalid, "field \"" + std::string(name) + "\" must be " + std::string(what));
}

const json::Value* given_in(const json::Value& object, std::string_view name) {
  const json::Value* value = object.is_object() ? object.find(name) : nullptr;
  return value == nullptr || value->is_null() ? nullptr : value;
}

// A list of texts, or one text with commas.
Status read_texts(const json::Value& object, std::string_view name, std::vector<std::string>& texts) {
  const json::Value* value = given_in(object, name);
  if (value == nullptr)
    return ok_status();
  std::vector<std::string> out;
  if (value->is_string()) {
    std::string_view rest = value->as_string();
    for (std::string_view item; take_item(rest, item);)
      out.emplace_back(item);
  } else if (value->is_array()) {
    for (const json::Value& element : value->elements()) {
      if (!element.is_string())
        return bad(name, "a list of strings");
      if (!element.as_string().empty())
        out.emplace_back(element.as_string());
    }
  } else {
    return bad(name, "a list of strings");
  }
  if (out.size() > kTextsMax ||
      std::ranges::any_of(out, [](const std::string& text) { return text.size() > kTextBytesMax; }))
    return bad(name, "a shorter list");
  texts = std::move(out);
  return ok_status();
}

Status read_text(const json::Value& object, std::string_view name, std::string& text) {
  const json::Value* value = given_in(object, name);
  if (value == nullptr)
    return ok_status();
  if (!value->is_string() || value->as_string().size() > kTextBytesMax)
    return bad(name, "a short string");
  text = value->as_string();
  return ok_status();
}

Status read_flag(const json::Value& object, std::string_view name, bool& flag) {
  const json::Value* value = given_in(object, name);
  if (value == nullptr)
    return ok_status();
  if (value->is_bool())
    flag = value->as_bool();
  else if (value->is_string() && (value->as_string() == "true" || value->as_string() == "false"))
    flag = value->as_string() == "true";
  else
    return bad(name, "true or false");
  return ok_status();
}

Status read_duration(const json::Value& object, std::string_view name, Nanos& out) {
  const json::Value* value = given_in(object, name);
  if (value == nullptr)
    return ok_status();
  const Result<Nanos> duration = parse_duration(*value);
  if (!duration.ok() || *duration < Nanos(0) || *duration > kTtlMax)
    return bad(name, "a duration such as 90, \"30m\" or \"24h\"");
  out = *duration;
  return ok_status();
}

Status read_lockout(const json::Value& given, MountRecord& record) {
  const json::Value* lockout = given_in(given, "user_lockout_config");
  if (lockout == nullptr)
    return ok_status();
  if (!lockout->is_object())
    return bad("user_lockout_config", "an object");
  const std::string& type = record.info.type;
  if (record.table != MountTable::kAuth || (type != "userpass" && type != "ldap" && type != "approle"))
    return Status(Code::kInvalid, "tuning of user lockout configuration for auth type \"" + type + "\" not allowed");
  MountTuning& tuning = record.tuning;
  tuning.lockout_set = true;
  if (const json::Value* threshold = given_in(*lockout, "lockout_threshold")) {
    const std::string text(threshold->is_string() ? threshold->as_string()
                                                  : threshold->is_number() ? threshold->number_text() : "x");
    if (text.empty() || text.size() > 9 || text.find_first_not_of("0123456789") != std::string::npos)
      return bad("lockout_threshold", "a whole number");
    tuning.lockout_threshold = std::stoul(text);
  }
  COFFER_TRY(read_duration(*lockout, "lockout_duration", tuning.lockout_duration));
  COFFER_TRY(read_duration(*lockout, "lockout_counter_reset_duration", tuning.lockout_counter_reset));
  return read_flag(*lockout, "lockout_disable", tuning.lockout_disable);
}

Status read_token_type(const json::Value& given, MountRecord& record) {
  std::string type = record.tuning.token_type;
  COFFER_TRY(read_text(given, "token_type", type));
  if (type == record.tuning.token_type)
    return ok_status();
  if (record.table != MountTable::kAuth)
    return Status(Code::kInvalid, "'token_type' can only be modified on auth mounts");
  if (record.info.type == "token")
    return Status(Code::kInvalid, "'token_type' cannot be set for 'token/' auth mount");
  if (!type.empty() && type != "default-service" && type != "default-batch" && type != "service" && type != "batch")
    return Status(Code::kInvalid, "invalid value for 'token_type'");
  record.tuning.token_type = type;
  return ok_status();
}

Status read_lifetime(const json::Value& given, std::string_view name, Nanos& ttl) {
  const json::Value* value = given_in(given, name);
  if (value == nullptr || (value->is_string() && value->as_string().empty()))
    return ok_status();
  if (value->is_string() && value->as_string() == "system") {
    ttl = Nanos(0);
    return ok_status();
  }
  return read_duration(given, name, ttl);
}

void show_texts(json::ObjectBuilder& out, json::Arena& arena, std::string_view name,
                const std::vector<std::string>& texts) {
  if (!texts.empty())
    out.add(name, text_list(arena, {texts.begin(), texts.end()}));
}

}  // namespace

Status read_lifetimes(const json::Value& given, MountInfo& info, const SystemConfig& system) {
  COFFER_TRY(read_lifetime(given, "default_lease_ttl", info.default_lease_ttl));
  COFFER_TRY(read_lifetime(given, "max_lease_ttl", info.max_lease_ttl));
  if (info.max_lease_ttl > Nanos(0) && info.default_lease_ttl > info.max_lease_ttl)
    return Status(Code::kInvalid, "given default lease TTL greater than given max lease TTL");
  if (info.max_lease_ttl == Nanos(0) && info.default_lease_ttl > system.max_lease_ttl)
    return Status(Code::kInvalid, "given default lease TTL greater than system max lease TTL of " +
                                      std::to_string(whole_seconds(system.max_lease_ttl)));
  return ok_status();
}

Status read_tuning(const json::Value& given, MountRecord& record) {
  MountTuning& tuning = record.tuning;
  COFFER_TRY(read_texts(given, "audit_non_hmac_request_keys", tuning.audit_non_hmac_request_keys));
  COFFER_TRY(read_texts(given, "audit_non_hmac_response_keys", tuning.audit_non_hmac_response_keys));
  COFFER_TRY(read_texts(given, "passthrough_request_headers", tuning.passthrough_request_headers));
  if (!mutant(Mutant::kTuningForgotten))
    COFFER_TRY(read_texts(given, "allowed_response_headers", tuning.allowed_response_headers));
  COFFER_TRY(read_texts(given, "allowed_managed_keys", tuning.allowed_managed_keys));
  COFFER_TRY(read_texts(given, "delegated_auth_accessors", tuning.delegated_auth_accessors));
  std::string visibility = tuning.listing_visibility;
  COFFER_TRY(read_text(given, "listing_visibility", visibility));
  if (!visibility.empty() && visibility != "hidden" && visibility != "unauth")
    return Status(Code::kInvalid, "invalid listing_visibility: it must be \"unauth\", \"hidden\" or empty");
  tuning.listing_visibility = visibility;
  COFFER_TRY(read_text(given, "identity_token_key", tuning.identity_token_key));
  std::string version = tuning.plugin_version;
  COFFER_TRY(read_text(given, "plugin_version", version));
  if (version != tuning.plugin_version && !version.empty())
    return Status(Code::kInvalid, "field \"plugin_version\" names no version: built-in engines have one");
  tuning.plugin_version = version;
  COFFER_TRY(read_flag(given, "trim_request_trailing_slashes", tuning.trim_request_trailing_slashes));
  COFFER_TRY(read_token_type(given, record));
  return read_lockout(given, record);
}

void show_tuning(json::ObjectBuilder& out, json::Arena& arena, const MountRecord& record) {
  const MountTuning& tuning = record.tuning;
  show_texts(out, arena, "allowed_managed_keys", tuning.allowed_managed_keys);
  show_texts(out, arena, "allowed_response_headers", tuning.allowed_response_headers);
  show_texts(out, arena, "audit_non_hmac_request_keys", tuning.audit_non_hmac_request_keys);
  show_texts(out, arena, "audit_non_hmac_response_keys", tuning.audit_non_hmac_response_keys);
  show_texts(out, arena, "delegated_auth_accessors", tuning.delegated_auth_accessors);
  if (!tuning.identity_token_key.empty())
    out.add("identity_token_key", tuning.identity_token_key);
  if (!tuning.listing_visibility.empty())
    out.add("listing_visibility", tuning.listing_visibility);
  show_texts(out, arena, "passthrough_request_headers", tuning.passthrough_request_headers);
  if (record.table == MountTable::kAuth)
    out.add("token_type", tuning.token_type.empty() ? std::string_view("default-service") : tuning.token_type);
  if (tuning.trim_request_trailing_slashes)
    out.add("trim_request_trailing_slashes", true);
}

void show_lockout(json::ObjectBuilder& out, const MountTuning& tuning) {
  if (tuning.lockout_set)
    out.add("user_lockout_counter_reset_duration", whole_seconds(tuning.lockout_counter_reset))
        .add("user_lockout_disable", tuning.lockout_disable)
        .add("user_lockout_duration", whole_seconds(tuning.lockout_duration))
        .add("user_lockout_threshold", static_cast<std::int64_t>(tuning.lockout_threshold));
}

std::vector<Field> tuning_fields() {
  return {
      {"default_lease_ttl", FieldType::kDuration, "Life of leases that ask for none; \"system\" is the server's."},
      {"max_lease_ttl", FieldType::kDuration, "Longest life of leases; \"system\" is the server's."},
      {"force_no_cache", FieldType::kBool, "Kept and shown; nothing is cached in any case."},
      {"audit_non_hmac_request_keys", FieldType::kStringList, "Keys of requests that audit lines show in clear."},
      {"audit_non_hmac_response_keys", FieldType::kStringList, "Keys of answers that audit lines show in clear."},
      {"listing_visibility", FieldType::kString, "unauth: listed without a token; hidden or empty: not."},
      {"passthrough_request_headers", FieldType::kStringList, "Headers of requests that the engine sees."},
      {"allowed_response_headers", FieldType::kStringList, "Headers that the engine may set in answers."},
      {"token_type", FieldType::kString, "Of an auth method: default-service, default-batch, service or batch."},
      {"user_lockout_config", FieldType::kMap, "Of an auth method: when users are locked out."},
      {"plugin_version", FieldType::kString, "Built-in engines have one version."},
      {"identity_token_key", FieldType::kString, "The key that signs the plugin's identity tokens."},
      {"trim_request_trailing_slashes", FieldType::kBool, "Whether a slash at a request's end is dropped."},
      {"delegated_auth_accessors", FieldType::kStringList, "Auth methods that the engine may pass requests to."},
      {"allowed_managed_keys", FieldType::kStringList, "Managed keys that the engine may use."},
  };
}

}  // namespace coffer::core
