#include "core/ceremony.h"

#include "base/encoding.h"
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

Result<std::string> pgp_key_of(std::string_view text, std::string_view field) {
  Result<std::string> bytes = crypto::pgp_key_bytes(text);
  if (!bytes.ok())
    return Status(bytes.code(), std::string(field) + " " + bytes.status().message());
  return bytes;
}

Result<std::vector<std::string>> pgp_keys_field(const CallContext& ctx, std::string_view field) {
  COFFER_ASSIGN(const std::vector<std::string_view> texts, ctx.list_field(field));
  if (texts.size() > crypto::kPgpKeysMax)
    return Status(Code::kTooLarge,
                  std::string(field) + " has more than " + std::to_string(crypto::kPgpKeysMax) + " keys");
  std::vector<std::string> out;
  for (const std::string_view text : texts) {
    COFFER_ASSIGN(std::string bytes, pgp_key_of(text, std::string(field) + ": key " + std::to_string(out.size() + 1)));
    out.push_back(std::move(bytes));
  }
  return out;
}

void add_shares(json::ObjectBuilder& body, json::Arena& arena, std::string_view hex_member,
                std::string_view base64_member, const std::vector<SecretBytes>& shares,
                const std::vector<crypto::PgpMessage>& encrypted) {
  json::ArrayBuilder hex(arena, shares.size() + encrypted.size());
  json::ArrayBuilder base64(arena, shares.size() + encrypted.size());
  const auto add = [&](std::string_view bytes) {
    hex.add(hex_encode(bytes));
    base64.add(base64_encode(bytes));
  };
  for (const SecretBytes& share : shares)
    add(share.reveal_text());
  for (const crypto::PgpMessage& one : encrypted)
    add(one.message);
  body.add(hex_member, hex.build()).add(base64_member, base64.build());
}

}  // namespace coffer::core
