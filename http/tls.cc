#include "http/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "crypto/tls.h"

namespace coffer::http {
namespace {

// HTTP/1.1 is what is spoken, also to clients that would rather have HTTP/2.
int select_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned in_size,
                    void*) {
  static constexpr unsigned char kOurs[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  const int found = SSL_select_next_proto(const_cast<unsigned char**>(out), out_size, kOurs, sizeof kOurs, in, in_size);
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

// A client certificate is evidence for an auth method, which checks it itself.
int accept_any_certificate(int, X509_STORE_CTX*) { return 1; }

Status load_client_ca(SSL_CTX* context, const crypto::TlsFiles& files) {
  if (!files.ask_client_cert)
    return ok_status();
  if (files.client_ca_file.empty()) {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, accept_any_certificate);
    return ok_status();
  }
  if (SSL_CTX_load_verify_locations(context, files.client_ca_file.c_str(), nullptr) != 1)
    return crypto::tls_file_error("tls_client_ca_file", files.client_ca_file);
  SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(files.client_ca_file.c_str()));
  const int mode = SSL_VERIFY_PEER | (files.require_client_cert ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
  SSL_CTX_set_verify(context, mode, nullptr);
  return ok_status();
}

Status fill(SSL_CTX* context, const crypto::TlsFiles& files) {
  COFFER_TRY(crypto::harden_tls(context));
  if (files.min_version == crypto::TlsVersion::k13)
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_mode(context,
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_alpn_select_cb(context, select_protocol, nullptr);
  static constexpr unsigned char kSessionContext[] = "coffer";
  SSL_CTX_set_session_id_context(context, kSessionContext, sizeof kSessionContext - 1);
  if (SSL_CTX_use_certificate_chain_file(context, files.cert_file.c_str()) != 1)
    return crypto::tls_file_error("tls_cert_file", files.cert_file);
  if (SSL_CTX_use_PrivateKey_file(context, files.key_file.c_str(), SSL_FILETYPE_PEM) != 1)
    return crypto::tls_file_error("tls_key_file", files.key_file);
  if (SSL_CTX_check_private_key(context) != 1)
    return crypto::tls_file_error("tls_key_file", files.key_file);
  return load_client_ca(context, files);
}

Result<SSL_CTX*> make_context(const crypto::TlsFiles& files) {
  ERR_clear_error();
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  if (context == nullptr)
    return Status(Code::kInternal, "tls: no memory for a context");
  if (Status status = fill(context, files); !status.ok()) {
    SSL_CTX_free(context);
    return status;
  }
  return context;
}

}  // namespace

TlsSession::~TlsSession() { SSL_free(ssl_); }

TlsStep TlsSession::step_of(int result) {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return TlsStep::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return TlsStep::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      return TlsStep::kClosed;
    default:
      error_ = ERR_peek_error();
      ERR_clear_error();
      return TlsStep::kFailed;
  }
}

TlsStep TlsSession::handshake() {
  ERR_clear_error();
  const int result = SSL_accept(ssl_);
  return result == 1 ? TlsStep::kDone : step_of(result);
}

TlsStep TlsSession::read(char* to, std::size_t size, std::size_t& got) {
  ERR_clear_error();
  const int result = SSL_read_ex(ssl_, to, size, &got);
  return result == 1 ? TlsStep::kDone : step_of(result);
}

TlsStep TlsSession::write(const char* from, std::size_t size, std::size_t& written) {
  ERR_clear_error();
  const int result = SSL_write_ex(ssl_, from, size, &written);
  return result == 1 ? TlsStep::kDone : step_of(result);
}

void TlsSession::shut_down() {
  ERR_clear_error();
  if (SSL_is_init_finished(ssl_))
    SSL_shutdown(ssl_);
  ERR_clear_error();
}

std::string TlsSession::failure() const {
  if (error_ == 0)
    return "EOF";
  const char* reason = ERR_reason_error_string(error_);
  return reason != nullptr ? reason : "unknown error";
}

Result<std::unique_ptr<TlsContext>> TlsContext::load(const crypto::TlsFiles& files) {
  COFFER_ASSIGN(SSL_CTX * context, make_context(files));
  return std::unique_ptr<TlsContext>(new TlsContext(files, context));
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

std::unique_ptr<TlsSession> TlsContext::session(int fd) {
  const std::lock_guard lock(mutex_);
  SSL* ssl = SSL_new(context_);
  if (ssl == nullptr)
    return nullptr;
  auto session = std::make_unique<TlsSession>(ssl);
  if (SSL_set_fd(ssl, fd) != 1)
    return nullptr;
  return session;
}

Result<SSL_CTX*> TlsContext::read_files() const { return make_context(files_); }

void TlsContext::use(SSL_CTX* context) {
  const std::lock_guard lock(mutex_);
  SSL_CTX_free(context_);
  context_ = context;
}

void TlsContext::drop(SSL_CTX* context) { SSL_CTX_free(context); }

}  // namespace coffer::http
