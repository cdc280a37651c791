#include "core/path_table.h"

#include <algorithm>

#include "base/check.h"

namespace coffer::core {
namespace {

std::vector<std::string_view> split(std::string_view pattern) {
  std::vector<std::string_view> parts;
  while (!pattern.empty()) {
    const std::size_t slash = pattern.find('/');
    parts.push_back(pattern.substr(0, slash));
    if (slash == std::string_view::npos)
      break;
    pattern.remove_prefix(slash + 1);
  }
  return parts;
}

// Takes the next segment off `rest`. False when there is none.
bool take_segment(std::string_view& rest, std::string_view& segment) {
  if (rest.empty())
    return false;
  const std::size_t slash = rest.find('/');
  segment = rest.substr(0, slash);
  rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
  return true;
}

// A folder's trailing '/' belongs to the name that a last `*name` captures; a pattern that ends in a fixed number of
// segments has no folders, except that a list may spell it with the slash.
bool match_segments(const std::vector<std::string_view>& segments, std::string_view path, bool list,
                    std::vector<std::string_view>& captures) {
  captures.clear();
  std::string_view rest = path;
  bool ended_in_slash = false;
  for (const std::string_view want : segments) {
    if (want.front() == '*') {
      if (rest.empty() && want.back() != '?')
        return false;
      captures.push_back(rest);
      return true;
    }
    std::string_view segment;
    if (!take_segment(rest, segment))
      return false;
    ended_in_slash = rest.empty() && path.back() == '/';
    if (want.front() == ':') {
      if (segment.empty())
        return false;
      captures.push_back(segment);
    } else if (segment != want) {
      return false;
    }
  }
  return rest.empty() && (!ended_in_slash || list);
}

}  // namespace

bool PathSpec::knows(std::string_view name) const {
  if (any_fields || std::ranges::any_of(fields, [name](const Field& field) { return field.name == name; }))
    return true;
  return std::ranges::any_of(split(pattern), [name](std::string_view segment) {
    if (segment.ends_with('?'))
      segment.remove_suffix(1);
    return (segment.starts_with(':') || segment.starts_with('*')) && segment.substr(1) == name;
  });
}

PathTable::PathTable(std::vector<PathSpec> specs) : specs_(std::move(specs)) {
  segments_.reserve(specs_.size());
  for (const PathSpec& spec : specs_) {
    segments_.push_back(split(spec.pattern));
    for (std::size_t i = 0; i < segments_.back().size(); ++i) {
      const std::string_view segment = segments_.back()[i];
      COFFER_CHECK(!segment.empty());
      COFFER_CHECK(segment.front() != '*' || i + 1 == segments_.back().size());
    }
  }
}

std::optional<PathMatch> PathTable::match(std::string_view path, Operation operation) const {
  std::vector<std::string_view> captures;
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    if (!match_segments(segments_[i], path, lists(operation), captures))
      continue;
    // The first pattern that fits hides later ones for every operation: what a name means never depends on the verb.
    for (const OperationSpec& candidate : specs_[i].operations)
      if (candidate.operation == operation)
        return PathMatch{&specs_[i], &candidate, std::move(captures)};
    return PathMatch{&specs_[i], nullptr, std::move(captures)};
  }
  return std::nullopt;
}

}  // namespace coffer::core
