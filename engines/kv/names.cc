// LIST and SCAN.
#include <algorithm>

#include "base/limits.h"
#include "core/caller.h"
#include "engines/kv/kv.h"
#include "engines/kv/secret.h"

namespace coffer::engines::kv {
namespace {

using core::HandlerContext;

// Heads that one detailed answer opens.
constexpr std::size_t kDetailedMax = 10'000;
constexpr std::size_t kScanNamesMax = 100'000;
constexpr std::size_t kFilteredPage = 1'000;  // names looked at together where some are left out
constexpr std::string_view kThereIsMore = "There are more names than one answer holds: go on with \"after\".";

// One scan: where it is, and what it still may take.
struct Walk {
  core::Storage& storage;
  json::Arena& arena;
  std::string_view prefix;
  std::size_t limit;
  std::vector<std::string_view>& names;
  bool more = false;

  // `below` is relative to `top`, empty or ending in '/'; `after` is relative to it.
  Status folder(std::string_view top, std::string_view below, std::string_view after) {
    // The rest of the folder that `after` lies in comes before what stands behind that folder.
    const std::size_t slash = after.find('/');
    if (slash != std::string_view::npos) {
      const std::string_view begun = after.substr(0, slash + 1);
      COFFER_TRY(folder(top, record_name(arena, below, begun), after.substr(slash + 1)));
      after = begun;
    }
    if (more)
      return ok_status();
    const std::string_view at = record_name(arena, prefix, record_name(arena, top, below));
    COFFER_ASSIGN(const core::ListPage page, storage.list(at, after, limit - names.size() + 1));
    for (const std::string_view name : page.names) {
      if (names.size() >= limit) {
        more = true;
        return ok_status();
      }
      const std::string_view full = record_name(arena, below, name);
      if (name.back() != '/')
        names.push_back(full);
      else
        COFFER_TRY(folder(top, full, {}));
      if (more)
        return ok_status();
    }
    more = more || page.more;
    return ok_status();
  }
};

// Leaves out what the caller does not reach, where the mount says so.
class Filter {
 public:
  explicit Filter(HandlerContext& ctx)
      : ctx_(ctx),
        on_(ctx.mount.option(kFilterListOption) == "acl" && ctx.caller != nullptr),
        versioned_(ctx.mount.option("version") == "2") {}
  bool on() const { return on_; }
  bool shows(std::string_view folder, std::string_view name) const {
    if (!on_)
      return true;
    const std::string_view path = record_name(ctx_.arena, folder, name);
    const std::string_view mount = ctx_.caller->prefix();
    const auto reaches = [&](std::string_view part) {
      return ctx_.caller->reaches(record_name(ctx_.arena, record_name(ctx_.arena, mount, part), path));
    };
    return versioned_ ? reaches("data/") || reaches("metadata/") : reaches("");
  }

 private:
  HandlerContext& ctx_;
  bool on_;
  bool versioned_;
};

// The folder that was asked for, with its '/' unless it is the mount itself.
std::string_view folder_of(HandlerContext& ctx) {
  const std::string_view folder = ctx.captures[0];
  return folder.empty() || folder.back() == '/' ? folder : record_name(ctx.arena, folder, "/");
}

Status answer_names(HandlerContext& ctx, std::string_view folder, const std::vector<std::string_view>& names,
                    bool detailed) {
  json::ArrayBuilder keys(ctx.arena, names.size());
  if (!detailed) {
    for (const std::string_view key : names)
      keys.add(json::Value::borrowed(key));
    ctx.response.data = object_of(ctx.arena, {{name("keys"), keys.build()}});
    return ok_status();
  }
  json::ObjectBuilder info(ctx.arena, names.size());
  for (const std::string_view key : names) {
    if (ctx.arena.bytes_used() > limits::kBatchAnswerBytesMax) {
      ctx.response.warnings.push_back(kThereIsMore);
      break;
    }
    keys.add(json::Value::borrowed(key));
    json::Value value = json::Value::object({});
    if (key.back() != '/') {
      COFFER_ASSIGN(const std::optional<Head> head, load_head(ctx, record_name(ctx.arena, folder, key)));
      if (head)
        value = head_value(ctx.arena, *head);
    }
    info.add(key, value);
  }
  ctx.response.data = object_of(ctx.arena, {{name("key_info"), info.build()}, {name("keys"), keys.build()}});
  return ok_status();
}

struct Page {
  std::string_view after;
  std::size_t limit;
};

Result<Page> page_of(HandlerContext& ctx, std::size_t most) {
  COFFER_ASSIGN(const std::string_view after, ctx.string_field("after", ""));
  COFFER_ASSIGN(const std::int64_t limit, ctx.int_field("limit", 0, -1, INT32_MAX));
  return Page{after, limit <= 0 ? most : std::min(most, static_cast<std::size_t>(limit))};
}

void warn_cut(HandlerContext& ctx, bool more, const Page& page, std::size_t most) {
  if (more && page.limit == most)
    ctx.response.warnings.push_back(kThereIsMore);
}

}  // namespace

Status walk_tree(core::Storage& storage, json::Arena& arena, std::string_view prefix, std::string_view folder,
                 std::string_view after, std::size_t limit, std::vector<std::string_view>& names, bool* more) {
  // The walk goes as deep as this name: no deeper than any path, whoever sent it.
  if (after.size() > limits::kPathBytesMax ||
      static_cast<std::size_t>(std::ranges::count(after, '/')) > limits::kPathSegmentsMax)
    return invalid("field \"after\" is longer or deeper than any path");
  Walk walk{storage, arena, prefix, limit, names};
  COFFER_TRY(walk.folder(folder, {}, after));
  *more = walk.more;
  return ok_status();
}

Status answer_list(HandlerContext& ctx, std::string_view prefix, bool detailed) {
  const std::size_t most = detailed ? kDetailedMax : limits::kListNamesMax;
  COFFER_ASSIGN(Page page, page_of(ctx, most));
  const std::string_view folder = folder_of(ctx);
  const std::string_view from = record_name(ctx.arena, prefix, folder);
  const Filter filter(ctx);
  std::vector<std::string_view> names;
  bool more = true;
  for (std::string_view after = page.after; more && names.size() < page.limit;) {
    const std::size_t looked_at = filter.on() ? std::max(page.limit, kFilteredPage) : page.limit;
    COFFER_ASSIGN(core::ListPage listed, ctx.storage.list(from, after, looked_at));
    more = listed.more && !listed.names.empty();
    if (!listed.names.empty())
      after = listed.names.back();
    if (!filter.on() && names.empty()) {
      names = std::move(listed.names);
      break;
    }
    for (const std::string_view name : listed.names) {
      if (!filter.shows(folder, name))
        continue;
      more = more || names.size() == page.limit;
      if (names.size() < page.limit)
        names.push_back(name);
    }
  }
  warn_cut(ctx, more, page, most);
  return names.empty() ? answer_not_found(ctx) : answer_names(ctx, folder, names, detailed);
}

Status answer_scan(HandlerContext& ctx, std::string_view prefix, bool detailed) {
  const std::size_t most = detailed ? kDetailedMax : kScanNamesMax;
  COFFER_ASSIGN(const Page page, page_of(ctx, most));
  const std::string_view folder = folder_of(ctx);
  const Filter filter(ctx);
  std::vector<std::string_view> names;
  std::vector<std::string_view> some;
  bool more = true;
  for (std::string_view after = page.after; more && names.size() < page.limit;) {
    some.clear();
    COFFER_TRY(walk_tree(ctx.storage, ctx.arena, prefix, folder, after, page.limit, some, &more));
    more = more && !some.empty();
    for (const std::string_view name : some)
      if (names.size() < page.limit && filter.shows(folder, name))
        names.push_back(name);
    if (!some.empty())
      after = some.back();
  }
  warn_cut(ctx, more, page, most);
  if (names.empty()) {
    ctx.response.data = json::Value::object({});
    return ok_status();
  }
  return answer_names(ctx, folder, names, detailed);
}

}  // namespace coffer::engines::kv
