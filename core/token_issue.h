// Where tokens for clients come into being: by auth/token/create, by a role, and by a login. Text, accessor, record and
// answer of one token belong together; all of it is part of the request's transaction.
#pragma once

#include <string_view>

#include "core/call.h"
#include "core/login.h"

namespace coffer::core {

// What an answer tells of a token; `text` is empty where the server does not know it. Policies are those of the token
// alone.
Auth auth_of(json::Arena& arena, const TokenRecord& record, std::string_view text);

// The same with the policies of its identity.
Result<Auth> full_auth_of(CallContext& ctx, const TokenRecord& record, std::string_view text);

// Makes the token that `record` describes (without accessor) and answers with it. `custom_text`: empty, or the text
// that the caller chose. A batch token has neither accessor nor record.
Status issue_token(CallContext& ctx, TokenRecord record, std::string_view custom_text);

// The token of a login, by the rules that all auth methods share: policies, TTL by mount and grant, networks, type.
Status log_in(CallContext& ctx, const LoginGrant& grant);

// Service or batch: what the mount insists on, what the method or role wishes, what the mount does otherwise.
TokenType token_type_of(const CallContext& ctx, WishedType wished);

// The text of a token or accessor as it is shown: one of a namespace ends in '.' and the namespace's short name.
std::string in_namespace(const CallContext& ctx, NamespaceId ns, std::string text);

// The longest that a token of this mount may live, and its TTL unless something else is asked for.
Nanos max_ttl_of(const CallContext& ctx, const MountInfo& mount);
Nanos default_ttl_of(const CallContext& ctx, const MountInfo& mount);

// "TTL of … exceeded the effective max_ttl of …", as an answer's warning.
void warn_of_capped_ttl(CallContext& ctx, Nanos wished, Nanos max_ttl);

// Joined by commas, in the arena: how a record keeps networks.
std::string_view join_networks(json::Arena& arena, const std::vector<std::string>& networks);

}  // namespace coffer::core
