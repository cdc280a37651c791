#include "core/forward_paths.h"

#include "core/path_table.h"
#include "core/pipeline_state.h"
#include "core/published.h"

namespace coffer::core {
namespace {

struct Row {
  std::string_view path;  // below sys/; with a '/' at its end all that follows too
  Way way;
};

constexpr Row kLocalPaths[] = {
    // Asked of one node to learn how that node is, or to bring it up; core/lifecycle.h has answered them before.
    {"health", Way::kHereAlways},
    {"init", Way::kHereAlways},
    {"leader", Way::kHereAlways},
    {"seal-status", Way::kHereAlways},
    {"seal-backend-status", Way::kHereAlways},
    {"unseal", Way::kHereAlways},
    // Whoever seals a node means that one, and a node that is cut off above all.
    {"seal", Way::kHereAlways},
    // Who asks may be one of those without whom nobody leads.
    {"storage/raft/bootstrap/certificates", Way::kHereAlways},
    {"storage/raft/bootstrap/certificates-challenge", Way::kHereAlways},
    // What this process counts, and how its host is.
    {"metrics", Way::kHere},
    {"host-info", Way::kHere},
    {"in-flight-req", Way::kHere},
    // Its own log, the levels of that, and its own configuration file.
    {"monitor", Way::kHere},
    {"loggers", Way::kHere},
    {"loggers/", Way::kHere},
    {"config/state/", Way::kHere},
    // Events are told where they happen; a snapshot is as long as the state.
    {"events/subscribe/", Way::kRedirect},
    {"storage/raft/snapshot", Way::kRedirect},
    {"storage/raft/snapshot-force", Way::kRedirect},
};

}  // namespace

Way way_of(const Request& request) noexcept {
  std::string_view path = request.path.view();
  constexpr std::string_view kSys = "sys/";
  if (!path.starts_with(kSys))
    return Way::kForward;
  path.remove_prefix(kSys.size());
  for (const Row& row : kLocalPaths) {
    const bool folder = row.path.ends_with('/');
    const bool named = path == row.path || (path.ends_with('/') && path.substr(0, path.size() - 1) == row.path);
    if (named || (folder && path.starts_with(row.path)))
      return row.way;
  }
  return Way::kForward;
}

bool may_read_here(const Request& request, const Published& published) {
  if (request.at_leader || request.wrap_ttl || request.inline_login || request.takes_feed)
    return false;
  std::string_view path = request.path.view();
  std::string whole;
  const bool as_folder = lists(request.operation) && !path.ends_with('/');
  if (!request.namespace_path.empty() || as_folder) {
    if (!request.namespace_path.empty())
      whole.append(request.namespace_path).append("/");
    whole.append(path);
    if (as_folder)
      whole.push_back('/');
    path = whole;
  }
  const Route* route = published.router->match(path);
  if (route == nullptr || route->engine == nullptr)
    return true;
  std::string_view local = path.substr(route->absolute.size());
  if (route->record.info.type == "system" && !lists(request.operation) && local.ends_with('/'))
    local.remove_suffix(1);
  const auto match = route->engine->paths(route->record.info).match(local, request.operation);
  return !match || match->operation == nullptr || match->operation->effect == Effect::kReads;
}

void forbid_forwarding(Exchange& exchange) {
  if (!exchange.pipeline)
    exchange.pipeline = std::make_unique<PipelineState>();
  exchange.pipeline->stays = true;
}

}  // namespace coffer::core
