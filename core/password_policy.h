// Rules for generated passwords, as people write them:
//
//   length = 20
//   rule "charset" { charset = "abcdefghij" min-chars = 1 }
//
// Pure; randomness is an argument.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "base/secret.h"
#include "base/status.h"

namespace coffer::core {

inline constexpr std::size_t kPasswordCharactersMax = 1024;
inline constexpr std::size_t kPasswordRulesMax = 64;

class PasswordPolicy {
 public:
  // HCL or JSON. kInvalid: "length must be > 0", "no charset specified" and so on.
  static Result<PasswordPolicy> parse(std::string_view text);

  // Fails when the random source does.
  Result<SecretBytes> generate(RandomSource& random) const;

 private:
  struct Charset {
    std::vector<std::string> characters;  // each once, in UTF-8, sorted
    std::size_t least = 0;
  };
  Status read_rule(std::string_view kind, std::string_view charset, std::int64_t least);

  std::size_t length_ = 0;
  std::vector<Charset> charsets_;
  std::vector<std::string> all_;  // of every charset, each once
};

}  // namespace coffer::core
