// The certificates of `server -dev-tls` as files: an authority for clients to trust, and the server's certificate and
// key. Made anew at each start.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/status.h"
#include "crypto/tls_files.h"

namespace coffer::server {

class DevTls {
 public:
  // In `folder`, which must exist and where files of the same names are replaced, or, when it is empty, in a temporary
  // folder that goes with this object. `names` besides localhost and the loopback addresses. kInvalid names the flag.
  static Result<std::unique_ptr<DevTls>> create(const std::string& folder, std::span<const std::string> names);
  ~DevTls();
  DevTls(const DevTls&) = delete;
  DevTls& operator=(const DevTls&) = delete;

  std::string ca_file() const { return folder_ + "/vault-ca.pem"; }
  std::string cert_file() const { return folder_ + "/vault-cert.pem"; }
  std::string key_file() const { return folder_ + "/vault-key.pem"; }
  crypto::TlsFiles files() const;

 private:
  DevTls(std::string folder, bool temporary) : folder_(std::move(folder)), temporary_(temporary) {}

  const std::string folder_;
  const bool temporary_;
};

}  // namespace coffer::server
