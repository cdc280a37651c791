#include "seal/rekey.h"

#include <utility>

#include "base/check.h"
#include "base/encoding.h"
#include "base/mutant.h"
#include "crypto/random.h"
#include "seal/init.h"
#include "seal/keyring.h"

namespace coffer::seal {
Status check_shared_key(const SealConfig& config, SecretBytes combined, const SecretBytes& root_key) {
  if (config.automatic())
    return verify_recovery_key(config, combined);
  const auto wrapper = make_shamir_wrapper(std::move(combined));
  const Result<SecretBytes> opened = unwrap_root_key(config, *wrapper);
  if (opened.code() == Code::kDenied)
    return Status(Code::kInvalid, "unseal key verification failed");
  COFFER_TRY(opened.status());
  return opened->equals(root_key) ? ok_status()
                                  : Status(Code::kDataLoss, "the seal's configuration holds another root key");
}

Result<Rekey> Rekey::begin(const RekeyRequest& request, const SealConfig& current, RandomSource& random) {
  if (request.recovery && !current.automatic())
    return Status(Code::kInvalid, "recovery rekeying not supported: a seal of type " + current.kind +
                                      " has no recovery keys, rekey its unseal keys");
  if (!request.recovery && current.automatic())
    return Status(Code::kInvalid, "unseal keys cannot be rekeyed: a seal of type " + current.kind +
                                      " opens by itself and has recovery keys, rekey those");
  COFFER_TRY(check_share_counts(request.counts).with_context("invalid rekey seal configuration"));
  COFFER_ASSIGN(std::string nonce, random_uuid(random));
  return Rekey(request, current.counts, std::move(nonce));
}

Status Rekey::expect(Rekeyed made, RandomSource& random) {
  COFFER_ASSIGN(verification_nonce_, random_uuid(random));
  made_ = std::move(made);
  return ok_status();
}

Status Rekey::show_anew(RandomSource& random) {
  COFFER_CHECK(made_.has_value());
  shown_.reset();
  COFFER_ASSIGN(verification_nonce_, random_uuid(random));
  return ok_status();
}

Result<std::optional<Rekeyed>> Rekey::show(const SecretBytes& share, const SecretBytes& root_key,
                                           RandomSource& random) {
  COFFER_CHECK(made_.has_value());
  COFFER_TRY(shown_.add(share, random));
  if (!shown_.complete())
    return std::optional<Rekeyed>();
  const Status wrong(Code::kInvalid, "the shares that were shown are not the new ones, show them anew");
  Result<SecretBytes> combined = shown_.combine();
  if (!combined.ok())
    return wrong;
  COFFER_ASSIGN(const SealConfig config, SealConfig::decode(made_->record));
  const Status right = check_shared_key(config, std::move(*combined), root_key);
  if (!right.ok())
    return right.code() == Code::kInvalid ? wrong : right;
  return std::exchange(made_, std::nullopt);
}

Result<Rekeyed> make_new_shares(const RekeyRequest& request, std::string_view record, SecretBytes combined,
                                const SecretBytes& root_key, KeyWrapper* automatic, crypto::PgpEncryptor* pgp,
                                RandomSource& random) {
  COFFER_ASSIGN(const SealConfig current, SealConfig::decode(record));
  COFFER_TRY(check_kind(current, automatic == nullptr ? kShamirKind : automatic->kind()));
  const Status right = check_shared_key(current, std::move(combined), root_key);
  if (!right.ok() && !mutant(Mutant::kRekeyByAnyShares))
    return right;
  Rekeyed out;
  out.before = record;
  COFFER_ASSIGN(SecretBytes shared, crypto::draw_secret(random, kKeyBytes));
  COFFER_ASSIGN(out.shares, make_shares(shared, request.counts, random));
  COFFER_ASSIGN(const SealConfig next,
                make_seal_config(automatic, request.counts, root_key, std::move(shared), random));
  out.record = next.encode();
  COFFER_TRY(check_key_count(request.pgp_keys, request.counts, pgp));
  if (!request.pgp_keys.empty()) {
    COFFER_ASSIGN(out.encrypted, encrypt_shares(*pgp, request.pgp_keys, out.shares));
  }
  return out;
}

}  // namespace coffer::seal
