#include "base/codec.h"
#include "base/encoding.h"
#include "core/answers.h"
#include "core/call.h"
#include "core/jobs.h"
#include "core/layout.h"
#include "core/mounts.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

constexpr std::size_t kMigrationsMax = 1024;  // remembered; the oldest names go first
constexpr std::string_view kJobHead = "leases-";

struct Place {
  MountTable table = MountTable::kSecret;
  std::string path;  // of its table
  std::string shown; // as it was given, with one slash at the end
};

Result<Place> place_of(CallContext& ctx, std::string_view field) {
  COFFER_ASSIGN(const std::string_view given, ctx.string_field(field, ""));
  if (given.empty())
    return Status(Code::kInvalid, "both 'from' and 'to' path must be specified as a string");
  std::string text(given);
  if (text.back() != '/')
    text.push_back('/');
  const Result<CanonicalPath> canonical = CanonicalPath::from_text(text);
  if (!canonical.ok() || canonical->view() != text)
    return Status(Code::kInvalid, "field \"" + std::string(field) + "\" is no path of a mount");
  Place place;
  place.shown = text;
  if (text.starts_with("auth/") && text.size() > 5) {
    place.table = MountTable::kAuth;
    text.erase(0, 5);
  }
  place.path = text;
  return place;
}

bool is_fixed(const Place& place) {
  if (place.table == MountTable::kAuth)
    return place.path == "token/";
  for (const std::string_view prefix : {"audit/", "auth/", "sys/", "cubbyhole/", "identity/"})
    if (place.path.starts_with(prefix))
      return true;
  return false;
}

std::string migration_name(std::string_view id) { return std::string(layout::kMigrationPrefix).append(id); }

// Bounded: what was asked for long ago is forgotten.
Status remember(CallContext& ctx, std::string_view id, const Place& from, const Place& to) {
  COFFER_ASSIGN(const ListPage page, ctx.txn.list(layout::core_key(layout::kMigrationPrefix), {}, kMigrationsMax));
  if (page.names.size() >= kMigrationsMax)
    COFFER_TRY(ctx.txn.erase(layout::core_key(migration_name(page.names.front()))));
  std::string record;
  ByteWriter(record).u8(1).bytes(from.shown).bytes(to.shown);
  return ctx.txn.put(layout::core_key(migration_name(id)), record);
}

// From the commit on the mount answers at its new place. Leases and tokens of the old one are revoked by a job.
Status handle_remount(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const Place from, place_of(ctx, "from"));
  COFFER_ASSIGN(const Place to, place_of(ctx, "to"));
  if (is_fixed(from))
    return Status(Code::kInvalid, "cannot remount \"" + from.shown + "\"");
  if (is_fixed(to))
    return Status(Code::kInvalid, "cannot remount to \"" + to.shown + "\"");
  if (from.table != to.table)
    return Status(Code::kInvalid, std::string(from.table == MountTable::kAuth
                                                  ? "cannot remount auth mount to non-auth mount \""
                                                  : "cannot remount non-auth mount to auth mount \"") +
                                      to.shown + "\"");
  COFFER_ASSIGN(auto record, find_mount(ctx.txn, ctx.ns.id, from.table, from.path));
  if (!record)
    return Status(Code::kInvalid, "field \"from\": no matching mount there");
  const std::string old_route = record->route();
  record->info.path = to.path;
  COFFER_TRY(move_mount(ctx.txn, *record));
  COFFER_ASSIGN(const std::string id, random_uuid(ctx.random));
  COFFER_TRY(remember(ctx, id, from, to));
  Job job;
  job.id = std::string(kJobHead) + id;
  job.kind = Job::Kind::kEndLeases;
  job.at = ctx.now;
  job.ns = record->info.namespace_id;
  job.prefix = old_route;
  COFFER_TRY(add_job(ctx.txn, job));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("migration_id", id).build();
  return ok_status();
}

Status handle_status(HandlerContext& base) {
  CallContext& ctx = call(base);
  const std::string_view id = ctx.captures.front();
  COFFER_ASSIGN(const auto stored, ctx.txn.get(layout::core_key(migration_name(id))));
  if (!stored)
    return Status(Code::kNotFound, "");
  ByteReader reader(*stored);
  const std::uint8_t format = reader.u8();
  const std::string_view from = reader.bytes();
  const std::string_view to = reader.bytes();
  COFFER_TRY(reader.finish().with_context("the record of a move"));
  if (format != 1)
    return Status(Code::kDataLoss, "the record of a move has an unknown form");
  bool under_way = false;
  for (const Job& job : *ctx.published.jobs)
    under_way = under_way || job.id == std::string(kJobHead).append(id);
  ctx.response.data = json::ObjectBuilder(ctx.arena, 2)
                          .add("migration_id", id)
                          .add("migration_info", json::ObjectBuilder(ctx.arena, 3)
                                                     .add("source_mount", from)
                                                     .add("status", under_way ? "in-progress" : "success")
                                                     .add("target_mount", to)
                                                     .build())
                          .build();
  return ok_status();
}

}  // namespace

std::vector<PathSpec> sys_remount_specs() {
  std::vector<PathSpec> specs;
  specs.push_back({"remount",
                   "Move a secrets engine or an auth method to another path.",
                   {{"from", FieldType::kString, "Where it is; auth methods below auth/.", true},
                    {"to", FieldType::kString, "Where it shall be.", true}},
                   {{Operation::kWrite, Effect::kWrites, handle_remount, "Moves a mount."}},
                   nullptr,
                   false,
                   true});
  specs.push_back({"remount/status/:migration_id", "How far a move has come.", {},
                   {{Operation::kRead, Effect::kReads, handle_status, "Reads the state of a move."}}});
  return specs;
}

}  // namespace coffer::core
