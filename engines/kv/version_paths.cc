#include "engines/kv/kv.h"
#include "engines/kv/secret.h"

namespace coffer::engines::kv {
namespace {

using core::HandlerContext;

Status delete_versions(HandlerContext& ctx) {
  const std::string_view path = ctx.captures[0];
  COFFER_ASSIGN(const std::vector<std::uint64_t> numbers, versions_field(ctx));
  if (numbers.empty())
    return invalid("No version number provided");
  COFFER_ASSIGN(std::optional<Head> head, load_head(ctx, path));
  if (!head)
    return ok_status();
  bool changed = false;
  for (const std::uint64_t number : numbers) {
    Version* version = head->find(number);
    if (version == nullptr || !version->readable_at(ctx.now))
      continue;
    version->deletion = ctx.now;
    changed = true;
  }
  return changed ? store_head(ctx, path, *head) : ok_status();
}

Status undelete_versions(HandlerContext& ctx) {
  const std::string_view path = ctx.captures[0];
  COFFER_ASSIGN(const std::vector<std::uint64_t> numbers, versions_field(ctx));
  if (numbers.empty())
    return invalid("No version number provided");
  COFFER_ASSIGN(std::optional<Head> head, load_head(ctx, path));
  if (!head)
    return ok_status();
  bool changed = false;
  for (const std::uint64_t number : numbers) {
    Version* version = head->find(number);
    if (version == nullptr || version->destroyed || version->deletion == WallTime{})
      continue;
    version->deletion = WallTime{};
    changed = true;
  }
  return changed ? store_head(ctx, path, *head) : ok_status();
}

Status destroy_versions(HandlerContext& ctx) {
  const std::string_view path = ctx.captures[0];
  COFFER_ASSIGN(const std::vector<std::uint64_t> numbers, versions_field(ctx));
  if (numbers.empty())
    return invalid("no version number provided");
  COFFER_ASSIGN(std::optional<Head> head, load_head(ctx, path));
  if (!head)
    return ok_status();
  bool changed = false;
  for (const std::uint64_t number : numbers) {
    Version* version = head->find(number);
    if (version == nullptr || version->destroyed)
      continue;
    if (version == &head->newest.version)
      head->newest.data = {};
    else if (version->has_own_record())
      COFFER_TRY(ctx.storage.erase(version_name(ctx.arena, number, path)));
    version->destroyed = true;
    version->kept = {};
    changed = true;
  }
  return changed ? store_head(ctx, path, *head) : ok_status();
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
