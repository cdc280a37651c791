#include "core/help.h"

namespace coffer::core {
namespace {

std::string_view type_name(FieldType type) {
  switch (type) {
    case FieldType::kString:
      return "string";
    case FieldType::kInt:
      return "int";
    case FieldType::kBool:
      return "bool";
    case FieldType::kDuration:
      return "duration (sec)";
    case FieldType::kStringList:
      return "slice";
    case FieldType::kMap:
      return "keypair";
    case FieldType::kAny:
      return "any";
  }
  return "any";
}

}  // namespace

json::Value describe_path(json::Arena& arena, const PathSpec& spec, std::string_view path) {
  std::string text = "Request:        ";
  text.append(path).append("\nMatching Route: ").append(spec.pattern).append("\n\n").append(spec.help);
  if (!spec.fields.empty()) {
    text.append("\n\n## PARAMETERS\n");
    for (const Field& field : spec.fields)
      text.append("\n    ")
          .append(field.name)
          .append(" (")
          .append(type_name(field.type))
          .append(")\n\n        ")
          .append(field.help)
          .append("\n");
  }
  text.append("\n\n## DESCRIPTION\n\n").append(spec.help);
  return json::ObjectBuilder(arena, 3).add("help", text).add("openapi", nullptr).add("see_also", nullptr).build();
}

}  // namespace coffer::core
