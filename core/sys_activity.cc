// Client counts (core/activity.h): read from the names of their records, which say all that is counted.
#include <charconv>
#include <map>
#include <unordered_set>

#include "base/codec.h"
#include "base/time_text.h"
#include "core/activity.h"
#include "core/answers.h"
#include "core/call.h"
#include "core/layout.h"
#include "core/mounts.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

constexpr std::size_t kPageNamesMax = 4096;
constexpr std::size_t kExportBytesMax = 16u << 20;
constexpr std::int64_t kMonthsMax = 60;

struct Counts {
  std::int64_t entities = 0;
  std::int64_t tokens = 0;
  void add(bool entity) { ++(entity ? entities : tokens); }
};

// One record's name, taken apart; views into it.
struct Row {
  Month month = 0;
  bool entity = false;
  NamespaceId ns{0};
  std::string_view accessor;
  std::string_view id;
};

// "202611/e/00000000/auth_userpass_1a2b3c4d/<id>"
std::optional<Row> row_of(std::string_view rest) {
  Row row;
  std::uint32_t ns = 0;
  if (rest.size() < 18 || rest[6] != '/' || rest[8] != '/' || rest[17] != '/')
    return std::nullopt;
  const bool numbers =
      std::from_chars(rest.data(), rest.data() + 6, row.month).ptr == rest.data() + 6 &&
      std::from_chars(rest.data() + 9, rest.data() + 17, ns, 16).ptr == rest.data() + 17;
  const std::size_t slash = rest.find('/', 18);
  if (!numbers || slash == std::string_view::npos)
    return std::nullopt;
  row.entity = rest[7] == 'e';
  row.ns = NamespaceId(ns);
  row.accessor = rest.substr(18, slash - 18);
  row.id = rest.substr(slash + 1);
  return row;
}

// Every client of the months from `first` to `last` that the caller's namespace covers, in order; `see` gets its row
// and the whole name. Memory: a page.
template <typename See>
Status for_each_client(CallContext& ctx, Month first, Month last, See see) {
  for (Month month = first; month <= last; month = month_after(month)) {
    const std::string prefix = std::string(layout::kActivityPrefix) + std::to_string(month) + "/";
    std::string from;
    do {
      json::Arena arena;
      TxnImpl::Buffers buffers;
      TxnImpl txn = ctx.txn.beside(arena, buffers);
      COFFER_ASSIGN(TxnImpl::NamePage page, txn.names(layout::token_key(prefix), from, kPageNamesMax, false));
      for (const std::string_view name : page.names) {
        const auto row = row_of(name.substr(layout::kActivityPrefix.size()));
        const NamespaceRecord* ns = row ? ctx.published.namespaces->find(row->ns) : nullptr;
        if (row && (ns == nullptr ? ctx.ns.is_root() : ctx.ns.covers(*ns)))
          COFFER_TRY(see(*row, name, txn));
      }
      from = std::move(page.next);
    } while (!from.empty());
  }
  return ok_status();
}

// A client counts once, where it was seen first.
class Tally {
 public:
  void add(const Row& row) {
    if (!seen_.insert(std::string(row.id)).second)
      return;
    total_.add(row.entity);
    Place& place = places_[row.ns];
    place.counts.add(row.entity);
    place.mounts[std::string(row.accessor)].add(row.entity);
  }
  json::Value by_namespace(CallContext& ctx) const {
    json::ArrayBuilder list(ctx.arena, places_.size());
    for (const auto& [id, place] : places_) {
      const NamespaceRecord* ns = ctx.published.namespaces->find(id);
      json::ArrayBuilder mounts(ctx.arena, place.mounts.size());
      for (const auto& [accessor, counts] : place.mounts)
        mounts.add(json::ObjectBuilder(ctx.arena, 2)
                       .add("counts", value(ctx.arena, counts))
                       .add("mount_path", mount_path(ctx, id, accessor))
                       .build());
      list.add(json::ObjectBuilder(ctx.arena, 4)
                   .add("counts", value(ctx.arena, place.counts))
                   .add("mounts", mounts.build())
                   .add("namespace_id", ns == nullptr ? std::string_view("deleted") : std::string_view(ns->name))
                   .add("namespace_path", ns == nullptr ? std::string_view() : std::string_view(ns->path))
                   .build());
    }
    return list.build();
  }
  static json::Value value(json::Arena& arena, const Counts& counts) {
    return json::ObjectBuilder(arena, 7)
        .add("acme_clients", std::int64_t{0})
        .add("clients", counts.entities + counts.tokens)
        .add("distinct_entities", counts.entities)
        .add("entity_clients", counts.entities)
        .add("non_entity_clients", counts.tokens)
        .add("non_entity_tokens", counts.tokens)
        .add("secret_syncs", std::int64_t{0})
        .build();
  }
  const Counts& total() const { return total_; }
  bool knows(std::string_view id) const { return seen_.contains(std::string(id)); }

 private:
  struct Place {
    Counts counts;
    std::map<std::string, Counts> mounts;
  };
  static std::string mount_path(const CallContext& ctx, NamespaceId ns, const std::string& accessor) {
    for (const Route& route : ctx.published.router->routes())
      if (route.record.info.accessor == accessor && route.record.info.namespace_id == ns)
        return route.prefix;
    return accessor.empty() ? "no mount accessor (pre-1.10 upgrade?)" : "deleted mount; accessor \"" + accessor + "\"";
  }

  std::unordered_set<std::string> seen_;
  Counts total_;
  std::map<NamespaceId, Place> places_;
};

// RFC 3339, or seconds since 1970.
Result<WallTime> time_field(CallContext& ctx, std::string_view name, WallTime fallback) {
  const json::Value given = ctx.field(name);
  if (given.is_null())
    return fallback;
  const std::string text(given.is_number() ? given.number_text() : given.is_string() ? given.as_string() : "");
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc() && end == text.data() + text.size() && seconds >= 0 && seconds < (std::int64_t{1} << 33))
    return WallTime(std::chrono::seconds(seconds));
  const Result<WallTime> parsed = parse_time(text);
  if (!parsed.ok())
    return Status(Code::kInvalid, "field \"" + std::string(name) + "\" must be a time such as 2024-01-01T00:00:00Z");
  return *parsed;
}

struct Period {
  Month first = 0;
  Month last = 0;
};

// Whole months; the default ends with the current one.
Result<Period> period_of(CallContext& ctx) {
  COFFER_ASSIGN(const ActivityConfig config, read_activity_config(ctx.txn));
  COFFER_ASSIGN(const WallTime end, time_field(ctx, "end_time", ctx.now));
  const Month last = month_of(end);
  const WallTime usual = month_begins(month_after(last, 1 - static_cast<int>(config.report_months)));
  COFFER_ASSIGN(const WallTime start, time_field(ctx, "start_time", usual));
  const Period period{month_of(start), last};
  if (start > end)
    return Status(Code::kInvalid, "start_time is later than end_time");
  if (month_after(period.first, static_cast<int>(kMonthsMax)) <= period.last)
    return Status(Code::kInvalid, "start_time and end_time are more than 60 months apart");
  return period;
}

json::Value month_value(CallContext& ctx, Month month, const Tally& all, const Tally& fresh) {
  const auto part = [&ctx](const Tally& tally) {
    json::ObjectBuilder out(ctx.arena, 3);
    out.add("counts", Tally::value(ctx.arena, tally.total())).add("namespaces", tally.by_namespace(ctx));
    return out;
  };
  return part(all)
      .add("new_clients", part(fresh).build())
      .add("timestamp", format_time(month_begins(month)))
      .build();
}

Status handle_activity(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const Period period, period_of(ctx));
  Tally total;
  json::ArrayBuilder months(ctx.arena, static_cast<std::size_t>(kMonthsMax));
  for (Month month = period.first; month <= period.last; month = month_after(month)) {
    Tally all;
    Tally fresh;
    COFFER_TRY(for_each_client(ctx, month, month, [&](const Row& row, std::string_view, TxnImpl&) {
      all.add(row);
      if (!total.knows(row.id))
        fresh.add(row);
      total.add(row);
      return ok_status();
    }));
    months.add(month_value(ctx, month, all, fresh));
  }
  if (total.total().entities + total.total().tokens == 0) {
    ctx.response.status = 204;
    return ok_status();
  }
  ctx.response.data = json::ObjectBuilder(ctx.arena, 5)
                          .add("by_namespace", total.by_namespace(ctx))
                          .add("end_time", format_time(month_begins(month_after(period.last)) - Nanos(1'000'000'000)))
                          .add("months", months.build())
                          .add("start_time", format_time(month_begins(period.first)))
                          .add("total", Tally::value(ctx.arena, total.total()))
                          .build();
  return ok_status();
}

Status handle_monthly(HandlerContext& base) {
  CallContext& ctx = call(base);
  const Month month = month_of(ctx.now);
  Tally tally;
  COFFER_TRY(for_each_client(ctx, month, month, [&](const Row& row, std::string_view, TxnImpl&) {
    tally.add(row);
    return ok_status();
  }));
  const Counts& total = tally.total();
  json::ArrayBuilder months(ctx.arena, 1);
  months.add(month_value(ctx, month, tally, tally));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 7)
                          .add("by_namespace", tally.by_namespace(ctx))
                          .add("clients", total.entities + total.tokens)
                          .add("distinct_entities", total.entities)
                          .add("entity_clients", total.entities)
                          .add("months", months.build())
                          .add("non_entity_clients", total.tokens)
                          .add("non_entity_tokens", total.tokens)
                          .build();
  return ok_status();
}

Result<WallTime> first_seen(TxnImpl& txn, std::string_view name) {
  COFFER_ASSIGN(const auto value, txn.get(layout::token_key(name)));
  ByteReader reader(value ? *value : std::string_view());
  reader.u8();
  const WallTime at(Nanos(static_cast<std::int64_t>(reader.u64())));
  COFFER_TRY(reader.finish().with_context("the record of a client"));
  return at;
}

Status append_client(CallContext& ctx, const Row& row, WallTime at, bool csv, std::string& out) {
  const NamespaceRecord* ns = ctx.published.namespaces->find(row.ns);
  std::string_view path;
  std::string_view type;
  for (const Route& route : ctx.published.router->routes())
    if (route.record.info.accessor == row.accessor)
      path = route.prefix, type = route.record.info.type;
  const std::pair<std::string_view, std::string> fields[] = {
      {"client_id", std::string(row.id)},
      {"client_type", row.entity ? "entity" : "non-entity-token"},
      {"namespace_id", ns == nullptr ? "deleted" : ns->name},
      {"namespace_path", ns == nullptr ? "" : ns->path},
      {"mount_accessor", std::string(row.accessor)},
      {"mount_path", std::string(path)},
      {"mount_type", std::string(type)},
      {"timestamp", format_time(at)}};
  if (csv) {
    for (const auto& [name, value] : fields)
      out.append(name == "client_id" ? "" : ",").append(value);
    out += '\n';
    return ok_status();
  }
  json::ObjectBuilder object(ctx.arena, std::size(fields));
  for (const auto& [name, value] : fields)
    object.add(name, value);
  json::write(object.build(), out);
  out += '\n';
  return ok_status();
}

Status handle_export(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const Period period, period_of(ctx));
  COFFER_ASSIGN(const std::string_view format, ctx.string_field("format", "json"));
  if (format != "json" && format != "csv")
    return Status(Code::kInvalid, "field \"format\" must be json or csv");
  const bool csv = format == "csv";
  std::string out;
  std::unordered_set<std::string> seen;
  COFFER_TRY(for_each_client(ctx, period.first, period.last,
                             [&](const Row& row, std::string_view name, TxnImpl& txn) -> Status {
    if (!seen.insert(std::string(row.id)).second)
      return ok_status();
    if (out.size() > kExportBytesMax)
      return Status(Code::kTooLarge, "the export is too large: ask for fewer months");
    COFFER_ASSIGN(const WallTime at, first_seen(txn, name));
    return append_client(ctx, row, at, csv, out);
  }));
  if (out.empty()) {
    ctx.response.status = 204;
    return ok_status();
  }
  if (csv)
    out.insert(0, "client_id,client_type,namespace_id,namespace_path,mount_accessor,mount_path,mount_type,timestamp\n");
  ctx.response.status = 200;
  ctx.response.content_type = csv ? "text/csv" : "application/json";
  ctx.response.raw_body = ctx.arena.copy(out);
  return ok_status();
}

Status handle_config_read(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const ActivityConfig config, read_activity_config(ctx.txn));
  COFFER_ASSIGN(const TxnImpl::NamePage any,
                ctx.txn.names(layout::token_key(layout::kActivityPrefix), {}, 1, false));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 6)
                          .add("default_report_months", static_cast<std::int64_t>(config.report_months))
                          .add("enabled", config.enabled ? "default-enabled" : "disable")
                          .add("minimum_retention_months", std::int64_t{0})
                          .add("queries_available", !any.names.empty())
                          .add("reporting_enabled", false)
                          .add("retention_months", static_cast<std::int64_t>(config.retention_months))
                          .build();
  return ok_status();
}

Status handle_config_write(HandlerContext& base) {
  CallContext& ctx = call(base);
  if (!ctx.ns.is_root())
    return Status(Code::kInvalid, "operation only available in root namespace");
  COFFER_ASSIGN(ActivityConfig config, read_activity_config(ctx.txn));
  COFFER_ASSIGN(const std::string_view enabled, ctx.string_field("enabled", config.enabled ? "default" : "disable"));
  if (enabled != "default" && enabled != "enable" && enabled != "disable")
    return Status(Code::kInvalid, "enabled must be one of \"default\", \"enable\", \"disable\"");
  config.enabled = enabled != "disable";
  COFFER_ASSIGN(const std::int64_t kept, ctx.int_field("retention_months", config.retention_months, 1, kMonthsMax));
  COFFER_ASSIGN(const std::int64_t report, ctx.int_field("default_report_months", config.report_months, 1, kMonthsMax));
  config.retention_months = static_cast<std::uint32_t>(kept);
  config.report_months = static_cast<std::uint32_t>(report);
  if (ctx.services.activity != nullptr)
    ctx.services.activity->enable(config.enabled);
  return ctx.txn.put(layout::token_key(layout::kActivityConfig), encode(config));
}

Status handle_entities(HandlerContext& base) {
  CallContext& ctx = call(base);
  std::int64_t total = 0;
  for (const auto& [path, ns] : ctx.published.namespaces->all()) {
    if (!ctx.ns.covers(ns))
      continue;
    std::string from;
    do {
      json::Arena arena;
      TxnImpl::Buffers buffers;
      TxnImpl txn = ctx.txn.beside(arena, buffers);
      COFFER_ASSIGN(TxnImpl::NamePage page,
                    txn.names({store::KeyClass::kShared, ns.id, kIdentityMountId, "entity/"}, from,
                              kPageNamesMax, false));
      total += static_cast<std::int64_t>(page.names.size());
      from = std::move(page.next);
    } while (!from.empty());
  }
  ctx.response.data =
      json::ObjectBuilder(ctx.arena, 1)
          .add("counters", json::ObjectBuilder(ctx.arena, 1)
                               .add("entities", json::ObjectBuilder(ctx.arena, 1).add("total", total).build())
                               .build())
          .build();
  return ok_status();
}

// There is no licence to be had or to run out.
Status handle_license(HandlerContext& base) {
  CallContext& ctx = call(base);
  ctx.response.data = json::ObjectBuilder(ctx.arena, 2)
                          .add("autoloading_used", false)
                          .add("persisted_autoload", json::Value())
                          .build();
  warn(ctx.response, ctx.arena, "This server needs no license: every feature that it has is available.");
  return ok_status();
}

}  // namespace

std::vector<PathSpec> sys_activity_specs() {
  const Field start = {"start_time", FieldType::kAny, "Beginning of the period; whole months are counted."};
  const Field end = {"end_time", FieldType::kAny, "End of the period; now if not given."};
  const Field format = {"format", FieldType::kString, "json, an object a line, or csv."};
  std::vector<PathSpec> specs;
  const auto reading = [&specs](std::string_view pattern, std::string_view help, std::vector<Field> fields,
                                Handler handler, bool sudo = false) {
    specs.push_back({pattern, help, std::move(fields), {{Operation::kRead, Effect::kReads, handler, help}}, nullptr,
                     false, sudo});
  };
  reading("internal/counters/activity", "How many clients used the cluster in a period.", {start, end},
          handle_activity);
  reading("internal/counters/activity/monthly", "How many clients used the cluster this month.", {}, handle_monthly);
  reading("internal/counters/activity/export", "Every client of a period, a line each.", {start, end, format},
          handle_export, true);
  reading("internal/counters/entities", "How many entities there are.", {}, handle_entities);
  reading("license/status", "What is known of a license: none is needed.", {}, handle_license);
  specs.push_back({"internal/counters/config",
                   "Whether clients are counted, and how long that is kept.",
                   {{"enabled", FieldType::kString, "default, enable or disable."},
                    {"retention_months", FieldType::kInt, "Months that are kept, 1 to 60; 48 if not set."},
                    {"default_report_months", FieldType::kInt, "Months of a report; 12 if not set."}},
                   {{Operation::kRead, Effect::kReads, handle_config_read, "Reads it."},
                    {Operation::kWrite, Effect::kWrites, handle_config_write, "Changes it."}}});
  return specs;
}

}  // namespace coffer::core
