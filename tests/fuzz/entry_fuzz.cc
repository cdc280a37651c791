// module: core/entry.cc
// Decodes arbitrary bytes as a log entry. What decodes must encode to the same bytes, so no two entries mean the same.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "core/entry.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const auto decoded = coffer::core::entry::decode(body);
  if (!decoded.ok())
    return 0;
  std::string again;
  coffer::core::entry::encode(decoded->epoch, decoded->key_term, decoded->ops, again);
  COFFER_CHECK(again == body);
  return 0;
}
