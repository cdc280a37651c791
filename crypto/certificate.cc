#include "crypto/certificate.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <chrono>
#include <string_view>

#include "crypto/random.h"

namespace coffer::crypto {
namespace {

struct FreeBio {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
struct FreeExtension {
  void operator()(X509_EXTENSION* extension) const noexcept { X509_EXTENSION_free(extension); }
};
using BioPtr = std::unique_ptr<BIO, FreeBio>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, FreeExtension>;

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
CertPtr begin_certificate(const CertificatePlan& plan, EVP_PKEY* key, const X509_NAME* issuer, RandomSource& random) {
  CertPtr made(X509_new());
  if (made == nullptr || X509_set_version(made.get(), 2) != 1 || !set_serial(made.get(), random) ||
      ASN1_TIME_set(X509_getm_notBefore(made.get()), seconds(plan.not_before)) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(made.get()), seconds(plan.not_after)) == nullptr ||
      X509_set_pubkey(made.get(), key) != 1 ||
      !set_common_name(X509_get_subject_name(made.get()), plan.subject.c_str()))
    return nullptr;
  if (X509_set_issuer_name(made.get(), issuer != nullptr ? issuer : X509_get_subject_name(made.get())) != 1)
    return nullptr;
  return made;
}

bool add_authority_extensions(X509* certificate) {
  return add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
         add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") &&
         add_extension(certificate, certificate, NID_subject_key_identifier, "hash");
}

bool add_leaf_extensions(X509* certificate, X509* issuer, const std::string& names) {
  return add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(certificate, issuer, NID_key_usage, "critical,digitalSignature") &&
         add_extension(certificate, issuer, NID_ext_key_usage, "serverAuth,clientAuth") &&
         add_extension(certificate, issuer, NID_authority_key_identifier, "keyid") &&
         add_extension(certificate, issuer, NID_subject_alt_name, names);
}

}  // namespace

void FreeKey::operator()(evp_pkey_st* key) const noexcept { EVP_PKEY_free(key); }
void FreeCertificate::operator()(x509_st* certificate) const noexcept { X509_free(certificate); }

KeyPtr make_key() {
  KeyPtr key(EVP_EC_gen("P-256"));
  ERR_clear_error();
  return key;
}

CertPtr make_certificate(const CertificatePlan& plan, evp_pkey_st* key, const Issuer& issuer, RandomSource& random) {
  const X509_NAME* issuer_name = issuer.certificate != nullptr ? X509_get_subject_name(issuer.certificate) : nullptr;
  CertPtr made = begin_certificate(plan, key, issuer_name, random);
  const bool done = made != nullptr &&
                    (plan.names.empty() ? add_authority_extensions(made.get())
                                        : add_leaf_extensions(made.get(), issuer.certificate, plan.names)) &&
                    X509_sign(made.get(), issuer.key, EVP_sha256()) != 0;
  ERR_clear_error();
  return done ? std::move(made) : nullptr;
}

std::string pem_of(x509_st* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || PEM_write_bio_X509(bio.get(), certificate) != 1)
    return "";
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

SecretBytes pem_of(evp_pkey_st* key) {
  const BioPtr bio(BIO_new(BIO_s_secmem()));
  if (bio == nullptr || PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return SecretBytes();
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return SecretBytes::copy_of(std::string_view(data, static_cast<std::size_t>(size)));
}

CertPtr certificate_of(const std::string& pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  CertPtr out(bio == nullptr ? nullptr : PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  return out;
}

KeyPtr key_of(const SecretBytes& pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.reveal().data(), static_cast<int>(pem.size())));
  // A passphrase is never asked for.
  const auto none = [](char*, int, int, void*) { return -1; };
  KeyPtr out(bio == nullptr ? nullptr : PEM_read_bio_PrivateKey(bio.get(), nullptr, none, nullptr));
  ERR_clear_error();
  return out;
}

bool belongs_to(evp_pkey_st* key, x509_st* certificate) {
  const bool match = X509_check_private_key(certificate, key) == 1;
  ERR_clear_error();
  return match;
}

}  // namespace coffer::crypto
