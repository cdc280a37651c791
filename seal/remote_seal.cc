#include "seal/remote_seal.h"

#include "base/codec.h"
#include "crypto/random.h"
#include "seal/envelope.h"
#include "seal/keyring.h"

namespace coffer::seal {
namespace {

constexpr std::uint8_t kFormat = 1;

class RemoteSeal final : public KeyWrapper {
 public:
  explicit RemoteSeal(std::unique_ptr<RemoteKey> outside) : outside_(std::move(outside)) {}

  std::string_view kind() const noexcept override { return outside_->kind(); }
  bool remote() const noexcept override { return true; }
  Status check() override { return outside_->check(); }

  bool is_current(std::string_view wrapped) const override {
    ByteReader in(wrapped);
    return in.u8() == kFormat && outside_->is_current(in.bytes());
  }

  Result<std::string> wrap(const SecretBytes& key, std::string_view context, RandomSource& random) override {
    EnvelopeKey own{std::string(outside_->envelope_id()), {}};
    COFFER_ASSIGN(own.key, crypto::draw_secret(random, kKeyBytes));
    COFFER_ASSIGN(const std::string envelope, seal_envelope(own, key, context, random));
    COFFER_ASSIGN(const std::string encrypted, outside_->encrypt(own.key));
    // Nothing is kept that does not open again.
    COFFER_ASSIGN(const SecretBytes back, outside_->decrypt(encrypted));
    if (!back.equals(own.key))
      return Status(Code::kUnavailable,
                    std::string(outside_->title()) + ": what it encrypted it decrypts to something else");
    std::string out;
    ByteWriter(out).u8(kFormat).bytes(encrypted).bytes(envelope);
    return out;
  }

  Result<SecretBytes> unwrap(std::string_view wrapped, std::string_view context) override {
    const Status damaged(Code::kDataLoss, "what the " + std::string(outside_->title()) + " sealed is damaged");
    ByteReader in(wrapped);
    const bool known = in.u8() == kFormat;
    const std::string_view encrypted = in.bytes();
    const std::string_view envelope = in.bytes();
    if (!known || !in.finish().ok())
      return damaged;
    EnvelopeKey own{std::string(outside_->envelope_id()), {}};
    COFFER_ASSIGN(own.key, outside_->decrypt(encrypted));
    if (own.key.size() != kKeyBytes)
      return damaged;
    return open_envelope({&own, 1}, envelope, context);
  }

 private:
  std::unique_ptr<RemoteKey> outside_;
};

}  // namespace

std::unique_ptr<KeyWrapper> make_remote_seal(std::unique_ptr<RemoteKey> key) {
  return std::make_unique<RemoteSeal>(std::move(key));
}

}  // namespace coffer::seal
