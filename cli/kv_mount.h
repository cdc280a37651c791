// What the commands for the key-value store share: which version a mount is, and what its API paths are.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/secret.h"

namespace coffer::cli {

// What a command works on.
struct KvTarget {
  Client* client = nullptr;
  std::string full;   // API path: with data/, metadata/ ... for version 2
  std::string typed;  // mount and name, as for version 1
  std::string mount;  // with a slash at the end, as the server knows it
  std::string rest;   // name below the mount
  bool v2 = false;
};

// Makes the client, asks the server about the mount of an argument (or of -mount), and adds `prefix` for version 2. The
// failure was printed; the exit code is then 2.
std::optional<KvTarget> kv_target(Context& context, std::string_view prefix, std::size_t argument = 0);

// `typed` with `prefix` behind the mount.
std::string kv_api_path(const std::string& typed, const std::string& mount, std::string_view prefix);

// Versions given as "1,2" or by several flags.
std::vector<std::string> kv_versions(const std::vector<std::string>& given);

// A read whose 404 may still carry data. Nothing when there is none or on an error; only an error was printed then (as
// "<lead>: ...").
struct KvRead {
  std::optional<Secret> secret;
  bool failed = false;
};
KvRead kv_read(Context& context, Client& client, const std::string& path,
               std::vector<std::pair<std::string, std::string>> query, std::string_view lead, bool aside = false);

// Names of all secrets in the folder and below it, relative to it, in byte order: by SCAN, and by LIST of each folder
// where that is not allowed or not known. Nothing after a failure was printed as "<lead>: ...".
std::optional<std::vector<std::string>> kv_tree(Context& context, const KvTarget& folder, std::string_view lead);

// "kv scan" and "kv list -r".
int kv_list_tree(Context& context);

// The end of a write to version 2: path, then the metadata of the version that was made.
int kv_show_written(Context& context, const Reply& reply, const std::string& path, bool with_banner);

extern const Flag kKvMountFlag;

}  // namespace coffer::cli
