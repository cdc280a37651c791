#include "core/answers.h"
#include "core/call.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

bool visible(const CallContext& ctx, const Route& route) {
  return route.record.info.namespace_id == ctx.ns.id && ctx.acl != nullptr &&
         (ctx.acl->is_root() || ctx.acl->has_access_below(ctx.acl_path(route.prefix)));
}

// What is shown to everybody of a mount that was tuned so.
json::Value public_value(json::Arena& arena, const Route& route) {
  json::ObjectBuilder options(arena, route.record.info.options.size() + 1);
  for (const auto& [name, value] : route.record.info.options)
    options.add(name, value);
  return json::ObjectBuilder(arena, 3)
      .add("description", route.record.info.description)
      .add("options", route.record.info.options.empty() ? json::Value() : options.build())
      .add("type", route.record.info.type)
      .build();
}

// What the calling token can reach, and what everybody may see.
Status handle_mounts(HandlerContext& base) {
  CallContext& ctx = call(base);
  json::ObjectBuilder auth(ctx.arena);
  json::ObjectBuilder secret(ctx.arena);
  for (const Route& route : ctx.published.router->routes()) {
    const bool reached = visible(ctx, route);
    const bool here = route.record.info.namespace_id == ctx.ns.id;
    const bool shown = here && route.record.tuning.listing_visibility == "unauth";
    if (reached || shown)
      (route.record.table == MountTable::kAuth ? auth : secret)
          .add(route.record.info.path, reached ? mount_value(ctx, route, false) : public_value(ctx.arena, route));
  }
  ctx.response.data = json::ObjectBuilder(ctx.arena, 2).add("auth", auth.build()).add("secret", secret.build()).build();
  return ok_status();
}

// The same refusal whether nothing is mounted there or the token reaches nothing below (advisory B5).
Status handle_mount(HandlerContext& base) {
  CallContext& ctx = call(base);
  std::string path(ctx.captures.front());
  if (path.back() != '/')
    path.push_back('/');
  const Route* route = ctx.published.router->match(ctx.ns.path + path);
  if (route != nullptr && visible(ctx, *route)) {
    ctx.response.data = mount_value(ctx, *route, true);
    return ok_status();
  }
  ctx.response.status = 403;
  const std::string text =
      "preflight capability check returned 403, please ensure client's policies grant access to path \"" + path + "\"";
  ctx.response.errors = {ctx.arena.copy(text), "permission denied"};
  return ok_status();
}

// Namespaces below this one that the calling token reaches into.
Status handle_namespaces(HandlerContext& base) {
  CallContext& ctx = call(base);
  std::vector<std::string_view> names;
  if (ctx.acl != nullptr)
    for (const auto& [path, ns] : ctx.published.namespaces->all()) {
      if (path == ctx.ns.path || !ctx.ns.covers(ns) || ns.deleting)
        continue;
      const std::string_view below = ctx.arena.copy(std::string_view(path).substr(ctx.ns.path.size()));
      if (ctx.acl->is_root() || ctx.acl->has_access_below(ctx.acl_path(below)))
        names.push_back(below);
    }
  ctx.response.data = names.empty() ? json::ObjectBuilder(ctx.arena, 1).build() : keys_answer(ctx.arena, names);
  return ok_status();
}

// To whoever shows a token that is alive; the version is nobody else's business.
Status handle_version(HandlerContext& base) {
  CallContext& ctx = call(base);
  if (ctx.token == nullptr)
    return Status(Code::kUnauthenticated, "permission denied");
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("version", ctx.services.version).build();
  return ok_status();
}

Status handle_feature_flags(HandlerContext& ctx) {
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("feature_flags", json::Value::array({})).build();
  ctx.response.bare = true;
  return ok_status();
}

Status handle_default_methods(HandlerContext& ctx) {
  ctx.response.data = json::ObjectBuilder(ctx.arena, 2)
                          .add("backup_auth_types", json::Value::array({}))
                          .add("default_auth_type", "")
                          .build();
  return ok_status();
}

// Whatever registers places below /.well-known/ comes with its engine.
Status handle_well_known(HandlerContext&) { return Status(Code::kNotFound, ""); }

}  // namespace

std::vector<PathSpec> sys_ui_specs() {
  std::vector<PathSpec> specs;
  specs.push_back({"internal/ui/namespaces",
                   "The namespaces that the calling token can reach into.",
                   {},
                   {{Operation::kRead, Effect::kReads, handle_namespaces, "Lists the namespaces."}},
                   nullptr,
                   true});
  specs.push_back({"internal/ui/version",
                   "The server's version, for who shows a token.",
                   {},
                   {{Operation::kRead, Effect::kReads, handle_version, "Reads the version."}},
                   nullptr,
                   true});
  specs.push_back({"internal/ui/feature-flags",
                   "Flags that change what the web page offers: none are set.",
                   {},
                   {{Operation::kRead, Effect::kReads, handle_feature_flags, "Reads the flags."}},
                   nullptr,
                   true});
  specs.push_back({"internal/ui/default-auth-methods",
                   "Which login form the web page shows first: no choice was made.",
                   {},
                   {{Operation::kRead, Effect::kReads, handle_default_methods, "Reads the choice."}},
                   nullptr,
                   true});
  specs.push_back({"well-known",
                   "Places below /.well-known/ that engines answer at.",
                   {},
                   {{Operation::kList, Effect::kReads, handle_well_known, "Lists the places."},
                    {Operation::kRead, Effect::kReads, handle_well_known, "Lists the places."}}});
  specs.push_back({"well-known/:label",
                   "One place below /.well-known/, and the engine that answers there.",
                   {},
                   {{Operation::kRead, Effect::kReads, handle_well_known, "Reads one place."}}});
  specs.push_back({"internal/ui/mounts",
                   "The mounts that the calling token can reach into.",
                   {},
                   {{Operation::kRead, Effect::kReads, handle_mounts, "Lists the mounts that the token reaches."}},
                   nullptr,
                   true});
  specs.push_back({"internal/ui/mounts/*path",
                   "Information about one mount, for a token that reaches something below it.",
                   {},
                   {{Operation::kRead, Effect::kReads, handle_mount, "Reads the mount that a path belongs to."}},
                   nullptr,
                   true});
  return specs;
}

}  // namespace coffer::core
