// The port to other systems over HTTP: storage for snapshots, registries of services, key services.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace coffer::core {

// One HTTP exchange with another system.
struct WebRequest {
  std::string method;
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  Nanos time_max{std::chrono::minutes(5)};
  Nanos silence_max{0};             // without a byte either way; 0: no bound of its own
  std::function<bool()> gives_up;   // asked about once a second; may be empty
  std::string ca_file;  // empty: what the system trusts
  std::string cert_file;
  std::string key_file;
  std::string server_name;  // expected in the certificate instead of the URL's host; empty: that
  bool skip_verify = false;
};
struct WebAnswer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
};
// Blocks; kUnavailable when there is no answer. Any thread. Redirects are not followed.
using WebCall = std::function<Result<WebAnswer>(const WebRequest&)>;

}  // namespace coffer::core
