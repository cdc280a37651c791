#include "core/help.h"

#include <algorithm>
#include <vector>

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

json::Value describe_mount(json::Arena& arena, const PathTable& table, std::string_view type) {
  std::string text = "## DESCRIPTION\n\nThe \"";
  text.append(type).append("\" engine of this server.\n\n## PATHS\n\n"
                           "These are its paths, below where it is mounted. A part that begins with ':' stands\n"
                           "for one segment, one that begins with '*' for all that follows. Ask for the help of\n"
                           "a path to see its parameters. What a token may do is a matter of its policies.\n");
  std::vector<std::string_view> shown;
  for (const PathSpec& spec : table.specs()) {
    if (std::ranges::find(shown, spec.pattern) != shown.end() || spec.pattern.starts_with("*"))
      continue;
    shown.push_back(spec.pattern);
    const std::string_view pattern = spec.pattern.substr(0, spec.pattern.find('?'));
    text.append("\n    ").append(pattern).append("\n        ").append(spec.help).append("\n");
  }
  return json::ObjectBuilder(arena, 3).add("help", text).add("openapi", nullptr).add("see_also", nullptr).build();
}

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
