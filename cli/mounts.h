// What the commands share that enable, disable, tune and list things at paths of their own: secrets engines and audit
// devices.
#pragma once

#include <string>
#include <string_view>

#include "cli/command.h"
#include "cli/table.h"

namespace coffer::cli {

// A path as people type it, as the server names it: one slash at its end.
std::string mount_path(std::string_view typed);

// Makes the call; prints `done` or, behind `lead`, what went wrong. Returns the exit code.
int change_mounts(Context& context, const Call& call, std::string_view lead, std::string_view done);

// Moves the mount below `table` ("" or "auth/") and waits until the server is done with it. Returns the exit code.
int move_mount(Context& context, std::string_view kind, std::string_view table, const std::string& from,
               const std::string& to);

// How one kind of thing is listed.
struct MountList {
  std::string endpoint;  // "sys/mounts"
  std::string lead;      // of an error
  std::string none;      // printed for an empty list, with exit code 2; empty: the titles alone
  Row titles;
  Row detailed_titles;   // with -detailed
  json::Value (*printable)(Arena& arena, const json::Value& mount);
  Row (*row)(const std::string& path, const json::Value& mount);
  Row (*detailed_row)(const std::string& path, const json::Value& mount);
};
int list_mounts(Context& context, const MountList& kind);

}  // namespace coffer::cli
