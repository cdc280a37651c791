// Texts of the XML that services of AWS answer with. Not a parser: elements without attributes, in documents that the
// service's own connection vouches for.
#pragma once

#include <string>
#include <string_view>

namespace coffer::core {

// The text of the first element of this name, at `*from` or later where that is given; it is behind the element then.
// Entities of the characters that XML escapes are read. Empty if there is none.
std::string xml_element(std::string_view xml, std::string_view name, std::size_t* from = nullptr);

}  // namespace coffer::core
