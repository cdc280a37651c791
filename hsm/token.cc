#include "hsm/token.h"

#include <array>
#include <span>

#include "hsm/session.h"

namespace coffer::hsm {
namespace {

constexpr std::size_t kGcmIvBytes = 12;
constexpr std::size_t kCbcIvBytes = 16;
constexpr CK_ULONG kGcmTagBits = 128;
constexpr std::size_t kResultBytesMax = 4096;  // of what is encrypted here: keys

struct Hash {
  std::string_view name;
  CK_MECHANISM_TYPE mechanism;
  CK_RSA_PKCS_MGF_TYPE mask;
};
constexpr std::array kHashes = {Hash{"sha1", CKM_SHA_1, CKG_MGF1_SHA1}, Hash{"sha224", CKM_SHA224, CKG_MGF1_SHA224},
                                Hash{"sha256", CKM_SHA256, CKG_MGF1_SHA256},
                                Hash{"sha384", CKM_SHA384, CKG_MGF1_SHA384},
                                Hash{"sha512", CKM_SHA512, CKG_MGF1_SHA512}};

unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<unsigned char*>(const_cast<char*>(text.data()));  // the interface knows no const
}

// A mechanism with its parameters, which stay where it points.
struct Mechanism {
  CK_MECHANISM value{};
  CK_GCM_PARAMS gcm{};
  CK_RSA_PKCS_OAEP_PARAMS oaep{};

  Refusal set(std::uint64_t mechanism, std::string_view iv, std::string_view hash) {
    value.mechanism = static_cast<CK_MECHANISM_TYPE>(mechanism);
    if (mechanism == kAesGcm) {
      gcm = {bytes_of(iv), iv.size(), iv.size() * 8, nullptr, 0, kGcmTagBits};
      value.pParameter = &gcm;
      value.ulParameterLen = sizeof(gcm);
    } else if (mechanism == kAesCbcPad) {
      value.pParameter = bytes_of(iv);
      value.ulParameterLen = iv.size();
    } else {
      for (const Hash& one : kHashes)
        if (one.name == hash)
          oaep = {one.mechanism, one.mask, CKZ_DATA_SPECIFIED, nullptr, 0};
      if (oaep.hashAlg == 0 && hash != "sha1")
        return {Why::kSetting, "rsa_oaep_hash must be sha1, sha224, sha256, sha384 or sha512"};
      value.pParameter = &oaep;
      value.ulParameterLen = sizeof(oaep);
    }
    return {};
  }
};

}  // namespace

class Token::Session {
 public:
  Refusal open(const Settings& settings) {
    COFFER_HSM_TRY(module_.load(settings.library));
    COFFER_HSM_TRY(module_.open_session(settings));
    oaep_hash_ = settings.oaep_hash;
    return choose(settings);
  }

  Refusal encrypt(std::string_view text, Encrypted& out) {
    out = {mechanism_, key_.name, hmac_.name, "", "", "", ""};
    if (mechanism_ == kRsaOaep) {
      out.oaep_hash = oaep_hash_;
    } else {
      SecretBytes iv;
      COFFER_HSM_TRY(random(mechanism_ == kAesGcm ? kGcmIvBytes : kCbcIvBytes, iv));
      out.iv = iv.reveal_text();
    }
    Mechanism mechanism;
    COFFER_HSM_TRY(mechanism.set(mechanism_, out.iv, out.oaep_hash));
    CK_FUNCTION_LIST& p11 = module_.p11();
    const CK_OBJECT_HANDLE key = mechanism_ == kRsaOaep ? public_.handle : key_.handle;
    COFFER_HSM_TRY(check(p11.C_EncryptInit(module_.session(), &mechanism.value, key), "C_EncryptInit"));
    unsigned char result[kResultBytesMax];
    CK_ULONG size = sizeof(result);
    COFFER_HSM_TRY(check(p11.C_Encrypt(module_.session(), bytes_of(text), text.size(), result, &size), "C_Encrypt"));
    if (size > sizeof(result))
      return {Why::kLibrary, "C_Encrypt told a size that cannot be"};
    out.text.assign(reinterpret_cast<const char*>(result), size);
    return mechanism_ == kAesCbcPad ? sign(hmac_, out.iv + out.text, out.mac) : Refusal();
  }

  Refusal decrypt(const Encrypted& from, SecretBytes& out) {
    Key key, hmac;
    const KeyUse use = from.mechanism == kRsaOaep ? KeyUse::kDecryptRsa : KeyUse::kEncryptAes;
    COFFER_HSM_TRY(find_key(module_, from.key, use, "key_label", key));
    if (from.mechanism == kAesCbcPad) {
      // What was not encrypted so is never decrypted: no padding tells anything.
      COFFER_HSM_TRY(find_key(module_, from.hmac_key, KeyUse::kSignHmac, "hmac_key_label", hmac));
      std::string mac;
      COFFER_HSM_TRY(sign(hmac, from.iv + from.text, mac));
      if (!equal_constant_time(std::span(bytes_of(mac), mac.size()), std::span(bytes_of(from.mac), from.mac.size())))
        return {Why::kIntegrity, "the HMAC does not fit"};
    } else if (from.mechanism != kAesGcm && from.mechanism != kRsaOaep) {
      return {Why::kIntegrity, "it was encrypted by an unknown mechanism"};
    }
    Mechanism mechanism;
    COFFER_HSM_TRY(mechanism.set(from.mechanism, from.iv, from.oaep_hash));
    CK_FUNCTION_LIST& p11 = module_.p11();
    COFFER_HSM_TRY(check(p11.C_DecryptInit(module_.session(), &mechanism.value, key.handle), "C_DecryptInit"));
    SecretBytes result(kResultBytesMax);
    CK_ULONG size = result.size();
    const CK_RV done = p11.C_Decrypt(module_.session(), bytes_of(from.text), from.text.size(),
                                     result.reveal_mutable().data(), &size);
    COFFER_HSM_TRY(check(done, "C_Decrypt"));
    if (size > result.size())
      return {Why::kLibrary, "C_Decrypt told a size that cannot be"};
    out = SecretBytes::copy_of(result.reveal().first(size));
    return {};
  }

  Refusal random(std::size_t bytes, SecretBytes& out) {
    out = SecretBytes(bytes);
    return check(module_.p11().C_GenerateRandom(module_.session(), out.reveal_mutable().data(), bytes),
                 "C_GenerateRandom");
  }

 private:
  Refusal sign(const Key& key, const std::string& text, std::string& out) {
    CK_MECHANISM mechanism{kSha256Hmac, nullptr, 0};
    CK_FUNCTION_LIST& p11 = module_.p11();
    COFFER_HSM_TRY(check(p11.C_SignInit(module_.session(), &mechanism, key.handle), "C_SignInit"));
    unsigned char result[64];
    CK_ULONG size = sizeof(result);
    COFFER_HSM_TRY(check(p11.C_Sign(module_.session(), bytes_of(text), text.size(), result, &size), "C_Sign"));
    if (size > sizeof(result))
      return {Why::kLibrary, "C_Sign told a size that cannot be"};
    out.assign(reinterpret_cast<const char*>(result), size);
    return {};
  }

  // Finds the key, or makes it where that is asked for.
  Refusal need(const Settings& settings, const KeyName& name, KeyUse use, std::string_view setting, Key& out) {
    Refusal found = find_key(module_, name, use, setting, out);
    if (found.why != Why::kNoKey || !settings.generate_key)
      return found;
    COFFER_HSM_TRY(generate_key(module_, name, use));
    return find_key(module_, name, use, setting, out);
  }

  Refusal choose(const Settings& settings) {
    mechanism_ = settings.mechanism;
    if (mechanism_ == 0)
      COFFER_HSM_TRY(guess(settings));
    if (mechanism_ != kAesGcm && mechanism_ != kAesCbcPad && mechanism_ != kRsaOaep)
      return {Why::kSetting,
              "mechanism must be AES-GCM (0x1087), AES-CBC with padding and HMAC (0x1085) or RSA-OAEP (0x0009)"};
    if (!module_.allows(static_cast<CK_MECHANISM_TYPE>(mechanism_)))
      return {Why::kSetting, "mechanism: the token does not have it"};
    if (mechanism_ == kRsaOaep) {
      COFFER_HSM_TRY(need(settings, settings.key, KeyUse::kDecryptRsa, "key_label", key_));
      return find_key(module_, settings.key, KeyUse::kEncryptRsa, "key_label", public_);
    }
    COFFER_HSM_TRY(need(settings, settings.key, KeyUse::kEncryptAes, "key_label", key_));
    if (mechanism_ == kAesGcm)
      return {};
    return need(settings, settings.hmac_key, KeyUse::kSignHmac, "hmac_key_label", hmac_);
  }

  // A pair of RSA keys of the key's name means OAEP, a key for HMAC means AES-CBC, else it is AES-GCM.
  Refusal guess(const Settings& settings) {
    Key pair;
    const Refusal found = find_key(module_, settings.key, KeyUse::kDecryptRsa, "key_label", pair);
    if (!found.ok() && found.why != Why::kNoKey)
      return found;
    mechanism_ = found.ok() ? kRsaOaep : settings.hmac_key.empty() ? kAesGcm : kAesCbcPad;
    return {};
  }

  Module module_;
  std::uint64_t mechanism_ = 0;
  std::string oaep_hash_;
  Key key_;     // encrypts and decrypts, or decrypts alone
  Key public_;  // encrypts, with kRsaOaep
  Key hmac_;
};

Token::Token() = default;
Token::~Token() = default;

Refusal Token::open(const Settings& settings) {
  session_ = std::make_unique<Session>();
  return session_->open(settings);
}

Refusal Token::encrypt(std::string_view text, Encrypted& out) { return session_->encrypt(text, out); }
Refusal Token::decrypt(const Encrypted& from, SecretBytes& out) { return session_->decrypt(from, out); }
Refusal Token::random(std::size_t bytes, SecretBytes& out) { return session_->random(bytes, out); }

}  // namespace coffer::hsm
