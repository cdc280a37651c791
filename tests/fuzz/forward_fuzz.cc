// module: core/forward.cc
// Decodes arbitrary bytes as what one node sends another. What decodes must encode to the same bytes.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "core/forward.h"

using namespace coffer::core;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Exchange request;
  if (forward::decode_request(bytes, request).ok())
    COFFER_CHECK(*forward::encode_request(request, request.request.time_max) == bytes);
  Exchange reply;
  if (const auto told = forward::decode_reply(bytes, reply); told.ok())
    COFFER_CHECK((*told == forward::Told::kAnswered ? *forward::encode_reply(reply)
                                                    : forward::encode_refusal(*told)) == bytes);
  return 0;
}
