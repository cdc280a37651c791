#include "core/request_caller.h"

#include <algorithm>

#include "base/ascii.h"
#include "base/mutant.h"
#include "core/answers.h"
#include "core/list_rules.h"

namespace coffer::core {
namespace {

void refuse(Response& response, CallContext& ctx, int status, std::string_view error) {
  response = Response();
  response.status = status;
  if (!error.empty())
    response.errors.push_back(ctx.arena.copy(error));
}

// The mount of this request's namespace that a path of it belongs to.
const Route* route_of(const CallContext& ctx, std::string_view path) {
  const Route* route = ctx.published.router->match(ctx.ns.path + std::string(path));
  return route != nullptr && route->record.info.namespace_id == ctx.ns.id ? route : nullptr;
}

}  // namespace

bool CallContext::in_reach(const TokenRecord& record) const {
  const NamespaceRecord* made = published.namespaces->find(record.ns);
  return made != nullptr && (ns.covers(*made) || mutant(Mutant::kAccessorOfOtherNamespace));
}

Capability capability_for(Operation operation, bool exists) noexcept {
  switch (operation) {
    case Operation::kWrite:
      return exists ? Capability::kUpdate : Capability::kCreate;
    case Operation::kDelete:
      return Capability::kDelete;
    case Operation::kList:
      return Capability::kList;
    case Operation::kScan:
      return Capability::kScan;
    case Operation::kPatch:
      return Capability::kPatch;
    case Operation::kRead:
    case Operation::kHelp:
      return Capability::kRead;
  }
  return Capability::kSudo;
}

std::string_view RequestCaller::display_name() const {
  return call_.token == nullptr ? std::string_view() : call_.token->display_name;
}

std::string_view RequestCaller::entity_id() const {
  return call_.token == nullptr ? std::string_view() : call_.token->entity;
}

Status RequestCaller::may(Operation operation, std::string_view path, bool exists, const json::Value& data) const {
  if (mutant(Mutant::kInnerPathsUnauthorised))
    return ok_status();
  if (call_.acl == nullptr)
    return Status(Code::kDenied, "permission denied");
  const Capability wanted = capability_for(operation, exists);
  const Decision decision = call_.acl->allows(call_.acl_path(path), wanted);
  if (!decision.allowed)
    return Status(Code::kDenied, one_error("permission denied"));
  // What shows only some of its names to a list shows none to who walks through it, and what waits for an approval
  // cannot be had inside another request.
  if (const Constraints* rules = decision.constraints;
      rules != nullptr && ((lists(operation) && bounds_lists(rules)) || rules->approval.concerns(wanted)))
    return Status(Code::kDenied, one_error("permission denied"));
  return check_constraints(decision, wanted, data, call_.request.wrap_ttl);
}

bool RequestCaller::reaches(std::string_view path) const {
  if (call_.acl == nullptr)
    return false;
  const std::string_view seen = call_.acl_path(path);
  constexpr CapabilitySet kBeyondLists =
      kAnyCapability & static_cast<CapabilitySet>(~(bit(Capability::kList) | bit(Capability::kScan)));
  return path.ends_with('/') ? call_.acl->has_access_below(seen, kBeyondLists)
                             : (call_.acl->capabilities(seen).capabilities & kBeyondLists) != 0;
}

std::optional<Place> RequestCaller::place_of(std::string_view path) const {
  const Route* route = route_of(call_, path);
  if (route == nullptr)
    return std::nullopt;
  call_.txn.depend(layout::core_key(route->record_key));
  const MountInfo& mount = route->record.info;
  return Place{mount, route->prefix, path.substr(route->prefix.size()),
               Storage(call_.txn, route->record.storage_namespace(), mount.id, route->record.key_class())};
}

Result<Response> read_inside(CallContext& ctx, Operation operation, std::string_view path, const json::Value& data) {
  Response response;
  const Route* route = route_of(ctx, path);
  const RequestCaller outer(ctx);
  // One refusal, whether or not something is mounted there (advisory B5).
  if (route == nullptr || route->engine == nullptr || !outer.may(operation, path, true, data).ok()) {
    refuse(response, ctx, 403, one_error("permission denied"));
    return response;
  }
  // Asking for many at once is asking for each.
  if (ctx.published.quotas != nullptr) {
    const auto entity = [&outer] { return outer.entity_id(); };
    const auto charged = ctx.published.quotas->take(ctx.ns.path, ctx.ns.path + std::string(path), {}, entity,
                                                    ctx.request.remote_address, ctx.now);
    if (charged && !charged->allowed) {
      refuse(response, ctx, 429, "request path \"" + std::string(path) + "\": rate limit quota exceeded");
      return response;
    }
  }
  const std::string_view local = path.substr(route->prefix.size());
  const auto match = route->engine->paths(route->record.info).match(local, operation);
  const bool closed =
      route->record.info.type == "system" && !ctx.ns.is_root() && !sys_path_in_namespaces(local);
  // One spelling of a name for policy and handler; here the request's text stays as it is.
  const bool folded = match && match->spec->folds_case;
  if (folded && std::ranges::any_of(match->captures, has_upper_ascii)) {
    refuse(response, ctx, 400, "names in this path are to be in lower case");
    return response;
  }
  if (closed || !match || match->operation == nullptr) {
    const bool there = match && !closed;
    refuse(response, ctx, there ? 405 : 404, one_error(there ? "unsupported operation" : "unsupported path"));
    return response;
  }
  ctx.of_leader = ctx.of_leader || match->operation->effect == Effect::kReadsMemory;
  if (!only_reads(match->operation->effect) || match->spec->unauthenticated ||
      (match->spec->sudo && !ctx.acl->allows(ctx.acl_path(path), Capability::kSudo).allowed)) {
    refuse(response, ctx, 403, "not possible inside another request");
    return response;
  }
  std::optional<Place> place = outer.place_of(path);
  Request request;
  request.id = ctx.request.id;
  request.surface = ctx.request.surface;
  request.operation = operation;
  request.data = data;
  CallContext inner{{request, response, ctx.arena, place->storage, place->mount, ctx.now, ctx.random, local,
                     match->captures, ctx.token_key, operation},
                    ctx.txn, ctx.published, ctx.ns, ctx.acl_prefix, *route, ctx.services, path, ctx.token,
                    ctx.token_hash, ctx.acl, false, {}, false};
  const RequestCaller caller(inner);
  inner.caller = &caller;
  const Status status = match->operation->handler(inner);
  ctx.of_leader = ctx.of_leader || inner.of_leader;
  if (status.code() == Code::kDataLoss || status.code() == Code::kInternal || status.code() == Code::kIo ||
      status.code() == Code::kUnavailable)
    return status;
  if (!status.ok())
    refuse(response, ctx, http_status(status.code()), status.message());
  else if (response.auth || response.wrap_info || inner.login || inner.lease || inner.outside ||
           !inner.handed_out.empty())
    return Status(Code::kInternal, "a read inside another request handed something out");
  return response;
}

}  // namespace coffer::core
