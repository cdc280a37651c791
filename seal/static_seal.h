// The seal whose key stands in the configuration, a file or the environment: `seal "static"`, also spelled `seal
// "aesgcm"`. A restart unseals by itself; whoever can read the key and the store can read everything.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "base/status.h"
#include "seal/seal.h"

namespace coffer::seal {

inline constexpr std::size_t kStaticKeysMax = 16;

// The stanza's settings as written. A key is 32 bytes as base64, as hexadecimal or as they are, or `file://PATH`,
// `env://NAME` or `fd://NUMBER` of such a text. Either `current_key` (and `previous_key`) or `keys`, newest first.
struct StaticSealOptions {
  SecretBytes current_key;
  std::string current_key_id;
  SecretBytes previous_key;
  std::string previous_key_id;
  std::vector<SecretBytes> keys;
};

// Sets what is empty from VAULT_STATIC_SEAL_{CURRENT,PREVIOUS}_KEY[_ID], unless `keys` is used.
void fill_from_environment(StaticSealOptions& options,
                           const std::function<std::optional<std::string>(const std::string&)>& variable);

// Returns what `file://…` or `env://…` names. read_key_reference is the one that asks the operating system.
using KeyReader = std::function<Result<SecretBytes>(std::string_view reference)>;
Result<SecretBytes> read_key_reference(std::string_view reference);

// kInvalid names the setting that is wrong and never its content.
Result<std::unique_ptr<KeyWrapper>> make_static_seal(const StaticSealOptions& options, const KeyReader& reader);

}  // namespace coffer::seal
