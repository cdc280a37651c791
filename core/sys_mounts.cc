#include <algorithm>

#include "base/path.h"
#include "base/time_text.h"
#include "core/answers.h"
#include "core/call.h"
#include "core/jobs.h"
#include "core/mount_tuning.h"
#include "core/sys_engine.h"
#include "core/token_ttl.h"

namespace coffer::core {
namespace {

constexpr std::string_view kTuneSuffix = "/tune";
constexpr std::string_view kAuthFolder = "auth/";
constexpr std::size_t kMountOptionsMax = 64;

std::string quoted(std::string_view path) { return "\"" + std::string(path) + "\""; }

// "kv" → "kv/".
std::string mount_path(const HandlerContext& ctx) {
  std::string path(ctx.captures.front());
  if (path.ends_with(kTuneSuffix))
    path.resize(path.size() - kTuneSuffix.size());
  if (path.empty() || path.back() != '/')
    path.push_back('/');
  return path;
}

bool is_tune(const HandlerContext& ctx) { return ctx.captures.front().ends_with(kTuneSuffix); }

// An auth method's tuning is reached by sys/mounts/auth/<path>/tune too.
bool names_auth(const HandlerContext& ctx) {
  return is_tune(ctx) && ctx.captures.front().starts_with(kAuthFolder) &&
         ctx.captures.front().size() > kAuthFolder.size() + kTuneSuffix.size();
}

bool is_protected(std::string_view path) {
  for (const std::string_view prefix : {"audit/", "auth/", "sys/", "cubbyhole/", "identity/"})
    if (path.starts_with(prefix))
      return true;
  return false;
}

Status read_options(const json::Value& given, MountInfo& info) {
  if (given.is_null())
    return ok_status();
  if (!given.is_object() || given.size() > kMountOptionsMax)
    return Status(Code::kInvalid, "field \"options\" must be an object of strings");
  for (const json::Member& member : given.members()) {
    if (!member.value.is_string() && !member.value.is_number())
      return Status(Code::kInvalid, "field \"options\" must be an object of strings");
    if (member.key() == kUpgradingOption)
      return Status(Code::kInvalid, "option \"upgrading\" is the server's own");
    const std::string value(member.value.is_string() ? member.value.as_string() : member.value.number_text());
    const auto at = std::find_if(info.options.begin(), info.options.end(),
                                 [&](const auto& option) { return option.first == member.key(); });
    if (at == info.options.end())
      info.options.emplace_back(member.key(), value);
    else
      at->second = value;
  }
  std::sort(info.options.begin(), info.options.end());
  return ok_status();
}

Status check_kv_options(const MountInfo& info) {
  if (info.type != "kv")
    return ok_status();
  const std::string_view version = info.option("version");
  if (!version.empty() && version != "1" && version != "2")
    return Status(Code::kInvalid, "invalid version provided: only 1 and 2 are versions of a kv mount");
  const std::string_view cas = info.option("cas_required");
  if (!cas.empty() && cas != "true" && cas != "false")
    return Status(Code::kInvalid, "option \"cas_required\" must be true or false");
  const std::string_view filter = info.option("filter_list");
  if (!filter.empty() && filter != "acl" && filter != "none")
    return Status(Code::kInvalid, "option \"filter_list\" must be acl or none");
  return ok_status();
}

// Version 1 becomes version 2, never the other way. From the commit on the mount answers nothing until it is converted.
Status change_version(CallContext& ctx, MountInfo& info, std::string_view before) {
  const std::string_view after = info.option("version").empty() ? "1" : info.option("version");
  if (info.type != "kv" || before == after)
    return ok_status();
  if (before == "2")
    return Status(Code::kInvalid, "cannot downgrade mount from version 2");
  info.options.emplace_back(kUpgradingOption, "true");
  std::sort(info.options.begin(), info.options.end());
  warn(ctx.response, ctx.arena,
       "Upgrading mount from version 1 to version 2. This mount will be unavailable for a brief period and will resume "
       "service shortly.");
  return ok_status();
}

json::Value config_value(json::Arena& arena, const Route& route) {
  const MountInfo& info = route.record.info;
  json::ObjectBuilder config(arena, 8);
  config.add("default_lease_ttl", whole_seconds(info.default_lease_ttl))
      .add("force_no_cache", info.force_no_cache)
      .add("max_lease_ttl", whole_seconds(info.max_lease_ttl));
  show_tuning(config, arena, route.record);
  if (route.record.tuning.lockout_set) {
    json::ObjectBuilder lockout(arena, 4);
    show_lockout(lockout, route.record.tuning);
    config.add("user_lockout_config", lockout.build());
  }
  return config.build();
}

json::Value options_value(json::Arena& arena, const MountInfo& info) {
  if (info.options.empty())
    return json::Value();
  json::ObjectBuilder options(arena, info.options.size());
  for (const auto& [name, value] : info.options)
    options.add(name, value);
  return options.build();
}

Status handle_list(HandlerContext& base, MountTable table) {
  CallContext& ctx = call(base);
  json::ObjectBuilder data(ctx.arena, ctx.published.router->routes().size() + 1);
  for (const Route& route : ctx.published.router->routes())
    if (route.record.info.namespace_id == ctx.mount.namespace_id && route.record.table == table)
      data.add(route.record.info.path, mount_value(ctx, route, false));
  ctx.response.data = data.build();
  ctx.response.data_also_top_level = true;
  return ok_status();
}

Status handle_list_mounts(HandlerContext& ctx) { return handle_list(ctx, MountTable::kSecret); }
Status handle_list_auth(HandlerContext& ctx) { return handle_list(ctx, MountTable::kAuth); }

Status read_tune(CallContext& ctx, MountTable table) {
  const std::string path = mount_path(ctx);
  const Route* route = ctx.published.router->find(ctx.mount.namespace_id, table, path);
  if (route == nullptr)
    return Status(Code::kInvalid, "cannot fetch sysview for path " + quoted(path));
  const MountInfo& info = route->record.info;
  const SystemConfig& system = ctx.published.config;
  json::ObjectBuilder data(ctx.arena, 8);
  data.add("default_lease_ttl",
           whole_seconds(info.default_lease_ttl > Nanos(0) ? info.default_lease_ttl : system.default_lease_ttl))
      .add("description", info.description)
      .add("force_no_cache", info.force_no_cache)
      .add("max_lease_ttl", whole_seconds(info.max_lease_ttl > Nanos(0) ? info.max_lease_ttl : system.max_lease_ttl));
  if (!info.options.empty())
    data.add("options", options_value(ctx.arena, info));
  show_tuning(data, ctx.arena, route->record);
  show_lockout(data, route->record.tuning);
  ctx.response.data = data.build();
  ctx.response.data_also_top_level = true;
  return ok_status();
}

Status read_mount(HandlerContext& base, MountTable table) {
  CallContext& ctx = call(base);
  if (is_tune(ctx))
    return read_tune(ctx, table);
  const std::string path = mount_path(ctx);
  const Route* route = ctx.published.router->find(ctx.mount.namespace_id, table, path);
  if (route == nullptr)
    return Status(Code::kInvalid,
                  (table == MountTable::kAuth ? "No auth engine at " : "No secret engine mount at ") + path);
  ctx.response.data = mount_value(ctx, *route, false);
  ctx.response.data_also_top_level = true;
  return ok_status();
}

Status handle_read(HandlerContext& ctx) {
  if (!names_auth(ctx))
    return read_mount(ctx, MountTable::kSecret);
  ctx.captures.front().remove_prefix(kAuthFolder.size());
  return read_mount(ctx, MountTable::kAuth);
}
Status handle_read_auth(HandlerContext& ctx) { return read_mount(ctx, MountTable::kAuth); }

Status write_tune(CallContext& ctx, MountTable table) {
  const std::string path = mount_path(ctx);
  COFFER_ASSIGN(auto record, find_mount(ctx.txn, ctx.mount.namespace_id, table, path));
  if (!record)
    return Status(Code::kInvalid, "tune of path " + quoted(path) + " failed: no mount entry found");
  MountInfo& info = record->info;
  const std::string version(info.option("version"));
  COFFER_ASSIGN(const std::string_view description, ctx.string_field("description", info.description));
  info.description = std::string(description);
  COFFER_TRY(read_lifetimes(ctx.request.data, info, ctx.published.config));
  COFFER_TRY(read_tuning(ctx.request.data, *record));
  COFFER_TRY(read_options(ctx.field("options"), info));
  COFFER_TRY(check_kv_options(info));
  COFFER_TRY(change_version(ctx, info, version.empty() ? "1" : std::string_view(version)));
  return put_mount(ctx.txn, *record);
}

Status enable(CallContext& ctx, MountTable table) {
  const std::string path = mount_path(ctx);
  COFFER_ASSIGN(std::string_view type, ctx.string_field("type", ""));
  if (type.empty())
    return Status(Code::kInvalid, "backend type must be specified as a string");
  if (table == MountTable::kSecret && is_protected(path))
    return Status(Code::kInvalid, "cannot mount " + quoted(path));
  const std::string_view version = type == "kv-v2" ? "2" : type == "kv-v1" ? "1" : "";
  if (!version.empty() || type == "generic")
    type = "kv";
  if (ctx.services.engines.find(table, type) == nullptr)
    return Status(Code::kInvalid, "plugin not found in the catalog: " + std::string(type));
  if (!ctx.services.engines.mountable(table, type))
    return Status(Code::kInvalid, "mount type of " + quoted(type) + " is not mountable");
  COFFER_ASSIGN(MountRecord record, new_mount(table, type, path, ctx.random));
  MountInfo& info = record.info;
  info.namespace_id = ctx.mount.namespace_id;
  COFFER_ASSIGN(const std::string_view description, ctx.string_field("description", ""));
  info.description = std::string(description);
  COFFER_ASSIGN(info.local, ctx.bool_field("local", false));
  COFFER_ASSIGN(info.seal_wrap, ctx.bool_field("seal_wrap", false));
  COFFER_ASSIGN(info.external_entropy_access, ctx.bool_field("external_entropy_access", false));
  const json::Value config = ctx.field("config");
  if (!config.is_null() && !config.is_object())
    return Status(Code::kInvalid, "field \"config\" must be an object");
  COFFER_TRY(read_lifetimes(config, info, ctx.published.config));
  COFFER_TRY(read_tuning(config, record));
  if (const json::Value* no_cache = config.find("force_no_cache"))
    info.force_no_cache = no_cache->is_bool() && no_cache->as_bool();
  COFFER_TRY(read_options(config.find("options") != nullptr ? *config.find("options") : json::Value(), info));
  COFFER_TRY(read_options(ctx.field("options"), info));
  if (!version.empty() && info.option("version").empty())
    info.options.emplace_back("version", version);
  std::sort(info.options.begin(), info.options.end());
  COFFER_TRY(check_kv_options(info));
  COFFER_TRY(check_no_namespace(ctx, record));
  return add_mount(ctx.txn, record);
}

Status write_mount(HandlerContext& base, MountTable table) {
  CallContext& ctx = call(base);
  return is_tune(ctx) ? write_tune(ctx, table) : enable(ctx, table);
}

Status handle_write(HandlerContext& ctx) {
  if (!names_auth(ctx))
    return write_mount(ctx, MountTable::kSecret);
  ctx.captures.front().remove_prefix(kAuthFolder.size());
  return write_mount(ctx, MountTable::kAuth);
}
Status handle_write_auth(HandlerContext& ctx) { return write_mount(ctx, MountTable::kAuth); }

// From the commit on no path leads to the mount; its records go step by step.
Status disable(HandlerContext& base, MountTable table) {
  CallContext& ctx = call(base);
  // A policy for a mount's tuning must not reach the mount itself (rule R2).
  if (is_tune(ctx))
    return Status(Code::kUnsupported, one_error("unsupported operation"));
  const std::string path = mount_path(ctx);
  if (table == MountTable::kSecret && is_protected(path))
    return Status(Code::kInvalid, "cannot unmount " + quoted(path));
  if (table == MountTable::kAuth && path == "token/")
    return Status(Code::kInvalid, "token credential backend cannot be disabled");
  COFFER_ASSIGN(auto record, find_mount(ctx.txn, ctx.mount.namespace_id, table, path));
  return record ? disable_mount(ctx.txn, *record) : ok_status();
}

Status handle_disable(HandlerContext& ctx) { return disable(ctx, MountTable::kSecret); }
Status handle_disable_auth(HandlerContext& ctx) { return disable(ctx, MountTable::kAuth); }

}  // namespace

// What can be enabled, unlike what every server has.
bool is_plugin(std::string_view type) {
  return type != "system" && type != "token" && type != "cubbyhole" && type != "identity";
}

Status check_no_namespace(CallContext& ctx, const MountRecord& record) {
  const NamespaceRecord* here = ctx.published.namespaces->find(ctx.mount.namespace_id);
  if (here == nullptr)
    return Status(Code::kNotFound, "namespace not found");
  const std::string place = here->path + record.route();
  // Namespaces come and go by their own rows, one of which a namespace at this place would be.
  ctx.txn.depend(layout::core_key(layout::kNamespaceCounter));
  for (const auto& [path, ns] : ctx.published.namespaces->all())
    if (!path.empty() && path.size() > here->path.size() && (place.starts_with(path) || path.starts_with(place)))
      return Status(Code::kInvalid, "path is already in use at " + path);
  return ok_status();
}

json::Value mount_value(CallContext& ctx, const Route& route, bool with_path) {
  const MountInfo& info = route.record.info;
  json::ObjectBuilder value(ctx.arena, 16);
  value.add("accessor", info.accessor).add("config", config_value(ctx.arena, route));
  if (is_plugin(info.type))
    value.add("deprecation_status", "supported");
  value.add("description", info.description)
      .add("external_entropy_access", info.external_entropy_access)
      .add("local", info.local)
      .add("options", options_value(ctx.arena, info));
  if (with_path)
    value.add("path", ctx.ns.path + info.path);
  value.add("plugin_version", "")
      .add("running_plugin_version",
           "v" + ctx.services.version.substr(0, ctx.services.version.find('+')) + "+builtin.vault")
      .add("running_sha256", "")
      .add("seal_wrap", info.seal_wrap)
      .add("type", info.type)
      .add("uuid", info.uuid);
  return value.build();
}

std::vector<PathSpec> sys_mount_specs() {
  std::vector<Field> fields = {
      {"type", FieldType::kString, "Which engine, for example kv."},
      {"description", FieldType::kString, "A note for people."},
      {"config", FieldType::kMap, "Settings that every mount has: default_lease_ttl, max_lease_ttl."},
      {"options", FieldType::kMap, "Settings of the engine itself, for example version."},
      {"local", FieldType::kBool, "Whether what it holds stays in this cluster."},
      {"seal_wrap", FieldType::kBool, "Whether its values are wrapped by the seal too."},
      {"external_entropy_access", FieldType::kBool, "Kept and shown; nothing here asks for it."},
      {"plugin_name", FieldType::kString, "The name of the plugin, for the type plugin."},
  };
  for (const Field& field : tuning_fields())
    fields.push_back(field);
  std::vector<PathSpec> specs;
  specs.push_back({"mounts", "Which secrets engines there are, and where.", {},
                   {{Operation::kRead, Effect::kReads, handle_list_mounts, "Lists the mounts."}}});
  specs.push_back(
      {"mounts/*path",
       "One secrets engine: enable, tune or disable it.",
       fields,
       {{Operation::kRead, Effect::kReads, handle_read, "Reads a mount, or its tuning below /tune."},
        {Operation::kWrite, Effect::kWrites, handle_write, "Enables an engine, or tunes it below /tune."},
        {Operation::kDelete, Effect::kWrites, handle_disable, "Disables an engine and deletes its data."}}});
  specs.push_back({"auth", "Which auth methods there are, and where.", {},
                   {{Operation::kRead, Effect::kReads, handle_list_auth, "Lists the auth methods."}}});
  specs.push_back(
      {"auth/*path",
       "One auth method: enable, read, tune or disable it.",
       fields,
       {{Operation::kRead, Effect::kReads, handle_read_auth, "Reads an auth method, or its tuning below /tune."},
        {Operation::kWrite, Effect::kWrites, handle_write_auth, "Enables an auth method, or tunes it below /tune."},
        {Operation::kDelete, Effect::kWrites, handle_disable_auth, "Disables an auth method and deletes its data."}},
       nullptr,
       false,
       true});
  return specs;
}

}  // namespace coffer::core
