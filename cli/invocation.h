// What a process hands to the command line: its name, arguments, environment and standard streams. Everything a command
// reads from or writes to the outside comes through here or through cli/ports.h, so that tests run commands without a
// process.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace coffer::cli {

struct Invocation {
  std::string name;               // base name of argv[0]: "vault" prints Vault's names, anything else Coffer's
  std::string program;            // argv[0] as given, for the line that the shell's completion runs
  std::vector<std::string> args;  // without argv[0]
  std::function<const char*(const char*)> env;  // null when the variable is not set
  int in = 0;                     // file descriptors; not owned
  int out = 1;
  int err = 2;
  bool in_tty = false;
  bool out_tty = false;
  bool err_tty = false;

  // The variable's value, or `otherwise` when it is not set or empty.
  std::string env_or(const char* variable, const std::string& otherwise = "") const {
    const char* value = env ? env(variable) : nullptr;
    return value != nullptr && *value != '\0' ? std::string(value) : otherwise;
  }
};

// The invocation of the running process.
Invocation process_invocation(int argc, char** argv);

}  // namespace coffer::cli
