#include "cli/hcl_format.h"
namespace coffer::cli { Result<std::string> format_hcl(std::string_view text) { return std::string(text); } }
