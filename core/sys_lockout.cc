#include "core/answers.h"
#include "core/call.h"
#include "core/lockout.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

// An auth method of the request's own namespace.
bool is_own(const CallContext& ctx, const Route& route) {
  return route.record.table == MountTable::kAuth && route.record.info.namespace_id == ctx.ns.id;
}

// Of the mounts of the request's namespace, or of the one that is named.
Status handle_locked(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string_view wanted, ctx.string_field("mount_accessor", ""));
  json::ArrayBuilder mounts(ctx.arena);
  std::int64_t total = 0;
  for (const Route& route : ctx.published.router->routes()) {
    const MountInfo& mount = route.record.info;
    if (!is_own(ctx, route) || (!wanted.empty() && wanted != mount.accessor) || ctx.services.lockouts == nullptr)
      continue;
    const LockoutRule rule = ctx.services.lockouts->rule(mount.type, route.record.tuning);
    const std::vector<std::string> names = ctx.services.lockouts->names(mount.accessor, rule, ctx.now);
    if (names.empty())
      continue;
    total += static_cast<std::int64_t>(names.size());
    mounts.add(json::ObjectBuilder(ctx.arena, 3)
                   .add("alias_identifiers", owned_text_list(ctx.arena, names))
                   .add("counts", names.size())
                   .add("mount_accessor", mount.accessor)
                   .build());
  }
  json::ArrayBuilder namespaces(ctx.arena);
  if (total > 0)
    namespaces.add(json::ObjectBuilder(ctx.arena, 4)
                       .add("counts", total)
                       .add("mount_accessors", mounts.build())
                       .add("namespace_id", ctx.ns.name)
                       .add("namespace_path", ctx.ns.path)
                       .build());
  ctx.response.data =
      json::ObjectBuilder(ctx.arena, 2).add("by_namespace", namespaces.build()).add("total", total).build();
  return ok_status();
}

Status handle_unlock(HandlerContext& base) {
  CallContext& ctx = call(base);
  for (const Route& route : ctx.published.router->routes())
    if (is_own(ctx, route) && route.record.info.accessor == ctx.captures[0] && ctx.services.lockouts != nullptr)
      after_audit(ctx, [lockouts = ctx.services.lockouts, accessor = std::string(ctx.captures[0]),
                        name = std::string(ctx.captures[1])] { lockouts->forget(accessor, name); });
  return ok_status();
}

}  // namespace

std::vector<PathSpec> sys_lockout_specs() {
  std::vector<PathSpec> specs;
  specs.push_back({"locked-users", "Who is locked out of auth methods after failed logins.",
                   {{"mount_accessor", FieldType::kString, "Only of the auth method with this accessor."}},
                   {{Operation::kRead, Effect::kReadsMemory, handle_locked, "Lists them."}}});
  specs.push_back({"locked-users/:mount_accessor/unlock/*alias_identifier", "Let a name log in again.", {},
                   {{Operation::kWrite, Effect::kReadsMemory, handle_unlock, "Forgets the failed logins of a name."}}});
  return specs;
}

}  // namespace coffer::core
