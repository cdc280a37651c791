#include "engines/kv/kv.h"
#include "engines/kv/secret.h"

namespace coffer::engines::kv {
namespace {

using core::HandlerContext;

// What becomes of a secret whose metadata was deleted.
enum class WhenDeleted : std::uint8_t { kIgnore, kRestore, kKeep };

Status store_tombstone(HandlerContext& ctx, std::string_view path, const Tombstone& tombstone) {
  std::string record;
  encode(tombstone, record);
  return put_and_wipe(ctx, record_name(ctx.arena, kTombstonePrefix, path), record);
}

// How subscribers to events hear of it, and under which name they find the versions.
struct ToldOf {
  Told told;
  std::string_view numbers_key;
};
constexpr ToldOf kDeleted{{"kv-v2/delete", "delete/", "data/"}, "deleted_versions"};
constexpr ToldOf kUndeleted{{"kv-v2/undelete", "undelete/", "data/"}, "undeleted_versions"};
constexpr ToldOf kDestroyed{{"kv-v2/destroy", "destroy/", "data/"}, "destroyed_versions"};

void note_versions(HandlerContext& ctx, const ToldOf& what, const Head& head,
                   const std::vector<std::uint64_t>& numbers) {
  core::Change change = change_of(ctx.mount, what.told, ctx.captures[0], head);
  std::string list;
  for (const std::uint64_t number : numbers)
    list.append(list.empty() ? "[" : ",").append(std::to_string(number));
  change.numbers_key = what.numbers_key;
  change.numbers = ctx.arena.copy(list.append("]"));
  ctx.storage.note(change);
}

// Does `change` with every version that the request names and that is there; `change` says whether it changed it.
template <typename Change>
Status change_versions(HandlerContext& ctx, std::string_view when_none, WhenDeleted when_deleted, const ToldOf& told,
                       Change change) {
  const std::string_view path = ctx.captures[0];
  COFFER_ASSIGN(const std::vector<std::uint64_t> numbers, versions_field(ctx));
  if (numbers.empty())
    return invalid(when_none);
  COFFER_ASSIGN(std::optional<Head> head, load_head(ctx, path));
  std::optional<Tombstone> deleted;
  if (!head) {
    COFFER_ASSIGN(deleted, load_tombstone(ctx, path));
    if (!deleted || deleted->purge_at <= ctx.now || when_deleted == WhenDeleted::kIgnore)
      return ok_status();
    head = deleted->head;
  }
  // What was deleted with its metadata comes back whole.
  bool changed = deleted && when_deleted == WhenDeleted::kRestore;
  for (const std::uint64_t number : numbers) {
    if (Version* version = head->find(number)) {
      COFFER_ASSIGN(const bool did, change(*head, *version));
      changed = changed || did;
    }
  }
  if (!changed)
    return ok_status();
  note_versions(ctx, told, *head, numbers);
  if (!deleted)
    return store_head(ctx, path, *head);
  if (when_deleted == WhenDeleted::kKeep)
    return store_tombstone(ctx, path, {deleted->purge_at, std::move(*head)});
  COFFER_TRY(ctx.storage.erase(record_name(ctx.arena, kTombstonePrefix, path)));
  return store_head(ctx, path, *head);
}

Status delete_versions(HandlerContext& ctx) {
  return change_versions(ctx, "No version number provided", WhenDeleted::kIgnore, kDeleted,
                         [&](Head&, Version& version) -> Result<bool> {
    if (!version.readable_at(ctx.now))
      return false;
    version.deletion = ctx.now;
    return true;
  });
}

Status undelete_versions(HandlerContext& ctx) {
  return change_versions(ctx, "No version number provided", WhenDeleted::kRestore, kUndeleted,
                         [](Head&, Version& version) -> Result<bool> {
    if (version.destroyed || version.deletion == WallTime{})
      return false;
    version.deletion = WallTime{};
    return true;
  });
}

Status destroy_versions(HandlerContext& ctx) {
  return change_versions(ctx, "no version number provided", WhenDeleted::kKeep, kDestroyed,
                         [&](Head& head, Version& version) -> Result<bool> {
    if (version.destroyed)
      return false;
    if (&version == &head.newest.version)
      head.newest.data = {};
    else if (version.has_own_record())
      COFFER_TRY(ctx.storage.erase(version_name(ctx.arena, version.number, ctx.captures[0])));
    version.destroyed = true;
    version.kept = {};
    return true;
  });
}

core::PathSpec spec(std::string_view pattern, std::string_view help, core::Handler handler) {
  return {
      .pattern = pattern,
      .help = help,
      .fields = {{"path", core::FieldType::kString, "Where the secret stands."},
                 {"versions", core::FieldType::kAny, "Numbers of the versions.", true}},
      .operations = {{core::Operation::kWrite, core::Effect::kWrites, handler, help}},
  };
}

}  // namespace

std::vector<core::PathSpec> version_specs() {
  return {spec("delete/*path", "Delete versions of a secret; they can be undeleted.", delete_versions),
          spec("undelete/*path", "Make deleted versions of a secret readable again.", undelete_versions),
          spec("destroy/*path", "Remove versions of a secret for good.", destroy_versions)};
}

}  // namespace coffer::engines::kv
