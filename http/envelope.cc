#include "http/envelope.h"

#include <charconv>

#include "base/time_text.h"

namespace coffer::http {
namespace {

using core::Response;

void append_number(std::int64_t value, std::string& out) {
  char text[24];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  out.append(text, end);
}

std::int64_t seconds(Nanos duration) { return std::chrono::duration_cast<std::chrono::seconds>(duration).count(); }

void append_bool(bool value, std::string& out) { out += value ? "true" : "false"; }

void append_strings(const std::vector<std::string_view>& texts, std::string& out) {
  out += '[';
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (i != 0)
      out += ',';
    json::write_string(texts[i], out);
  }
  out += ']';
}

void append_member(std::string_view name_with_colon, std::string_view text, std::string& out) {
  out += name_with_colon;
  json::write_string(text, out);
}

void append_auth(const core::Auth& auth, std::string& out) {
  append_member("{\"client_token\":", auth.client_token, out);
  append_member(",\"accessor\":", auth.accessor, out);
  out += ",\"policies\":";
  append_strings(auth.policies, out);
  out += ",\"token_policies\":";
  append_strings(auth.token_policies, out);
  if (!auth.identity_policies.empty()) {
    out += ",\"identity_policies\":";
    append_strings(auth.identity_policies, out);
  }
  out += ",\"metadata\":";
  json::write(auth.metadata, out);
  out += ",\"lease_duration\":";
  append_number(seconds(auth.lease_duration), out);
  out += ",\"renewable\":";
  append_bool(auth.renewable, out);
  append_member(",\"entity_id\":", auth.entity_id, out);
  append_member(",\"token_type\":", auth.token_type, out);
  out += ",\"orphan\":";
  append_bool(auth.orphan, out);
  out += ",\"mfa_requirement\":null,\"num_uses\":";
  append_number(auth.num_uses, out);
  out += '}';
}

void append_wrap_info(const core::WrapInfo& wrap, std::string& out) {
  append_member("{\"token\":", wrap.token, out);
  append_member(",\"accessor\":", wrap.accessor, out);
  out += ",\"ttl\":";
  append_number(seconds(wrap.ttl), out);
  out += ",\"creation_time\":\"";
  append_time(wrap.creation_time, out);
  append_member("\",\"creation_path\":", wrap.creation_path, out);
  if (!wrap.wrapped_accessor.empty())
    append_member(",\"wrapped_accessor\":", wrap.wrapped_accessor, out);
  out += '}';
}

bool is_envelope_field(std::string_view name) {
  for (const std::string_view field : {"request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info",
                                       "warnings", "auth", "mount_type"}) {
    if (name == field)
      return true;
  }
  return false;
}

void append_top_level(const json::Value& data, std::string& out) {
  for (const json::Member& member : data.members()) {
    if (is_envelope_field(member.key()))
      continue;
    out += ',';
    json::write_string(member.key(), out);
    out += ':';
    json::write(member.value, out);
  }
}

void append_envelope(const core::Exchange& exchange, std::string& out) {
  const Response& response = exchange.response;
  append_member("{\"request_id\":", exchange.request.id, out);
  append_member(",\"lease_id\":", response.lease_id, out);
  out += response.renewable ? ",\"renewable\":true,\"lease_duration\":" : ",\"renewable\":false,\"lease_duration\":";
  append_number(seconds(response.lease_duration), out);
  out += ",\"data\":";
  json::write(response.data, out);
  out += ",\"wrap_info\":";
  if (response.wrap_info)
    append_wrap_info(*response.wrap_info, out);
  else
    out += "null";
  out += ",\"warnings\":";
  if (response.warnings.empty())
    out += "null";
  else
    append_strings(response.warnings, out);
  out += ",\"auth\":";
  if (response.auth)
    append_auth(*response.auth, out);
  else
    out += "null";
  append_member(",\"mount_type\":", response.mount_type, out);
  if (response.data_also_top_level)
    append_top_level(response.data, out);
  out += "}\n";
}

// A failure keeps what data and warnings there are beside its errors.
void append_failure(const Response& response, std::string& out) {
  out += "{\"errors\":";
  append_strings(response.errors, out);
  if (!response.data.is_null()) {
    out += ",\"data\":";
    json::write(response.data, out);
  }
  if (!response.warnings.empty()) {
    out += ",\"warnings\":";
    append_strings(response.warnings, out);
  }
  out += "}\n";
}

bool has_content(const Response& response) noexcept {
  return !response.data.is_null() || response.auth || response.wrap_info || !response.warnings.empty() ||
         !response.lease_id.empty() || !response.content_type.empty();
}

}  // namespace

int answer_status(const Response& response) noexcept {
  if (response.status != 0)
    return response.status;
  return has_content(response) ? 200 : 204;
}

void write_body(const core::Exchange& exchange, int status, std::string& out) {
  const Response& response = exchange.response;
  if (!may_have_body(status))
    return;
  if (!response.content_type.empty()) {
    out += response.raw_body;
  } else if (response.bare) {
    json::write(response.data, out);
    out += '\n';
  } else if (status >= 400 && (!response.errors.empty() || response.data.is_null())) {
    append_failure(response, out);
  } else {
    append_envelope(exchange, out);
  }
}

void write_errors(std::string_view error, std::string& out) {
  out += "{\"errors\":[";
  if (!error.empty())
    json::write_string(error, out);
  out += "]}\n";
}

}  // namespace coffer::http
