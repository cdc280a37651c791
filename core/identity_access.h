// What an identity means for a request: whose token it is, which policies that adds, which values templates take, and
// how a login finds or makes it. All of it is read in the request's own transaction, so the next request sees every
// change, and a write that relied on it conflicts with the change.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/acl.h"
#include "core/call.h"
#include "core/identity_record.h"

namespace coffer::core {

struct Identity {
  EntityRecord entity;
  std::vector<GroupRecord> groups;  // with all above them
  std::string_view policies;        // of the entity and its groups: sorted, joined; never "root"
};

// Nothing: there is no such entity.
Result<std::optional<Identity>> find_identity(TxnImpl& txn, json::Arena& arena, NamespaceId ns,
                                              std::string_view entity);
// Nothing: the entity is gone, and so is what its tokens may do. An entity of a namespace above that of the token stays
// whose it is, and adds no policies: their names would mean others there.
Result<std::optional<Identity>> find_identity(TxnImpl& txn, json::Arena& arena, const TokenRecord& token);

// identity.entity.id, identity.entity.aliases.<accessor>.metadata.<name>, identity.groups.names.<name>.id and so on.
std::optional<std::string> template_value(const Identity& identity, std::string_view expression);

// Both joined sets as one. The first one's text where the second is empty.
std::string_view with_policies(json::Arena& arena, std::string_view token_policies, std::string_view identity_policies);

// The access list of a token, whatever it came by. Null: its entity is gone or disabled. As long-lived as
// PolicyStore::acl's.
Result<const Acl*> acl_of_token(TxnImpl& txn, const Published& published, json::Arena& arena, const TokenRecord& record,
                                std::shared_ptr<const Acl>& owner, WallTime now);

// The entity of whom `mount` knows as `alias`, made now where there is none; what the mount says of it is taken over,
// and so are the groups that it names. kDenied: it is disabled. Writes nothing where nothing changed.
Result<std::string_view> identify(CallContext& ctx, const MountInfo& mount, std::string_view alias,
                                  const json::Value& metadata, const std::vector<std::string_view>& groups);

}  // namespace coffer::core
