// Moving and copying a secret with its versions and metadata, in one transaction, without its value leaving the server.
// What the policies would not let the caller do by reading and writing is refused here too.
#include "base/path.h"
#include "base/secret.h"
#include "core/caller.h"
#include "engines/kv/kv.h"
#include "engines/kv/secret.h"

namespace coffer::engines::kv {
namespace {

using core::HandlerContext;
using core::Operation;

// A secret in a mount of version 2.
struct Spot {
  core::Storage storage;
  std::string_view mount;   // prefix of the mount
  std::string_view path;
  const core::MountInfo& info;

  std::string_view under(json::Arena& arena, std::string_view part) const {
    return record_name(arena, record_name(arena, mount, part), path);
  }
};

Result<std::optional<Head>> head_at(json::Arena& arena, Spot& spot) {
  COFFER_ASSIGN(const auto record, spot.storage.get(record_name(arena, kHeadPrefix, spot.path)));
  if (!record)
    return std::optional<Head>();
  COFFER_ASSIGN(Head head, decode_head(*record));
  return std::optional<Head>(std::move(head));
}

// Where it is to go: the field `to`, in this mount or in that of the field `mount`.
Result<Spot> target_of(HandlerContext& ctx) {
  COFFER_ASSIGN(const std::string_view to, ctx.string_field("to", ""));
  COFFER_ASSIGN(const std::string_view mount, ctx.string_field("mount", ""));
  if (to.empty())
    return invalid("field \"to\" must say where the secret goes");
  const Status writable = check_writable(to);
  if (!writable.ok() || !CanonicalPath::from_text(to).ok())
    return invalid("field \"to\" must be the path of a secret");
  if (mount.empty())
    return Spot{ctx.storage, ctx.caller->prefix(), to, ctx.mount};
  const std::string_view whole = mount.back() == '/' ? mount : record_name(ctx.arena, mount, "/");
  if (!CanonicalPath::from_text(whole).ok())
    return invalid("field \"mount\" must be the path of a mount");
  std::optional<core::Place> place = ctx.caller->place_of(whole);
  // One refusal for what is not there, is no store of version 2, or is out of reach (advisory B5).
  if (!place || !place->rest.empty() || place->mount.type != "kv" || place->mount.option("version") != "2" ||
      !place->mount.option(core::kUpgradingOption).empty() || !ctx.caller->reaches(place->prefix))
    return Status(Code::kDenied, "permission denied");
  return Spot{place->storage, place->prefix, to, place->mount};
}

// The caller may read the data and metadata that go, write what comes, and delete what is moved away.
Status authorise(HandlerContext& ctx, const Spot& from, const Spot& to, bool exists, bool moves, const Head& head) {
  const core::Caller& caller = *ctx.caller;
  json::Arena& arena = ctx.arena;
  COFFER_TRY(caller.may(Operation::kRead, from.under(arena, "data/")));
  COFFER_TRY(caller.may(Operation::kRead, from.under(arena, "metadata/")));
  if (moves)
    COFFER_TRY(caller.may(Operation::kDelete, from.under(arena, "metadata/")));
  json::Value data;
  if (!head.newest.data.empty()) {
    COFFER_ASSIGN(data, json::parse(arena, head.newest.data, kStoredLimits));
  }
  json::Value custom;
  if (!head.newest.custom_metadata.empty()) {
    COFFER_ASSIGN(custom, json::parse(arena, head.newest.custom_metadata, kStoredLimits));
  }
  COFFER_TRY(caller.may(Operation::kWrite, to.under(arena, "data/"), exists, object_of(arena, {{name("data"), data}})));
  return caller.may(Operation::kWrite, to.under(arena, "metadata/"), exists,
                    object_of(arena, {{name("custom_metadata"), custom}}));
}

// What stands at the target, dead or alive, goes.
Status clear(HandlerContext& ctx, Spot& to, const std::optional<Head>& there) {
  if (there)
    COFFER_TRY(erase_versions(to.storage, ctx.arena, to.path, *there));
  COFFER_ASSIGN(const auto record, to.storage.get(record_name(ctx.arena, kTombstonePrefix, to.path)));
  if (!record)
    return ok_status();
  COFFER_ASSIGN(const Tombstone tombstone, decode_tombstone(*record));
  return purge(to.storage, ctx.arena, to.path, tombstone);
}

// Whoever must name the version that they replace cannot replace a secret whole.
Status check_overwrite(Spot& to, const Head& there, bool overwrite) {
  COFFER_ASSIGN(const auto record, to.storage.get(kConfigName));
  Config config;
  if (record) {
    COFFER_ASSIGN(config, decode_config(*record));
  }
  if (config.cas_required || there.newest.cas_required || to.info.option(kCasRequiredOption) == "true")
    return invalid("check-and-set is required where the secret goes: what is there cannot be overwritten as a whole");
  return overwrite ? ok_status() : invalid("there is a secret already where this one goes; \"overwrite\" replaces it");
}

Status transfer_versions(HandlerContext& ctx, Spot& from, Spot& to, const Head& head, bool moves) {
  for (const Version& version : head.older) {
    if (!version.has_own_record())
      continue;
    const std::string_view at = version_name(ctx.arena, version.number, from.path);
    COFFER_ASSIGN(const auto record, from.storage.get(at));
    if (!record)
      return Status(Code::kDataLoss, "KV: the record of a version is missing");
    COFFER_TRY(to.storage.put(version_name(ctx.arena, version.number, to.path), *record));
    if (moves)
      COFFER_TRY(from.storage.erase(at));
  }
  return ok_status();
}

Status transfer(HandlerContext& ctx, bool moves) {
  Spot from{ctx.storage, ctx.caller->prefix(), ctx.captures[0], ctx.mount};
  COFFER_TRY(check_writable(from.path));
  COFFER_ASSIGN(Spot to, target_of(ctx));
  COFFER_ASSIGN(const bool overwrite, ctx.bool_field("overwrite", false));
  if (to.mount == from.mount && to.path == from.path)
    return invalid("field \"to\" must be another place than the secret's own");
  COFFER_ASSIGN(std::optional<Head> head, head_at(ctx.arena, from));
  COFFER_ASSIGN(const std::optional<Head> there, head_at(ctx.arena, to));
  COFFER_TRY(authorise(ctx, from, to, there.has_value(), moves, head ? *head : Head()));
  if (!head)
    return answer_not_found(ctx);
  if (there)
    COFFER_TRY(check_overwrite(to, *there, overwrite));
  COFFER_TRY(clear(ctx, to, there));
  COFFER_TRY(transfer_versions(ctx, from, to, *head, moves));
  std::string record;
  encode(*head, record);
  const std::string_view at = record_name(ctx.arena, kHeadPrefix, to.path);
  const Status put = to.storage.put(at, record);
  wipe(record.data(), record.size());
  COFFER_TRY(put);
  to.storage.note(change_of(to.info, kDataWritten, to.path, *head));
  if (moves) {
    from.storage.note(change_of(from.info, kMetadataDeleted, from.path, *head));
    COFFER_TRY(from.storage.erase(record_name(ctx.arena, kHeadPrefix, from.path)));
  }
  ctx.response.data = metadata_value(ctx.arena, head->newest.version, head->newest.custom_metadata);
  return ok_status();
}

Status move(HandlerContext& ctx) { return transfer(ctx, true); }
Status copy(HandlerContext& ctx) { return transfer(ctx, false); }

core::PathSpec spec(std::string_view pattern, std::string_view help, core::Handler handler) {
  using core::FieldType;
  return {
      .pattern = pattern,
      .help = help,
      .fields = {{"path", FieldType::kString, "Where the secret stands."},
                 {"to", FieldType::kString, "Where it goes.", true},
                 {"mount", FieldType::kString, "The mount where it goes; this one when absent."},
                 {"overwrite", FieldType::kBool, "Whether a secret that is there already is replaced as a whole."}},
      .operations = {{Operation::kWrite, core::Effect::kWrites, handler, help}},
  };
}

}  // namespace

std::vector<core::PathSpec> move_specs() {
  return {spec("move/*path", "Move a secret with all its versions and metadata.", move),
          spec("copy/*path", "Copy a secret with all its versions and metadata.", copy)};
}

}  // namespace coffer::engines::kv
