// Files, folders and environment variables, in the order in which they win.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/error_text.h"
#include "base/limits.h"
#include "server/config.h"
#include "server/config_section.h"

namespace coffer::server {
namespace {

namespace fs = std::filesystem;

Status file_error(const std::string& path, std::string_view what) {
  return Status(Code::kInvalid, "error loading configuration from " + path + ": " + std::string(what));
}

// Descriptor that closes itself.
class File {
 public:
  explicit File(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~File() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

// The file's content, at most kHclBytesMax of it, in memory that is wiped.
Result<SecretBytes> read_file(const std::string& path) {
  const File file(path);
  struct stat info {};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0)
    return file_error(path, error_text(errno));
  // Pipes are read too (-config=/dev/stdin); what has no end is cut off by the limit.
  SecretBytes room(limits::kHclBytesMax + 1);
  std::size_t size = 0;
  while (size < room.size()) {
    const ssize_t n = ::read(file.get(), room.reveal_mutable().data() + size, room.size() - size);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return file_error(path, error_text(errno));
    if (n == 0)
      return SecretBytes::copy_of(room.reveal().first(size));
    size += static_cast<std::size_t>(n);
  }
  return file_error(path, "longer than " + std::to_string(limits::kHclBytesMax) + " bytes");
}

Status load_file(const std::string& path, Config& config) {
  COFFER_ASSIGN(const SecretBytes text, read_file(path));
  config.files.push_back(path);
  return apply_config(text.reveal_text(), path, config);
}

Status load_folder(const std::string& path, Config& config) {
  std::error_code error;
  std::vector<std::string> files;
  for (fs::directory_iterator at(path, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with('.') || !(name.ends_with(".hcl") || name.ends_with(".json")) || at->is_directory())
      continue;
    if (files.size() >= limits::kConfigFilesMax)
      return file_error(path, "more than " + std::to_string(limits::kConfigFilesMax) + " files");
    files.push_back(at->path().string());
  }
  if (error)
    return file_error(path, error.message());
  if (files.empty())
    return file_error(path, "the folder has no .hcl or .json file");
  std::sort(files.begin(), files.end());
  for (const std::string& file : files)
    COFFER_TRY(load_file(file, config));
  return ok_status();
}

Status apply_variables(const Environment& environment, Config& config) {
  const auto text = [&](const char* name, std::string& out) {
    if (const auto value = environment(name); value.has_value() && !value->empty())
      out = *value;
  };
  const auto wrong = [](const char* name, const Status& status) {
    return status.with_context("environment variable " + std::string(name));
  };
  text("VAULT_API_ADDR", config.api_addr);
  text("VAULT_CLUSTER_ADDR", config.cluster_addr);
  if (config.storage.has_value() && config.storage->kind == StorageKind::kRaft) {
    text("VAULT_RAFT_PATH", config.storage->path);
    text("VAULT_RAFT_NODE_ID", config.storage->node_id);
  }
  std::string level, format, ui, lockout;
  text("VAULT_LOG_LEVEL", level);
  text("VAULT_LOG_FORMAT", format);
  text("VAULT_UI", ui);
  if (!level.empty()) {
    const auto value = parse_log_level(level);
    if (!value.ok())
      return wrong("VAULT_LOG_LEVEL", value.status());
    config.log_level = *value;
  }
  if (!format.empty()) {
    const auto value = parse_log_format(format);
    if (!value.ok())
      return wrong("VAULT_LOG_FORMAT", value.status());
    config.log_format = *value;
  }
  text("VAULT_DISABLE_USER_LOCKOUT", lockout);
  if (!lockout.empty()) {
    hcl::Node node;
    node.text = lockout;
    const auto value = hcl::as_bool(node);
    if (!value.ok())
      return wrong("VAULT_DISABLE_USER_LOCKOUT", value.status());
    if (*value)
      config.lockouts = {{"all", {.disabled = true}}};
  }
  if (!ui.empty()) {
    hcl::Node node;
    node.text = ui;
    const auto value = hcl::as_bool(node);
    if (!value.ok())
      return wrong("VAULT_UI", value.status());
    config.ui = *value;
  }
  return ok_status();
}

// Where no block says which seal opens the store; what it needs else stands in variables too.
void add_seal_of_environment(const Environment& environment, Config& config) {
  const auto named = environment("VAULT_SEAL_TYPE");
  if (!named || named->empty() || !std::ranges::all_of(config.seals, &SealStanza::disabled))
    return;
  SealStanza& out = config.seals.emplace_back();
  out.kind = seal_kind_of(*named);
  out.where = "VAULT_SEAL_TYPE";
}

}  // namespace

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
  };
}

Result<Config> load_config(const std::vector<std::string>& paths, const Environment& environment) {
  Config config;
  for (const std::string& path : paths) {
    std::error_code error;
    const bool folder = fs::is_directory(path, error);
    COFFER_TRY(folder ? load_folder(path, config) : load_file(path, config));
  }
  if (const auto local = environment("VAULT_LOCAL_CONFIG"); local.has_value() && !local->empty())
    COFFER_TRY(apply_config(*local, "VAULT_LOCAL_CONFIG", config));
  COFFER_TRY(apply_variables(environment, config));
  add_seal_of_environment(environment, config);
  return config;
}

}  // namespace coffer::server
