#include "core/ceremony.h"

#include "core/call.h"
#include "core/layout.h"
#include "seal/unseal.h"

namespace coffer::core {

Status shape_answer(CallContext& ctx, std::string_view bare, std::string_view what) {
  if (ctx.request.wrap_ttl)
    return Status(Code::kInvalid, "what " + std::string(what) + " tells is not wrapped");
  ctx.response.bare = ctx.full_path.starts_with(bare);
  ctx.response.data_also_top_level = !ctx.response.bare;
  return ok_status();
}

Result<GivenShare> given_share(const CallContext& ctx) {
  COFFER_ASSIGN(const std::string_view key, ctx.string_field("key", ""));
  COFFER_ASSIGN(const std::string_view nonce, ctx.string_field("nonce", ""));
  if (key.empty())
    return Status(Code::kInvalid, "'key' must be specified in request body as JSON");
  COFFER_ASSIGN(SecretBytes share, seal::parse_share(key));
  return GivenShare{std::string(nonce), std::move(share)};
}

Result<std::string> stored_seal(CallContext& ctx) {
  COFFER_ASSIGN(const auto record, ctx.txn.get_as_is(layout::token_key(layout::kSealConfig)));
  return record ? Result<std::string>(std::string(*record)) : Status(Code::kDataLoss, "the record of the seal is gone");
}

Result<seal::ShareCounts> stored_counts(CallContext& ctx) {
  COFFER_ASSIGN(const std::string record, stored_seal(ctx));
  COFFER_ASSIGN(const seal::SealConfig config, seal::SealConfig::decode(record));
  return config.counts;
}

json::Value encoded_list(json::Arena& arena, const std::vector<SecretBytes>& shares,
                         std::string (*encode)(std::string_view)) {
  json::ArrayBuilder list(arena, shares.size());
  for (const SecretBytes& share : shares)
    list.add(encode(share.reveal_text()));
  return list.build();
}

}  // namespace coffer::core
