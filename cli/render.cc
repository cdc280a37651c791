#include "cli/render.h"

#include <algorithm>

#include "cli/duration.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/value_text.h"
#include "cli/yaml.h"

namespace coffer::cli {
namespace {

std::string pretty(const json::Value& value) {
  std::string out;
  json::write_pretty(value, out, {.html_escape = true});
  return out;
}

void print_warnings(Context& context, const Secret& secret) {
  const json::Value* warnings = member(secret.root, "warnings");
  if (warnings == nullptr || !warnings->is_array() || warnings->size() == 0)
    return;
  context.ui().warn(context.named("WARNING! The following warnings were returned from {Name}:\n"));
  for (const json::Value& warning : warnings->elements()) {
    context.ui().warn(wrap("* " + value_text(warning), 2));
    context.ui().warn("");
  }
}

// As Go's %q of a list of strings.
std::string quoted_list(const json::Value* list) {
  std::vector<std::string> parts;
  if (list != nullptr) {
    for (const json::Value& element : list->elements())
      parts.push_back(quoted(value_text(element)));
  }
  return "[" + join(parts, " ") + "]";
}

void add_fields(const json::Value& object, std::vector<Row>& rows, Arena& arena) {
  json::Value in_order = sorted(arena, object);
  for (const json::Member& m : in_order.members())
    rows.push_back({std::string(m.key()), field_text(m.key(), m.value)});
}

std::string seconds_text(std::int64_t seconds) { return human_duration(seconds * kSecondNanos); }
void add_lease(const Secret& secret, std::vector<Row>& rows) {
  std::int64_t duration = secret.lease_duration();
  if (duration <= 0)
    return;
  if (secret.lease_id().empty()) {
    rows.push_back({"refresh_interval", seconds_text(duration)});
    return;
  }
  rows.push_back({"lease_id", std::string(secret.lease_id())});
  rows.push_back({"lease_duration", seconds_text(duration)});
  rows.push_back({"lease_renewable", bool_text(bool_or(secret.root, "renewable", false))});
}

void add_mfa(const json::Value& requirement, std::vector<Row>& rows) {
  rows.push_back({"mfa_request_id", std::string(requirement.string_or("mfa_request_id", ""))});
  const json::Value* constraints = member(requirement, "mfa_constraints");
  if (constraints == nullptr)
    return;
  for (const json::Member& m : constraints->members()) {
    const json::Value* any = member(m.value, "any");
    if (any == nullptr)
      continue;
    for (const json::Value& one : any->elements()) {
      std::string lead = "mfa_constraint_" + std::string(m.key()) + "_" + std::string(one.string_or("type", ""));
      rows.push_back({lead + "_id", std::string(one.string_or("id", ""))});
      rows.push_back({lead + "_uses_passcode", bool_text(bool_or(one, "uses_passcode", false))});
    }
  }
}

void add_auth(const json::Value& auth, std::vector<Row>& rows, Arena& arena) {
  if (const json::Value* requirement = member(auth, "mfa_requirement");
      requirement != nullptr && requirement->is_object()) {
    add_mfa(*requirement, rows);
    return;
  }
  std::int64_t duration = number_or(auth, "lease_duration", 0);
  rows.push_back({"token", std::string(auth.string_or("client_token", ""))});
  rows.push_back({"token_accessor", std::string(auth.string_or("accessor", ""))});
  rows.push_back({"token_duration", duration == 0 ? "\xe2\x88\x9e" : seconds_text(duration)});
  rows.push_back({"token_renewable", bool_text(bool_or(auth, "renewable", false))});
  for (const char* list : {"token_policies", "identity_policies", "policies"})
    rows.push_back({list, quoted_list(member(auth, list))});
  if (const json::Value* metadata = member(auth, "metadata"); metadata != nullptr) {
    json::Value in_order = sorted(arena, *metadata);
    for (const json::Member& m : in_order.members())
      rows.push_back({"token_meta_" + std::string(m.key()), value_text(m.value)});
  }
}

void add_wrap_info(const json::Value& info, std::vector<Row>& rows) {
  rows.push_back({"wrapping_token:", std::string(info.string_or("token", ""))});
  rows.push_back({"wrapping_accessor:", std::string(info.string_or("accessor", ""))});
  rows.push_back({"wrapping_token_ttl:", seconds_text(number_or(info, "ttl", 0))});
  rows.push_back({"wrapping_token_creation_time:", long_time(info.string_or("creation_time", ""))});
  rows.push_back({"wrapping_token_creation_path:", std::string(info.string_or("creation_path", ""))});
  if (std::string_view accessor = info.string_or("wrapped_accessor", ""); !accessor.empty())
    rows.push_back({"wrapped_accessor:", std::string(accessor)});
}

}  // namespace

int output_data(Context& context, const json::Value& value) {
  const std::string& format = context.ui().format();
  if (format == "json") {
    context.ui().out(pretty(value));
    return 0;
  }
  if (format == "yaml" || format == "yml") {
    context.ui().out(trim(yaml(value)));
    return 0;
  }
  if (format == "table" && value.is_object())
    return output_map(context, value);
  return context.fail(1, "Could not parse output: cannot use the " + format + " formatter for this type");
}

int output_map(Context& context, const json::Value& object) {
  if (!context.ui().is_table())
    return output_data(context, sorted(context.arena(), object));
  std::vector<Row> rows;
  add_fields(object, rows, context.arena());
  if (!rows.empty())
    context.ui().out(table({"Key", "Value"}, rows));
  return 0;
}

int output_secret(Context& context, const Secret& secret) {
  if (!context.ui().is_table())
    return output_data(context, printable(context.arena(), secret));
  print_warnings(context, secret);
  std::vector<Row> rows;
  add_lease(secret, rows);
  if (secret.auth() != nullptr)
    add_auth(*secret.auth(), rows, context.arena());
  if (secret.wrap_info() != nullptr)
    add_wrap_info(*secret.wrap_info(), rows);
  add_fields(secret.data, rows, context.arena());
  if (!rows.empty())
    context.ui().out(table({"Key", "Value"}, rows));
  return 0;
}

int output_strings(Context& context, const std::vector<std::string>& strings) {
  if (context.ui().is_table()) {
    std::vector<Row> rows;
    for (const std::string& text : strings)
      rows.push_back({text});
    if (!rows.empty())
      context.ui().out(columns(rows));
    return 0;
  }
  json::ArrayBuilder list(context.arena(), strings.size() + 1);
  for (const std::string& text : strings)
    list.add(text);
  return output_data(context, list.build());
}

int output_list(Context& context, const Secret& secret) {
  const json::Value* keys = member(secret.data, "keys");
  const json::Value* info = member(secret.data, "key_info");
  bool detailed = context.flags().declared("detailed") && context.flags().boolean("detailed") && info != nullptr;
  if (!context.ui().is_table())
    return output_data(context, detailed          ? printable(context.arena(), secret)
                                : keys == nullptr ? json::Value::null()
                                                  : *keys);
  print_warnings(context, secret);
  if (keys == nullptr || keys->size() == 0)
    return 0;
  std::vector<std::string> names;
  for (const json::Value& key : keys->elements())
    names.push_back(value_text(key));
  std::sort(names.begin(), names.end());
  std::vector<std::string> titles;
  for (std::size_t i = 0; detailed && i < names.size(); ++i) {
    const json::Value* one = member(*info, names[i]);
    for (const json::Member& m : one == nullptr ? json::Value::null().members() : one->members())
      titles.emplace_back(m.key());
  }
  std::sort(titles.begin(), titles.end());
  titles.erase(std::unique(titles.begin(), titles.end()), titles.end());
  std::vector<Row> rows;
  for (const std::string& name : names) {
    Row row = {name};
    const json::Value* one = detailed ? member(*info, name) : nullptr;
    for (const std::string& title : titles) {
      const json::Value* cell = one == nullptr ? nullptr : one->find(title);
      row.push_back(cell == nullptr ? "" : field_text(title, *cell));
    }
    rows.push_back(std::move(row));
  }
  titles.insert(titles.begin(), "Keys");
  context.ui().out(table(titles, rows));
  return 0;
}

int output_raw_field(Context& context, const std::optional<json::Value>& value, std::string_view field) {
  if (!value)
    return context.fail(1, "Field " + quoted(field) + " not present in secret");
  const std::string& format = context.ui().format();
  if (format == "json")
    context.ui().field(pretty(sorted(context.arena(), *value)));
  else if (format == "yaml" || format == "yml")
    context.ui().field(yaml(*value) + "\n");
  else if (format == "pretty")
    return context.fail(1, "Error formatting output: cannot use the pretty formatter for this type");
  else
    context.ui().field(value_text(*value));
  return 0;
}

void output_path(Context& context, std::string_view path, std::string_view title) {
  context.ui().out(banner(title, path.size()));
  context.ui().out(path);
  context.ui().out("");
}

std::string map_banner(std::string_view title, const json::Value& object) {
  constexpr std::size_t kGapAndValue = 4 + 5;
  std::size_t longest = 0;
  for (const json::Member& m : object.members())
    longest = std::max(longest, m.key().size());
  return banner(title, longest + kGapAndValue);
}

bool report(Context& context, const Reply& reply, std::string_view lead) {
  if (!reply.ok())
    context.ui().error(std::string(lead) + ": " + reply.error);
  return !reply.ok();
}

}  // namespace coffer::cli
