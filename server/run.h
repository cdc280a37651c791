// `coffer server`: from flags to a running node and, after a signal, to an exit code.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "core/joiner.h"
#include "core/web_call.h"

namespace coffer::core {
class Engine;
}

namespace coffer::server {

// What keys of the seal and the barrier are in; locked, if the system lets the process.
inline constexpr std::size_t kSecretArenaBytes = 1u << 20;

// What the command line gave. Empty texts were not given.
struct RunOptions {
  std::string product = "Coffer";           // how it calls itself: "Coffer" or "Vault"
  std::vector<std::string> config_paths;    // files and folders, in order
  std::string log_level;
  std::string log_format;
  std::string log_file;
  bool dev = false;
  std::string dev_root_token;
  std::string dev_listen = "127.0.0.1:8200";
  std::string dev_grpc_listen = "127.0.0.1:8210";
  bool dev_kv_v1 = false;
  bool dev_no_store_token = false;
  bool dev_tls = false;                     // with certificates made for it
  std::string dev_tls_cert_dir;             // empty: a temporary folder
  std::vector<std::string> dev_tls_names;   // that the certificate is for, besides localhost
  std::vector<core::Engine*> further_engines;  // besides the built-in ones; they outlive run()
  std::function<std::optional<std::string>(const std::string&)> variable;  // environment
  core::PeerCall call_peer;                 // the API of another node
  core::WebCall call_web;                   // any other system over HTTP
  std::function<Status(const std::string& token)> store_token;             // for the command line's next calls
  std::function<void(std::string_view text)> print;                        // standard output
  std::function<void(std::string_view text)> complain;                     // standard error
};

// Returns when the server has ended: 0 after SIGTERM or SIGINT, 1 when it could not start or had to stop. Call on the
// main thread, before any other exists.
int run(const RunOptions& options);

}  // namespace coffer::server
