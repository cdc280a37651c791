#include "core/mount_headers.h"

#include <algorithm>

#include "base/ascii.h"

namespace coffer::core {
namespace {

constexpr std::string_view kNeverPassed[] = {"x-vault-token", "authorization", "cookie", "proxy-authorization"};
constexpr std::string_view kInlineLogin = "x-vault-inline-auth-";

bool named(const std::vector<std::string>& names, std::string_view lower_name) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return lower_ascii(name) == lower_name; });
}

bool carries_login(std::string_view lower_name) {
  return lower_name.starts_with(kInlineLogin) ||
         std::find(std::begin(kNeverPassed), std::end(kNeverPassed), lower_name) != std::end(kNeverPassed);
}

}  // namespace

std::vector<const HeaderLine*> passed_headers(const Request& request, const MountTuning& tuning) {
  std::vector<const HeaderLine*> passed;
  if (tuning.passthrough_request_headers.empty())
    return passed;
  for (const HeaderLine* line = request.headers; line != nullptr; line = line->next) {
    const std::string name = lower_ascii(line->name);
    if (!carries_login(name) && named(tuning.passthrough_request_headers, name))
      passed.push_back(line);
  }
  return passed;
}

void keep_allowed_headers(const MountTuning& tuning, Response& response) {
  std::erase_if(response.headers,
                [&](const auto& header) { return !named(tuning.allowed_response_headers, lower_ascii(header.first)); });
}

}  // namespace coffer::core
