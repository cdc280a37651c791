#include "crypto/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <chrono>
#include <memory>

#include "base/error_text.h"
#include "crypto/certificate.h"

namespace coffer::crypto {
namespace {

constexpr std::chrono::hours kValidFor{24 * 365};
constexpr std::chrono::hours kValidBefore{1};  // for clocks that are behind
constexpr std::size_t kNameBytesMax = 253;

struct FreeAddress {
  void operator()(ASN1_OCTET_STRING* address) const noexcept { ASN1_OCTET_STRING_free(address); }
};
using AddressPtr = std::unique_ptr<ASN1_OCTET_STRING, FreeAddress>;

Status failed(const char* what) {
  ERR_clear_error();
  return Status(Code::kInternal, std::string("cannot make a development certificate: ") + what);
}

// "IP:…" or "DNS:…", or nothing for what could say something else to the extension's parser.
std::string alternative_name(const std::string& name) {
  if (AddressPtr(a2i_IPADDRESS(name.c_str())) != nullptr)
    return "IP:" + name;
  ERR_clear_error();
  if (name.empty() || name.size() > kNameBytesMax)
    return "";
  for (const char c : name) {
    const bool allowed =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '*';
    if (!allowed)
      return "";
  }
  return "DNS:" + name;
}

Result<std::string> all_names(std::span<const std::string> names) {
  std::string out = "DNS:localhost,IP:127.0.0.1,IP:::1";
  for (const std::string& name : names) {
    const std::string alternative = alternative_name(name);
    if (alternative.empty())
      return Status(Code::kInvalid, "'" + name + "' is not a DNS name or an IP address");
    out.append(",").append(alternative);
  }
  return out;
}

}  // namespace

Status harden_tls(ssl_ctx_st* context) {
  const bool done = SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
                    SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  if (done)
    return Status();
  ERR_clear_error();
  return Status(Code::kInternal, "the TLS library lacks TLS 1.2 with AEAD and forward secrecy");
}

Result<DevCertificates> make_dev_certificates(std::span<const std::string> names, WallTime now, RandomSource& random) {
  COFFER_ASSIGN(const std::string alternatives, all_names(names));
  const KeyPtr ca_key = make_key(), key = make_key();
  if (ca_key == nullptr || key == nullptr)
    return failed("no key");
  const WallTime from = now - kValidBefore, to = now + kValidFor;
  const CertPtr ca = make_certificate({"Coffer Development CA", from, to, ""}, ca_key.get(), {ca_key.get(), nullptr},
                                      random);
  if (ca == nullptr)
    return failed("no authority");
  const CertPtr cert =
      make_certificate({"localhost", from, to, alternatives}, key.get(), {ca_key.get(), ca.get()}, random);
  if (cert == nullptr)
    return failed("no certificate");
  DevCertificates out{pem_of(ca.get()), pem_of(cert.get()), pem_of(key.get())};
  if (out.ca_pem.empty() || out.cert_pem.empty() || out.key_pem.empty())
    return failed("no text form");
  return out;
}

Status tls_file_error(const char* setting, const std::string& file) {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(error);
  const std::string why = ERR_SYSTEM_ERROR(error) ? lower_error_text(static_cast<int>(ERR_GET_REASON(error)))
                          : reason != nullptr     ? reason
                                                  : "cannot be read";
  return Status(Code::kInvalid, std::string(setting) + " " + file + ": " + why);
}

}  // namespace coffer::crypto
