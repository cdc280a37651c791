// Small functions on text that Go's standard library has and ours has not, with its exact results.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace coffer::cli {

inline constexpr std::size_t kLineColumnsMax = 78;

std::string_view trim(std::string_view text);  // white space at both ends
std::vector<std::string> split(std::string_view text, char at);
std::string join(const std::vector<std::string>& parts, std::string_view with);
std::string lower(std::string_view text);

// Number of code points; a byte that starts none counts as one.
std::size_t rune_count(std::string_view text);

// Fills paragraphs to `columns - pad` with the least sum of squared gaps, each line led by `pad` spaces. Runs of spaces
// and line breaks separate words.
std::string wrap(std::string_view text, std::size_t pad = 0, std::size_t columns = kLineColumnsMax);

// A quoted string as Go's %q prints it.
std::string quoted(std::string_view text);

// `title` between two runs of '=' so that the whole is about `total` wide, at least two a side.
std::string banner(std::string_view title, std::size_t total);

// Mount and secret paths as people type them.
std::string sanitize_path(std::string_view path);          // no white space around, no slash at either end
std::string with_trailing_slash(std::string_view path);    // empty stays empty
// one slash between, ".", ".." and doubled slashes resolved
std::string join_path(const std::vector<std::string>& parts);

// Percent-encoding of a URL's path (slashes stay) and of a query value.
std::string escape_path(std::string_view path);
std::string escape_query(std::string_view text);

// "true" or "false".
inline std::string bool_text(bool value) { return value ? "true" : "false"; }

}  // namespace coffer::cli
