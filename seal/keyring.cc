#include "seal/keyring.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/codec.h"
#include "crypto/hkdf.h"
#include "crypto/random.h"
#include "crypto/xaes.h"
#include "seal/record.h"

namespace coffer::seal {
namespace {

constexpr std::uint8_t kRecordFormat = 1;
constexpr std::size_t kRecordHeaderBytes = 1 + 4;
constexpr std::uint8_t kPlainFormat = 1;
constexpr std::size_t kPlainHeaderBytes = 1 + 4 + kKeyBytes + 4;
constexpr std::size_t kPlainTermBytes = 4 + 8 + 8 + kKeyBytes;
constexpr std::string_view kAadLabel = "coffer keyring";

Status damaged() { return Status(Code::kDataLoss, "the stored keyring cannot be opened"); }

std::string record_aad(std::string_view header) { return std::string(kAadLabel).append(header); }

Result<std::shared_ptr<const TermKey>> make_term(KeyTerm term, WallTime now, RandomSource& random) {
  auto made = std::make_shared<TermKey>();
  made->term = term;
  made->installed = now;
  COFFER_ASSIGN(made->key, crypto::draw_secret(random, kKeyBytes));
  return std::shared_ptr<const TermKey>(std::move(made));
}

crypto::AesKeyView aes_key(const SecretBytes& key) {
  COFFER_CHECK(key.size() == kKeyBytes);
  return key.reveal().first<kKeyBytes>();
}

// Plaintext fields are written in place, so that no copy of a key is left in a growing buffer.
class FieldWriter {
 public:
  explicit FieldWriter(std::span<std::uint8_t> out) noexcept : rest_(out) {}
  void be(std::uint64_t value, std::size_t bytes) {
    store_be(rest_.data(), value, bytes);
    rest_ = rest_.subspan(bytes);
  }
  void bytes(std::span<const std::uint8_t> data) {
    COFFER_CHECK(data.size() <= rest_.size());
    std::copy(data.begin(), data.end(), rest_.begin());
    rest_ = rest_.subspan(data.size());
  }
  bool full() const noexcept { return rest_.empty(); }

 private:
  std::span<std::uint8_t> rest_;
};

}  // namespace

Result<std::shared_ptr<const Keyring>> Keyring::create(KeyringId id, WallTime now, RandomSource& random) {
  std::shared_ptr<Keyring> made(new Keyring());
  made->id_ = id;
  COFFER_ASSIGN(made->stable_, crypto::draw_secret(random, kKeyBytes));
  COFFER_ASSIGN(auto first, make_term(KeyTerm(1), now, random));
  made->terms_.push_back(std::move(first));
  return std::shared_ptr<const Keyring>(std::move(made));
}

Result<std::shared_ptr<const Keyring>> Keyring::rotated(WallTime now, RandomSource& random) const {
  if (terms_.size() >= kKeyTermsMax)
    return Status(Code::kExhausted, "the keyring holds the largest number of key terms");
  COFFER_ASSIGN(auto added, make_term(active_term().next(), now, random));
  std::shared_ptr<Keyring> made(new Keyring());
  made->id_ = id_;
  made->stable_ = stable_.clone();
  made->terms_ = terms_;
  made->terms_.push_back(std::move(added));
  return std::shared_ptr<const Keyring>(std::move(made));
}

Keyring::TermInfo Keyring::info(KeyTerm term) const {
  const TermKey* key = find(term);
  COFFER_CHECK(key != nullptr);
  return {key->term, key->installed, key->encryptions.load(std::memory_order_relaxed)};
}

SecretBytes Keyring::derive(std::string_view purpose) const {
  return crypto::hkdf_sha256(stable_.reveal(), {}, std::string("coffer derived: ").append(purpose), kKeyBytes);
}

SecretBytes Keyring::encode() const {
  SecretBytes out(kPlainHeaderBytes + terms_.size() * kPlainTermBytes);
  FieldWriter writer(out.reveal_mutable());
  writer.be(kPlainFormat, 1);
  writer.be(id_.get(), 4);
  writer.bytes(stable_.reveal());
  writer.be(terms_.size(), 4);
  for (const auto& term : terms_) {
    writer.be(term->term.get(), 4);
    writer.be(static_cast<std::uint64_t>(term->installed.time_since_epoch().count()), 8);
    writer.be(term->encryptions.load(std::memory_order_relaxed), 8);
    writer.bytes(term->key.reveal());
  }
  COFFER_CHECK(writer.full());
  return out;
}

Result<std::shared_ptr<const Keyring>> Keyring::decode(std::span<const std::uint8_t> plaintext, KeyringId id) {
  ByteReader reader(text_of(plaintext));
  std::shared_ptr<Keyring> made(new Keyring());
  const bool known = reader.u8() == kPlainFormat;
  made->id_ = KeyringId(reader.u32_be());
  made->stable_ = SecretBytes::copy_of(reader.raw(kKeyBytes));
  const std::uint32_t count = reader.u32_be();
  if (!known || made->id_ != id || count == 0 || count > kKeyTermsMax ||
      plaintext.size() != kPlainHeaderBytes + count * kPlainTermBytes)
    return damaged();
  made->terms_.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    auto term = std::make_shared<TermKey>();
    term->term = KeyTerm(reader.u32_be());
    term->installed = WallTime(Nanos(static_cast<std::int64_t>(reader.u64_be())));
    term->encryptions.store(reader.u64_be(), std::memory_order_relaxed);
    term->key = SecretBytes::copy_of(reader.raw(kKeyBytes));
    if (term->term.get() != i + 1)
      return damaged();
    made->terms_.push_back(std::move(term));
  }
  return std::shared_ptr<const Keyring>(std::move(made));
}

Result<std::string> Keyring::seal(const SecretBytes& root_key, RandomSource& random) const {
  std::array<std::uint8_t, crypto::kXaesNonceBytes> nonce;
  COFFER_TRY(crypto::draw(random, nonce));
  const SecretBytes plaintext = encode();
  std::string record;
  ByteWriter writer(record);
  writer.u8(kRecordFormat).u32_be(id_.get());
  const std::string aad = record_aad(record);
  writer.raw(text_of(nonce));
  const std::size_t body = record.size();
  record.resize(body + plaintext.size() + crypto::kGcmTagBytes);
  crypto::xaes_seal(aes_key(root_key), nonce, {bytes_of(aad)}, plaintext.reveal(),
                    reinterpret_cast<std::uint8_t*>(record.data()) + body);
  return record;
}

Result<std::shared_ptr<const Keyring>> Keyring::open(std::string_view record, KeyringId id,
                                                     const SecretBytes& root_key) {
  constexpr std::size_t kOverheadBytes = kRecordHeaderBytes + crypto::kXaesNonceBytes + crypto::kGcmTagBytes;
  if (record.size() < kOverheadBytes + kPlainHeaderBytes ||
      record.size() > kOverheadBytes + kPlainHeaderBytes + kKeyTermsMax * kPlainTermBytes)
    return damaged();
  ByteReader reader(record);
  if (reader.u8() != kRecordFormat || reader.u32_be() != id.get())
    return damaged();
  const auto nonce = bytes_of(record).subspan<kRecordHeaderBytes, crypto::kXaesNonceBytes>();
  const auto body = bytes_of(record).subspan(kRecordHeaderBytes + crypto::kXaesNonceBytes);
  const std::string aad = record_aad(record.substr(0, kRecordHeaderBytes));
  SecretBytes plaintext(body.size() - crypto::kGcmTagBytes);
  if (!crypto::xaes_open(aes_key(root_key), nonce, {bytes_of(aad)}, body, plaintext.reveal_mutable().data()))
    return damaged();
  return decode(plaintext.reveal(), id);
}

}  // namespace coffer::seal
