// sys/storage/raft/snapshot and its kind: the state goes out as an archive, or one comes in and takes its place.
#include "core/answers.h"
#include "core/call.h"
#include "core/snapshot_door.h"
#include "core/snapshot_stream.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

struct Tools {
  Group* group;
  const SnapshotPlace* place;
};

Result<Tools> tools_of(const CallContext& ctx) {
  if (ctx.services.group == nullptr || ctx.services.snapshots == nullptr)
    return Status(Code::kInvalid, "raft storage is not in use");
  if (ctx.request.surface != Surface::kHttp)
    return Status(Code::kUnsupported, "snapshots go over HTTP");
  if (ctx.request.wrap_ttl)
    return Status(Code::kInvalid, "a snapshot is not wrapped");
  return Tools{ctx.services.group, ctx.services.snapshots};
}

std::shared_ptr<const SumsSeal> seal_of(const CallContext& ctx) {
  return std::make_shared<const SumsSeal>(*ctx.published.barrier->keyring());
}

// Answers while the state goes out: what was begun is whole or breaks off.
Status answer_saved(const Tools& tools, Nanos time_max, store::ArchiveMeta meta, std::shared_ptr<const SumsSeal> seal,
                    Logger* log, Response& response) {
  COFFER_ASSIGN(SnapshotSlot slot, SnapshotSlot::take());
  COFFER_ASSIGN(SavedState saved, save_and_wait(*tools.place, *tools.group, time_max));
  COFFER_ASSIGN(auto source,
                ArchiveSource::open(tools.place->disk, std::move(saved), std::move(meta), std::move(seal)));
  const auto broke = [log](const Status& status) {
    if (log != nullptr)
      log->error("storage", "a snapshot that was being sent broke off: " + status.message());
  };
  COFFER_ASSIGN(response.stream, SnapshotStream::begin(std::move(slot), std::move(source), broke));
  response.content_type = "application/gzip";
  return ok_status();
}

Status handle_save(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const Tools tools, tools_of(ctx));
  COFFER_ASSIGN(const auto view, ctx.services.backend.view());
  COFFER_ASSIGN(store::ArchiveMeta meta, archive_meta(*view, *tools.place, ctx.now));
  const auto save = [tools, meta, seal = seal_of(ctx), log = ctx.services.log](Nanos time_max, Response& response,
                                                                               json::Arena&) {
    return answer_saved(tools, time_max, meta, seal, log, response);
  };
  call_alone(ctx, limits::kSnapshotSaveTimeMax, save);
  return ok_status();
}

Status take(CallContext& ctx, std::shared_ptr<const SumsSeal> seal) {
  COFFER_ASSIGN(const Tools tools, tools_of(ctx));
  if (ctx.request.body == nullptr)
    return Status(Code::kInvalid, "the snapshot is the body of the request");
  const auto restore = [tools, body = ctx.request.body, seal = std::move(seal)](Nanos, Response&, json::Arena&) {
    return restore_snapshot(*tools.place, *body, seal.get(), [tools](std::string path, auto done) {
      tools.group->restore(std::move(path), std::move(done));
    });
  };
  call_alone(ctx, limits::kPipedRequestTimeMax, restore);
  return ok_status();
}

Status handle_restore(HandlerContext& base) { return take(call(base), seal_of(call(base))); }
Status handle_force(HandlerContext& base) { return take(call(base), nullptr); }

}  // namespace

std::vector<PathSpec> sys_snapshot_specs() {
  std::vector<PathSpec> specs;
  PathSpec snapshot{"storage/raft/snapshot",
                    "The whole state of the cluster in one file.",
                    {},
                    {{Operation::kRead, Effect::kOutside, handle_save, "Gives the state as a gzip'd tar."},
                     {Operation::kWrite, Effect::kOutside, handle_restore,
                      "Replaces the state by that of a snapshot of this cluster, which is the body."}}};
  PathSpec force{"storage/raft/snapshot-force",
                 "Replaces the state of the cluster, whatever keys the snapshot has.",
                 {},
                 {{Operation::kWrite, Effect::kOutside, handle_force,
                   "Replaces the state by that of any cluster's snapshot, which is the body."}}};
  snapshot.any_fields = force.any_fields = true;  // a body that is not theirs
  specs.push_back(std::move(snapshot));
  specs.push_back(std::move(force));
  return specs;
}

}  // namespace coffer::core
