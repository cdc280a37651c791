// Stands for OpenPGP where ceremonies are tested: keys are names, and what is encrypted to one says so. The real one is
// tests/contract/pgp_test.py's.
#pragma once

#include <string>
#include <vector>

#include "crypto/pgp.h"

namespace coffer::testing {

class PlainPgp final : public crypto::PgpEncryptor {
 public:
  Status failure;  // of every call, unless it is ok

  Result<std::vector<std::string>> fingerprints(const std::vector<std::string>& keys) override {
    COFFER_TRY(failure);
    std::vector<std::string> out;
    for (const std::string& key : keys)
      out.push_back("of " + key);
    return out;
  }
  Result<std::vector<crypto::PgpMessage>> encrypt(const std::vector<std::string>& keys,
                                                  const std::vector<SecretBytes>& texts) override {
    COFFER_TRY(failure);
    std::vector<crypto::PgpMessage> out;
    for (std::size_t i = 0; i < keys.size(); ++i)
      out.push_back({"of " + keys[i], "to " + keys[i] + ": " + std::string(texts[i].reveal_text())});
    return out;
  }
};

}  // namespace coffer::testing
