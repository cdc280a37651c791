// Internal to hsm/: the functions of a module, and objects of a session.
#pragma once

#include <p11-kit/pkcs11.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "hsm/refusal.h"
#include "hsm/settings.h"

#define COFFER_HSM_TRY(call)                                        \
  do {                                                              \
    if (::coffer::hsm::Refusal refusal = (call); !refusal.ok())     \
      return refusal;                                               \
  } while (false)

namespace coffer::hsm {

// `doing` names the function of PKCS#11 in the text.
Refusal check(CK_RV value, std::string_view doing);

// A loaded module with a session, logged in. Everything ends with it.
class Module {
 public:
  Module() = default;
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  Refusal load(const std::string& library);
  Refusal open_session(const Settings& settings);

  CK_FUNCTION_LIST& p11() const { return *functions_; }
  CK_SESSION_HANDLE session() const { return session_; }
  CK_SLOT_ID slot() const { return slot_; }
  bool allows(CK_MECHANISM_TYPE mechanism) const;

 private:
  Refusal find_slot(const Settings& settings);
  Refusal login(const Settings& settings);

  void* library_ = nullptr;
  CK_FUNCTION_LIST* functions_ = nullptr;
  bool initialized_ = false;
  CK_SLOT_ID slot_ = 0;
  CK_SESSION_HANDLE session_ = 0;
};

enum class KeyUse { kEncryptAes, kSignHmac, kDecryptRsa, kEncryptRsa };

struct Key {
  CK_OBJECT_HANDLE handle = 0;
  KeyName name;  // as the token has it
};

// kNoKey when there is none, kSetting when there are several or its attributes are wrong. `setting` names it in texts.
Refusal find_key(const Module& module, const KeyName& name, KeyUse use, std::string_view setting, Key& out);
// Makes one that no other may have, in the token for ever. kSetting when the token does not.
Refusal generate_key(const Module& module, const KeyName& name, KeyUse use);

}  // namespace coffer::hsm
