#pragma once
#include <string>
#include <string_view>
#include "base/status.h"
namespace coffer::cli { Result<std::string> format_hcl(std::string_view text); }
