#include <cstring>

#include "base/encoding.h"
#include "hsm/session.h"

namespace coffer::hsm {
namespace {

constexpr CK_ULONG kNameBytesMax = 255;
constexpr CK_ULONG kAesKeyBytes = 32;
constexpr CK_ULONG kHmacKeyBytes = 32;
constexpr CK_ULONG kRsaBits = 3072;

CK_OBJECT_CLASS class_of(KeyUse use) {
  switch (use) {
    case KeyUse::kDecryptRsa: return CKO_PRIVATE_KEY;
    case KeyUse::kEncryptRsa: return CKO_PUBLIC_KEY;
    default: return CKO_SECRET_KEY;
  }
}

// A template that owns what it points to; at most as many attributes as `kMax`.
class Template {
 public:
  static constexpr std::size_t kMax = 16;

  Template() { values_.reserve(kMax); }
  Template& add(CK_ATTRIBUTE_TYPE type, std::string value) {
    values_.push_back(std::move(value));
    attributes_.push_back({type, values_.back().data(), values_.back().size()});
    return *this;
  }
  Template& add(CK_ATTRIBUTE_TYPE type, CK_ULONG value) {
    return add(type, std::string(reinterpret_cast<const char*>(&value), sizeof(value)));
  }
  Template& flag(CK_ATTRIBUTE_TYPE type, bool value) { return add(type, std::string(1, value ? '\1' : '\0')); }
  Template& name(const KeyName& key) {
    if (!key.label.empty())
      add(CKA_LABEL, key.label);
    if (!key.id.empty())
      add(CKA_ID, key.id);
    return *this;
  }
  CK_ATTRIBUTE* data() { return attributes_.data(); }
  CK_ULONG size() const { return attributes_.size(); }

 private:
  std::vector<std::string> values_;  // never grows beyond what is reserved: attributes point into it
  std::vector<CK_ATTRIBUTE> attributes_;
};

Refusal flag_of(const Module& module, CK_OBJECT_HANDLE key, CK_ATTRIBUTE_TYPE type, bool& out) {
  CK_BBOOL value = CK_FALSE;
  CK_ATTRIBUTE attribute{type, &value, sizeof(value)};
  const CK_RV got = module.p11().C_GetAttributeValue(module.session(), key, &attribute, 1);
  if (got == CKR_ATTRIBUTE_TYPE_INVALID) {
    out = false;  // an attribute that the token does not know is not set
    return {};
  }
  out = value == CK_TRUE;
  return check(got, "C_GetAttributeValue");
}

Refusal text_of(const Module& module, CK_OBJECT_HANDLE key, CK_ATTRIBUTE_TYPE type, std::string& out) {
  char value[kNameBytesMax];
  CK_ATTRIBUTE attribute{type, value, sizeof(value)};
  const CK_RV got = module.p11().C_GetAttributeValue(module.session(), key, &attribute, 1);
  if (got == CKR_ATTRIBUTE_TYPE_INVALID || got == CKR_BUFFER_TOO_SMALL)
    return {};
  COFFER_HSM_TRY(check(got, "C_GetAttributeValue"));
  out.assign(value, attribute.ulValueLen <= kNameBytesMax ? attribute.ulValueLen : 0);
  return {};
}

// A key that could leave the token, or decrypt what it wraps, guards nothing.
Refusal check_attributes(const Module& module, CK_OBJECT_HANDLE key, KeyUse use, std::string_view setting) {
  if (use == KeyUse::kEncryptRsa)
    return {};
  struct Rule {
    CK_ATTRIBUTE_TYPE type;
    bool wanted;
    const char* name;
  };
  std::vector<Rule> rules = {{CKA_SENSITIVE, true, "CKA_SENSITIVE"},
                             {CKA_EXTRACTABLE, false, "CKA_EXTRACTABLE"},
                             {CKA_NEVER_EXTRACTABLE, true, "CKA_NEVER_EXTRACTABLE"}};
  if (use == KeyUse::kSignHmac) {
    rules.push_back({CKA_SIGN, true, "CKA_SIGN"});
  } else {
    rules.push_back({CKA_DECRYPT, true, "CKA_DECRYPT"});
    rules.push_back({use == KeyUse::kDecryptRsa ? CKA_UNWRAP : CKA_WRAP, false,
                     use == KeyUse::kDecryptRsa ? "CKA_UNWRAP" : "CKA_WRAP"});
  }
  for (const Rule& rule : rules) {
    bool value = false;
    COFFER_HSM_TRY(flag_of(module, key, rule.type, value));
    if (value != rule.wanted)
      return {Why::kSetting, std::string(setting) + ": the key's attribute " + rule.name + " must be " +
                                 (rule.wanted ? "true" : "false")};
  }
  return {};
}

}  // namespace

Refusal find_key(const Module& module, const KeyName& name, KeyUse use, std::string_view setting, Key& out) {
  if (name.empty())
    return {Why::kSetting, std::string(setting) + " is missing"};
  Template wanted;
  wanted.add(CKA_CLASS, class_of(use)).name(name);
  if (use == KeyUse::kEncryptAes)
    wanted.add(CKA_KEY_TYPE, CKK_AES);
  else if (use != KeyUse::kSignHmac)
    wanted.add(CKA_KEY_TYPE, CKK_RSA);
  CK_FUNCTION_LIST& p11 = module.p11();
  COFFER_HSM_TRY(check(p11.C_FindObjectsInit(module.session(), wanted.data(), wanted.size()), "C_FindObjectsInit"));
  CK_OBJECT_HANDLE found[2];
  CK_ULONG count = 0;
  const CK_RV value = p11.C_FindObjects(module.session(), found, 2, &count);
  p11.C_FindObjectsFinal(module.session());
  COFFER_HSM_TRY(check(value, "C_FindObjects"));
  const std::string shown = name.label.empty() ? "id " + hex_encode(name.id) : "\"" + name.label + "\"";
  if (count == 0)
    return {Why::kNoKey, std::string(setting) + ": the token has no key " + shown};
  if (count > 1)
    return {Why::kSetting, std::string(setting) + ": the token has more than one key " + shown};
  out.handle = found[0];
  COFFER_HSM_TRY(text_of(module, out.handle, CKA_LABEL, out.name.label));
  COFFER_HSM_TRY(text_of(module, out.handle, CKA_ID, out.name.id));
  return check_attributes(module, out.handle, use, setting);
}

Refusal generate_key(const Module& module, const KeyName& name, KeyUse use) {
  CK_FUNCTION_LIST& p11 = module.p11();
  CK_OBJECT_HANDLE made[2];
  const bool aes = use == KeyUse::kEncryptAes;
  Template kept;
  kept.name(name).flag(CKA_TOKEN, true).flag(CKA_PRIVATE, true).flag(CKA_SENSITIVE, true).flag(CKA_EXTRACTABLE, false);
  if (use == KeyUse::kEncryptAes || use == KeyUse::kSignHmac) {
    kept.add(CKA_CLASS, CKO_SECRET_KEY).add(CKA_KEY_TYPE, aes ? CKK_AES : CKK_GENERIC_SECRET);
    kept.add(CKA_VALUE_LEN, aes ? kAesKeyBytes : kHmacKeyBytes).flag(CKA_WRAP, false).flag(CKA_UNWRAP, false);
    kept.flag(CKA_ENCRYPT, aes).flag(CKA_DECRYPT, aes).flag(CKA_SIGN, !aes).flag(CKA_VERIFY, !aes);
    CK_MECHANISM mechanism{aes ? CKM_AES_KEY_GEN : CKM_GENERIC_SECRET_KEY_GEN, nullptr, 0};
    return check(p11.C_GenerateKey(module.session(), &mechanism, kept.data(), kept.size(), made),
                 "generate_key: C_GenerateKey");
  }
  kept.flag(CKA_DECRYPT, true).flag(CKA_UNWRAP, false).flag(CKA_SIGN, false);
  Template open;
  open.name(name).flag(CKA_TOKEN, true).flag(CKA_ENCRYPT, true).flag(CKA_WRAP, false).flag(CKA_VERIFY, false);
  open.add(CKA_MODULUS_BITS, kRsaBits).add(CKA_PUBLIC_EXPONENT, std::string("\x01\x00\x01", 3));
  CK_MECHANISM mechanism{CKM_RSA_PKCS_KEY_PAIR_GEN, nullptr, 0};
  return check(p11.C_GenerateKeyPair(module.session(), &mechanism, open.data(), open.size(), kept.data(), kept.size(),
                                     made, made + 1),
               "generate_key: C_GenerateKeyPair");
}

}  // namespace coffer::hsm
