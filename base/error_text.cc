#include "base/error_text.h"

#include <cstring>

namespace coffer {

std::string error_text(int error) {
  char words[128];
  return ::strerror_r(error, words, sizeof words);
}

std::string lower_error_text(int error) {
  std::string text = error_text(error);
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z')
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

}  // namespace coffer
