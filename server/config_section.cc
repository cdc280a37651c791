#include "server/config_section.h"

#include <cstdint>
#include <optional>

#include "base/time_text.h"

namespace coffer::server {

std::string place_of(const std::string& file, hcl::Position at) {
  return file + ": line " + std::to_string(at.line) + ", column " + std::to_string(at.column);
}

Status config_error(const std::string& file, hcl::Position at, std::string_view message) {
  return hcl::error_at(at, message).with_context("error loading configuration from " + file);
}

Status Section::fail(hcl::Position at, std::string_view key, std::string_view message) const {
  std::string text = name_.empty() ? "" : name_ + ": ";
  text += "\"" + std::string(key) + "\": ";
  text += message;
  return config_error(file_, at, text);
}

const hcl::Node* Section::find(std::string_view key) {
  know(key);
  return object_.find(key);
}

Status Section::text(std::string_view key, std::string& out) {
  const hcl::Node* node = find(key);
  if (node == nullptr)
    return ok_status();
  // A number is taken as its text, as in node_id = 1.
  if (node->kind != hcl::Kind::kString && node->kind != hcl::Kind::kNumber)
    return fail(node->at, key, "expected a text");
  if (node->text.find('\0') != std::string::npos)
    return fail(node->at, key, "a NUL byte is not allowed");
  out = node->text;
  return ok_status();
}

Status Section::secret(std::string_view key, SecretBytes& out) {
  const hcl::Node* node = find(key);
  if (node == nullptr)
    return ok_status();
  if (node->kind != hcl::Kind::kString)
    return fail(node->at, key, "expected a text");
  out = SecretBytes::copy_of(node->text);
  return ok_status();
}

Status Section::secrets(std::string_view key, std::vector<SecretBytes>& out) {
  const hcl::Node* node = find(key);
  if (node == nullptr)
    return ok_status();
  if (node->kind != hcl::Kind::kList)
    return fail(node->at, key, "expected a list of texts");
  for (const hcl::Node& element : node->list) {
    if (element.kind != hcl::Kind::kString)
      return fail(element.at, key, "expected a list of texts");
    out.push_back(SecretBytes::copy_of(element.text));
  }
  return ok_status();
}

Status Section::texts(std::string_view key, std::vector<std::string>& out) {
  const hcl::Node* node = find(key);
  if (node == nullptr)
    return ok_status();
  const std::vector<hcl::Node> one{*node};
  for (const hcl::Node& part : node->kind == hcl::Kind::kList ? node->list : one) {
    if (part.kind != hcl::Kind::kString)
      return fail(part.at, key, "expected a list of texts");
    out.push_back(part.text);
  }
  return ok_status();
}

Status Section::flag(std::string_view key, bool& out) {
  const hcl::Node* node = find(key);
  if (node == nullptr)
    return ok_status();
  const Result<bool> value = hcl::as_bool(*node);
  if (!value.ok())
    return fail(node->at, key, value.status().message());
  out = *value;
  return ok_status();
}

Status Section::number(std::string_view key, std::int64_t min, std::int64_t max, std::int64_t& out) {
  const hcl::Node* node = find(key);
  if (node == nullptr)
    return ok_status();
  const Result<std::int64_t> value = hcl::as_int(*node);
  if (!value.ok())
    return fail(node->at, key, value.status().message());
  if (*value < min || *value > max)
    return fail(node->at, key, "expected a number from " + std::to_string(min) + " to " + std::to_string(max));
  out = *value;
  return ok_status();
}

Status Section::bytes(std::string_view key, std::size_t& out) {
  if (find(key) == nullptr)
    return ok_status();
  std::int64_t value = 0;
  COFFER_TRY(number(key, 1, std::int64_t{1} << 40, value));
  out = static_cast<std::size_t>(value);
  return ok_status();
}

Status Section::duration(std::string_view key, Nanos& out) {
  const hcl::Node* node = find(key);
  if (node == nullptr)
    return ok_status();
  if (node->kind == hcl::Kind::kString || node->kind == hcl::Kind::kNumber) {
    if (const Result<Nanos> value = parse_duration(node->text); value.ok() && value->count() >= 0) {
      out = *value;
      return ok_status();
    }
  }
  return fail(node->at, key, "expected a duration such as 90, \"1h30m\" or \"30d\"");
}

void Section::warn_unknown(std::vector<std::string>& warnings) const {
  for (const hcl::Item& item : object_.items) {
    if (known_.contains(item.key))
      continue;
    std::string line = "unknown or unsupported field \"" + item.key + "\"";
    if (!name_.empty())
      line += " of " + name_;
    warnings.push_back(line + " found in configuration at " + file_ + ":" + std::to_string(item.at.line) + ":" +
                       std::to_string(item.at.column));
  }
}

}  // namespace coffer::server
