// What a transaction changed, as whoever changed it says it. Kept beside the writes until they are committed, and made
// into an event (core/events.h) then, if anybody listens: noting one costs a few words and no look-up.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/clock.h"
#include "base/strong.h"

namespace coffer::core {

// Texts live in the transaction's arena, or for ever.
struct Change {
  std::string_view type;            // "kv-v2/data-write"; what follows the slash is the operation
  NamespaceId ns{0};
  MountId mount{0};
  std::string_view area{};          // the operation's path is mount, `area`, `name`
  std::string_view data_area{};     // and what it changed is read at mount, `data_area`, `name`
  std::string_view name{};          // of a lease: its whole id, mount included
  bool lease = false;
  WallTime expires{};               // of a lease that goes on
  bool versioned = false;
  std::uint64_t current_version = 0;
  std::uint64_t oldest_version = 0;
  std::string_view numbers_key{};   // "deleted_versions"; empty: none
  std::string_view numbers{};       // a JSON list
};

}  // namespace coffer::core
