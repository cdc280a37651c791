// sys/internal/inspect: how requests find their mounts. Only where the configuration lets it be asked.
#include "core/answers.h"
#include "core/call.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

// Where a mount's records stand, in the words of core/layout.h.
std::string storage_prefix(const MountRecord& record) {
  std::string text = "ns/";
  layout::append_hex(text, record.storage_namespace().get(), 8);
  layout::append_hex(text.append("/mount/"), record.info.id.get(), 8);
  return text.append("/");
}

json::Value route_value(CallContext& ctx, const Route& route, bool of_storage) {
  const MountInfo& mount = route.record.info;
  const NamespaceRecord* ns = ctx.published.namespaces->find(mount.namespace_id);
  json::ObjectBuilder out(ctx.arena, 7);
  out.add("accessor", mount.accessor)
      .add("mount_namespace", ns == nullptr ? std::string_view() : std::string_view(ns->path))
      .add("mount_path", route.prefix)
      .add("mount_type", mount.type);
  if (of_storage)
    out.add("storage_prefix", storage_prefix(route.record)).add("tainted", route.record.disabled);
  return out.add("uuid", mount.uuid).build();
}

Status handle_router(HandlerContext& base) {
  CallContext& ctx = call(base);
  const std::string_view tag = ctx.captures.front();
  const bool of_storage = tag == "root" || tag == "storage";
  if (!ctx.services.introspection || (!of_storage && tag != "uuid" && tag != "accessor"))
    return Status(Code::kNotFound, one_error("unsupported path"));
  json::ArrayBuilder rows(ctx.arena, ctx.published.router->routes().size());
  for (const Route& route : ctx.published.router->routes())
    rows.add(route_value(ctx, route, of_storage));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add(tag, rows.build()).build();
  return ok_status();
}

}  // namespace

std::vector<PathSpec> sys_inspect_specs() {
  std::vector<PathSpec> specs;
  specs.push_back({"internal/inspect/router/:tag", "The routes by root, uuid, accessor or storage.", {},
                   {{Operation::kRead, Effect::kReads, handle_router, "Reads the routes."}}});
  specs.back().sudo = true;
  return specs;
}

}  // namespace coffer::core
