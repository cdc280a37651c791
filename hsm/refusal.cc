#include "hsm/refusal.h"

#include <p11-kit/pkcs11.h>

#include <algorithm>

namespace coffer::hsm {
namespace {

struct Known {
  CK_RV value;
  std::string_view name;
  Why why;
};

#define COFFER_CKR(name, why) {CKR_##name, "CKR_" #name, Why::why}
constexpr Known kKnown[] = {
    COFFER_CKR(OK, kNone),
    COFFER_CKR(SESSION_HANDLE_INVALID, kSession),
    COFFER_CKR(SESSION_CLOSED, kSession),
    COFFER_CKR(USER_NOT_LOGGED_IN, kSession),
    COFFER_CKR(SESSION_COUNT, kSession),
    COFFER_CKR(SESSION_READ_ONLY, kSetting),
    COFFER_CKR(OPERATION_ACTIVE, kSession),
    COFFER_CKR(OPERATION_NOT_INITIALIZED, kSession),
    COFFER_CKR(OBJECT_HANDLE_INVALID, kHandle),
    COFFER_CKR(KEY_HANDLE_INVALID, kHandle),
    COFFER_CKR(DEVICE_REMOVED, kToken),
    COFFER_CKR(DEVICE_ERROR, kToken),
    COFFER_CKR(DEVICE_MEMORY, kToken),
    COFFER_CKR(TOKEN_NOT_PRESENT, kToken),
    COFFER_CKR(TOKEN_NOT_RECOGNIZED, kToken),
    COFFER_CKR(SLOT_ID_INVALID, kToken),
    COFFER_CKR(GENERAL_ERROR, kLibrary),
    COFFER_CKR(CRYPTOKI_NOT_INITIALIZED, kLibrary),
    COFFER_CKR(FUNCTION_FAILED, kLibrary),
    COFFER_CKR(HOST_MEMORY, kLibrary),
    COFFER_CKR(PIN_INCORRECT, kPin),
    COFFER_CKR(PIN_INVALID, kPin),
    COFFER_CKR(PIN_LEN_RANGE, kPin),
    COFFER_CKR(PIN_LOCKED, kPin),
    COFFER_CKR(PIN_EXPIRED, kPin),
    COFFER_CKR(USER_PIN_NOT_INITIALIZED, kPin),
    COFFER_CKR(ENCRYPTED_DATA_INVALID, kIntegrity),
    COFFER_CKR(ENCRYPTED_DATA_LEN_RANGE, kIntegrity),
    COFFER_CKR(SIGNATURE_INVALID, kIntegrity),
    COFFER_CKR(SIGNATURE_LEN_RANGE, kIntegrity),
    COFFER_CKR(MECHANISM_INVALID, kSetting),
    COFFER_CKR(MECHANISM_PARAM_INVALID, kSetting),
    COFFER_CKR(KEY_TYPE_INCONSISTENT, kSetting),
    COFFER_CKR(KEY_FUNCTION_NOT_PERMITTED, kSetting),
    COFFER_CKR(KEY_SIZE_RANGE, kSetting),
    COFFER_CKR(ATTRIBUTE_TYPE_INVALID, kSetting),
    COFFER_CKR(ATTRIBUTE_VALUE_INVALID, kSetting),
    COFFER_CKR(TEMPLATE_INCONSISTENT, kSetting),
    COFFER_CKR(TEMPLATE_INCOMPLETE, kSetting),
    COFFER_CKR(TOKEN_WRITE_PROTECTED, kSetting),
    // Good news from C_Login and C_Initialize, which look for them; from anything else nothing was done.
    COFFER_CKR(USER_ALREADY_LOGGED_IN, kLibrary),
    COFFER_CKR(CRYPTOKI_ALREADY_INITIALIZED, kLibrary),
    COFFER_CKR(ARGUMENTS_BAD, kLibrary),
    COFFER_CKR(BUFFER_TOO_SMALL, kLibrary),
    COFFER_CKR(FUNCTION_NOT_SUPPORTED, kSetting),
};
#undef COFFER_CKR

}  // namespace

// What the standard does not have, a vendor's own values among it, is the module's.
Why why_of(std::uint64_t value) noexcept {
  const auto at = std::ranges::find(kKnown, value, &Known::value);
  return at == std::ranges::end(kKnown) ? Why::kLibrary : at->why;
}

std::string name_of(std::uint64_t value) {
  const auto at = std::ranges::find(kKnown, value, &Known::value);
  return at == std::ranges::end(kKnown) ? "CKR " + std::to_string(value) : std::string(at->name);
}

}  // namespace coffer::hsm
