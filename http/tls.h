// TLS for one listener: the certificates of now, replaced whole by reload(), and one session a connection on a
// non-blocking descriptor.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/status.h"
#include "crypto/tls_files.h"

typedef struct ssl_ctx_st SSL_CTX;  // as OpenSSL declares them
typedef struct ssl_st SSL;

namespace coffer::http {

// What an operation on a session came to.
enum class TlsStep : std::uint8_t { kDone, kWantRead, kWantWrite, kClosed, kFailed };

// One connection's TLS. Used by one thread.
class TlsSession {
 public:
  explicit TlsSession(SSL* ssl) : ssl_(ssl) {}
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  TlsStep handshake();
  TlsStep read(char* to, std::size_t size, std::size_t& got);
  TlsStep write(const char* from, std::size_t size, std::size_t& written);
  // Tells the peer that nothing follows; best effort.
  void shut_down();
  // Why the last step failed, as text of the TLS library.
  std::string failure() const;

 private:
  TlsStep step_of(int result);
  SSL* ssl_;
  unsigned long error_ = 0;
};

class TlsContext {
 public:
  // The message of a failure names the file.
  static Result<std::unique_ptr<TlsContext>> load(const crypto::TlsFiles& files);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // Server side, on descriptor `fd`, with the certificates of now. Null when memory is short. Any thread.
  std::unique_ptr<TlsSession> session(int fd);

  // Two steps, so that several listeners change together or not at all. Any thread.
  Result<SSL_CTX*> read_files() const;  // owned by the caller until use() or drop()
  void use(SSL_CTX* context);
  static void drop(SSL_CTX* context);

 private:
  TlsContext(crypto::TlsFiles files, SSL_CTX* context) : files_(std::move(files)), context_(context) {}
  crypto::TlsFiles files_;
  std::mutex mutex_;
  SSL_CTX* context_;  // guarded by mutex_
};

}  // namespace coffer::http
