#include "seal/hsm_seal.h"

#include "base/codec.h"
#include "hsm/messages.h"
#include "seal/remote_seal.h"

namespace coffer::seal {
namespace {

class HsmKey final : public RemoteKey {
 public:
  explicit HsmKey(std::shared_ptr<hsm::Client> client) : client_(std::move(client)) {}

  std::string_view kind() const noexcept override { return kPkcs11Kind; }
  std::string_view title() const noexcept override { return "HSM"; }
  std::string_view envelope_id() const noexcept override { return "hsm"; }
  Status check() override { return client_->check(); }

  bool is_current(std::string_view encrypted) const override {
    ByteReader in(encrypted);
    const Result<hsm::Encrypted> from = hsm::decode_encrypted(in);
    const hsm::KeyName& wanted = client_->key();
    return from.ok() && (wanted.label.empty() || wanted.label == from->key.label) &&
           (wanted.id.empty() || wanted.id == from->key.id);
  }

  Result<std::string> encrypt(const SecretBytes& key) override {
    COFFER_ASSIGN(const hsm::Encrypted encrypted, client_->encrypt(key));
    return hsm::encode_encrypted(encrypted);
  }

  Result<SecretBytes> decrypt(std::string_view encrypted) override {
    ByteReader in(encrypted);
    const Result<hsm::Encrypted> from = hsm::decode_encrypted(in);
    if (!from.ok())
      return Status(Code::kDataLoss, "what the HSM sealed is damaged");
    return client_->decrypt(*from);
  }

 private:
  std::shared_ptr<hsm::Client> client_;
};

}  // namespace

std::unique_ptr<KeyWrapper> make_hsm_seal(std::shared_ptr<hsm::Client> client) {
  return make_remote_seal(std::make_unique<HsmKey>(std::move(client)));
}

}  // namespace coffer::seal
