#include "crypto/tls.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>
#include <vector>

#include "tests/crypto/fake_random.h"

using namespace coffer;
using namespace coffer::crypto;
using coffer::testing::FailingRandom;

namespace {

constexpr WallTime kNow{std::chrono::seconds(1700000000)};

struct FreeX509 {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct FreeSession {
  void operator()(SSL* session) const { SSL_free(session); }
};
using CertPtr = std::unique_ptr<X509, FreeX509>;
using ContextPtr = std::unique_ptr<SSL_CTX, FreeContext>;
using SessionPtr = std::unique_ptr<SSL, FreeSession>;

CertPtr parse(const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  CertPtr out(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr));
  BIO_free(bio);
  return out;
}

ContextPtr server_context(const DevCertificates& made) {
  ContextPtr context(SSL_CTX_new(TLS_server_method()));
  BOOST_REQUIRE(harden_tls(context.get()).ok());
  const CertPtr cert = parse(made.cert_pem);
  BIO* bio = BIO_new_mem_buf(made.key_pem.reveal().data(), static_cast<int>(made.key_pem.size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  BOOST_REQUIRE(SSL_CTX_use_certificate(context.get(), cert.get()) == 1);
  BOOST_REQUIRE(SSL_CTX_use_PrivateKey(context.get(), key) == 1);
  EVP_PKEY_free(key);
  return context;
}

// A client that offers nothing but `ciphers` in version `version`; it trusts the authority and checks the name.
bool handshake(const DevCertificates& made, int version, const char* ciphers, const char* name) {
  const ContextPtr server = server_context(made);
  const ContextPtr client(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_security_level(client.get(), 0);
  SSL_CTX_set_min_proto_version(client.get(), version);
  SSL_CTX_set_max_proto_version(client.get(), version);
  BOOST_REQUIRE(SSL_CTX_set_cipher_list(client.get(), ciphers) == 1);
  const CertPtr ca = parse(made.ca_pem);
  BOOST_REQUIRE(X509_STORE_add_cert(SSL_CTX_get_cert_store(client.get()), ca.get()) == 1);
  SSL_CTX_set_verify(client.get(), SSL_VERIFY_PEER, nullptr);

  const SessionPtr from(SSL_new(client.get())), to(SSL_new(server.get()));
  X509_VERIFY_PARAM_set_time(SSL_get0_param(from.get()), 1700000000 + 3600);
  X509_VERIFY_PARAM* names = SSL_get0_param(from.get());
  if (X509_VERIFY_PARAM_set1_ip_asc(names, name) != 1)
    BOOST_REQUIRE(X509_VERIFY_PARAM_set1_host(names, name, 0) == 1);
  BIO *a = nullptr, *b = nullptr;
  BOOST_REQUIRE(BIO_new_bio_pair(&a, 0, &b, 0) == 1);
  SSL_set_bio(from.get(), a, a);
  SSL_set_bio(to.get(), b, b);
  SSL_set_connect_state(from.get());
  SSL_set_accept_state(to.get());
  for (int i = 0; i < 10; ++i) {
    const int at_client = SSL_do_handshake(from.get());
    const int at_server = SSL_do_handshake(to.get());
    if (at_client == 1 && at_server == 1)
      return true;
  }
  return false;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tls)

BOOST_AUTO_TEST_CASE(only_new_versions_with_forward_secrecy_and_aead_connect) {
  const DevCertificates made = make_dev_certificates({}, kNow, system_random()).value();
  BOOST_TEST(handshake(made, TLS1_3_VERSION, "ALL", "localhost"));
  BOOST_TEST(handshake(made, TLS1_2_VERSION, "ALL", "localhost"));
  BOOST_TEST(handshake(made, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", "localhost"));
  BOOST_TEST(!handshake(made, TLS1_2_VERSION, "ECDHE-ECDSA-AES256-SHA384", "localhost"));  // CBC
  BOOST_TEST(!handshake(made, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA", "localhost"));
  BOOST_TEST(!handshake(made, TLS1_1_VERSION, "ALL:@SECLEVEL=0", "localhost"));
  BOOST_TEST(!handshake(made, TLS1_VERSION, "ALL:@SECLEVEL=0", "localhost"));
}

BOOST_AUTO_TEST_CASE(the_certificate_holds_for_its_names_only) {
  const std::vector<std::string> names = {"coffer.example.test", "10.1.2.3", "fd00::7", "*.apps.test"};
  const DevCertificates made = make_dev_certificates(names, kNow, system_random()).value();
  for (const char* name :
       {"localhost", "127.0.0.1", "::1", "coffer.example.test", "10.1.2.3", "fd00::7", "x.apps.test"})
    BOOST_TEST(handshake(made, TLS1_3_VERSION, "ALL", name), name);
  for (const char* name : {"example.test", "127.0.0.2", "apps.test"})
    BOOST_TEST(!handshake(made, TLS1_3_VERSION, "ALL", name), name);
}

BOOST_AUTO_TEST_CASE(names_that_are_none_are_refused) {
  for (const char* bad : {"", "a b", "x,DNS:evil.test", "email:a@b", "a/b", "caf\xc3\xa9"}) {
    const std::vector<std::string> names = {bad};
    BOOST_CHECK(make_dev_certificates(names, kNow, system_random()).code() == Code::kInvalid);
  }
}

BOOST_AUTO_TEST_CASE(each_call_makes_other_keys) {
  const DevCertificates a = make_dev_certificates({}, kNow, system_random()).value(),
                        b = make_dev_certificates({}, kNow, system_random()).value();
  BOOST_TEST(a.ca_pem != b.ca_pem);
  BOOST_TEST(!a.key_pem.equals(b.key_pem));
}

BOOST_AUTO_TEST_CASE(a_failing_random_source_makes_none) {
  FailingRandom random(0, FailingRandom::How::kError);
  BOOST_TEST(!make_dev_certificates({}, kNow, random).ok());
}

BOOST_AUTO_TEST_SUITE_END()
