#include "seal/seal_config.h"

#include <array>

#include "base/check.h"
#include "base/codec.h"
#include "crypto/hmac.h"
#include "crypto/random.h"
#include "seal/envelope.h"
#include "seal/keyring.h"
#include "seal/record.h"
#include "seal/shamir.h"

namespace coffer::seal {
namespace {

constexpr std::string_view kMagic = "CSEL";
constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kKindBytesMax = 32;
constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kCheckBytes = kSaltBytes + sizeof(crypto::Digest256);
constexpr std::size_t kChecksumBytes = 8;

Status damaged() { return Status(Code::kDataLoss, "the stored seal configuration is damaged"); }

std::string_view checksum_of(std::string_view fields, crypto::Digest256& digest) {
  digest = crypto::sha256(fields);
  return text_of(std::span(digest).first(kChecksumBytes));
}

void append_counts(std::string& out, std::string_view kind, ShareCounts counts) {
  ByteWriter(out).u8(static_cast<std::uint8_t>(kind.size())).raw(kind).u8(static_cast<std::uint8_t>(counts.shares)).u8(
      static_cast<std::uint8_t>(counts.threshold));
}

// Whoever changes the stored numbers (a lower threshold, say) makes the root key unreadable.
std::string wrap_context(std::string_view kind, ShareCounts counts) {
  std::string context = "coffer root key ";
  append_counts(context, kind, counts);
  return context;
}

std::string recovery_tag(const SecretBytes& key, std::string_view salt, ShareCounts counts) {
  std::string message = "coffer recovery key ";
  append_counts(message, "", counts);
  message.append(salt);
  const crypto::Digest256 tag = crypto::hmac_sha256(key.reveal(), bytes_of(message));
  return std::string(text_of(tag));
}

Status too_large(const std::string& kind) {
  return Status(Code::kTooLarge, "the " + kind + " seal returned a wrapped key that is too large to store");
}

}  // namespace

Status check_share_counts(ShareCounts counts) {
  if (counts.shares < 1)
    return Status(Code::kInvalid, "shares must be at least one");
  if (counts.threshold < 1)
    return Status(Code::kInvalid, "threshold must be at least one");
  if (counts.shares > 1 && counts.threshold == 1)
    return Status(Code::kInvalid, "threshold must be greater than one for multiple shares");
  if (counts.shares > kSharesMax)
    return Status(Code::kInvalid, "shares must be less than 256");
  if (counts.threshold > kSharesMax)
    return Status(Code::kInvalid, "threshold must be less than 256");
  if (counts.threshold > counts.shares)
    return Status(Code::kInvalid, "threshold cannot be larger than shares");
  return Status();
}

std::string SealConfig::encode() const {
  std::string out(kMagic);
  ByteWriter writer(out);
  writer.u8(kFormat);
  append_counts(out, kind, counts);
  writer.u32_be(static_cast<std::uint32_t>(wrapped_root_key.size())).raw(wrapped_root_key);
  writer.u8(static_cast<std::uint8_t>(recovery_check.size())).raw(recovery_check);
  crypto::Digest256 digest;
  writer.raw(checksum_of(out, digest));
  COFFER_CHECK(out.size() <= kSealConfigBytesMax);
  return out;
}

Result<SealConfig> SealConfig::decode(std::string_view record) {
  if (record.size() > kSealConfigBytesMax || record.size() < kChecksumBytes)
    return damaged();
  const std::string_view fields = record.substr(0, record.size() - kChecksumBytes);
  crypto::Digest256 digest;
  if (checksum_of(fields, digest) != record.substr(fields.size()))
    return damaged();
  ByteReader reader(fields);
  if (reader.raw(kMagic.size()) != kMagic)
    return damaged();
  if (reader.u8() != kFormat)
    return Status(Code::kDataLoss, "the stored seal configuration was written by a later version");
  SealConfig out;
  out.kind = reader.raw(reader.u8());
  out.counts.shares = reader.u8();
  out.counts.threshold = reader.u8();
  out.wrapped_root_key = reader.raw(reader.u32_be());
  out.recovery_check = reader.raw(reader.u8());
  const bool sound = reader.finish().ok() && check_share_counts(out.counts).ok() && !out.kind.empty() &&
                     out.kind.size() <= kKindBytesMax && out.wrapped_root_key.size() <= kEnvelopeBytesMax &&
                     out.recovery_check.size() == (out.automatic() ? kCheckBytes : 0);
  if (!sound)
    return damaged();
  return out;
}

Result<SealConfig> make_seal_config(KeyWrapper& wrapper, ShareCounts counts, const SecretBytes& root_key,
                                    const SecretBytes& recovery_key, RandomSource& random) {
  COFFER_TRY(check_share_counts(counts));
  COFFER_CHECK(!wrapper.kind().empty() && wrapper.kind().size() <= kKindBytesMax);
  SealConfig out;
  out.kind = wrapper.kind();
  out.counts = counts;
  COFFER_ASSIGN(out.wrapped_root_key, wrapper.wrap(root_key, wrap_context(out.kind, counts), random));
  if (out.wrapped_root_key.size() > kEnvelopeBytesMax)
    return too_large(out.kind);
  if (out.automatic()) {
    std::array<std::uint8_t, kSaltBytes> salt;
    COFFER_TRY(crypto::draw(random, salt));
    out.recovery_check = text_of(salt);
    out.recovery_check += recovery_tag(recovery_key, text_of(salt), counts);
  }
  return out;
}

Result<SealConfig> make_seal_config(KeyWrapper* automatic, ShareCounts counts, const SecretBytes& root_key,
                                    SecretBytes shared, RandomSource& random) {
  if (automatic != nullptr)
    return make_seal_config(*automatic, counts, root_key, shared, random);
  const auto wrapper = make_shamir_wrapper(std::move(shared));
  return make_seal_config(*wrapper, counts, root_key, SecretBytes(), random);
}

Result<SealConfig> wrap_anew(const SealConfig& config, const SecretBytes& root_key, KeyWrapper& wrapper,
                             RandomSource& random) {
  COFFER_TRY(check_kind(config, wrapper.kind()));
  SealConfig out = config;
  COFFER_ASSIGN(out.wrapped_root_key, wrapper.wrap(root_key, wrap_context(config.kind, config.counts), random));
  if (out.wrapped_root_key.size() > kEnvelopeBytesMax)
    return too_large(out.kind);
  return out;
}

Status check_kind(const SealConfig& config, std::string_view configured) {
  if (configured == config.kind)
    return Status();
  return Status(Code::kInvalid, "the store was sealed by a seal of type " + config.kind +
                                    ", the configured one is of type " + std::string(configured));
}

Result<SecretBytes> unwrap_root_key(const SealConfig& config, KeyWrapper& wrapper) {
  COFFER_TRY(check_kind(config, wrapper.kind()));
  COFFER_ASSIGN(SecretBytes root_key,
                wrapper.unwrap(config.wrapped_root_key, wrap_context(config.kind, config.counts)));
  if (root_key.size() != kKeyBytes)
    return Status(Code::kDataLoss, "the seal returned a root key of the wrong size");
  return root_key;
}

Status verify_recovery_key(const SealConfig& config, const SecretBytes& key) {
  if (!config.automatic())
    return Status(Code::kInvalid, "recovery keys are not supported by seal type " + config.kind);
  const std::string_view check = config.recovery_check;
  const std::string tag = recovery_tag(key, check.substr(0, kSaltBytes), config.counts);
  if (!equal_constant_time(bytes_of(tag), bytes_of(check.substr(kSaltBytes))))
    return Status(Code::kInvalid, "recovery key verification failed");
  return Status();
}

}  // namespace coffer::seal
