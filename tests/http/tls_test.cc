#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <filesystem>

#include "tests/http/fixture.h"

namespace coffer::http {
namespace {

using testing::Client;
using testing::ServerFixture;

// A self-signed certificate for `name` in two files of a folder that goes with it.
class Certificate {
 public:
  Certificate() {
    char text[] = "/tmp/coffer-tls-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(text) != nullptr);
    folder_ = text;
  }
  ~Certificate() { std::filesystem::remove_all(folder_); }

  void write(const char* name) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    X509_sign(certificate, key, EVP_sha256());
    std::FILE* file = std::fopen(cert_file().c_str(), "w");
    PEM_write_X509(file, certificate);
    std::fclose(file);
    file = std::fopen(key_file().c_str(), "w");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }

  std::string cert_file() const { return folder_ + "/cert.pem"; }
  std::string key_file() const { return folder_ + "/key.pem"; }

 private:
  std::string folder_;
};

struct TlsAnswer {
  std::string text;
  std::string certificate_name;
  std::string version;
  bool asked_for_certificate = false;
};

// The library calls it when the server asks for a certificate; none is sent.
int note_certificate_request(SSL*, void* answer) {
  static_cast<TlsAnswer*>(answer)->asked_for_certificate = true;
  return 1;
}

TlsAnswer ask_tls(std::uint16_t port, const std::string& request, int version = TLS1_3_VERSION) {
  Client client(port);
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_max_proto_version(context, version);
  TlsAnswer answer;
  SSL_CTX_set_cert_cb(context, note_certificate_request, &answer);
  SSL* ssl = SSL_new(context);
  SSL_set_fd(ssl, client.fd());
  if (SSL_connect(ssl) == 1) {
    X509* peer = SSL_get1_peer_certificate(ssl);
    char name[64] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, name, sizeof name);
    X509_free(peer);
    answer.certificate_name = name;
    answer.version = SSL_get_version(ssl);
    SSL_write(ssl, request.data(), static_cast<int>(request.size()));
    char buffer[16384];
    for (int n; (n = SSL_read(ssl, buffer, sizeof buffer)) > 0;)
      answer.text.append(buffer, static_cast<std::size_t>(n));
  }
  ERR_clear_error();
  SSL_free(ssl);
  SSL_CTX_free(context);
  return answer;
}

const std::string kGet = "GET /v1/a HTTP/1.1\r\nConnection: close\r\n\r\n";

class TlsFixture : public ServerFixture {
 public:
  TlsFixture() {
    certificate.write("one");
    config.listeners[0].tls = crypto::TlsFiles{certificate.cert_file(), certificate.key_file()};
  }
  Certificate certificate;
};

BOOST_FIXTURE_TEST_SUITE(http_tls, TlsFixture)

BOOST_AUTO_TEST_CASE(answers_over_tls_13) {
  const auto port = start();
  const TlsAnswer answer = ask_tls(port, kGet);
  BOOST_TEST(answer.version == "TLSv1.3");
  BOOST_TEST(answer.text.find("HTTP/1.1 200 OK\r\n") == 0u);
  BOOST_TEST(answer.text.find("Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n") !=
             std::string::npos);
  BOOST_TEST(server->bound()[0].tls);
}

BOOST_AUTO_TEST_CASE(older_versions_only_when_allowed) {
  config.listeners.push_back(config.listeners[0]);
  config.listeners[0].tls->min_version = crypto::TlsVersion::k13;
  start();
  BOOST_TEST(ask_tls(server->bound()[0].port, kGet, TLS1_2_VERSION).text == "");
  BOOST_TEST(ask_tls(server->bound()[1].port, kGet, TLS1_2_VERSION).version == "TLSv1.2");
  BOOST_TEST(ask_tls(server->bound()[1].port, kGet, TLS1_1_VERSION).text == "");
}

BOOST_AUTO_TEST_CASE(clients_are_asked_for_a_certificate_unless_that_is_off) {
  config.listeners.push_back(config.listeners[0]);
  config.listeners[1].tls->ask_client_cert = false;
  start();
  const TlsAnswer asked = ask_tls(server->bound()[0].port, kGet);
  BOOST_TEST(asked.asked_for_certificate);
  BOOST_TEST(asked.version == "TLSv1.3");
  const TlsAnswer left_alone = ask_tls(server->bound()[1].port, kGet);
  BOOST_TEST(!left_alone.asked_for_certificate);
  BOOST_TEST(left_alone.version == "TLSv1.3");
}

BOOST_AUTO_TEST_CASE(large_bodies_both_ways) {
  dispatcher.set_script([](core::Exchange& exchange) {
    exchange.response.bare = true;
    exchange.response.data = exchange.request.data;
  });
  const auto port = start();
  const std::string body = "{\"a\":\"" + std::string(900000, 'x') + "\"}";
  const TlsAnswer answer =
      ask_tls(port, "POST /v1/a HTTP/1.1\r\nConnection: close\r\n"
                    "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  BOOST_TEST((answer.text.substr(answer.text.find("\r\n\r\n") + 4) == body + "\n"));
}

BOOST_AUTO_TEST_CASE(reload_takes_new_files_or_keeps_the_old) {
  const auto port = start();
  certificate.write("two");
  BOOST_TEST(ask_tls(port, kGet).certificate_name == "one");
  BOOST_TEST(server->reload_tls().ok());
  BOOST_TEST(ask_tls(port, kGet).certificate_name == "two");
  std::filesystem::remove(certificate.key_file());
  const Status failed = server->reload_tls();
  BOOST_TEST(!failed.ok());
  BOOST_TEST(failed.message().find("tls_key_file " + certificate.key_file()) == 0u);
  BOOST_TEST(ask_tls(port, kGet).certificate_name == "two");
  BOOST_TEST(!Server::create(config, dispatcher, system_random(), clock, [](std::string_view) {}).ok());
}

BOOST_AUTO_TEST_CASE(the_wrong_scheme_is_answered_in_words) {
  const auto port = start();
  Client client(port);
  client.send("GET /v1/sys/health HTTP/1.1\r\nHost: x\r\n\r\n");
  BOOST_TEST(client.receive_all() == "HTTP/1.0 400 Bad Request\r\n\r\n"
                                     "Client sent an HTTP request to an HTTPS server.\n");
  const auto lines = log();
  BOOST_REQUIRE(lines.size() == 1u);
  BOOST_TEST(lines[0].find("TLS handshake error from 127.0.0.1:") == 0u);
  BOOST_TEST(dispatcher.seen().empty());
}

BOOST_AUTO_TEST_CASE(failed_and_stalled_handshakes_are_logged) {
  config.threads = 1;
  const auto port = start();
  {
    Client client(port);
    client.send(std::string_view("\x16\x03\x01\x00\x05hello", 10));
    client.receive_all();
  }
  Client stalled(port);
  stalled.send("\x16\x03");
  BOOST_TEST(ask_tls(port, kGet).text.find("HTTP/1.1 200") == 0u);
  pass(std::chrono::seconds(11));
  BOOST_TEST(stalled.closed_by_server());
  const auto lines = log();
  BOOST_REQUIRE(lines.size() == 2u);
  for (const std::string& line : lines)
    BOOST_TEST(line.find("TLS handshake error from 127.0.0.1:") == 0u);
  BOOST_TEST(server->stats().tls_handshakes_failed >= 1u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::http
