// module: raft/wire.cc
// Decodes arbitrary bytes as a message of another node. What decodes must encode to the same bytes, so no two forms
// mean the same, and never to more than was promised.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "raft/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto decoded = coffer::raft::decode_message(bytes);
  if (!decoded.ok())
    return 0;
  std::string again;
  coffer::raft::encode_message(*decoded, again);
  COFFER_CHECK(again == bytes);
  COFFER_CHECK(again.size() <= coffer::raft::encoded_bytes_max(*decoded));
  return 0;
}
