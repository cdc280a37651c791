// Fields of a path table's row.
#pragma once

#include <cstdint>
#include <string_view>

namespace coffer::core {

enum class FieldType : std::uint8_t { kString, kInt, kBool, kDuration, kStringList, kMap, kAny };

struct Field {
  std::string_view name;
  FieldType type = FieldType::kString;
  std::string_view help;
  bool required = false;
};

}  // namespace coffer::core
