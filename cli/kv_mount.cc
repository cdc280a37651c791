#include "cli/kv_mount.h"

#include <algorithm>

#include "cli/render.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {

const Flag kKvMountFlag = {.name = "mount",
                           .usage = "Path of the secrets engine; the argument is then the name below it. If not given, "
                                    "the argument is both together, and what the API puts between them is added."};

namespace {

// The mount as people type it, and the name below it.
std::pair<std::string, std::string> split_at_mount(const std::string& typed, const std::string& mount) {
  std::string bare = mount.ends_with('/') ? mount.substr(0, mount.size() - 1) : mount;
  if (typed == mount || typed == bare)
    return {mount, ""};
  // A mount in a namespace is known to the server by its full path, of which people type the end.
  std::string at = mount;
  while (!typed.starts_with(at)) {
    std::size_t slash = at.find('/');
    if (slash == std::string::npos || slash + 1 >= at.size())
      break;
    at = at.substr(slash + 1);
  }
  return {at, typed.starts_with(at) ? typed.substr(at.size()) : typed};
}

constexpr std::size_t kPageNames = 10'000;
constexpr std::size_t kTreeNamesMax = 5'000'000;

std::vector<std::string> keys_of(const Reply& reply) {
  std::vector<std::string> names;
  const json::Value* keys = reply.ok() ? member(Secret::of(reply.json).data, "keys") : nullptr;
  if (keys != nullptr)
    for (const json::Value& key : keys->elements())
      names.push_back(value_text(key));
  return names;
}

// False, always.
bool too_many(Context& context, std::string_view lead) {
  context.fail(2, std::string(lead) + ": there are more than " + std::to_string(kTreeNamesMax) + " names");
  return false;
}

bool is_missing(const Reply& reply) { return reply.kind == Reply::Kind::kHttp && reply.status == 404; }

enum class Scanned { kWhole, kNotHere, kFailed };

// By SCAN, page after page. kNotHere when the server does not do it for this token; a page that fails later is a
// failure (which is printed): what came before it is not the tree.
Scanned scan_tree(Context& context, const KvTarget& folder, std::string_view lead, std::vector<std::string>& names) {
  std::string after;
  while (names.size() < kTreeNamesMax) {
    std::vector<std::pair<std::string, std::string>> query = {{"scan", "true"}, {"limit", std::to_string(kPageNames)}};
    if (!after.empty())
      query.emplace_back("after", after);
    const Reply reply = folder.client->call({.method = "GET", .path = folder.full, .query = query, .aside = true});
    if (!reply.ok() && (after.empty() || is_missing(reply)))
      return after.empty() ? Scanned::kNotHere : Scanned::kWhole;
    if (report(context, reply, lead))
      return Scanned::kFailed;
    const std::vector<std::string> page = keys_of(reply);
    if (page.empty())
      return after.empty() ? Scanned::kNotHere : Scanned::kWhole;
    if (!after.empty() && page.front() <= after) {  // it does not know pages
      names.clear();
      return Scanned::kNotHere;
    }
    names.insert(names.end(), page.begin(), page.end());
    after = names.back();
    if (page.size() != kPageNames)
      return Scanned::kWhole;
  }
  too_many(context, lead);
  return Scanned::kFailed;
}

// By LIST of each folder.
bool list_tree(Context& context, const KvTarget& folder, std::string_view lead, std::vector<std::string>& names) {
  std::vector<std::string> folders = {""};
  while (!folders.empty() && names.size() < kTreeNamesMax) {
    const std::string at = folders.back();
    folders.pop_back();
    const Reply reply = folder.client->call(
        {.method = "GET", .path = join_path({folder.full, at}), .query = {{"list", "true"}}, .aside = true});
    if (!is_missing(reply) && report(context, reply, lead))
      return false;
    for (const std::string& name : keys_of(reply))
      (name.ends_with('/') ? folders : names).push_back(at + name);
  }
  std::sort(names.begin(), names.end());
  return folders.empty() || too_many(context, lead);
}

}  // namespace

std::string kv_api_path(const std::string& typed, const std::string& mount, std::string_view prefix) {
  const auto [at, rest] = split_at_mount(typed, mount);
  return rest.empty() ? join_path({at, std::string(prefix)}) : join_path({at, std::string(prefix), rest});
}

std::optional<std::vector<std::string>> kv_tree(Context& context, const KvTarget& folder, std::string_view lead) {
  std::vector<std::string> names;
  const Scanned scanned = scan_tree(context, folder, lead, names);
  if (scanned == Scanned::kWhole || (scanned == Scanned::kNotHere && list_tree(context, folder, lead, names)))
    return names;
  return std::nullopt;
}

std::optional<KvTarget> kv_target(Context& context, std::string_view prefix, std::size_t argument) {
  KvTarget target{.client = context.client()};
  if (target.client == nullptr)
    return std::nullopt;
  const std::string& flag = context.flags().text("mount");
  std::string name = argument < context.args().size() ? sanitize_path(context.args()[argument]) : "";
  std::string asked = flag.empty() ? name : sanitize_path(flag);
  Reply reply = target.client->call({.method = "GET", .path = "sys/internal/ui/mounts/" + asked, .aside = true});
  target.mount = with_trailing_slash(asked);
  if (reply.kind == Reply::Kind::kHttp && reply.status == 404) {
    target.mount = flag.empty() ? "" : target.mount;  // an old server: version 1
  } else if (!reply.ok()) {
    bool prints = target.client->options().print_curl || target.client->options().print_policy;
    if (prints && reply.status == 403)
      context.ui().error("To print the request, the version of the store at " + asked +
                         " must be known, and the token may not read it there.");
    else
      context.ui().error(reply.error);
    return std::nullopt;
  } else {
    json::Value data = Secret::of(reply.json).data;
    target.mount = std::string(data.string_or("path", target.mount));
    const json::Value* options = member(data, "options");
    target.v2 = options != nullptr && options->string_or("version", "") == "2";
  }
  target.typed = flag.empty() ? name : join_path({target.mount, name});
  target.rest = split_at_mount(target.typed, target.mount).second;
  target.full = target.v2 ? kv_api_path(target.typed, target.mount, prefix) : target.typed;
  return target;
}

std::vector<std::string> kv_versions(const std::vector<std::string>& given) {
  std::vector<std::string> versions;
  for (const std::string& list : given) {
    for (const std::string& part : split(list, ',')) {
      if (std::string_view version = trim(part); !version.empty())
        versions.emplace_back(version);
    }
  }
  return versions;
}

KvRead kv_read(Context& context, Client& client, const std::string& path,
               std::vector<std::pair<std::string, std::string>> query, std::string_view lead, bool aside) {
  Reply reply = client.call({.method = "GET", .path = path, .query = std::move(query), .aside = aside});
  KvRead read;
  bool missing = reply.kind == Reply::Kind::kHttp && reply.status == 404;
  if (!reply.ok() && !missing) {
    read.failed = report(context, reply, lead);
    return read;
  }
  Secret secret = Secret::of(reply.json);
  const json::Value* warnings = member(reply.json, "warnings");
  if (reply.ok() ? !reply.json.is_null() : secret.data.size() > 0 || (warnings != nullptr && warnings->size() > 0))
    read.secret = secret;
  return read;
}

int kv_show_written(Context& context, const Reply& reply, const std::string& path, bool with_banner) {
  if (reply.json.is_null()) {
    if (context.ui().is_table())
      context.ui().out("Success! Data written to: " + path);
    return 0;
  }
  Secret secret = Secret::of(reply.json);
  const std::string field = context.flags().declared("field") ? context.flags().text("field") : "";
  if (!field.empty())
    return output_raw_field(context, raw_field(context.arena(), secret, field), field);
  if (secret.wrapped() || !context.ui().is_table() || !with_banner)
    return output_secret(context, secret);
  output_path(context, path, "Secret Path");
  context.ui().out(map_banner("Metadata", secret.data));
  return output_map(context, secret.data);
}

}  // namespace coffer::cli
