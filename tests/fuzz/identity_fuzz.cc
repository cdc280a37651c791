// module: core/identity_record.cc
// Records of entities and groups: what is read is written again as the same bytes, and nothing else is read at all.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "core/identity_record.h"

using namespace coffer;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const auto again = [](const auto& record) {
    std::string out;
    core::encode(record, out);
    return out;
  };
  if (const Result<core::EntityRecord> entity = core::decode_entity(text); entity.ok()) {
    const std::string out = again(*entity);
    const Result<core::EntityRecord> twice = core::decode_entity(out);
    COFFER_CHECK(twice.ok() && again(*twice) == out);
  }
  if (const Result<core::GroupRecord> group = core::decode_group(text); group.ok()) {
    const std::string out = again(*group);
    const Result<core::GroupRecord> twice = core::decode_group(out);
    COFFER_CHECK(twice.ok() && again(*twice) == out);
  }
  const std::string key = core::identity_name_key(text);
  COFFER_CHECK(key.find('/') == std::string::npos);
  return 0;
}
