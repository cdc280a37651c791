// What is stored of a token (docs/formats/token.md), and the names that it is stored under. A token's text is never
// stored: records stand under its keyed hash.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "base/clock.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/strong.h"
#include "crypto/hmac.h"

namespace coffer::core {

// What the hash's key is derived from the keyring for.
inline constexpr std::string_view kTokenHashPurpose = "token hash";
inline constexpr std::size_t kTokenHashBytes = 20;
inline constexpr std::size_t kTokenHashText = 2 * kTokenHashBytes;

// The keyed hash of a token or an accessor in lower-case hex. That of a service token begins with the time that its
// text tells (4 bytes), so that tokens of one time stand together: what is made or ends at once is then a few pages of
// the state, and not a page each.
struct TokenHash {
  char text[kTokenHashText];
  std::string_view view() const noexcept { return {text, kTokenHashText}; }
};

// Holds the prepared HMAC key. Immutable, any thread.
class TokenHasher {
 public:
  explicit TokenHasher(const SecretBytes& key) : key_(key) {}
  TokenHash token(std::string_view text) const noexcept;
  TokenHash accessor(std::string_view text) const noexcept { return hash('a', text); }
  TokenHash state(std::string_view text) const noexcept { return hash('s', text); }

 private:
  TokenHash hash(char domain, std::string_view text) const noexcept;
  crypto::HmacKey key_;
};

enum class TokenType : std::uint8_t { kService = 1, kBatch = 2 };

// What the texts of batch tokens begin with.
inline constexpr std::string_view kBatchPrefix = "hvb.";

// Views point into the record's plaintext or wherever the writer's text lives.
struct TokenRecord {
  TokenType type = TokenType::kService;
  bool orphan = false;
  bool renewable = false;
  WallTime created{};
  WallTime renewed{};                // equal to `created` when it never was
  std::optional<WallTime> expires;   // nothing: never. A time in the past, whatever it is, is "no longer" (advisory G1)
  Nanos creation_ttl{0};
  Nanos ttl{0};                      // granted last
  Nanos explicit_max_ttl{0};         // 0: none
  Nanos period{0};                   // 0: not periodic
  std::int64_t num_uses = 0;         // 0: not limited
  std::string_view parent;           // TokenHash in hex; empty for orphans
  std::string_view accessor;
  std::string_view display_name;
  std::string_view path;             // of the request that created it
  std::string_view policies;         // sorted, joined by kPolicySeparator
  std::string_view metadata;         // JSON object, or empty
  std::string_view wrapped_accessor; // of what a wrapping token wraps
  NamespaceId ns{0};                 // where it was made: it is good there and below
  std::string_view entity;           // id of its identity; empty: none
  NamespaceId entity_ns{0};          // where that identity is: that of `ns`, or of one above
  std::string_view bound_cidrs;      // networks that it works from, joined by commas; empty: from anywhere
  std::string_view role;             // of a login or a token role: asked for again at a renewal
  Nanos max_ttl{0};                  // of a token role; 0: the mount's
  std::uint32_t depth = 0;           // tokens above it

  bool expired(WallTime now) const noexcept { return expires && *expires <= now; }
};

inline constexpr char kPolicySeparator = '\x1f';  // no canonical name holds it

// The names in a joined list; views into it.
std::vector<std::string_view> split_policies(std::string_view joined);
// Sorted, without repetition; "root" swallows the others. Text in the arena.
std::string_view join_policies(Arena& arena, std::vector<std::string_view> names);
bool has_policy(std::string_view joined, std::string_view name) noexcept;

void encode(const TokenRecord& record, std::string& out);
// Views into `plaintext`. kDataLoss when it is no such record.
Result<TokenRecord> decode_token(std::string_view plaintext);

// What follows the texts of tokens and accessors of a namespace, so that people and tools see where they belong: '.',
// and the namespace's short name. Nothing is looked up by it.
inline std::string with_namespace(std::string text, std::string_view namespace_name) {
  return text.append(1, '.').append(namespace_name);
}

// Texts of new tokens. "hvs." and a signed form that begins with CAES and tells when it was made; root's is "hvs." and
// 24 letters and digits. Either has at least 140 random bits.
Result<std::string> new_service_token(RandomSource& random, WallTime now);
Result<std::string> new_root_token(RandomSource& random);
Result<std::string> new_accessor(RandomSource& random);
std::string_view type_name(TokenType type);

}  // namespace coffer::core
