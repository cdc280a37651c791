// The port to what guards the root key: Shamir's shares, a key from the configuration, later an HSM or a cloud service.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/rng.h"
#include "base/secret.h"
#include "base/status.h"

namespace coffer::seal {

inline constexpr std::string_view kShamirKind = "shamir";
inline constexpr std::string_view kStaticKind = "static";

// Wraps and unwraps keys of up to 1 KiB. A call may take as long as an outside service does: call it from a pool
// thread, never from the proposer. One call at a time.
class KeyWrapper {
 public:
  virtual ~KeyWrapper() = default;

  // Stored beside the wrapped key; unwrapping with another kind is refused.
  virtual std::string_view kind() const noexcept = 0;

  // `context` is authenticated, not stored; unwrap() needs the same. The result is bound to one key even where several
  // are tried.
  virtual Result<std::string> wrap(const SecretBytes& key, std::string_view context, RandomSource& random) = 0;

  // kDenied: not wrapped by this seal's keys. kDataLoss: damaged or another context. kUnavailable: the seal cannot be
  // reached now.
  virtual Result<SecretBytes> unwrap(std::string_view wrapped, std::string_view context) = 0;

  // Whether wrap() would use the same key now as for this; what cannot be told without asking is taken to be so.
  virtual bool is_current(std::string_view) const { return true; }

  // Whether a call may take long or fail for a while: what is away may come back.
  virtual bool remote() const noexcept { return false; }

  // Whether it can be used now; it asks the seal, which may take as long as a call does.
  virtual Status check() { return ok_status(); }

  // Unseals without people; then shares are recovery shares.
  bool automatic() const noexcept { return kind() != kShamirKind; }
};

// The wrapper whose key the shares combine to.
std::unique_ptr<KeyWrapper> make_shamir_wrapper(SecretBytes combined_key);

}  // namespace coffer::seal
