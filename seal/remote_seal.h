// A seal whose key never leaves what keeps it: an HSM or a key service. A restart unseals by itself as long as that can
// be reached.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "seal/seal.h"

namespace coffer::seal {

// The key outside. Any thread; a call may take as long as the outside takes. kUnavailable: it may come back; anything
// else will not change by itself.
class RemoteKey {
 public:
  virtual ~RemoteKey() = default;

  virtual std::string_view kind() const noexcept = 0;
  virtual std::string_view title() const noexcept = 0;  // for messages: "HSM"
  // Stands in what is sealed, for all time.
  virtual std::string_view envelope_id() const noexcept = 0;

  // 32 bytes; the result names the key of those outside that it takes to decrypt it, up to 2 KiB.
  virtual Result<std::string> encrypt(const SecretBytes& key) = 0;
  // kDataLoss: nothing that encrypt() made.
  virtual Result<SecretBytes> decrypt(std::string_view encrypted) = 0;
  virtual Status check() = 0;
  // Of what encrypt() made: whether it would use the same key now, as far as that can be told without asking.
  virtual bool is_current(std::string_view) const { return true; }
};

// What it wraps is sealed under a key of its own, which the key outside encrypts (docs/formats/remote_seal.md): so
// whatever that does, the result commits to one key and may be longer than it takes.
std::unique_ptr<KeyWrapper> make_remote_seal(std::unique_ptr<RemoteKey> key);

}  // namespace coffer::seal
