#include "base/encoding.h"
#include "core/answers.h"
#include "core/call.h"
#include "core/jobs.h"
#include "core/layout.h"
#include "core/migration.h"
#include "core/mounts.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

struct Place {
  MountTable table = MountTable::kSecret;
  const NamespaceRecord* ns = nullptr;  // that of the request, or one below it
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
  place.ns = &ctx.published.namespaces->resolve(ctx.ns.path + text);
  if (!ctx.ns.covers(*place.ns))
    place.ns = &ctx.ns;
  text = (ctx.ns.path + text).substr(place.ns->path.size());
  if (const NamespaceRecord* locked = ctx.published.namespaces->locked_above(*place.ns))
    return Status(Code::kInvalid, "the API of the namespace \"" + locked->path + "\" is locked");
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
  if (place.path.empty())
    return true;
  for (const std::string_view prefix : {"audit/", "auth/", "sys/", "cubbyhole/", "identity/"})
    if (place.path.starts_with(prefix))
      return true;
  return false;
}

Status answer_queued(CallContext& ctx, std::string_view id) {
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("migration_id", id).build();
  return ok_status();
}

// Its records are sealed under their namespace's keys: a job copies them.
Status move_across(CallContext& ctx, MountRecord record, const Place& to, std::string_view id) {
  COFFER_ASSIGN(const bool busy, moved_just_now(ctx.txn, record));
  if (busy)
    return Status(Code::kInvalid, "the mount was moved just now, and what it left behind is still being removed");
  MountRecord there = record;
  there.info.namespace_id = to.ns->id;
  there.info.path = to.path;
  COFFER_TRY(check_mount_path(ctx.txn, there));
  const std::string absolute = to.ns->path + there.route();
  if (ctx.published.namespaces->resolve(absolute).id != to.ns->id)
    return Status(Code::kInvalid, "a namespace stands at \"" + to.shown + "\"");
  record.moving = MountRecord::Move{to.ns->id, to.path};
  COFFER_TRY(start_move(ctx.txn, record, id));
  return answer_queued(ctx, id);
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
  COFFER_ASSIGN(auto record, find_mount(ctx.txn, from.ns->id, from.table, from.path));
  if (!record)
    return Status(Code::kInvalid, "field \"from\": no matching mount there");
  COFFER_ASSIGN(const std::string id, random_uuid(ctx.random));
  COFFER_TRY(remember_move(ctx.txn, id, {from.shown, to.shown, {}}));
  if (from.ns != to.ns)
    return move_across(ctx, std::move(*record), to, id);
  const std::string old_route = record->route();
  record->info.path = to.path;
  COFFER_TRY(check_no_namespace(ctx, *record));
  COFFER_TRY(move_mount(ctx.txn, *record));
  Job job;
  job.id = std::string(kMoveJobHead) + id;
  job.kind = Job::Kind::kEndLeases;
  job.ns = record->info.namespace_id;
  job.prefix = old_route;
  COFFER_TRY(add_job(ctx.txn, job));
  return answer_queued(ctx, id);
}

Status handle_status(HandlerContext& base) {
  CallContext& ctx = call(base);
  const std::string_view id = ctx.captures.front();
  COFFER_ASSIGN(const auto migration, find_move(ctx.txn, id));
  if (!migration)
    return Status(Code::kNotFound, "");
  bool under_way = false;
  for (const Job& job : *ctx.published.jobs)
    under_way = under_way || job.id == std::string(kMoveJobHead).append(id);
  const std::string_view status = under_way ? "in-progress" : migration->failed.empty() ? "success" : "failure";
  if (!migration->failed.empty())
    warn(ctx.response, ctx.arena, "The mount is where it was: " + migration->failed + ".");
  ctx.response.data = json::ObjectBuilder(ctx.arena, 2)
                          .add("migration_id", id)
                          .add("migration_info", json::ObjectBuilder(ctx.arena, 3)
                                                     .add("source_mount", migration->from)
                                                     .add("status", status)
                                                     .add("target_mount", migration->to)
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
