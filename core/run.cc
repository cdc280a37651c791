#include "core/run.h"

#include <algorithm>
#include <cstring>

#include "base/ascii.h"
#include "base/check.h"
#include "base/metrics.h"
#include "base/mutant.h"
#include "core/activity.h"
#include "core/answers.h"
#include "core/cidr.h"
#include "core/help.h"
#include "core/lease_grant.h"
#include "core/list_rules.h"
#include "core/lockout.h"
#include "core/mount_headers.h"
#include "core/policy_explain.h"
#include "core/request_caller.h"
#include "core/state_index.h"
#include "core/token_issue.h"
#include "core/wrapping.h"
#include "core/wrapping_jwt.h"

namespace coffer::core {
namespace {

constexpr std::string_view kDeniedOne = "1 error occurred:\n\t* permission denied\n\n";
constexpr std::string_view kDeniedBare = "permission denied";

std::string_view list_path(json::Arena& arena, std::string_view path) {
  if (path.empty() || path.back() == '/')
    return path;
  auto* text = static_cast<char*>(arena.allocate(path.size() + 1, 1));
  std::memcpy(text, path.data(), path.size());
  text[path.size()] = '/';
  return {text, path.size() + 1};
}

// An answer with a body tells which fields of the request meant nothing to its path.
void warn_of_ignored_fields(const PathSpec& spec, Exchange& exchange) {
  Response& response = exchange.response;
  if (response.bare || response.has_errors() || (response.data.is_null() && !response.auth))
    return;
  std::vector<std::string_view> ignored;
  for (const json::Member& member : exchange.request.data.members()) {
    if (!spec.knows(member.key()))
      ignored.push_back(member.key());
  }
  if (ignored.empty())
    return;
  std::ranges::sort(ignored);
  std::string text = "Endpoint ignored these unrecognized parameters:";
  for (std::size_t i = 0; i < ignored.size(); ++i)
    text.append(i == 0 ? " [" : " ").append(ignored[i]);
  warn(response, exchange.arena, text + "]");
}

}  // namespace

Run::Run(Exchange& exchange, PipelineState& state, const Services& services, const store::View& view,
         const Published& published)
    : exchange_(exchange),
      state_(state),
      services_(services),
      published_(published),
      txn_(view, *published.barrier, exchange.arena, state.now, state.buffers, std::move(state.speculation)),
      tokens_(txn_, published, exchange.arena) {
  exchange_.response = Response();
}

void Run::refuse(int status, std::string_view error) {
  fail(exchange_, status, error);
  refused_ = true;
}

void Run::note(const Status& status) {
  if (status.code() == Code::kUnavailable)
    wants_newer_keyring_ = true;
  // What a damaged record or a failed dependency says stays in the server: the client learns that it is not its fault
  // (advisory H13).
  if (status.code() == Code::kDataLoss || status.code() == Code::kInternal || status.code() == Code::kIo) {
    std::string text = "internal error";
    if (mutant(Mutant::kRequestInFailureText))
      json::write(exchange_.request.data, text);
    return refuse(500, text);
  }
  refuse(http_status(status.code()), status.message());
}

// Header and path together name it: "X-Vault-Namespace: a" with "b/secret/x" is "a/b/" and "secret/x".
void Run::find_namespace() {
  const Request& request = exchange_.request;
  const NamespaceTable& table = *published_.namespaces;
  full_path_ = request.path.view();
  namespace_ = &table.root();
  if (request.namespace_path.empty() && table.only_root())
    return;
  if (request.namespace_path.empty()) {
    namespace_ = &table.resolve(full_path_);
    full_path_.remove_prefix(namespace_->path.size());
    return;
  }
  std::string absolute(request.namespace_path);
  absolute.push_back('/');
  namespace_ = &table.resolve(absolute);
  namespace_found_ = namespace_->path == absolute;
  if (!namespace_found_)
    return;
  absolute.append(full_path_);
  namespace_ = &table.resolve(absolute);
  full_path_ = exchange_.arena.copy(absolute).substr(namespace_->path.size());
}

const Route* Run::match_route() const {
  const Route* route = namespace_->is_root()
                           ? published_.router->match(full_path_)
                           : published_.router->match(exchange_.arena.copy(namespace_->path + std::string(full_path_)));
  // Not a mount of what is being deleted below.
  return route != nullptr && route->record.info.namespace_id == namespace_->id ? route : nullptr;
}

void Run::resolve() {
  const Request& request = exchange_.request;
  if (lists(request.operation))
    full_path_ = list_path(exchange_.arena, full_path_);
  else if (full_path_.starts_with("sys/") && full_path_.ends_with('/'))
    // Clients name mounts both ways. Policy and handler see one spelling, so a rule for it cannot be passed by (rule
    // R2).
    full_path_.remove_suffix(1);
  route_ = match_route();
  if (route_ == nullptr && request.operation == Operation::kHelp) {
    // Of a mount itself, whose name clients send without its '/'.
    full_path_ = list_path(exchange_.arena, full_path_);
    route_ = match_route();
  }
  seen_path_ = full_path_;
  if (route_ == nullptr)
    return;
  local_path_ = full_path_.substr(route_->prefix.size());
  if (route_->engine != nullptr)
    match_ = route_->engine->paths(route_->record.info).match(local_path_, request.operation);
  if (mutant(Mutant::kLoginByAnyOperation) && match_ && match_->operation == nullptr && match_->spec->unauthenticated)
    match_->operation = &match_->spec->operations.front();
  if (match_ && match_->spec->folds_case && !mutant(Mutant::kNamesNotFolded))
    fold_captures();
  const MountInfo& mount = route_->record.info;
  if (mount.type == "system" && !namespace_->is_root() && match_ && !sys_path_in_namespaces(local_path_) &&
      !mutant(Mutant::kRootPathServedBelow)) {
    const bool looks = request.operation == Operation::kRead || lists(request.operation) ||
                       local_path_.starts_with("audit-hash/");
    root_only_ = !looks || namespace_->path != published_.config.administrative_namespace ||
                 !sys_path_of_administrators(local_path_);
  }
  storage_.emplace(txn_, route_->record.storage_namespace(), mount.id, route_->record.key_class());
}

void Run::fold_captures() {
  if (!std::ranges::any_of(match_->captures, has_upper_ascii))
    return;
  auto* text = static_cast<char*>(exchange_.arena.allocate(full_path_.size(), 1));
  std::memcpy(text, full_path_.data(), full_path_.size());
  for (const std::string_view name : match_->captures) {
    const auto at = static_cast<std::size_t>(name.data() - full_path_.data());
    COFFER_CHECK(at + name.size() <= full_path_.size());
    lower_ascii(name).copy(text + at, name.size());
  }
  seen_path_ = {text, full_path_.size()};
}

void Run::authorise() {
  find_namespace();
  resolve();
  if (route_ != nullptr)
    state_.route_slot = route_->metrics_slot;
  // Before who asks is looked at: guesses count too (advisory C4).
  if (published_.quotas != nullptr || state_.rate.refused) [[unlikely]]
    take_rate();
  if (refused_)
    return fill_facts();
  if (const Status status = authenticate(); !status.ok())
    note(status);
  else if (!namespace_found_)
    refuse(404, "namespace not found");
  else if (const NamespaceRecord* locked =
               namespace_->is_root() ? nullptr : published_.namespaces->locked_above(*namespace_);
           locked != nullptr && !full_path_.starts_with("sys/namespaces/api-lock/unlock"))
    refuse(503, "API access to this namespace has been locked by an administrator - \"" + locked->path +
                    "\" must be unlocked to gain access.");
  state_.times.token = metrics::now_ns();
  fill_facts();
  const bool trusted = state_.forwarded && mutant(Mutant::kForwardedTrusted);
  if (!refused_ && !trusted)
    if (const Status status = check_policy(); !status.ok())
      note(status);
  if (refused_ && !why_.empty())
    exchange_.response.errors.push_back(why_);
  state_.times.policy = metrics::now_ns();
  if (!refused_)
    if (const Status status = check_lockout(); !status.ok())
      note(status);
}

// A login's role, as far as the request or its handler says it.
std::string_view Run::quota_role(QuotaKind kind) {
  if (route_ == nullptr || route_->record.table != MountTable::kAuth || !match_ || !published_.quotas->by_role(kind))
    return {};
  if (match_->spec->login_role != nullptr) {
    CallContext ctx = context();
    const Result<std::string_view> role = match_->spec->login_role(ctx);
    return role.ok() ? *role : std::string_view();
  }
  if (const json::Value* role = exchange_.request.data.find("role"); role != nullptr && role->is_string())
    return role->as_string();
  return match_->captures.empty() ? std::string_view() : match_->captures.front();
}

bool Run::admit() {
  find_namespace();
  resolve();
  // A role that stands in the body is not known yet.
  const bool by_role =
      route_ != nullptr && route_->record.table == MountTable::kAuth && published_.quotas->by_role(QuotaKind::kRate);
  if (namespace_found_ && !by_role)
    take_rate();
  return !state_.rate.refused;
}

// Once a request: what was asked at the door, or in an earlier run, holds.
void Run::take_rate() {
  PipelineState::Rate& rate = state_.rate;
  if (rate.asked) {
    if (rate.refused)
      refuse_for_rate();
    return;
  }
  rate.asked = true;
  const QuotaSet& quotas = *published_.quotas;
  if (!quotas.any(QuotaKind::kRate))
    return;
  const std::string path = namespace_->path + std::string(seen_path_);
  const auto entity = [this] {
    return authenticate().ok() && token_ ? token_->record.entity : std::string_view();
  };
  const auto charged = quotas.take(namespace_->path, path, quota_role(QuotaKind::kRate), entity,
                                   exchange_.request.remote_address, state_.now);
  if (!charged)
    return;
  const RateCounter::Taken& taken = *charged;
  json::Arena& arena = exchange_.arena;
  const auto seconds = [&arena](Nanos wait) {
    return arena.copy(std::to_string(std::chrono::ceil<std::chrono::seconds>(wait).count()));
  };
  if (quotas.config().response_headers) {
    rate.headers.emplace_back("X-Ratelimit-Limit", arena.copy(std::to_string(taken.limit)));
    rate.headers.emplace_back("X-Ratelimit-Remaining", arena.copy(std::to_string(taken.remaining)));
    rate.headers.emplace_back("X-Ratelimit-Reset", seconds(taken.reset));
  }
  if (taken.allowed)
    return;
  rate.headers.emplace_back("Retry-After", seconds(taken.reset));
  rate.refused = true;
  refuse_for_rate();
}

void Run::refuse_for_rate() {
  unaudited_refusal_ = published_.quotas == nullptr || !published_.quotas->config().audit_logging;
  refuse(429, "request path \"" + std::string(full_path_) + "\": rate limit quota exceeded");
}

// Of what hands out something that ends: a lease of an engine, or a token.
Status Run::check_lease_quota(CallContext& ctx) {
  const QuotaSet& quotas = *published_.quotas;
  if (!quotas.any(QuotaKind::kLeases) || (!ctx.lease && ctx.handed_out.empty()))
    return ok_status();
  const std::string path = namespace_->path + std::string(seen_path_);
  const QuotaSet::Rule* rule = quotas.find(QuotaKind::kLeases, namespace_->path, path, quota_role(QuotaKind::kLeases));
  if (rule == nullptr || !rule->leases->counted)
    return ok_status();
  const std::int64_t now = rule->leases->base + rule->changed;
  if (now < static_cast<std::int64_t>(rule->record.max_leases))
    return ok_status();
  return Status(Code::kExhausted, "request path \"" + std::string(full_path_) + "\": lease count quota exceeded");
}

bool Run::guarded() const {
  return match_ && (match_->spec->sudo || (match_->operation != nullptr && match_->operation->sudo));
}

bool Run::open_path() const {
  return match_ && !root_only_ &&
         ((match_->spec->unauthenticated && !guarded()) || (mutant(Mutant::kPathLeftOpen) && local_path_ == "mounts"));
}

// One answer for a missing, unknown and expired token, whatever the path leads to (advisory B5).
Status Run::authenticate() {
  const bool open = open_path();
  if (exchange_.request.passing_login && !is_login() && !mutant(Mutant::kInlineLoginAnyPath))
    return Status(Code::kUnauthenticated, std::string(kDeniedBare));
  if (!exchange_.request.token.empty()) {
    COFFER_ASSIGN(token_, tokens_.live_by_text(token_text()));
    // Seen from elsewhere than where it is bound to, it is no token.
    if (token_ && !mutant(Mutant::kTokenCidrUnchecked) &&
        !in_networks(exchange_.request.remote_address, token_->record.bound_cidrs))
      token_.reset();
    if (token_ && !reaches_namespace(token_->record))
      token_.reset();
  }
  if (token_ && !token_->record.entity.empty())
    COFFER_TRY(identify());
  else if (token_)
    acl_ = &published_.policies_of(token_->record.ns).acl(policies_ = token_->record.policies, acl_owner_, state_.now);
  exchange_.authenticated = token_.has_value();
  if (token_)
    return ok_status();
  if (open)
    return ok_status();
  if (route_ == nullptr && mutant(Mutant::kMountRevealedUnauthenticated))
    return Status(Code::kNotFound, "no handler for route");
  if (full_path_ == "sys/wrapping/unwrap" && !exchange_.request.token.empty())
    return Status(Code::kInvalid, std::string(kNoWrappingToken));
  return Status(Code::kUnauthenticated, std::string(kDeniedBare));
}

// Where a client proves who it is, and nothing else: one answer for all other paths (advisories A1, B5).
bool Run::is_login() const {
  return route_ != nullptr && route_->record.table == MountTable::kAuth && match_ && match_->operation != nullptr &&
         match_->spec->login_name != nullptr && match_->spec->unauthenticated;
}

// A wrapping token may be shown as a JWT where it is looked at or unwrapped.
std::string_view Run::token_text() {
  const std::string_view text = exchange_.request.token;
  if (!looks_like_jwt(text) || !full_path_.starts_with("sys/wrapping/"))
    return text;
  const Result<std::string_view> inner = wrapping_token_in(published_, exchange_.arena, text, state_.now);
  return inner.ok() ? *inner : text;
}

// What the token's entity adds. Without one, or with one that is disabled, the token is good for nothing.
Status Run::identify() {
  const TokenRecord& record = token_->record;
  COFFER_ASSIGN(identity_, find_identity(txn_, exchange_.arena, record));
  if (!identity_ || identity_->entity.disabled) {
    token_.reset();
    return ok_status();
  }
  policies_ = with_policies(exchange_.arena, record.policies, identity_->policies);
  const NamespaceId ns = mutant(Mutant::kPoliciesOfTheRoot) ? layout::kRootNamespace : record.ns;
  acl_ = &published_.policies_of(ns).acl(
      policies_, acl_owner_, state_.now, [this](std::string_view name) { return template_value(*identity_, name); });
  return ok_status();
}

// A token is good where it was made and below. Its rules speak of paths from there on.
bool Run::reaches_namespace(const TokenRecord& token) {
  if (namespace_->is_root() && token.ns == layout::kRootNamespace)
    return true;
  const NamespaceRecord* made = published_.namespaces->find(token.ns);
  if (made == nullptr || made->deleting)
    return false;
  if (!made->covers(*namespace_))
    return mutant(Mutant::kForeignNamespaceReached);
  acl_prefix_ = std::string_view(namespace_->path).substr(made->path.size());
  return true;
}

void Run::fill_facts() {
  AuditFacts& facts = state_.facts;
  json::Arena& arena = exchange_.arena;
  facts = AuditFacts();
  if (!token_ || !mutant(Mutant::kAuditedHeadersLost))
    facts.audited_headers = published_.settings->audited_headers;
  facts.namespace_id = arena.copy(namespace_->name);
  facts.namespace_path = arena.copy(namespace_->path);
  facts.path = full_path_;
  if (route_ != nullptr) {
    const MountInfo& mount = route_->record.info;
    facts.mount_point = arena.copy(route_->prefix);
    facts.mount_type = arena.copy(mount.type);
    facts.mount_accessor = arena.copy(mount.accessor);
    facts.mount_uuid = arena.copy(mount.uuid);
    exchange_.response.mount_type = facts.mount_type;
    for (const std::string& key : route_->record.tuning.audit_non_hmac_request_keys)
      facts.clear_request_keys.push_back(arena.copy(key));
    for (const std::string& key : route_->record.tuning.audit_non_hmac_response_keys)
      facts.clear_response_keys.push_back(arena.copy(key));
  }
  if (!token_)
    return;
  const TokenRecord& record = token_->record;
  facts.client_token_known = true;
  facts.accessor = record.accessor;
  facts.display_name = record.display_name;
  facts.token_type = type_name(record.type);
  facts.entity_id = record.entity;
  facts.token_policies = split_policies(record.policies);
  facts.policies = facts.token_policies;
  if (identity_ && !identity_->policies.empty()) {
    facts.identity_policies = split_policies(identity_->policies);
    facts.policies = split_policies(policies_);
  }
  facts.token_ttl = record.ttl;
  facts.token_issue_time = record.created;
  const bool counted = !open_path();
  if (record.num_uses > 0)
    facts.remaining_uses = record.num_uses - (counted ? 1 : 0);  // after this request, as users of such servers know it
}

// A token that is good in several namespaces has a cubbyhole in each.
std::string_view Run::cubbyhole_key() {
  if (!token_ || token_->hash.empty() || namespace_->is_root())
    return token_ ? token_->hash : std::string_view();
  std::string key(token_->hash);
  layout::append_hex(key.append("."), namespace_->id.get(), 8);
  return exchange_.arena.copy(key);
}

CallContext Run::context() {
  CallContext ctx{
      {bounded_ ? *bounded_ : exchange_.request, exchange_.response, exchange_.arena, *storage_,
       route_->record.info, state_.now,
       services_.random, local_path_, match_ ? match_->captures : std::vector<std::string_view>(),
       cubbyhole_key(), exchange_.request.operation, state_.work.get()},
      txn_,
      published_,
      *namespace_,
      acl_prefix_,
      *route_,
      services_,
      full_path_,
      token_ ? &token_->record : nullptr,
      token_ ? token_->hash : std::string_view(),
      acl_,
      sudo_,
      {},
      false};
  ctx.headers = passed_headers(exchange_.request, route_->record.tuning);
  return ctx;
}

Result<Capability> Run::capability() {
  const Operation operation = exchange_.request.operation;
  if (operation != Operation::kWrite)
    return capability_for(operation, true);
  if (!match_ || root_only_ || match_->operation == nullptr || match_->spec->exists == nullptr)
    return Capability::kUpdate;
  CallContext ctx = context();
  COFFER_ASSIGN(const bool exists, match_->spec->exists(ctx));
  return exists ? Capability::kUpdate : Capability::kCreate;
}

// The rule that decided, for the server's log, and for a token that may ask sys/policies/explain anyhow.
void Run::explain_refusal(std::string_view path, Capability wanted) {
  const bool may_know =
      exchange_.request.explain || acl_->allows("sys/policies/explain", Capability::kUpdate).allowed;
  const PolicyStore& store = published_.policies_of(token_->record.ns);
  const bool logged = services_.log != nullptr && store.may_explain(state_.now);
  if (!logged && !may_know)
    return;
  TemplateValues values;
  if (identity_)
    values = [this](std::string_view name) { return template_value(*identity_, name); };
  const Explanation why = explain(store, policies_, values, path, wanted, state_.now);
  // Whether a write creates is known from what is there already, and that is not told to who may do neither.
  constexpr CapabilitySet kWrites = bit(Capability::kCreate) | bit(Capability::kUpdate);
  const bool hides = exchange_.request.operation == Operation::kWrite && (why.capabilities & kWrites) == 0 &&
                     !mutant(Mutant::kExplainTellsExistence);
  std::string text = explanation_text(why, policies_, hides ? std::nullopt : std::optional(wanted));
  if (why.allowed)
    text.append("; the path needs sudo as well");
  if (logged)
    services_.log->info("core", "permission denied",
                        {{"request_id", exchange_.request.id},
                         {"path", full_path_},
                         {"operation", name_of(wanted)},
                         {"reason", text}});
  if (may_know)
    why_ = exchange_.arena.copy(text);
}

Status Run::check_policy() {
  const Request& request = exchange_.request;
  if (open_path())
    return ok_status();
  if (request.operation == Operation::kHelp)
    return ok_status();
  COFFER_ASSIGN(const Capability wanted, capability());
  const std::string_view path =
      acl_prefix_.empty() ? seen_path_ : exchange_.arena.copy(std::string(acl_prefix_).append(seen_path_));
  const Decision decision = acl_->allows(path, wanted);
  state_.facts.creates = wanted == Capability::kCreate;
  state_.facts.allowed = decision.allowed;
  sudo_ = decision.sudo || decision.root;
  if (!decision.allowed || (guarded() && !sudo_)) {
    explain_refusal(path, wanted);
    return Status(Code::kDenied, std::string(kDeniedOne));
  }
  COFFER_TRY(check_constraints(decision, wanted, request.data, request.wrap_ttl));
  if (!state_.approved.empty() ||
      (decision.constraints != nullptr && decision.constraints->approval.concerns(wanted))) [[unlikely]]
    COFFER_TRY(check_approval(decision, wanted));
  if (lists(request.operation) && bounds_lists(decision.constraints)) [[unlikely]] {
    list_rules_ = decision.constraints;
    bounded_ = request;
    bounded_->data = bounded_list_data(exchange_.arena, *list_rules_, request.data);
  }
  return ok_status();
}

// What tells the client apart. Nothing for root tokens, which are nobody in particular, and where nobody is counted.
std::optional<std::uint64_t> Run::client_mark() const {
  if (!token_ || services_.activity == nullptr)
    return std::nullopt;
  const TokenRecord& record = token_->record;
  if (state_.runs > 0 || record.policies == kRootPolicyName || record.policies == kWrappingPolicyName)
    return std::nullopt;
  return std::hash<std::string_view>()(record.entity.empty() ? record.policies : record.entity) ^
         (record.ns.get() + 1) * 0x9e3779b97f4a7c15u;
}

// Of a request that may be made. Where a node answers for itself, whoever leads, nothing is counted.
void Run::note_client() {
  const std::optional<std::uint64_t> mark = client_mark();
  if (!mark || state_.local || !services_.activity->is_new(*mark, state_.now))
    return;
  const TokenRecord& record = token_->record;
  const bool entity = !record.entity.empty();
  SeenClient client{std::string(record.entity), entity, record.ns, {}, state_.now};
  if (!entity)
    client.id = client_of_policies(record.policies, record.ns);
  const NamespaceRecord* made = published_.namespaces->find(record.ns);
  const Route* maker = made == nullptr ? nullptr : published_.router->match(made->path + std::string(record.path));
  if (maker != nullptr)
    client.accessor = maker->record.info.accessor;
  services_.activity->add(*mark, std::move(client));
}

bool Run::is_leaders() {
  const bool open = open_path();
  if (match_ && match_->operation != nullptr && match_->operation->effect != Effect::kReads)
    return true;
  // Counting a use is a write.
  if (token_ && token_->record.num_uses > 0 && !open)
    return true;
  if (of_leader_ || waits_for_ != nullptr || !state_.approved.empty() || exchange_.request.wrap_ttl)
    return true;
  if (refused_)
    return false;
  const std::optional<std::uint64_t> mark = client_mark();
  if (!mark || !services_.activity->is_unknown(*mark, state_.now))
    return false;
  state_.client_mark = *mark;
  return true;
}

// What operators need to look after the server goes on.
bool Run::too_busy() const {
  return !only_reads(match_->operation->effect) && state_.runs == 0 && services_.committer.overloaded() &&
         !full_path_.starts_with("sys/");
}

void Run::handle() {
  if (refused_)
    return;
  note_client();
  if (route_ == nullptr)
    return refuse(
        404, "no handler for route \"" + std::string(exchange_.request.path.view()) + "\". route entry not found.");
  const bool of_mount = exchange_.request.operation == Operation::kHelp && local_path_.empty() &&
                        route_->engine != nullptr;
  if (!match_ && !of_mount)
    return refuse(404, "1 error occurred:\n\t* unsupported path\n\n");
  if (root_only_)
    return refuse(400, "operation only available in root namespace");
  if (exchange_.request.operation == Operation::kHelp)
    return answer_help();
  if (match_->operation == nullptr)
    return refuse(405, "1 error occurred:\n\t* unsupported operation\n\n");
  if (too_busy()) [[unlikely]] {
    state_.rate.headers.emplace_back("Retry-After", "1");
    return refuse(503, "the server has more writes than it can commit, try again later");
  }
  const TxnImpl::Savepoint before = txn_.savepoint();
  const Status status = call_handler();
  count_login(status);
  if (!status.ok()) {
    const std::string_view mount_type = exchange_.response.mount_type;
    note(status);
    exchange_.response.mount_type = mount_type;
  }
  // A failed request leaves nothing behind.
  if (exchange_.response.has_errors() && !mutant(Mutant::kFailedLoginKeepsToken))
    txn_.rollback(before);
}

// Once more after slow work, so that many guesses at once are no more than as many one after the other.
Status Run::check_lockout() {
  if (services_.lockouts == nullptr || !match_ || match_->operation == nullptr || match_->spec->login_name == nullptr ||
      exchange_.request.operation == Operation::kHelp)
    return ok_status();
  CallContext ctx = context();
  COFFER_ASSIGN(login_name_, match_->spec->login_name(ctx));
  const MountRecord& record = route_->record;
  if (!login_name_.empty() && services_.lockouts->locked(record.info.accessor, login_name_,
                                                         services_.lockouts->rule(record.info.type, record.tuning),
                                                         state_.now))
    return Status(Code::kDenied, std::string(kDeniedBare));
  return ok_status();
}

// What was decided on what is not committed is decided again, and counted then.
void Run::count_login(const Status& outcome) {
  if (login_name_.empty() || txn_.speculated())
    return;
  const MountRecord& record = route_->record;
  if (outcome.ok())
    services_.lockouts->forget(record.info.accessor, login_name_);
  else if (outcome.code() == Code::kInvalid)
    services_.lockouts->failed(record.info.accessor, login_name_,
                               services_.lockouts->rule(record.info.type, record.tuning), state_.now);
}

// Only of a request that may be made at all: nobody's password is hashed for a caller who is refused anyhow.
bool Run::prepare() {
  if (refused_ || waits_for_ != nullptr || !match_ || root_only_ || match_->operation == nullptr ||
      match_->operation->prepare == nullptr || exchange_.request.operation == Operation::kHelp)
    return false;
  CallContext ctx = context();
  Result<std::unique_ptr<PreparedWork>> work = match_->operation->prepare(ctx);
  if (!work.ok()) {
    note(work.status());
    return false;
  }
  if (*work == nullptr)
    return false;
  state_.work = std::move(*work);
  return true;
}

Status Run::call_handler() {
  CallContext ctx = context();
  const RequestCaller caller(ctx);
  ctx.caller = &caller;
  if (waits_for_ != nullptr) [[unlikely]]
    return keep_for_approval(ctx);
  const Status handled = match_->operation->handler(ctx);
  of_leader_ = of_leader_ || ctx.of_leader;
  COFFER_TRY(handled);
  if (!state_.approved.empty() && !exchange_.response.has_errors()) [[unlikely]]
    COFFER_TRY(tokens_.revoke_tree(state_.approved));
  if (list_rules_ != nullptr) [[unlikely]]
    bound_list_answer(exchange_.arena, *acl_, *list_rules_, ctx.acl_path(full_path_), bounded_->data,
                      exchange_.response);
  COFFER_TRY(check_answer(ctx));
  if (ctx.login)
    COFFER_TRY(log_in(ctx, *ctx.login));
  if (published_.quotas != nullptr) [[unlikely]]
    COFFER_TRY(check_lease_quota(ctx));
  warn_of_ignored_fields(*match_->spec, exchange_);
  // With the token goes what is leased with it: nothing is made that would be revoked before it could be used.
  if (ctx.lease && token_ && token_->record.num_uses == 1)
    return Status(Code::kInvalid,
                  "Secret cannot be returned; token had one use left, so leased credentials were immediately revoked.");
  if (ctx.lease && !exchange_.response.has_errors())
    COFFER_TRY(grant_lease(ctx));
  if (ctx.outside && !exchange_.response.has_errors()) {
    state_.outside = std::move(ctx.outside);
    for (const std::string_view key : ctx.leases_out)
      state_.leases_out.emplace_back(key);
    return ok_status();
  }
  return wrap_and_hand_out(ctx);
}

// What no answer may hold, whatever its handler says.
Status Run::check_answer(CallContext& ctx) {
  Response& response = exchange_.response;
  // Its token ends with it, so nothing may depend on that token.
  if (state_.logged_in && (ctx.lease || ctx.login || response.auth))
    return Status(Code::kInvalid, "a request with inline authentication is given neither leases nor tokens");
  if (!response.content_type.empty() && (response.auth || ctx.login || ctx.lease)) {
    response.headers.emplace_back("X-Vault-Raw-Error", "raw responses cannot contain secrets or auth");
    const auto headers = response.headers;
    refuse(500, "");
    response.headers = headers;
    ctx.login.reset();
    ctx.lease.reset();
    return ok_status();
  }
  if (route_->record.info.type != "system")
    keep_allowed_headers(route_->record.tuning, response);
  return ok_status();
}

void Run::check_known_states(Index at) {
  if (refused_ || exchange_.request.known_states == nullptr)
    return;
  switch (check_states(*published_.hasher, exchange_.request.known_states, at)) {
    case StateCheck::kHeld: return;
    case StateCheck::kForeign: return refuse(400, "X-Vault-Index: not a state of this cluster");
    case StateCheck::kLater:
      of_leader_ = state_.read == StandbyRead::kConfirmed && exchange_.request.leader_if_behind;
      if (!of_leader_)
        refuse(412, "required index state not present");
      return;
  }
}

Status Run::wrap_and_hand_out(CallContext& ctx) {
  // Nobody without a token makes records, unless the answer gives one.
  const bool known = token_ || concludes_ || exchange_.response.auth;
  if (exchange_.request.wrap_ttl && !ctx.wrapped && known && !exchange_.response.has_errors())
    COFFER_TRY(wrap_response(ctx, *exchange_.request.wrap_ttl));
  for (const std::string_view hash : ctx.handed_out)
    state_.handed_out.emplace_back(hash);
  for (const std::string_view key : ctx.leases_out)
    state_.leases_out.emplace_back(key);
  return ok_status();
}

void Run::conclude() {
  exchange_.response = state_.answered;
  concludes_ = true;
  find_namespace();
  resolve();
  if (route_ == nullptr || !namespace_found_)
    return refuse(503, "the mount was disabled before the request was done");
  CallContext ctx = context();
  const TxnImpl::Savepoint before = txn_.savepoint();
  const Status status = state_.outside->then(ctx, *state_.called);
  if (!status.ok()) {
    txn_.rollback(before);
    return note(status);
  }
  if (!state_.called->ok())
    return note(*state_.called);
  const Status wrapped = wrap_and_hand_out(ctx);
  if (wrapped.ok())
    return;
  // Nobody is told of what was made: it is concluded as a call that failed.
  txn_.rollback(before);
  CallContext again = context();
  const Status undone = state_.outside->then(again, wrapped);
  note(undone.ok() ? wrapped : undone);
}

void Run::answer_help() {
  const MountInfo& mount = route_->record.info;
  exchange_.response.data = local_path_.empty()
                                ? describe_mount(exchange_.arena, route_->engine->paths(mount), mount.type)
                                : describe_path(exchange_.arena, *match_->spec, local_path_);
  exchange_.response.bare = true;
}

// A use-limited token is counted whether or not its handler succeeded, but not when the whole request was given up
// (too late, out of memory): then nothing of it is kept and nothing was answered. The last use revokes the token. What
// needs no token uses none up: looking at a wrapping token with itself must not destroy what it wraps.
Status Run::count_use() {
  if (concludes_ || !token_ || token_->record.num_uses <= 0 || open_path())
    return ok_status();
  if (token_->record.num_uses == 1)
    return tokens_.revoke_tree(token_->hash);
  COFFER_ASSIGN(const auto now, tokens_.stored(token_->hash));
  if (!now)
    return ok_status();
  TokenRecord counted = now->record;
  --counted.num_uses;
  return tokens_.replace(token_->hash, now->record, counted);
}

// What allowed and routed the request is part of what it read.
void Run::depend_on_authority() {
  if (route_ != nullptr)
    txn_.depend(layout::core_key(route_->record_key));
  txn_.depend(layout::core_key(layout::kJobMark));
  for (const NamespaceRecord* ns = namespace_; !ns->is_root();) {
    txn_.depend(layout::core_key(layout::namespace_record(ns->id)));
    const std::size_t slash = ns->path.rfind('/', ns->path.size() - 2);
    ns = published_.namespaces->find_path(slash == std::string::npos ? "" : ns->path.substr(0, slash + 1));
  }
  if (!token_)
    return;
  for (const std::string_view policy : split_policies(policies_))
    txn_.depend(layout::core_key(layout::policy_record(token_->record.ns, policy)));
}

bool Run::finish(Term term) {
  std::vector<std::pair<std::string_view, std::string_view>>& headers = exchange_.response.headers;
  for (const auto& header : state_.rate.headers)
    if (std::ranges::find(headers, header) == headers.end())
      headers.push_back(header);
  if (const Status status = count_use(); !status.ok()) {
    state_.outside.reset();
    txn_.rollback({});
    note(status);
  }
  const bool speculated = txn_.speculated() && !mutant(Mutant::kSpeculationAnswered);
  if (!txn_.writes() && !speculated)
    return false;
  depend_on_authority();
  Result<Proposal> proposal = txn_.writes() ? txn_.finish(term, services_.random) : txn_.reads(term);
  if (!proposal.ok()) {
    note(proposal.status());
    return false;
  }
  state_.proposal = std::move(*proposal);
  state_.proposal.may_speculate = true;
  return true;
}

}  // namespace coffer::core
