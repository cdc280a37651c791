#include <algorithm>
#include <cmath>

#include "base/limits.h"
#include "core/answers.h"
#include "core/call.h"
#include "core/layout.h"
#include "core/quota_count.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

constexpr double kRateMax = 1e9;
constexpr std::size_t kQuotaNameBytesMax = 256;

std::string_view kind_name(QuotaKind kind) { return kind == QuotaKind::kRate ? "rate-limit" : "lease-count"; }

std::string row(QuotaKind kind, std::string_view name) {
  return std::string(layout::kQuotaPrefix).append(kind_name(kind)).append("/").append(name);
}

std::string_view group_name(QuotaGroup group) {
  switch (group) {
    case QuotaGroup::kNone:
      return "none";
    case QuotaGroup::kEntityThenIp:
      return "entity_then_ip";
    case QuotaGroup::kEntityThenNone:
      return "entity_then_none";
    case QuotaGroup::kIp:
      break;
  }
  return "ip";
}

Result<std::uint64_t> rate_field(CallContext& ctx, std::string_view name, std::uint64_t fallback) {
  const json::Value value = ctx.field(name);
  if (value.is_null())
    return fallback;
  const std::string text(value.is_number() ? value.number_text() : value.is_string() ? value.as_string() : "");
  char* end = nullptr;
  const double rate = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !std::isfinite(rate) || rate <= 0 || rate > kRateMax)
    return Status(Code::kInvalid, "'" + std::string(name) + "' is invalid");
  return std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::llround(rate * 1000)));
}

Status read_group(CallContext& ctx, QuotaRecord& record) {
  COFFER_ASSIGN(const std::string_view text, ctx.string_field("group_by", group_name(record.group)));
  for (const QuotaGroup group :
       {QuotaGroup::kIp, QuotaGroup::kNone, QuotaGroup::kEntityThenIp, QuotaGroup::kEntityThenNone}) {
    if (text == group_name(group)) {
      record.group = group;
      return ok_status();
    }
  }
  return Status(Code::kInvalid,
                "field \"group_by\" must be one of ip, none, entity_then_ip, entity_then_none");
}

Status read_rate(CallContext& ctx, QuotaRecord& record) {
  COFFER_ASSIGN(record.rate_thousandths, rate_field(ctx, "rate", record.rate_thousandths));
  if (record.rate_thousandths == 0)
    return Status(Code::kInvalid, "'rate' is invalid");
  COFFER_ASSIGN(record.interval, ctx.duration_field("interval", record.interval));
  if (record.interval == Nanos(0))
    record.interval = std::chrono::seconds(1);
  COFFER_ASSIGN(record.block_interval, ctx.duration_field("block_interval", record.block_interval));
  if (record.interval < std::chrono::milliseconds(1) || record.interval > std::chrono::hours(24 * 365))
    return Status(Code::kInvalid, "'interval' is invalid");
  if (record.block_interval < Nanos(0) || record.block_interval > std::chrono::hours(24 * 365))
    return Status(Code::kInvalid, "'block' is invalid");
  COFFER_TRY(read_group(ctx, record));
  COFFER_ASSIGN(record.secondary_thousandths, rate_field(ctx, "secondary_rate", record.secondary_thousandths));
  return ok_status();
}

// A namespace, or the mount that a quota's path begins with, must be there.
Status check_path(CallContext& ctx, QuotaRecord& record) {
  if (record.path.size() > limits::kPathBytesMax)
    return Status(Code::kInvalid, "field \"path\" is too long");
  if (record.path == "*")
    record.path.clear();
  std::string folder = record.path;
  if (!folder.empty() && folder.back() != '/')
    folder.push_back('/');
  const NamespaceRecord& ns = ctx.published.namespaces->resolve(folder);
  record.ns = ns.path;
  if (folder == ns.path) {
    record.path = ns.path;
    return record.role.empty() ? ok_status()
                               : Status(Code::kInvalid, "role based quotas need the path of an auth method");
  }
  const Route* route = ctx.published.router->match(record.path);
  if (route == nullptr) {
    route = ctx.published.router->match(folder);
    if (route != nullptr)
      record.path = folder;
  }
  if (route == nullptr || route->record.info.namespace_id != ns.id)
    return Status(Code::kInvalid, "invalid mount path \"" + record.path + "\"");
  if (!record.role.empty() && (route->record.table != MountTable::kAuth || record.path != route->absolute))
    return Status(Code::kInvalid, "role based quotas not supported for this path");
  return ok_status();
}

// What holds in a namespace may hold in those below it; the root's own always does.
Status check_inheritable(const QuotaRecord& record) {
  if (!record.of_namespace() && record.inheritable)
    return Status(Code::kInvalid, "only namespace quotas may be configured as inheritable");
  if (record.path.empty() && !record.inheritable)
    return Status(Code::kInvalid, "all global quotas must be inheritable");
  return ok_status();
}

Status check_alone(CallContext& ctx, const QuotaRecord& record) {
  std::size_t count = 0;
  COFFER_ASSIGN(const ListPage page, ctx.txn.list(layout::core_key(row(record.kind, "")), {}, limits::kQuotasMax + 1));
  for (const std::string_view name : page.names) {
    ++count;
    if (name == record.name)
      continue;
    COFFER_ASSIGN(const auto stored, ctx.txn.get(layout::core_key(row(record.kind, name))));
    if (!stored)
      continue;
    COFFER_ASSIGN(const QuotaRecord other, decode_quota(*stored));
    if (other.path == record.path && other.role == record.role)
      return Status(Code::kInvalid,
                    "quota rule with similar properties exists under the name \"" + other.name + "\"");
  }
  return count < limits::kQuotasMax ? ok_status() : Status(Code::kInvalid, "there are too many quotas");
}

Status write_quota(HandlerContext& base, QuotaKind kind) {
  CallContext& ctx = call(base);
  const std::string_view name = ctx.captures.front();
  if (name.size() > kQuotaNameBytesMax)
    return Status(Code::kInvalid, "the name of the quota is too long");
  QuotaRecord record;
  COFFER_ASSIGN(const auto stored, ctx.txn.get(layout::core_key(row(kind, name))));
  if (stored) {
    COFFER_ASSIGN(record, decode_quota(*stored));
  }
  record.kind = kind;
  record.name = name;
  COFFER_ASSIGN(const std::string_view path, ctx.string_field("path", record.path));
  COFFER_ASSIGN(const std::string_view role, ctx.string_field("role", record.role));
  COFFER_TRY(ctx.string_field("type", "").status());
  record.path = std::string(path);
  record.role = std::string(role);
  COFFER_ASSIGN(record.inheritable, ctx.bool_field("inheritable", stored ? record.inheritable : path.empty()));
  if (kind == QuotaKind::kRate) {
    COFFER_TRY(read_rate(ctx, record));
  } else {
    COFFER_ASSIGN(const std::int64_t most,
                  ctx.int_field("max_leases", static_cast<std::int64_t>(record.max_leases), 0, INT64_MAX));
    if (most == 0)
      return Status(Code::kInvalid, "'max_leases' is invalid");
    record.max_leases = static_cast<std::uint64_t>(most);
  }
  COFFER_TRY(check_path(ctx, record));
  COFFER_TRY(check_inheritable(record));
  COFFER_TRY(check_alone(ctx, record));
  return ctx.txn.put(layout::core_key(row(kind, name)), encode(record));
}

json::Value rate_value(json::Arena& arena, std::uint64_t thousandths) {
  if (thousandths % 1000 == 0)
    return json::Value::number_unsigned(arena, thousandths / 1000);
  std::string text = std::to_string(thousandths / 1000) + "." + std::to_string(1000 + thousandths % 1000).substr(1);
  while (text.back() == '0')
    text.pop_back();
  return json::Value::number_from_text(arena.copy(text));
}

Status read_quota(HandlerContext& base, QuotaKind kind) {
  CallContext& ctx = call(base);
  const std::string_view name = ctx.captures.front();
  COFFER_ASSIGN(const auto stored, ctx.txn.get(layout::core_key(row(kind, name))));
  if (!stored)
    return Status(Code::kNotFound, "");
  COFFER_ASSIGN(const QuotaRecord record, decode_quota(*stored));
  json::ObjectBuilder data(ctx.arena, 12);
  if (kind == QuotaKind::kRate) {
    data.add("block_interval", whole_seconds(record.block_interval))
        .add("group_by", group_name(record.group))
        .add("inheritable", record.inheritable)
        .add("interval", whole_seconds(record.interval))
        .add("name", record.name)
        .add("path", record.path)
        .add("rate", rate_value(ctx.arena, record.rate_thousandths))
        .add("role", record.role)
        .add("secondary_rate", rate_value(ctx.arena, record.secondary_thousandths))
        .add("type", kind_name(kind));
  } else {
    const QuotaSet* quotas = ctx.published.quotas.get();
    const QuotaSet::Rule* rule = quotas == nullptr ? nullptr : quotas->named(kind, name);
    const bool counted = rule != nullptr && rule->leases->counted;
    data.add("counter", counted ? rule->leases->base + rule->changed : 0)
        .add("inheritable", record.inheritable)
        .add("max_leases", static_cast<std::int64_t>(record.max_leases))
        .add("name", record.name)
        .add("path", record.path)
        .add("role", record.role)
        .add("type", kind_name(kind));
  }
  ctx.response.data = data.build();
  return ok_status();
}

Status erase_quota(HandlerContext& base, QuotaKind kind) {
  CallContext& ctx = call(base);
  return ctx.txn.erase(layout::core_key(row(kind, ctx.captures.front())));
}

Status list_quotas(HandlerContext& base, QuotaKind kind) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const ListPage page, ctx.txn.list(layout::core_key(row(kind, "")), {}, 0));
  if (page.names.empty())
    return Status(Code::kNotFound, "");
  ctx.response.data = keys_answer(ctx.arena, page.names);
  return ok_status();
}

Status write_rate(HandlerContext& ctx) { return write_quota(ctx, QuotaKind::kRate); }
Status read_rate_quota(HandlerContext& ctx) { return read_quota(ctx, QuotaKind::kRate); }
Status erase_rate(HandlerContext& ctx) { return erase_quota(ctx, QuotaKind::kRate); }
Status list_rate(HandlerContext& ctx) { return list_quotas(ctx, QuotaKind::kRate); }
Status write_count(HandlerContext& ctx) { return write_quota(ctx, QuotaKind::kLeases); }
Status read_count(HandlerContext& ctx) { return read_quota(ctx, QuotaKind::kLeases); }
Status erase_count(HandlerContext& ctx) { return erase_quota(ctx, QuotaKind::kLeases); }
Status list_count(HandlerContext& ctx) { return list_quotas(ctx, QuotaKind::kLeases); }

Result<QuotaConfig> stored_config(CallContext& ctx) {
  COFFER_ASSIGN(const auto stored, ctx.txn.get(layout::core_key(layout::kQuotaConfig)));
  return stored ? decode_quota_config(*stored) : QuotaConfig();
}

Status read_config(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const QuotaConfig config, stored_config(ctx));
  const auto texts = [&ctx](const std::vector<std::string>& paths) {
    return text_list(ctx.arena, {paths.begin(), paths.end()});
  };
  ctx.response.data = json::ObjectBuilder(ctx.arena, 4)
                          .add("absolute_rate_limit_exempt_paths", texts(config.absolute_exempt_paths))
                          .add("enable_rate_limit_audit_logging", config.audit_logging)
                          .add("enable_rate_limit_response_headers", config.response_headers)
                          .add("rate_limit_exempt_paths", texts(config.exempt_paths))
                          .build();
  return ok_status();
}

Status read_paths(CallContext& ctx, std::string_view name, std::vector<std::string>& paths) {
  if (ctx.field(name).is_null())
    return ok_status();
  COFFER_ASSIGN(const auto given, ctx.list_field(name));
  if (given.size() > limits::kQuotasMax)
    return Status(Code::kInvalid, "field \"" + std::string(name) + "\" holds too many paths");
  paths.assign(given.begin(), given.end());
  return ok_status();
}

Status write_config(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(QuotaConfig config, stored_config(ctx));
  COFFER_ASSIGN(config.audit_logging, ctx.bool_field("enable_rate_limit_audit_logging", config.audit_logging));
  COFFER_ASSIGN(config.response_headers, ctx.bool_field("enable_rate_limit_response_headers", config.response_headers));
  COFFER_TRY(read_paths(ctx, "rate_limit_exempt_paths", config.exempt_paths));
  COFFER_TRY(read_paths(ctx, "absolute_rate_limit_exempt_paths", config.absolute_exempt_paths));
  return ctx.txn.put(layout::core_key(layout::kQuotaConfig), encode(config));
}

// In one namespace, as the index of ids has them.
Status count_in(const store::View& view, const QuotaRecord& record, const NamespaceRecord& ns, std::int64_t& count) {
  std::string prefix(layout::kLeaseIdPrefix);
  if (!record.of_namespace())
    prefix += record.path.substr(ns.path.size(), record.path.find('*') - ns.path.size());
  const store::KeyRange range =
      store::range_of_prefix(store::full_key(store::KeyClass::kClusterLocal, ns.id, layout::kSystemMount, prefix));
  COFFER_ASSIGN(const std::unique_ptr<store::Cursor> cursor, view.cursor());
  COFFER_ASSIGN(bool more, cursor->seek(range.begin));
  while (more && (range.end.empty() || cursor->key() < range.end)) {
    ++count;
    COFFER_ASSIGN(more, cursor->next());
  }
  return ok_status();
}

}  // namespace

bool count_leases_of_a_quota(const Services& services) {
  Result<std::unique_ptr<store::View>> view = services.backend.view();
  const Published* published = view.ok() ? published_in((*view)->attachment()) : nullptr;
  if (published == nullptr || published->sealed || published->quotas == nullptr)
    return false;
  for (const QuotaSet::Rule& rule : published->quotas->rules()) {
    if (rule.record.kind != QuotaKind::kLeases || rule.leases->counted)
      continue;
    std::int64_t count = 0;
    for (const auto& [path, ns] : published->namespaces->all()) {
      const bool below = rule.record.of_namespace() && rule.record.inheritable && path.starts_with(rule.record.ns);
      if ((below || path == rule.record.ns) && !count_in(**view, rule.record, ns, count).ok())
        return false;
    }
    rule.leases->base = count - rule.changed;
    rule.leases->counted = true;
    return true;
  }
  return false;
}

std::vector<PathSpec> sys_quota_specs() {
  const Field path = {"path", FieldType::kString, "Which requests: a mount, a path, or a pattern; empty: all."};
  const Field role = {"role", FieldType::kString, "Of logins to an auth method: with this role."};
  const Field inheritable = {"inheritable", FieldType::kBool, "Whether it holds in namespaces below as well."};
  const Field type = {"type", FieldType::kString, "The kind of quota, as it is read."};
  const Field name = {"name", FieldType::kString, "The name of the quota."};
  std::vector<PathSpec> specs;
  specs.push_back({"quotas/config",
                   "What holds for all quotas.",
                   {{"rate_limit_exempt_paths", FieldType::kStringList, "Paths that no rate limit counts."},
                    {"absolute_rate_limit_exempt_paths", FieldType::kStringList, "The same, with their namespaces."},
                    {"enable_rate_limit_audit_logging", FieldType::kBool, "Audit requests that a quota refused."},
                    {"enable_rate_limit_response_headers", FieldType::kBool, "Tell clients how much is left."}},
                   {{Operation::kRead, Effect::kReads, read_config, "Reads it."},
                    {Operation::kWrite, Effect::kWrites, write_config, "Changes it."}}});
  specs.push_back({"quotas/rate-limit", "Quotas of requests.", {},
                   {{Operation::kList, Effect::kReads, list_rate, "Lists their names."}}});
  specs.push_back({"quotas/rate-limit/", "Quotas of requests.", {},
                   {{Operation::kList, Effect::kReads, list_rate, "Lists their names."}}});
  specs.push_back({"quotas/rate-limit/:name",
                   "How many requests may come in an interval.",
                   {path,
                    role,
                    inheritable,
                    type,
                    name,
                    {"rate", FieldType::kAny, "Requests an interval.", true},
                    {"interval", FieldType::kDuration, "The interval; one second if not given."},
                    {"block_interval", FieldType::kDuration, "How long whoever exceeds it is refused."},
                    {"group_by", FieldType::kString, "Who counts apart: ip, none, entity_then_ip or entity_then_none."},
                    {"secondary_rate", FieldType::kAny, "The rate of those who have no entity."}},
                   {{Operation::kRead, Effect::kReads, read_rate_quota, "Reads a quota."},
                    {Operation::kWrite, Effect::kWrites, write_rate, "Sets a quota."},
                    {Operation::kDelete, Effect::kWrites, erase_rate, "Removes a quota."}}});
  specs.push_back({"quotas/lease-count", "Quotas of leases.", {},
                   {{Operation::kList, Effect::kReads, list_count, "Lists their names."}}});
  specs.push_back({"quotas/lease-count/", "Quotas of leases.", {},
                   {{Operation::kList, Effect::kReads, list_count, "Lists their names."}}});
  specs.push_back({"quotas/lease-count/:name",
                   "How many leases a path may have.",
                   {path, role, inheritable, type, name, {"max_leases", FieldType::kInt, "So many.", true}},
                   {{Operation::kRead, Effect::kReadsMemory, read_count, "Reads a quota."},
                    {Operation::kWrite, Effect::kWrites, write_count, "Sets a quota."},
                    {Operation::kDelete, Effect::kWrites, erase_count, "Removes a quota."}}});
  return specs;
}

}  // namespace coffer::core
