// Why an HSM did not do something, by what is to be done about it (the return values CKR_… of PKCS#11 in classes).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace coffer::hsm {

enum class Why : std::uint8_t {
  kNone,       // it did
  kSession,    // the session is gone: a new one may do
  kHandle,     // the key's handle is: it has to be found anew, and may then name another key
  kToken,      // the token is away, or does not answer for now
  kLibrary,    // the module is out of order: a fresh process may do
  kPin,        // the PIN is wrong, locked or expired: never tried again, or the token locks itself
  kIntegrity,  // what should be decrypted was not encrypted so, or was changed
  kNoKey,      // there is no key of that name
  kSetting,    // what is asked for cannot be: the message names the setting
};
inline constexpr Why kLastWhy = Why::kSetting;

struct Refusal {
  Why why = Why::kNone;
  std::string text;
  bool ok() const noexcept { return why == Why::kNone; }
};

// CKR_OK is kNone.
Why why_of(std::uint64_t value) noexcept;
// "CKR_PIN_INCORRECT", or the number.
std::string name_of(std::uint64_t value);

}  // namespace coffer::hsm
