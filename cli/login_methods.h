// The auth methods that `login` knows how to use, and what `auth help` prints of them.
#pragma once

#include <span>
#include <string_view>

namespace coffer::cli {

struct LoginMethod {
  std::string_view name;      // the method's type
  bool username;              // the login's path ends in the user's name, which must be given
  std::string_view about;     // one paragraph
  std::string_view example;   // behind "login -method=<name> "
  std::string_view settings;  // "name: what it is" lines
};

std::span<const LoginMethod> login_methods();
// Null when there is none.
const LoginMethod* find_login_method(std::string_view name);

}  // namespace coffer::cli
