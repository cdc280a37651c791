#include "crypto/bcrypt.h"

#include <crypt.h>

#include <memory>

#include "base/secret.h"

namespace coffer::crypto {
namespace {

constexpr std::size_t kHashTextBytes = 60;
constexpr std::string_view kAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

// The whole hash of `password` by the setting in front of `setting`; empty when crypt refuses it.
std::string run(std::string_view password, const std::string& setting) {
  if (password.size() > kBcryptPasswordBytesMax || password.find('\0') != std::string_view::npos)
    return {};
  SecretBytes text(password.size() + 1);
  password.copy(reinterpret_cast<char*>(text.reveal_mutable().data()), password.size());
  const auto data = std::make_unique<crypt_data>();
  const char* hash = crypt_rn(reinterpret_cast<const char*>(text.reveal().data()), setting.c_str(), data.get(),
                              static_cast<int>(sizeof(crypt_data)));
  std::string out = hash == nullptr ? std::string() : std::string(hash);
  wipe(data.get(), sizeof(crypt_data));
  return out;
}

}  // namespace

Result<std::string> bcrypt_hash(std::string_view password, std::span<const std::uint8_t> salt, unsigned cost) {
  if (password.size() > kBcryptPasswordBytesMax)
    return Status(Code::kInvalid, "the password is longer than " + std::to_string(kBcryptPasswordBytesMax) + " bytes");
  if (password.find('\0') != std::string_view::npos)
    return Status(Code::kInvalid, "the password holds a zero byte");
  if (salt.size() != kBcryptSaltBytes)
    return Status(Code::kInvalid, "a salt must have " + std::to_string(kBcryptSaltBytes) + " bytes");
  char setting[CRYPT_GENSALT_OUTPUT_SIZE];
  if (crypt_gensalt_rn("$2b$", cost, reinterpret_cast<const char*>(salt.data()), static_cast<int>(salt.size()),
                       setting, sizeof setting) == nullptr)
    return Status(Code::kInternal, "no setting for a password hash");
  std::string hash = run(password, setting);
  if (!is_bcrypt_hash(hash))
    return Status(Code::kInternal, "the password could not be hashed");
  return hash;
}

bool bcrypt_matches(std::string_view password, std::string_view hash) {
  if (!is_bcrypt_hash(hash))
    return false;
  const std::string computed = run(password, std::string(hash));
  const auto bytes = [](std::string_view text) {
    return std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  };
  return equal_constant_time(bytes(computed), bytes(hash));
}

bool is_bcrypt_hash(std::string_view text) noexcept {
  if (text.size() != kHashTextBytes || !text.starts_with("$2") || text[3] != '$' || text[6] != '$')
    return false;
  if (text[2] != 'a' && text[2] != 'b' && text[2] != 'y')
    return false;
  const std::string_view cost = text.substr(4, 2);
  if (cost < "04" || cost > "16" || cost[1] < '0' || cost[1] > '9')
    return false;
  return text.substr(7).find_first_not_of(kAlphabet) == std::string_view::npos;
}

}  // namespace coffer::crypto
