// Finding secrets by their names and custom metadata. What the caller may not see is not there.
#include <algorithm>

#include "base/ascii.h"
#include "base/limits.h"
#include "core/caller.h"
#include "engines/kv/kv.h"
#include "engines/kv/secret.h"

namespace coffer::engines::kv {
namespace {

using core::HandlerContext;
using core::Operation;

constexpr std::size_t kLookedAtMax = 5'000;    // secrets that one request looks at
constexpr std::size_t kHitsMax = 1'000;

bool contains(std::string_view text, std::string_view query) {
  return std::search(text.begin(), text.end(), query.begin(), query.end(),
                     [](char a, char b) { return lower_ascii(a) == lower_ascii(b); }) != text.end();
}

bool metadata_matches(const json::Value& custom, std::string_view query) {
  return std::ranges::any_of(custom.members(), [query](const json::Member& member) {
    return contains(member.key(), query) || (member.value.is_string() && contains(member.value.as_string(), query));
  });
}

// What the caller may know of one secret.
struct Sight {
  bool name = false;      // by listing its folder
  bool metadata = false;  // by reading it
};

Sight sight_of(HandlerContext& ctx, std::string_view path) {
  const core::Caller& caller = *ctx.caller;
  const auto under = [&](std::string_view part, std::string_view rest) {
    return record_name(ctx.arena, record_name(ctx.arena, caller.prefix(), part), rest);
  };
  const bool reads = caller.may(Operation::kRead, under("metadata/", path)).ok() ||
                     caller.may(Operation::kRead, under("data/", path)).ok();
  const std::size_t slash = path.rfind('/');
  const std::string_view folder = slash == std::string_view::npos ? std::string_view() : path.substr(0, slash + 1);
  return {reads || caller.may(Operation::kList, under("metadata/", folder)).ok(), reads};
}

// Adds the secret to what was found when it matches.
Status look(HandlerContext& ctx, std::string_view path, std::string_view query, json::ObjectBuilder& hits) {
  const Sight sight = sight_of(ctx, path);
  if (!sight.name)
    return ok_status();
  const bool by_name = contains(path, query);
  json::Value custom;
  if (sight.metadata) {
    COFFER_ASSIGN(const std::optional<std::string_view> record, load_raw(ctx, path));
    if (record) {
      COFFER_ASSIGN(const Newest newest, decode_newest(*record));
      if (!newest.custom_metadata.empty()) {
        COFFER_ASSIGN(custom, json::parse(ctx.arena, newest.custom_metadata, kStoredLimits));
      }
    }
  }
  if (by_name || metadata_matches(custom, query))
    hits.add(path, object_of(ctx.arena, {{name("custom_metadata"), custom}}));
  return ok_status();
}

Status search(HandlerContext& ctx) {
  COFFER_ASSIGN(const std::string_view query, ctx.string_field("q", ""));
  COFFER_ASSIGN(const std::string_view after, ctx.string_field("after", ""));
  COFFER_ASSIGN(const std::int64_t limit, ctx.int_field("limit", kHitsMax, 1, kHitsMax));
  if (query.empty() || query.size() > limits::kSearchQueryBytesMax)
    return invalid("field \"q\" must be a text of 1 to 256 bytes to look for");
  std::vector<std::string_view> paths;
  bool more = false;
  COFFER_TRY(walk_tree(ctx.storage, ctx.arena, kHeadPrefix, {}, after, kLookedAtMax, paths, &more));
  json::ObjectBuilder hits(ctx.arena);
  std::string_view last;
  for (const std::string_view path : paths) {
    if (hits.size() >= static_cast<std::size_t>(limit) || ctx.arena.bytes_used() > limits::kBatchAnswerBytesMax) {
      more = true;
      break;
    }
    COFFER_TRY(look(ctx, path, query, hits));
    last = path;
  }
  const json::Value info = hits.build();
  json::ArrayBuilder keys(ctx.arena, hits.size() + 1);
  for (const json::Member& member : info.members())
    keys.add(json::Value::borrowed(member.key()));
  ctx.response.data = object_of(ctx.arena, {{name("after"), json::Value::borrowed(more ? last : std::string_view())},
                                            {name("key_info"), info},
                                            {name("keys"), keys.build()}});
  return ok_status();
}

}  // namespace

core::PathSpec search_spec() {
  using core::FieldType;
  return {
      .pattern = "search",
      .help = "Find secrets by their names and custom metadata.",
      .fields = {{"q", FieldType::kString, "Text that the path, or a key or value of custom metadata, contains.", true},
                 {"after", FieldType::kString, "Go on behind this path: what the answer before said."},
                 {"limit", FieldType::kInt, "At most so many, up to 1000."}},
      .operations = {{Operation::kRead, core::Effect::kReads, search,
                      "Those that the caller may see; \"after\" is not empty when there is more to look at."}},
  };
}

}  // namespace coffer::engines::kv
