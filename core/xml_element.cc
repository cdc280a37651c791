#include "core/xml_element.h"

#include <utility>

namespace coffer::core {

std::string xml_element(std::string_view xml, std::string_view name, std::size_t* from) {
  std::size_t at = from != nullptr ? *from : 0;
  const std::string opens = "<" + std::string(name) + ">";
  const std::string closes = "</" + std::string(name) + ">";
  const std::size_t begin = xml.find(opens, at);
  const std::size_t end = begin == std::string_view::npos ? begin : xml.find(closes, begin);
  if (from != nullptr)
    *from = end == std::string_view::npos ? end : end + closes.size();
  if (end == std::string_view::npos)
    return {};
  std::string text(xml.substr(begin + opens.size(), end - begin - opens.size()));
  for (const auto& [entity, plain] : {std::pair("&lt;", "<"), std::pair("&gt;", ">"), std::pair("&quot;", "\""),
                                      std::pair("&apos;", "'"), std::pair("&#39;", "'"), std::pair("&amp;", "&")})
    for (std::size_t found = text.find(entity); found != std::string::npos; found = text.find(entity, found + 1))
      text.replace(found, std::string_view(entity).size(), plain);
  return text;
}

}  // namespace coffer::core
