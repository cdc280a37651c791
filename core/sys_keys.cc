#include <algorithm>

#include "base/time_text.h"
#include "core/answers.h"
#include "core/call.h"
#include "core/identity_access.h"
#include "core/rotation.h"
#include "core/sys_engine.h"
#include "core/token_store.h"

namespace coffer::core {
namespace {

Status handle_key_status(HandlerContext& base) {
  CallContext& ctx = call(base);
  const seal::Keyring::TermInfo info = ctx.published.barrier->keyring()->active_info();
  ctx.response.data = json::ObjectBuilder(ctx.arena, 3)
                          .add("encryptions", info.encryptions)
                          .add("install_time", format_time(info.installed))
                          .add("term", info.term.get())
                          .build();
  ctx.response.data_also_top_level = true;
  return ok_status();
}

// The new term seals nothing until the entry is applied: only then it is published.
Status handle_rotate(HandlerContext& base) {
  CallContext& ctx = call(base);
  return rotate_keyring(ctx.txn, ctx.published, ctx.random);
}

Status show_capabilities(CallContext& ctx, const StoredToken& token) {
  COFFER_ASSIGN(std::vector<std::string_view> paths, ctx.list_field("paths"));
  if (paths.empty()) {
    COFFER_ASSIGN(paths, ctx.list_field("path"));
  }
  if (paths.empty())
    return Status(Code::kInvalid, "paths must be supplied");
  std::shared_ptr<const Acl> owner;
  COFFER_ASSIGN(const Acl* acl, acl_of_token(ctx.txn, ctx.published, ctx.arena, token.record, owner, ctx.now));
  const NamespaceRecord* made = ctx.published.namespaces->find(token.record.ns);
  if (acl == nullptr || made == nullptr || !made->covers(ctx.ns))
    return Status(Code::kInvalid, one_error("invalid token"));
  const std::string prefix = ctx.ns.path.substr(made->path.size());
  json::ObjectBuilder data(ctx.arena, paths.size() + 1);
  json::Value last;
  std::ranges::sort(paths);
  const auto repeated = std::ranges::unique(paths);
  paths.erase(repeated.begin(), repeated.end());
  for (const std::string_view path : paths) {
    const std::string_view asked = path.starts_with('/') ? path.substr(1) : path;
    const Decision decision = acl->capabilities(prefix + std::string(asked));
    last =
        decision.root ? text_list(ctx.arena, {"root"}) : text_list(ctx.arena, capability_names(decision.capabilities));
    data.add(path, last);
  }
  if (paths.size() == 1 && paths.front() != "capabilities")
    data.add("capabilities", last);
  ctx.response.data = data.build();
  ctx.response.data_also_top_level = true;
  return ok_status();
}

Status handle_capabilities_self(HandlerContext& base) {
  CallContext& ctx = call(base);
  return show_capabilities(ctx, {ctx.token_hash, *ctx.token});
}

Status handle_capabilities(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string_view text, ctx.string_field("token", ""));
  TokenStore tokens(ctx.txn, ctx.published, ctx.arena);
  COFFER_ASSIGN(const auto token, tokens.live_by_text(text));
  return token ? show_capabilities(ctx, *token) : Status(Code::kInvalid, one_error("invalid token"));
}

Status handle_capabilities_accessor(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string_view accessor, ctx.string_field("accessor", ""));
  if (accessor.empty())
    return Status(Code::kInvalid, "missing accessor");
  COFFER_ASSIGN(const auto token, TokenStore(ctx.txn, ctx.published, ctx.arena).live_by_accessor(accessor));
  return token ? show_capabilities(ctx, *token) : Status(Code::kInvalid, one_error("invalid accessor"));
}

// Only whether it may be: core/lifecycle seals the node when this answer comes out of the pipeline.
Status handle_seal(HandlerContext&) { return ok_status(); }

}  // namespace

std::vector<PathSpec> sys_key_specs() {
  const std::vector<Field> paths = {{"paths", FieldType::kStringList, "The paths to ask about."},
                                    {"path", FieldType::kStringList, "The same, as one."}};
  std::vector<Field> of_token = paths, of_accessor = paths;
  of_token.push_back({"token", FieldType::kString, "The other token.", true});
  of_accessor.push_back({"accessor", FieldType::kString, "Its accessor.", true});
  std::vector<PathSpec> specs;
  specs.push_back({"key-status", "The key that seals what is stored: its number, its age and its use.", {},
                   {{Operation::kRead, Effect::kReadsMemory, handle_key_status, "Reads term, time and count."}}});
  for (const std::string_view pattern : {"rotate", "rotate/keyring"})
    specs.push_back({pattern, "Add a new key; from then on it seals whatever is written.", {},
                     {{Operation::kWrite, Effect::kWrites, handle_rotate, "Adds a term."}}, nullptr, false, true});
  specs.push_back(
      {"seal",
       "Seals this node.",
       {},
       {{Operation::kWrite, Effect::kOutside, handle_seal, "Forgets the keys until the node is unsealed again."}},
       nullptr,
       false,
       true});
  specs.push_back({"capabilities-self", "What the calling token may do at some paths.", paths,
                   {{Operation::kWrite, Effect::kReads, handle_capabilities_self, "Tells capabilities."}}});
  specs.push_back({"capabilities", "What another token may do at some paths.", of_token,
                   {{Operation::kWrite, Effect::kReads, handle_capabilities, "Tells capabilities."}}});
  specs.push_back({"capabilities-accessor", "What the token that an accessor belongs to may do at some paths.",
                   of_accessor,
                   {{Operation::kWrite, Effect::kReads, handle_capabilities_accessor, "Tells capabilities."}}});
  return specs;
}

}  // namespace coffer::core
