// The body of a Raft data entry: the records that one transaction writes, sealed (docs/formats/entry.md). Decoding any
// bytes ends in a value or a Status, never worse (rule R10), and what encode() makes of a proposal that passed the
// limits always decodes.
//
// Pure functions, any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/strong.h"
#include "seal/barrier.h"
#include "store/backend.h"

namespace coffer::core::entry {

inline constexpr std::uint8_t kFormat = 1;
inline constexpr std::size_t kHeadBytesMax = 32;  // what precedes the first record

struct Entry {
  std::uint64_t epoch = 0;  // grows when a snapshot is restored; entries of an older one are refused
  KeyTerm key_term;         // of the keyring that sealed the values
  std::vector<store::Op> ops;
};

// At most what a record takes in an entry, sealing included. A deleted record has no plaintext.
constexpr std::size_t op_bytes(std::size_t key_bytes, std::size_t plaintext_bytes) noexcept {
  return 1 + 2 + key_bytes + 4 + plaintext_bytes + seal::kSealedOverheadBytes;
}

// Appends to `out`.
void encode(std::uint64_t epoch, KeyTerm key_term, std::span<const store::Op> ops, std::string& out);
// kDataLoss for everything that encode() does not make: unknown format, a length beyond the end, bytes left over, a key
// that is none, more than limits::kEntryOpsMax records.
Result<Entry> decode(std::string_view body);

}  // namespace coffer::core::entry
