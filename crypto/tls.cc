#include "crypto/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <chrono>
#include <memory>

#include "base/error_text.h"
#include "crypto/random.h"

namespace coffer::crypto {
namespace {

constexpr std::chrono::hours kValidFor{24 * 365};
constexpr std::chrono::hours kValidBefore{1};  // for clocks that are behind
constexpr std::size_t kNameBytesMax = 253;

template <auto free_function>
struct Free {
  template <typename T>
  void operator()(T* object) const noexcept {
    free_function(object);
  }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using CertPtr = std::unique_ptr<X509, Free<X509_free>>;
using BioPtr = std::unique_ptr<BIO, Free<BIO_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>>;
using AddressPtr = std::unique_ptr<ASN1_OCTET_STRING, Free<ASN1_OCTET_STRING_free>>;

Status failed(const char* what) {
  ERR_clear_error();
  return Status(Code::kInternal, std::string("cannot make a development certificate: ") + what);
}

std::time_t seconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

bool set_common_name(X509_NAME* name, const char* text) {
  return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(text), -1, -1,
                                    0) == 1;
}

bool add_extension(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool set_serial(X509* certificate, RandomSource& random) {
  std::array<unsigned char, 16> bytes;
  if (!draw(random, bytes).ok())
    return false;
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);  // positive, and of full length
  BIGNUM* number = BN_bin2bn(bytes.data(), bytes.size(), nullptr);
  const bool done = number != nullptr && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  return done;
}

// Everything but extensions and signature.
CertPtr begin_certificate(EVP_PKEY* key, const char* subject, const X509_NAME* issuer, WallTime now,
                          RandomSource& random) {
  CertPtr made(X509_new());
  if (made == nullptr || X509_set_version(made.get(), 2) != 1 || !set_serial(made.get(), random) ||
      ASN1_TIME_set(X509_getm_notBefore(made.get()), seconds(now - kValidBefore)) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(made.get()), seconds(now + kValidFor)) == nullptr ||
      X509_set_pubkey(made.get(), key) != 1 || !set_common_name(X509_get_subject_name(made.get()), subject))
    return nullptr;
  if (X509_set_issuer_name(made.get(), issuer != nullptr ? issuer : X509_get_subject_name(made.get())) != 1)
    return nullptr;
  return made;
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

std::string pem_of(X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || PEM_write_bio_X509(bio.get(), certificate) != 1)
    return "";
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

SecretBytes pem_of(EVP_PKEY* key) {
  const BioPtr bio(BIO_new(BIO_s_secmem()));
  if (bio == nullptr || PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return SecretBytes();
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return SecretBytes::copy_of(std::string_view(data, static_cast<std::size_t>(size)));
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
  const KeyPtr ca_key(EVP_EC_gen("P-256")), key(EVP_EC_gen("P-256"));
  if (ca_key == nullptr || key == nullptr)
    return failed("no key");
  const CertPtr ca = begin_certificate(ca_key.get(), "Coffer Development CA", nullptr, now, random);
  if (ca == nullptr || !add_extension(ca.get(), ca.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !add_extension(ca.get(), ca.get(), NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !add_extension(ca.get(), ca.get(), NID_subject_key_identifier, "hash") ||
      X509_sign(ca.get(), ca_key.get(), EVP_sha256()) == 0)
    return failed("no authority");
  const CertPtr cert = begin_certificate(key.get(), "localhost", X509_get_subject_name(ca.get()), now, random);
  if (cert == nullptr || !add_extension(cert.get(), ca.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(cert.get(), ca.get(), NID_key_usage, "critical,digitalSignature") ||
      !add_extension(cert.get(), ca.get(), NID_ext_key_usage, "serverAuth,clientAuth") ||
      !add_extension(cert.get(), ca.get(), NID_authority_key_identifier, "keyid") ||
      !add_extension(cert.get(), ca.get(), NID_subject_alt_name, alternatives) ||
      X509_sign(cert.get(), ca_key.get(), EVP_sha256()) == 0)
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
