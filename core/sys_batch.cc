// Several reads in one request, and one search over all mounts. Each path is routed and authorised as a request of its
// own would be. The paths are members of the answer, so the audit line of the response names every one in clear.
#include <algorithm>

#include "base/path.h"
#include "core/answers.h"
#include "core/request_caller.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

json::Value answer_value(CallContext& ctx, const Response& response) {
  json::ObjectBuilder value(ctx.arena, 5);
  value.add("data", response.data)
      .add("errors", text_list(ctx.arena, response.errors))
      .add("lease_duration", whole_seconds(response.lease_duration))
      .add("status", static_cast<std::int64_t>(response.status != 0           ? response.status
                                               : response.data.is_null() ? 204
                                                                         : 200))
      .add("warnings", text_list(ctx.arena, response.warnings));
  return value.build();
}

Status handle_batch(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::vector<std::string_view> paths, ctx.list_field("paths"));
  if (paths.empty() || paths.size() > limits::kBatchPathsMax)
    return Status(Code::kInvalid,
                  "field \"paths\" must name 1 to " + std::to_string(limits::kBatchPathsMax) + " paths to read");
  json::ObjectBuilder answers(ctx.arena, paths.size());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (std::find(paths.begin(), paths.begin() + static_cast<std::ptrdiff_t>(i), paths[i]) !=
        paths.begin() + static_cast<std::ptrdiff_t>(i))
      return Status(Code::kInvalid, "field \"paths\" names a path twice");
    const Result<CanonicalPath> path = CanonicalPath::from_text(paths[i]);
    if (!path.ok() || paths[i].ends_with('/'))
      return Status(Code::kInvalid, "field \"paths\" must hold canonical paths of what can be read");
    COFFER_ASSIGN(const Response answer, read_inside(ctx, Operation::kRead, ctx.arena.copy(path->view()), {}));
    answers.add(paths[i], answer_value(ctx, answer));
    if (ctx.arena.bytes_used() > limits::kBatchAnswerBytesMax)
      return Status(Code::kTooLarge, "the answer is too large: ask for fewer paths at a time");
  }
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("answers", answers.build()).build();
  return ok_status();
}

// Names of one mount's hits, behind its prefix; where its search stopped early.
Status search_mount(CallContext& ctx, const Route& route, const json::Value& question, json::ObjectBuilder& hits,
                    json::ObjectBuilder& unfinished) {
  Response response;
  COFFER_ASSIGN(response, read_inside(ctx, Operation::kRead, ctx.arena.copy(route.prefix + "search"), question));
  const json::Value* info = response.data.find("key_info");
  if (response.has_errors() || info == nullptr)
    return ok_status();
  for (const json::Member& member : info->members())
    hits.add(ctx.arena.copy(route.prefix + std::string(member.key())), member.value);
  if (const json::Value* after = response.data.find("after"); after != nullptr && !after->as_string().empty())
    unfinished.add(route.prefix, *after);
  return ok_status();
}

Status handle_search(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string_view query, ctx.string_field("q", ""));
  if (query.empty() || query.size() > limits::kSearchQueryBytesMax)
    return Status(Code::kInvalid, "field \"q\" must be a text of 1 to 256 bytes to look for");
  const json::Value question = json::ObjectBuilder(ctx.arena, 1).add("q", query).build();
  json::ObjectBuilder hits(ctx.arena);
  json::ObjectBuilder unfinished(ctx.arena);
  for (const Route& route : ctx.published.router->routes()) {
    const MountInfo& info = route.record.info;
    if (info.namespace_id != ctx.ns.id || info.type != "kv" || info.option("version") != "2" ||
        !info.option(kUpgradingOption).empty())
      continue;
    COFFER_TRY(search_mount(ctx, route, question, hits, unfinished));
    if (ctx.arena.bytes_used() > limits::kBatchAnswerBytesMax)
      return Status(Code::kTooLarge, "there is too much to look at: search one mount at a time");
  }
  const json::Value info = hits.build();
  json::ArrayBuilder keys(ctx.arena, hits.size() + 1);
  for (const json::Member& member : info.members())
    keys.add(member.key());
  ctx.response.data = json::ObjectBuilder(ctx.arena, 3)
                          .add("after", unfinished.build())
                          .add("key_info", info)
                          .add("keys", keys.build())
                          .build();
  return ok_status();
}

}  // namespace

std::vector<PathSpec> sys_batch_specs() {
  std::vector<PathSpec> specs;
  specs.push_back({"batch",
                   "Several reads in one request.",
                   {{"paths", FieldType::kStringList, "What to read, up to 128 paths such as secret/data/app.", true}},
                   {{Operation::kWrite, Effect::kReads, handle_batch,
                     "Reads each path as a request of its own would; the answers stand behind the paths."}}});
  specs.push_back({"search",
                   "Find secrets of all key-value mounts of version 2 that the token may search.",
                   {{"q", FieldType::kString, "Text that a path, or something in custom metadata, contains.", true}},
                   {{Operation::kRead, Effect::kReads, handle_search,
                     "Those that the token may see; \"after\" says for each mount where it stopped early."}}});
  return specs;
}

}  // namespace coffer::core
