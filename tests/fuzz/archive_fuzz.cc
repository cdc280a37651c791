// module: store/archive.cc
// Reads arbitrary bytes as a snapshot's archive, in two pieces. What is read as whole has the state that its meta.json
// tells of.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "store/archive.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  std::uint64_t state_bytes = 0;
  store::ArchiveReader reader([](const store::ArchiveMeta&) { return ok_status(); },
                              [&](std::string_view piece) {
                                state_bytes += piece.size();
                                return ok_status();
                              });
  if (reader.take(bytes.substr(0, size / 2)).ok() && reader.take(bytes.substr(size / 2)).ok() && reader.finish().ok())
    COFFER_CHECK(state_bytes == reader.meta().state_bytes);
  return 0;
}
