// What every TLS context of the server has in common, and certificates for `server -dev-tls`.
#pragma once

#include <span>
#include <string>

#include "base/clock.h"
#include "base/rng.h"
#include "base/secret.h"
#include "base/status.h"

struct ssl_ctx_st;

namespace coffer::crypto {

// TLS 1.2 and later; with 1.2 only suites with forward secrecy and an AEAD; no compression, no renegotiation. A caller
// may raise the floor to 1.3 afterwards.
Status harden_tls(ssl_ctx_st* context);

// Why OpenSSL could not use the file of a setting: takes the errors that it left on this thread.
Status tls_file_error(const char* setting, const std::string& file);

struct DevCertificates {
  std::string ca_pem;
  std::string cert_pem;  // for the names, signed by the authority
  SecretBytes key_pem;   // the certificate's key; the authority's is gone
};

// A throw-away authority and one server certificate on P-256, valid for a year from `now`. `names` are DNS names or IP
// addresses; localhost, 127.0.0.1 and ::1 are always included. kInvalid names the name that cannot stand in a
// certificate. `random` gives the serial numbers; keys come from the cryptographic library's own generator. Any thread.
Result<DevCertificates> make_dev_certificates(std::span<const std::string> names, WallTime now, RandomSource& random);

}  // namespace coffer::crypto
