// The catalog of engines: those that are built in, and no others. It is read, not written.
#include "core/answers.h"
#include "core/call.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

struct Kind {
  std::string_view name;
  MountTable table;
};
constexpr Kind kKinds[] = {{"auth", MountTable::kAuth}, {"secret", MountTable::kSecret}};

std::string version_of(const CallContext& ctx) {
  return "v" + ctx.services.version.substr(0, ctx.services.version.find('+')) + "+builtin.vault";
}

Status handle_catalog(HandlerContext& base) {
  CallContext& ctx = call(base);
  json::ObjectBuilder data(ctx.arena, 4);
  json::ArrayBuilder detailed(ctx.arena, 16);
  for (const Kind& kind : kKinds) {
    const std::vector<std::string_view> types = ctx.services.engines.mountable_types(kind.table);
    data.add(kind.name, text_list(ctx.arena, types));
    if (kind.table == MountTable::kAuth)
      data.add("database", text_list(ctx.arena, {}));
    for (const std::string_view type : types)
      detailed.add(json::ObjectBuilder(ctx.arena, 5)
                       .add("builtin", true)
                       .add("deprecation_status", "supported")
                       .add("name", type)
                       .add("type", kind.name)
                       .add("version", version_of(ctx))
                       .build());
  }
  data.add("detailed", detailed.build());
  ctx.response.data = data.build();
  return ok_status();
}

const Kind* kind_of(const CallContext& ctx) {
  for (const Kind& kind : kKinds)
    if (kind.name == ctx.captures.front())
      return &kind;
  return nullptr;
}

Status handle_kind(HandlerContext& base) {
  CallContext& ctx = call(base);
  std::vector<std::string_view> types;
  if (const Kind* kind = kind_of(ctx))
    types = ctx.services.engines.mountable_types(kind->table);
  else if (ctx.captures.front() != "database")
    return Status(Code::kInvalid, "the type of a plugin must be auth, database or secret");
  ctx.response.data = keys_answer(ctx.arena, types);
  return ok_status();
}

Status handle_plugin(HandlerContext& base) {
  CallContext& ctx = call(base);
  const Kind* kind = kind_of(ctx);
  const std::string_view name = ctx.captures[1];
  if (kind == nullptr || !ctx.services.engines.mountable(kind->table, name))
    return Status(Code::kNotFound, "");
  ctx.response.data = json::ObjectBuilder(ctx.arena, 7)
                          .add("args", json::Value())
                          .add("builtin", true)
                          .add("command", "")
                          .add("deprecation_status", "supported")
                          .add("name", name)
                          .add("sha256", "")
                          .add("version", version_of(ctx))
                          .build();
  return ok_status();
}

}  // namespace

std::vector<PathSpec> sys_plugin_specs() {
  std::vector<PathSpec> specs;
  const auto add = [&specs](std::string_view pattern, std::string_view help, Operation operation, Handler handler,
                            bool sudo) {
    specs.push_back({pattern, help, {}, {{operation, Effect::kReads, handler, help}}, nullptr, false, sudo});
  };
  add("plugins/catalog", "The engines that this server has.", Operation::kRead, handle_catalog, false);
  for (const std::string_view pattern : {"plugins/catalog/:type", "plugins/catalog/:type/"})
    add(pattern, "The engines of a type: auth, database or secret.", Operation::kList, handle_kind, true);
  add("plugins/catalog/:type/:name", "One engine.", Operation::kRead, handle_plugin, true);
  return specs;
}

}  // namespace coffer::core
