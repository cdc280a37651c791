// What an operator says of a listener's TLS. Plain data: the configuration fills it in, every surface takes it as it
// is.
#pragma once

#include <cstdint>
#include <string>

namespace coffer::crypto {

enum class TlsVersion : std::uint8_t { k12, k13 };

struct TlsFiles {
  std::string cert_file;             // PEM, leaf first
  std::string key_file;
  std::string client_ca_file;        // empty: no client certificate is verified here
  bool require_client_cert = false;  // with client_ca_file: refuse who has none that the CA signed
  bool ask_client_cert = true;       // false: clients are not asked for one
  TlsVersion min_version = TlsVersion::k12;
};

}  // namespace coffer::crypto
