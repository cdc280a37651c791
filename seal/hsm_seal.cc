#include "seal/hsm_seal.h"

#include "base/codec.h"
#include "crypto/random.h"
#include "hsm/messages.h"
#include "seal/envelope.h"
#include "seal/keyring.h"

namespace coffer::seal {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::string_view kKeyId = "hsm";

class HsmSeal final : public KeyWrapper {
 public:
  explicit HsmSeal(std::shared_ptr<hsm::Client> client) : client_(std::move(client)) {}

  std::string_view kind() const noexcept override { return kPkcs11Kind; }
  bool remote() const noexcept override { return true; }

  Status check() override { return client_->check(); }

  Result<std::string> wrap(const SecretBytes& key, std::string_view context, RandomSource& random) override {
    EnvelopeKey own{std::string(kKeyId), {}};
    COFFER_ASSIGN(own.key, crypto::draw_secret(random, kKeyBytes));
    COFFER_ASSIGN(const std::string envelope, seal_envelope(own, key, context, random));
    COFFER_ASSIGN(const hsm::Encrypted encrypted, client_->encrypt(own.key));
    // Nothing is kept that does not open again.
    COFFER_ASSIGN(const SecretBytes back, client_->decrypt(encrypted));
    if (!back.equals(own.key))
      return Status(Code::kUnavailable, "HSM: what it encrypted it decrypts to something else");
    std::string out;
    ByteWriter(out).u8(kFormat).bytes(hsm::encode_encrypted(encrypted)).bytes(envelope);
    return out;
  }

  Result<SecretBytes> unwrap(std::string_view wrapped, std::string_view context) override {
    const Status damaged(Code::kDataLoss, "what the HSM sealed is damaged");
    ByteReader in(wrapped);
    const bool known = in.u8() == kFormat;
    ByteReader encrypted(in.bytes());
    const std::string_view envelope = in.bytes();
    if (!known || !in.finish().ok())
      return damaged;
    const Result<hsm::Encrypted> from = hsm::decode_encrypted(encrypted);
    if (!from.ok())
      return damaged;
    EnvelopeKey own{std::string(kKeyId), {}};
    COFFER_ASSIGN(own.key, client_->decrypt(*from));
    if (own.key.size() != kKeyBytes)
      return damaged;
    return open_envelope({&own, 1}, envelope, context);
  }

 private:
  std::shared_ptr<hsm::Client> client_;
};

}  // namespace

std::unique_ptr<KeyWrapper> make_hsm_seal(std::shared_ptr<hsm::Client> client) {
  return std::make_unique<HsmSeal>(std::move(client));
}

}  // namespace coffer::seal
