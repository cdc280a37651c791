// Where `login` keeps the token: ~/.vault-token, or an external helper named in ~/.vault (token_helper = "/path"),
// which is run with get, store or erase.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "cli/invocation.h"

namespace coffer::cli {

class TokenHelper {
 public:
  virtual ~TokenHelper() = default;
  virtual Result<std::string> get() = 0;  // empty when there is none
  virtual Status store(const std::string& token) = 0;
  virtual Status erase() = 0;
};

// By HOME (else the user database) and VAULT_CONFIG_PATH. kInvalid when the configuration names a helper that is no
// absolute path.
Result<std::unique_ptr<TokenHelper>> default_token_helper(const Invocation& invocation);

}  // namespace coffer::cli
