// A module of PKCS#11 and a session with one token, as the helper process has them (hsm/worker.h). Nobody else loads a
// module. One thread; calls block as long as the module does.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "hsm/refusal.h"
#include "hsm/settings.h"

namespace coffer::hsm {

// What encrypts, and what a later process needs to find the same again.
struct Encrypted {
  std::uint64_t mechanism = 0;
  KeyName key;       // as it is in the token, id and label
  KeyName hmac_key;  // with kAesCbcPad
  std::string oaep_hash;
  std::string iv;
  std::string text;  // encrypted
  std::string mac;   // of iv and text, with kAesCbcPad
};

class Token {
 public:
  Token();
  ~Token();
  Token(const Token&) = delete;
  Token& operator=(const Token&) = delete;

  // Loads the module, logs in and finds the keys, each of which must be there once and be sensitive and never
  // extractable; makes them where the settings say so. Once.
  Refusal open(const Settings& settings);

  // With the current key.
  Refusal encrypt(std::string_view text, Encrypted& out);
  // With the key that `from` names, which may be one of before. kIntegrity when it was not encrypted so.
  Refusal decrypt(const Encrypted& from, SecretBytes& out);
  Refusal random(std::size_t bytes, SecretBytes& out);

 private:
  class Session;
  std::unique_ptr<Session> session_;
};

}  // namespace coffer::hsm
