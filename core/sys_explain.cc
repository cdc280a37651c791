// sys/policies/explain, sys/internal/ui/resultant-acl and sys/internal/counters/entities: what policies come to.
#include <algorithm>

#include "core/answers.h"
#include "core/call.h"
#include "core/identity_access.h"
#include "core/identity_store.h"
#include "core/path_fields.h"
#include "core/policy_explain.h"
#include "core/sys_engine.h"
#include "core/token_store.h"

namespace coffer::core {
namespace {

constexpr std::size_t kRulesToldMax = 10000;

// Whose question it is: policies by name, or a token with its identity.
struct Subject {
  std::string_view policies;
  NamespaceId ns;  // whose policies these are
  std::optional<Identity> identity;
};

Result<Subject> of_record(CallContext& ctx, const TokenRecord& record) {
  Subject subject{record.policies, record.ns, std::nullopt};
  if (record.entity.empty())
    return subject;
  COFFER_ASSIGN(subject.identity, find_identity(ctx.txn, ctx.arena, record));
  if (!subject.identity || subject.identity->entity.disabled)
    return Status(Code::kInvalid, "the token's entity is gone or disabled: it may do nothing");
  subject.policies = with_policies(ctx.arena, record.policies, subject.identity->policies);
  return subject;
}

Result<Subject> read_subject(CallContext& ctx) {
  COFFER_ASSIGN(auto names, ctx.list_field("policies"));
  COFFER_ASSIGN(const std::string_view token, ctx.string_field("token", ""));
  COFFER_ASSIGN(const std::string_view accessor, ctx.string_field("accessor", ""));
  if ((!names.empty()) + (!token.empty()) + (!accessor.empty()) > 1)
    return Status(Code::kInvalid, "only one of \"policies\", \"token\" and \"accessor\" may be given");
  if (!names.empty())
    return Subject{join_policies(ctx.arena, std::move(names)), ctx.mount.namespace_id, std::nullopt};
  if (token.empty() && accessor.empty())
    return of_record(ctx, *ctx.token);
  TokenStore tokens(ctx.txn, ctx.published, ctx.arena);
  COFFER_ASSIGN(const auto found, token.empty() ? tokens.live_by_accessor(accessor) : tokens.live_by_text(token));
  // Of tokens of other namespaces nothing is told (advisory F4).
  const bool here = found && ctx.in_reach(found->record);
  return here ? of_record(ctx, found->record)
              : Status(Code::kInvalid, token.empty() ? "invalid accessor" : "invalid token");
}

json::Value rule_value(CallContext& ctx, const Explanation& why) {
  if (why.rule.empty() && why.sources.empty())
    return json::Value();
  json::ArrayBuilder sources(ctx.arena, why.sources.size() + 1);
  for (const RuleSource& source : why.sources)
    sources.add(json::ObjectBuilder(ctx.arena, 3)
                    .add("capabilities", text_list(ctx.arena, capability_names(source.capabilities)))
                    .add("line", source.line)
                    .add("policy", source.policy)
                    .build());
  return json::ObjectBuilder(ctx.arena, 3)
      .add("capabilities", text_list(ctx.arena, capability_names(why.capabilities)))
      .add("path", why.rule)
      .add("sources", sources.build())
      .build();
}

// The path as the subject's rules see it: from the namespace on that it was made in. kInvalid: it is good only below.
Result<std::string_view> seen_path(CallContext& ctx, const Subject& subject, std::string_view path) {
  const NamespaceRecord* made = ctx.published.namespaces->find(subject.ns);
  if (made == nullptr)
    return Status(Code::kInvalid, "the token's namespace is gone");
  const std::string absolute = ctx.ns.path + std::string(path);
  if (!absolute.starts_with(made->path))
    return Status(Code::kInvalid, "the token is good below namespace " + made->path + " only");
  return ctx.arena.copy(absolute).substr(made->path.size());
}

// Whether the path is one that takes the sudo capability too.
bool is_protected(const CallContext& ctx, std::string_view path, Capability wanted) {
  const NamespaceRecord* ns = ctx.published.namespaces->find(ctx.mount.namespace_id);
  const std::string absolute = (ns == nullptr ? std::string() : ns->path) + std::string(path);
  const Route* route = ctx.published.router->match(absolute);
  if (route == nullptr || route->engine == nullptr)
    return false;
  const Operation operation = wanted == Capability::kList     ? Operation::kList
                              : wanted == Capability::kRead   ? Operation::kRead
                              : wanted == Capability::kDelete ? Operation::kDelete
                              : wanted == Capability::kPatch  ? Operation::kPatch
                                                              : Operation::kWrite;
  const auto match = route->engine->paths(route->record.info)
                         .match(std::string_view(absolute).substr(route->absolute.size()), operation);
  return match && match->spec->sudo;
}

Status handle_explain(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string_view path_text, ctx.string_field("path", ""));
  const Result<CanonicalPath> path = CanonicalPath::from_text(path_text);
  if (path_text.empty() || !path.ok())
    return Status(Code::kInvalid, "field \"path\" must be a path as requests name it, without /v1/");
  COFFER_ASSIGN(const std::string_view word, ctx.string_field("operation", "read"));
  const std::optional<Capability> wanted = capability_named(word);
  if (!wanted || *wanted == Capability::kDeny)
    return Status(Code::kInvalid, "field \"operation\" must be a capability such as read, create, update or list");
  COFFER_ASSIGN(const Subject subject, read_subject(ctx));
  TemplateValues values;
  if (subject.identity)
    values = [&](std::string_view expression) { return template_value(*subject.identity, expression); };
  COFFER_ASSIGN(const std::string_view seen, seen_path(ctx, subject, path->view()));
  const Explanation why =
      explain(ctx.published.policies_of(subject.ns), subject.policies, values, seen, *wanted, ctx.now);
  const bool needs_sudo = is_protected(ctx, path->view(), *wanted);
  std::string text = explanation_text(why, subject.policies, *wanted);
  if (needs_sudo && why.allowed && !why.sudo)
    text.append("; the path needs sudo as well");
  ctx.response.data = json::ObjectBuilder(ctx.arena, 8)
                          .add("allowed", why.allowed && (!needs_sudo || why.sudo))
                          .add("explanation", text)
                          .add("operation", word)
                          .add("path", path->view())
                          .add("policies", text_list(ctx.arena, split_policies(subject.policies)))
                          .add("rule", rule_value(ctx, why))
                          .add("sudo_needed", needs_sudo)
                          .build();
  return ok_status();
}

Status handle_resultant_acl(HandlerContext& base) {
  CallContext& ctx = call(base);
  json::ObjectBuilder data(ctx.arena, 3);
  if (!ctx.acl->is_root()) {
    json::ObjectBuilder exact(ctx.arena);
    json::ObjectBuilder glob(ctx.arena);
    std::size_t told = 0;
    ctx.acl->each_rule([&](std::string_view path, bool is_glob, CapabilitySet set) {
      if (told++ < kRulesToldMax)
        (is_glob ? glob : exact)
            .add(path, json::ObjectBuilder(ctx.arena, 1)
                           .add("capabilities", text_list(ctx.arena, capability_names(set)))
                           .build());
    });
    data.add("exact_paths", exact.build()).add("glob_paths", glob.build());
  }
  ctx.response.data = data.add("root", ctx.acl->is_root()).build();
  return ok_status();
}

Status handle_count_entities(HandlerContext& base) {
  CallContext& ctx = call(base);
  Storage people(ctx.txn, ctx.mount.namespace_id, kIdentityMountId, store::KeyClass::kShared);
  COFFER_ASSIGN(const ListPage page, people.list("entity/"));
  const json::Value total = json::ObjectBuilder(ctx.arena, 1).add("total", page.names.size()).build();
  const json::Value entities = json::ObjectBuilder(ctx.arena, 1).add("entities", total).build();
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("counters", entities).build();
  return ok_status();
}

}  // namespace

std::vector<PathSpec> sys_explain_specs() {
  std::vector<PathSpec> specs;
  specs.push_back(
      {"policies/explain",
       "Which rule decides, where it stands, and what it grants. Nothing is done.",
       {{"path", FieldType::kString, "The path, as a request would name it.", true},
        {"operation", FieldType::kString, "A capability: read, create, update, delete, list, patch, sudo."},
        {"policies", FieldType::kStringList, "Ask for these policies."},
        {"token", FieldType::kString, "Ask for this token; absent: the calling one."},
        {"accessor", FieldType::kString, "Ask for the token of this accessor."}},
       {{Operation::kWrite, Effect::kReads, handle_explain, "Explains a decision."}}});
  specs.push_back({"internal/ui/resultant-acl", "What the calling token may do, path by path.", {},
                   {{Operation::kRead, Effect::kReads, handle_resultant_acl, "Reads what the token may do."}}});
  specs.push_back({"internal/counters/entities", "How many entities there are.", {},
                   {{Operation::kRead, Effect::kReads, handle_count_entities, "Counts entities."}}});
  return specs;
}

}  // namespace coffer::core
