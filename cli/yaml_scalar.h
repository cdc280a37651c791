// How a string or number stands in YAML: which style reads back as the same string in every reader of YAML 1.1.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace coffer::cli {

enum class YamlStyle { kPlain, kSingle, kDouble, kLiteral };

YamlStyle yaml_style(std::string_view text, bool is_key);

// A JSON number's text: integers of 64 bits as they are, others as the shortest text of the double.
std::string yaml_number(std::string_view text);

// Bytes of the code point at `at`; 1 when none begins there.
std::size_t yaml_rune_bytes(std::string_view text, std::size_t at);

// One code point within double quotes.
std::string yaml_escaped(std::string_view rune);

}  // namespace coffer::cli
