// Attempts at a new root token, which a threshold of shares makes when no token is left that could. Whoever asks begins
// one, so there are several, each with a nonce of its own: nobody ends, fills or overtakes somebody else's (advisory
// J9). They are in the memory of the node that leads and end with its leadership, with its seal, and after kTimeMax.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "base/secret.h"
#include "base/strong.h"
#include "crypto/pgp.h"
#include "seal/unseal.h"

namespace coffer::core {

inline constexpr std::size_t kRootTokenBytes = 28;  // "hvs." and 24 letters

// `token` and `otp`, of one length, exclusive-or'ed, in base64 without padding, and back. kInvalid for texts of another
// length or alphabet.
Result<std::string> encode_root_token(std::string_view token, std::string_view otp);
Result<SecretBytes> decode_root_token(std::string_view encoded, std::string_view otp);

// Thread-safe.
class RootAttempts {
 public:
  static constexpr std::size_t kAttemptsMax = 16;
  static constexpr std::size_t kAttemptsOfAddressMax = 4;  // that nobody gave a share for
  static constexpr Nanos kTimeMax = std::chrono::hours(1);
  // Looking at a public key takes a process of its own: for all who have no token together so many a minute.
  static constexpr std::size_t kKeysOfStrangersMax = 60;
  static constexpr Nanos kKeysOfStrangersPeriod = std::chrono::minutes(1);

  struct Asked {
    Term term;       // of the leadership
    WallTime now{};
    bool by_token = false;
    std::string remote;
  };
  struct State {
    bool started = false;
    std::string nonce;
    seal::CeremonyProgress given;
    std::string fingerprint;  // of the key that the token will be encrypted to; else empty
  };
  struct Begun {
    State state;
    std::string otp;
  };
  // `token` is there when the shares were right: it is to be stored, and told by `encoded` alone.
  struct Step {
    State state;
    std::optional<SecretBytes> token;
    std::string encoded;
  };

  // `pgp` may be null, and then no keys are taken. Both outlive this.
  RootAttempts(crypto::PgpEncryptor* pgp, RandomSource& random) : pgp_(pgp), random_(random) {}

  // `otp` is empty, and then drawn, or of kRootTokenBytes printable characters; with the bytes of a public key in
  // `pgp_key` there is none, and this blocks as long as the look at the key takes. An attempt that nobody gave a share
  // for may have to go: an older one of the same address, or else of who has most. kExhausted when there is none.
  Result<Begun> begin(const Asked& asked, std::string_view otp, const std::string& pgp_key, seal::ShareCounts counts);

  // The one with this nonce; without a nonce, for whoever has a token, the last that was begun, and for others only
  // whether there is one.
  State state(const Asked& asked, std::string_view nonce);

  // kInvalid without a nonce; no error when there is no such attempt.
  Status cancel(const Asked& asked, std::string_view nonce);

  // kInvalid: there is no such attempt, no share, or the shares are not the seal's, whose stored configuration is
  // `record`; then all have to be given anew. Blocks as long as encrypting the token does; should that fail, the
  // attempt is over.
  Result<Step> give(const Asked& asked, std::string_view nonce, const SecretBytes& share, std::string_view record,
                    const SecretBytes& root_key);

  // The node is sealed.
  void forget();

 private:
  struct Attempt {
    std::string nonce;
    SecretBytes otp;
    std::string pgp_key;
    std::string fingerprint;
    seal::ShareCollector shares;
    Term term;
    WallTime ends{};
    bool by_token;
    std::string remote;
  };
  using Attempts = std::vector<Attempt>;

  // Under mutex_: drops those that are over.
  void tidy(const Asked& asked);
  Attempts::iterator find(std::string_view nonce);
  bool may_look_at_key(const Asked& asked);
  bool make_room(const Asked& asked);
  static State state_of(const Attempt& attempt);
  Result<std::string> tell(const Attempt& attempt, const SecretBytes& token);

  crypto::PgpEncryptor* const pgp_;
  RandomSource& random_;
  std::mutex mutex_;
  Attempts attempts_;  // in the order in which they were begun
  WallTime keys_since_{};
  std::size_t keys_ = 0;  // of strangers, since then
};

}  // namespace coffer::core
