// Requests that wait for others to agree (`control_group` in policies). Such a request is not done: it is kept, and its
// answer is a wrapping token. When enough members of the groups that the policy names have authorized it, unwrapping
// that token with the token that asked does the request, once, in the transaction that takes the wrapping token away.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "core/call.h"
#include "core/policy.h"

namespace coffer::core {

// A request that waits (docs/formats/control_group.md). Views point into the record's plaintext.
struct WaitingRequest {
  Operation operation = Operation::kRead;
  std::string_view path;                  // as the request named it, within its namespace's header
  std::string_view namespace_path;
  std::string_view data;                  // JSON, or empty
  std::string_view content_type;
  Nanos wrap_ttl{0};                      // 0: its answer is not wrapped
  WrapFormat wrap_format = WrapFormat::kToken;
  std::string_view entity;                // who asked; empty: a token without one
  std::string_view token_hash;            // that asked; empty: a token that is nowhere stored
  NamespaceId people{0};                  // whose identities these are
  Approval approval;                      // as the policy said it then
  std::vector<std::string_view> approvers;  // ids of entities, each once
};

std::string encode(const WaitingRequest& waiting);
Result<WaitingRequest> decode_waiting(json::Arena& arena, std::string_view plaintext);

// Keeps `waiting` behind a new token and answers with that.
Status keep_waiting(CallContext& ctx, const WaitingRequest& waiting);

// The request behind `hash`, a live token's; nothing when that is another kind of token.
Result<std::optional<WaitingRequest>> find_waiting(TxnImpl& txn, json::Arena& arena, std::string_view hash);

// Whether those who authorized it, as they are now, are enough for every factor of `approval` that concerns
// `capability`. Two ids of one person count once (advisory D12); whoever is disabled or has left a group, not at all.
Result<bool> is_approved(TxnImpl& txn, json::Arena& arena, const WaitingRequest& waiting, const Approval& approval,
                         Capability capability);

std::vector<PathSpec> control_group_specs();

}  // namespace coffer::core
