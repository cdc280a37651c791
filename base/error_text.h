// The system's words for an errno. Any thread, unlike strerror().
#pragma once

#include <string>

namespace coffer {

std::string error_text(int error);
// As it stands within a sentence: with a small first letter.
std::string lower_error_text(int error);

}  // namespace coffer
