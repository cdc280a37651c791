// Store keys: class ‖ namespace id ‖ mount id ‖ rest. The ids are big-endian, so byte order is number order, and one
// mount's records are one range. The class stands first so that replication filters and disaster recovery choose
// records without opening any.
//
// A key of at most limits::kStoreKeyPlainBytesMax bytes is stored as it is. A longer one is stored as its first
// kShortenedPrefixBytes bytes, kShortenedMark and the SHA-256 of the whole key. What can be read back from a shortened
// key is only its beginning, so whoever seals the record puts the name inside, with long_record() before sealing and
// split_long_record() after opening. Authenticated data of a record is its *stored* key: it is known when listing, and
// the hash binds the whole name.
//
// Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/limits.h"
#include "base/status.h"
#include "base/strong.h"

namespace coffer::store {

// Decides where a record may go. Stored; numbers never change meaning. 0 is the store's own (not reachable by these
// functions).
enum class KeyClass : std::uint8_t {
  kShared = 1,         // replicated to every cluster
  kClusterLocal = 2,   // tokens, leases, cubbyhole, local mounts: replicated for disaster recovery only
  kNotReplicated = 3,  // this cluster alone
};

// A key as upper layers name it: borrowed, not yet shortened. Valid while what `rest` points to is.
struct StoreKey {
  KeyClass cls;
  NamespaceId ns;
  MountId mount;
  std::string_view rest;
};

inline constexpr std::size_t kKeyHeadBytes = 9;
inline constexpr std::size_t kShortenedPrefixBytes = 440;
inline constexpr char kShortenedMark = '\xff';  // never part of UTF-8, so a name cannot look like this
inline constexpr std::size_t kShortenedKeyBytes = kShortenedPrefixBytes + 1 + 32;

// The stored key, shortened where needed.
std::string make_key(KeyClass cls, NamespaceId ns, MountId mount, std::string_view rest);
// The same before shortening. For prefixes of lists, and for long_record().
std::string full_key(KeyClass cls, NamespaceId ns, MountId mount, std::string_view rest);
// Shortens a full key where needed.
std::string stored_key(std::string full);
bool is_shortened(std::string_view stored) noexcept;

struct KeyHead {
  KeyClass cls;
  NamespaceId ns;
  MountId mount;
  std::string_view rest;  // of the stored key; for a shortened one not a name
};
// kDataLoss when it is not a key.
Result<KeyHead> parse_key(std::string_view stored);

// The smallest key above every key that begins with `prefix`; empty when there is none.
std::string prefix_end(std::string_view prefix);

// Where to walk to meet every record whose full key begins with `full_prefix`. Records met need their name checked when
// it is shortened (is_shortened), because those with a long common beginning stand in hash order: sort them after
// opening.
struct KeyRange {
  std::string begin;
  std::string end;  // exclusive
};
KeyRange range_of_prefix(std::string_view full_prefix);

// What to seal for a record whose stored key is shortened: the full key's rest, then the value. Both sides use it for
// every shortened key and for no other.
std::string long_record_head(std::string_view rest);
struct LongRecord {
  std::string_view rest;
  std::string_view value;
};
Result<LongRecord> split_long_record(std::string_view opened);

}  // namespace coffer::store
