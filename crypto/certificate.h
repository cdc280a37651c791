// X.509 certificates on P-256, for the authorities of this folder. Internal: tls.h and authority.h are for the others.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/rng.h"
#include "base/secret.h"
#include "base/status.h"

struct evp_pkey_st;
struct x509_st;

namespace coffer::crypto {

struct FreeKey {
  void operator()(evp_pkey_st* key) const noexcept;
};
struct FreeCertificate {
  void operator()(x509_st* certificate) const noexcept;
};
using KeyPtr = std::unique_ptr<evp_pkey_st, FreeKey>;
using CertPtr = std::unique_ptr<x509_st, FreeCertificate>;

struct CertificatePlan {
  std::string subject;   // the common name, at most 64 bytes
  WallTime not_before;
  WallTime not_after;
  // "DNS:a,IP:b" for a server that is a client as well; empty for an authority that signs no other authority. It is
  // handed to a parser: nothing in it comes from outside unchecked.
  std::string names;
};

// What signs; its own certificate is null while that is being made.
struct Issuer {
  evp_pkey_st* key;
  x509_st* certificate;
};

// A new key from the cryptographic library's own generator; null when it failed. Any thread, as all that follows.
KeyPtr make_key();
// A certificate for `key`, whose serial number comes from `random`. Null when the library or `random` failed.
CertPtr make_certificate(const CertificatePlan& plan, evp_pkey_st* key, const Issuer& issuer, RandomSource& random);

// Empty when the library failed.
std::string pem_of(x509_st* certificate);
SecretBytes pem_of(evp_pkey_st* key);
// Null when the text holds none.
CertPtr certificate_of(const std::string& pem);
KeyPtr key_of(const SecretBytes& pem);
bool belongs_to(evp_pkey_st* key, x509_st* certificate);

}  // namespace coffer::crypto
