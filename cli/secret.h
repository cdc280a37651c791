// The envelope of an answer, as every logical path returns it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace coffer::cli {

// Views into the answer's tree, which lives in the command's arena.
struct Secret {
  json::Value root;  // the whole answer
  json::Value data;  // an object, or null

  // An answer without an envelope, as that of sys/health, counts as data.
  static Secret of(const json::Value& root);

  const json::Value* auth() const;       // null when the answer has none
  const json::Value* wrap_info() const;  // likewise
  bool wrapped() const;                  // wrap_info with a TTL
  std::int64_t lease_duration() const;
  std::string_view lease_id() const { return root.string_or("lease_id", ""); }
};

// The envelope in the order in which Go's client prints it, with absent parts filled in and maps sorted.
json::Value printable(Arena& arena, const Secret& secret);

// What -field names: a field of auth, of the wrapping, of the lease, or of the data. Nothing when absent or null.
std::optional<json::Value> raw_field(Arena& arena, const Secret& secret, std::string_view field);

// `names` of `object` in that order. One that is absent becomes null, with '=' behind its name an empty string; with
// '?' it is left out, also when it is empty.
json::Value picked(Arena& arena, const json::Value& object, std::initializer_list<std::string_view> names);

}  // namespace coffer::cli
