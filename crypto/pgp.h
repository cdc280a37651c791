// Shares and tokens encrypted to OpenPGP public keys (RFC 4880), for ceremonies whose conductor is to see none of them.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/helper_process.h"
#include "base/secret.h"
#include "base/status.h"

namespace coffer::crypto {

inline constexpr std::size_t kPgpKeyBytesMax = 256 * 1024;  // with its user ids and signatures
inline constexpr std::size_t kPgpKeysMax = 255;             // as many as there can be shares

struct PgpMessage {
  std::string fingerprint;  // of the primary key, in lower-case hexadecimal
  std::string message;      // binary, as `gpg --decrypt` takes it
};

// The bytes of a key from what a request has: base64 of a key, in binary or armoured, or armour itself; white space
// within does not matter. kInvalid and kTooLarge do not say which key it is.
Result<std::string> pgp_key_bytes(std::string_view text);

// A port: what ceremonies ask. Keys are bytes, as pgp_key_bytes() gives them. Thread-safe. May block for seconds.
class PgpEncryptor {
 public:
  virtual ~PgpEncryptor() = default;

  // The keys' fingerprints, in their order. kInvalid, with the number of the key from 1, for one that is no public key,
  // is several, cannot encrypt, has expired or was revoked.
  virtual Result<std::vector<std::string>> fingerprints(const std::vector<std::string>& keys) = 0;

  // Each text to the key at its place; there are as many. Failures as above.
  virtual Result<std::vector<PgpMessage>> encrypt(const std::vector<std::string>& keys,
                                                  const std::vector<SecretBytes>& texts) = 0;
};

// By a helper process of its own for each call: who has made one call go astray sees nothing of the next.
class PgpHelpers final : public PgpEncryptor {
 public:
  static constexpr std::size_t kAtOnceMax = 2;
  static constexpr Nanos kTimeMax = std::chrono::seconds(10);      // of a call
  static constexpr Nanos kWaitMax = std::chrono::seconds(10);      // for others to be done

  explicit PgpHelpers(std::string program = "/proc/self/exe") : program_(std::move(program)) {}

  // kExhausted when too many others are at it, kUnavailable when the helper fails.
  Result<std::vector<std::string>> fingerprints(const std::vector<std::string>& keys) override;
  Result<std::vector<PgpMessage>> encrypt(const std::vector<std::string>& keys,
                                          const std::vector<SecretBytes>& texts) override;

 private:
  Result<std::vector<PgpMessage>> ask(const std::vector<std::string>& keys, const std::vector<SecretBytes>* texts);

  const std::string program_;
  std::mutex mutex_;
  std::condition_variable free_;
  std::size_t running_ = 0;
};

// What the helper runs: `coffer pgp-helper`. Returns its exit code.
inline constexpr std::string_view kPgpHelper = "pgp-helper";
int serve_pgp();

}  // namespace coffer::crypto
