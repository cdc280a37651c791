// A message between nodes as bytes. Whoever reads them takes nothing on trust: kinds, counts, sizes and orders that the
// core relies on are checked, and no more memory is asked for than the bytes themselves justify.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/status.h"
#include "raft/types.h"

namespace coffer::raft {

inline constexpr std::size_t kMessageBytesMax = 4u << 20;     // encoded
inline constexpr std::size_t kMessageEntriesMax = 64u << 10;  // in one message

// What encode_message() appends, at most.
std::size_t encoded_bytes_max(const Message& message);

// Appends. Entries follow each other from message.index on; `spool` stays behind, it means something to its node alone.
void encode_message(const Message& message, std::string& out);

// kInvalid for what encode_message() would not have made.
Result<Message> decode_message(std::string_view bytes);

}  // namespace coffer::raft
