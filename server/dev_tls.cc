#include "server/dev_tls.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/error_text.h"
#include "base/rng.h"
#include "crypto/tls.h"

namespace coffer::server {
namespace {

Status system_error(const std::string& what) {
  return Status(Code::kInvalid, what + ": " + error_text(errno));
}

Result<std::string> temporary_folder() {
  const char* base = std::getenv("TMPDIR");
  std::string name = std::string(base != nullptr && *base != '\0' ? base : "/tmp") + "/vault-tls-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr)
    return system_error("-dev-tls: a temporary folder");
  return name;
}

// Readable by its owner alone; whatever had the name before is replaced, never written through.
Status write_file(const std::string& path, std::string_view content) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return system_error("-dev-tls: " + path);
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return system_error("-dev-tls: " + path);
  Status status;
  while (!content.empty() && status.ok()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written > 0)
      content.remove_prefix(static_cast<std::size_t>(written));
    else if (errno != EINTR)
      status = system_error("-dev-tls: " + path);
  }
  ::close(fd);
  return status;
}

}  // namespace

Result<std::unique_ptr<DevTls>> DevTls::create(const std::string& folder, std::span<const std::string> names) {
  struct stat about {};
  if (!folder.empty() && ::stat(folder.c_str(), &about) != 0)
    return system_error("-dev-tls-cert-dir " + folder);
  if (!folder.empty() && !S_ISDIR(about.st_mode))
    return Status(Code::kInvalid, "-dev-tls-cert-dir " + folder + ": not a folder");
  const auto made = crypto::make_dev_certificates(names, system_clock().wall_now(), system_random());
  COFFER_TRY(made.status().with_context("-dev-tls-san"));
  std::string place = folder;
  if (folder.empty()) {
    COFFER_ASSIGN(place, temporary_folder());
  }
  std::unique_ptr<DevTls> tls(new DevTls(std::move(place), folder.empty()));
  COFFER_TRY(write_file(tls->ca_file(), made->ca_pem));
  COFFER_TRY(write_file(tls->cert_file(), made->cert_pem));
  COFFER_TRY(write_file(tls->key_file(), made->key_pem.reveal_text()));
  return tls;
}

DevTls::~DevTls() {
  if (!temporary_)
    return;
  for (const std::string& file : {ca_file(), cert_file(), key_file()})
    ::unlink(file.c_str());
  ::rmdir(folder_.c_str());
}

crypto::TlsFiles DevTls::files() const {
  crypto::TlsFiles files;
  files.cert_file = cert_file();
  files.key_file = key_file();
  files.ask_client_cert = false;
  return files;
}

}  // namespace coffer::server
