// What is remembered of moves of mounts, so that whoever asked can see how it went (docs/formats/mount_table.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/txn_impl.h"

namespace coffer::core {

// A move's job is called so and its id.
inline constexpr std::string_view kMoveJobHead = "leases-";

struct Migration {
  std::string from;    // as they were given
  std::string to;
  std::string failed;  // why it was given up; empty: it was not
};

// Bounded: what was asked for long ago is forgotten.
Status remember_move(TxnImpl& txn, std::string_view id, const Migration& migration);
Result<std::optional<Migration>> find_move(TxnImpl& txn, std::string_view id);
// Nothing where the move is forgotten already.
Status note_failed_move(TxnImpl& txn, std::string_view id, std::string_view why);

}  // namespace coffer::core
