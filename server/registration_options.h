// The block service_registration of a configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace coffer::server {

struct RegistrationOptions {
  enum class Kind : std::uint8_t { kConsul, kKubernetes };
  Kind kind = Kind::kConsul;
  bool disabled = false;
  // Consul.
  std::string address = "127.0.0.1:8500";
  std::string scheme = "http";
  std::string token;
  std::string service = "vault";
  std::vector<std::string> tags;
  std::optional<std::string> service_address;  // absent: the host of api_addr
  Nanos check_timeout = std::chrono::seconds(5);
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  bool skip_verify = false;
  // Kubernetes.
  std::string name_space;  // empty: of the service account
  std::string pod_name;
  std::string account_folder = "/var/run/secrets/kubernetes.io/serviceaccount";
  std::string api_server;  // "https://10.0.0.1:443"
};

}  // namespace coffer::server
