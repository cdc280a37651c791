#include "seal/envelope.h"

#include <array>
#include <optional>

#include "base/check.h"
#include "base/codec.h"
#include "base/mutant.h"
#include "crypto/aes_gcm.h"
#include "crypto/hkdf.h"
#include "crypto/random.h"
#include "seal/record.h"

namespace coffer::seal {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kSaltBytes = 32;
constexpr std::size_t kCommitmentBytes = 32;

// One key and one salt give the AES key and the commitment together, so no second key can claim the same commitment. An
// AES key serves one envelope, which is why its nonce may be constant.
struct Derived {
  explicit Derived(const SecretBytes& key, std::span<const std::uint8_t> salt)
      : both(crypto::hkdf_sha256(key.reveal(), salt, "coffer envelope 1", crypto::kAesKeyBytes + kCommitmentBytes)) {
    gcm.set_key(both.reveal().first<crypto::kAesKeyBytes>());
  }
  std::span<const std::uint8_t> commitment() const { return both.reveal().subspan(crypto::kAesKeyBytes); }

  SecretBytes both;
  crypto::AesGcm gcm;
  std::array<std::uint8_t, crypto::kGcmNonceBytes> nonce{};
};

struct Parsed {
  std::string_view key_id;
  std::span<const std::uint8_t> salt;
  std::span<const std::uint8_t> commitment;
  std::span<const std::uint8_t> body;  // ciphertext ‖ tag
};

std::optional<Parsed> parse(std::string_view envelope) noexcept {
  if (envelope.size() > kEnvelopeBytesMax)
    return std::nullopt;
  ByteReader reader(envelope);
  const bool known = reader.u8() == kFormat;
  Parsed out;
  out.key_id = reader.raw(reader.u8());
  out.salt = bytes_of(reader.raw(kSaltBytes));
  out.commitment = bytes_of(reader.raw(kCommitmentBytes));
  out.body = bytes_of(reader.raw(reader.left()));
  if (!known || !reader.ok() || out.body.size() < crypto::kGcmTagBytes)
    return std::nullopt;
  return out;
}

std::string aad_of(std::string_view key_id, std::string_view context) {
  std::string aad;
  ByteWriter(aad).u8(kFormat).u8(static_cast<std::uint8_t>(key_id.size())).raw(key_id).u32_be(
      static_cast<std::uint32_t>(context.size())).raw(context);
  return aad;
}

// Nothing when the key did not make the envelope.
std::optional<Result<SecretBytes>> try_key(const EnvelopeKey& key, const Parsed& parsed, std::string_view context) {
  Derived derived(key.key, parsed.salt);
  if (!mutant(Mutant::kKeyCommitmentUnchecked) && !equal_constant_time(derived.commitment(), parsed.commitment))
    return std::nullopt;
  const std::string aad = aad_of(parsed.key_id, context);
  SecretBytes out(parsed.body.size() - crypto::kGcmTagBytes);
  if (!derived.gcm.open(derived.nonce, {bytes_of(aad)}, parsed.body, out.reveal_mutable().data()))
    return Result<SecretBytes>(Status(Code::kDataLoss, "a wrapped key is damaged"));
  return Result<SecretBytes>(std::move(out));
}

}  // namespace

Result<std::string> seal_envelope(const EnvelopeKey& key, const SecretBytes& secret, std::string_view context,
                                  RandomSource& random) {
  COFFER_CHECK(key.id.size() <= kEnvelopeKeyIdBytesMax && !key.key.empty());
  std::array<std::uint8_t, kSaltBytes> salt;
  COFFER_TRY(crypto::draw(random, salt));
  Derived derived(key.key, salt);
  std::string out;
  ByteWriter(out).u8(kFormat).u8(static_cast<std::uint8_t>(key.id.size())).raw(key.id).raw(text_of(salt)).raw(
      text_of(derived.commitment()));
  const std::size_t body = out.size();
  out.resize(body + secret.size() + crypto::kGcmTagBytes);
  COFFER_CHECK(out.size() <= kEnvelopeBytesMax);
  const std::string aad = aad_of(key.id, context);
  derived.gcm.seal(derived.nonce, {bytes_of(aad)}, secret.reveal(), reinterpret_cast<std::uint8_t*>(out.data()) + body);
  return out;
}

Result<SecretBytes> open_envelope(std::span<const EnvelopeKey> keys, std::string_view envelope,
                                  std::string_view context) {
  const std::optional<Parsed> parsed = parse(envelope);
  if (!parsed)
    return Status(Code::kDataLoss, "a wrapped key is damaged");
  for (const bool named : {true, false}) {
    for (const EnvelopeKey& key : keys) {
      if ((key.id == parsed->key_id) != named)
        continue;
      if (auto opened = try_key(key, *parsed, context))
        return std::move(*opened);
    }
  }
  return Status(Code::kDenied, "none of the given keys opens the wrapped key");
}

std::string_view envelope_key_id(std::string_view envelope) noexcept {
  const std::optional<Parsed> parsed = parse(envelope);
  return parsed ? parsed->key_id : std::string_view();
}

}  // namespace coffer::seal
