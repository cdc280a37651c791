#include "seal/init.h"

#include "base/encoding.h"
#include "crypto/random.h"
#include "seal/shamir.h"

namespace coffer::seal {
namespace {

bool given(ShareCounts counts) { return counts.shares != 0 || counts.threshold != 0; }

Status not_applicable(std::string_view family, ShareCounts counts, std::string_view kind) {
  std::string names;
  if (counts.shares != 0)
    names.append(family).append("_shares");
  if (counts.threshold != 0)
    names.append(names.empty() ? "" : ",").append(family).append("_threshold");
  return Status(Code::kInvalid, "parameters " + names + " not applicable to seal type " + std::string(kind));
}

Result<ShareCounts> counts_of(const InitRequest& request, const KeyWrapper* automatic) {
  if (automatic == nullptr) {
    if (given(request.recovery))
      return not_applicable("recovery", request.recovery, kShamirKind);
    COFFER_TRY(check_share_counts(request.secret).with_context("invalid seal configuration"));
    return request.secret;
  }
  if (given(request.secret) && given(request.recovery))
    return not_applicable("secret", request.secret, automatic->kind());
  const ShareCounts counts = given(request.secret) ? request.secret : request.recovery;
  COFFER_TRY(check_share_counts(counts).with_context("invalid recovery configuration"));
  return counts;
}

// As the counts: what is asked of an automatic seal's unseal shares is meant for its recovery shares.
Result<const std::vector<std::string>*> keys_of(const InitRequest& request, const KeyWrapper* automatic) {
  if (automatic == nullptr && !request.recovery_keys.empty())
    return Status(Code::kInvalid,
                  "parameters recovery_pgp_keys not applicable to seal type " + std::string(kShamirKind));
  if (!request.recovery_keys.empty() && !request.secret_keys.empty())
    return Status(Code::kInvalid,
                  "parameters pgp_keys not applicable to seal type " + std::string(automatic->kind()));
  return request.recovery_keys.empty() ? &request.secret_keys : &request.recovery_keys;
}

}  // namespace

Result<std::vector<SecretBytes>> make_shares(const SecretBytes& secret, ShareCounts counts, RandomSource& random) {
  COFFER_TRY(check_share_counts(counts));
  if (counts.shares > 1)
    return shamir_split(secret, counts.shares, counts.threshold, random);
  std::vector<SecretBytes> out;
  out.push_back(secret.clone());
  return out;
}

Status check_key_count(const std::vector<std::string>& keys, ShareCounts counts, const crypto::PgpEncryptor* pgp) {
  if (keys.empty())
    return ok_status();
  if (pgp == nullptr)
    return Status(Code::kUnsupported, "this server encrypts nothing to PGP keys");
  if (keys.size() != counts.shares)
    return Status(Code::kInvalid, "count mismatch between number of provided PGP keys and number of shares: " +
                                      std::to_string(keys.size()) + " keys, " + std::to_string(counts.shares) +
                                      " shares");
  return ok_status();
}

Result<std::vector<crypto::PgpMessage>> encrypt_shares(crypto::PgpEncryptor& pgp, const std::vector<std::string>& keys,
                                                       std::vector<SecretBytes>& shares) {
  std::vector<SecretBytes> texts;
  for (const SecretBytes& share : shares) {
    std::string text = hex_encode(share.reveal_text());
    texts.push_back(SecretBytes::copy_of(text));
    wipe(text.data(), text.size());
  }
  COFFER_ASSIGN(std::vector<crypto::PgpMessage> out, pgp.encrypt(keys, texts));
  shares.clear();
  return out;
}

Result<Initialized> initialize(const InitRequest& request, KeyWrapper* automatic, crypto::PgpEncryptor* pgp,
                               WallTime now, RandomSource& random) {
  COFFER_ASSIGN(const ShareCounts counts, counts_of(request, automatic));
  COFFER_ASSIGN(const std::vector<std::string>* const keys, keys_of(request, automatic));
  COFFER_TRY(check_key_count(*keys, counts, pgp));
  if (!request.root_token_key.empty()) {
    if (pgp == nullptr)
      return check_key_count({request.root_token_key}, {1, 1}, pgp);
    COFFER_TRY(pgp->fingerprints({request.root_token_key}).status().with_context("root_token_pgp_key"));
  }
  Initialized out;
  out.recovery = automatic != nullptr;
  out.asked_as_secret = given(request.secret);
  // What people share: Shamir's seal wraps the root key with it, an automatic seal only recognises it.
  COFFER_ASSIGN(SecretBytes shared, crypto::draw_secret(random, kKeyBytes));
  COFFER_ASSIGN(out.root_key, crypto::draw_secret(random, kKeyBytes));
  COFFER_ASSIGN(out.keyring, Keyring::create(KeyringId(0), now, random));
  COFFER_ASSIGN(out.keyring_record, out.keyring->seal(out.root_key, random));
  COFFER_ASSIGN(out.shares, make_shares(shared, counts, random));
  COFFER_ASSIGN(out.config, make_seal_config(automatic, counts, out.root_key, std::move(shared), random));
  out.config_record = out.config.encode();
  if (!keys->empty()) {
    COFFER_ASSIGN(out.encrypted, encrypt_shares(*pgp, *keys, out.shares));
  }
  return out;
}

}  // namespace coffer::seal
