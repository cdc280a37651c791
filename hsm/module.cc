#include <dlfcn.h>

#include "hsm/session.h"

namespace coffer::hsm {
namespace {

constexpr std::size_t kSlotsMax = 256;

// Fields of tokens are filled up with spaces.
template <std::size_t size>
std::string field(const unsigned char (&bytes)[size]) {
  std::string out(reinterpret_cast<const char*>(bytes), size);
  out.erase(out.find_last_not_of(std::string_view(" \0", 2)) + 1);
  return out;
}

}  // namespace

Refusal check(CK_RV value, std::string_view doing) {
  return {why_of(value), why_of(value) == Why::kNone ? "" : std::string(doing) + ": " + name_of(value)};
}

Module::~Module() {
  if (initialized_)
    functions_->C_Finalize(nullptr);
  // The module stays loaded: its threads may still be there, and the process ends soon.
}

Refusal Module::load(const std::string& library) {
  if (library.empty() || library.front() != '/')
    return {Why::kSetting, "lib must be the absolute path of a PKCS#11 module"};
  library_ = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library_ == nullptr)
    return {Why::kSetting, "lib: " + std::string(::dlerror())};
  const auto list = reinterpret_cast<CK_C_GetFunctionList>(::dlsym(library_, "C_GetFunctionList"));
  if (list == nullptr)
    return {Why::kSetting, "lib: " + library + " is no PKCS#11 module"};
  COFFER_HSM_TRY(check(list(&functions_), "C_GetFunctionList"));
  CK_C_INITIALIZE_ARGS arguments{};
  arguments.flags = CKF_OS_LOCKING_OK;
  const CK_RV initialized = functions_->C_Initialize(&arguments);
  if (initialized != CKR_CRYPTOKI_ALREADY_INITIALIZED)
    COFFER_HSM_TRY(check(initialized, "C_Initialize"));
  initialized_ = true;
  return {};
}

Refusal Module::find_slot(const Settings& settings) {
  CK_SLOT_ID slots[kSlotsMax];
  CK_ULONG count = kSlotsMax;
  COFFER_HSM_TRY(check(functions_->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList"));
  const std::optional<std::uint64_t> wanted = number_of(settings.slot);
  if (!settings.slot.empty() && !wanted)
    return {Why::kSetting, "slot must be a number"};
  std::size_t found = 0;
  for (CK_ULONG i = 0; i < count; ++i) {
    CK_TOKEN_INFO info{};
    if (functions_->C_GetTokenInfo(slots[i], &info) != CKR_OK)
      continue;
    if ((!settings.slot.empty() && slots[i] != *wanted) ||
        (!settings.token_label.empty() && field(info.label) != settings.token_label) ||
        (!settings.token_serial.empty() && field(info.serialNumber) != settings.token_serial) ||
        (settings.slot.empty() && settings.token_label.empty() && (info.flags & CKF_TOKEN_INITIALIZED) == 0))
      continue;
    ++found;
    slot_ = slots[i];
  }
  if (found == 1)
    return {};
  if (found > 1)
    return {Why::kSetting, "slot, token_label or token_serial must say which of " + std::to_string(found) + " tokens"};
  const std::string named = !settings.token_label.empty() ? "token_label" : settings.slot.empty() ? "lib" : "slot";
  return {Why::kToken, named + ": there is no such token"};
}

Refusal Module::login(const Settings& settings) {
  CK_TOKEN_INFO info{};
  COFFER_HSM_TRY(check(functions_->C_GetTokenInfo(slot_, &info), "C_GetTokenInfo"));
  if (settings.pin.empty())
    return (info.flags & CKF_LOGIN_REQUIRED) == 0 ? Refusal() : Refusal{Why::kSetting, "pin is missing"};
  if ((info.flags & CKF_USER_PIN_LOCKED) != 0)
    return {Why::kPin, "pin: CKR_PIN_LOCKED"};
  // Somebody else's last attempt is not spent.
  if ((info.flags & CKF_USER_PIN_FINAL_TRY) != 0)
    return {Why::kPin, "pin: one wrong PIN more locks the token; log in by hand with the right one first"};
  SecretBytes pin = settings.pin.clone();
  const CK_RV value = functions_->C_Login(session_, CKU_USER, pin.reveal_mutable().data(), pin.size());
  return value == CKR_USER_ALREADY_LOGGED_IN ? Refusal() : check(value, "pin: C_Login");
}

Refusal Module::open_session(const Settings& settings) {
  COFFER_HSM_TRY(find_slot(settings));
  const CK_FLAGS write = settings.generate_key || settings.force_rw_session ? CKF_RW_SESSION : 0;
  COFFER_HSM_TRY(check(functions_->C_OpenSession(slot_, CKF_SERIAL_SESSION | write, nullptr, nullptr, &session_),
                       "C_OpenSession"));
  return login(settings);
}

bool Module::allows(CK_MECHANISM_TYPE mechanism) const {
  CK_MECHANISM_INFO info{};
  return functions_->C_GetMechanismInfo(slot_, mechanism, &info) == CKR_OK;
}

}  // namespace coffer::hsm
