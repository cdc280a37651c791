// Reads the settings of one block by name and remembers which were asked for, so that the rest can be reported. Private
// to server/config*.cc.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/hcl.h"
#include "base/secret.h"
#include "base/status.h"

namespace coffer::server {

// Borrows the object and the names. Every getter leaves `out` as it is when the setting is absent, and fails with file,
// place and setting when its value has the wrong type.
class Section {
 public:
  Section(const hcl::Node& object, const std::string& file, std::string name)
      : object_(object), file_(file), name_(std::move(name)) {}

  const hcl::Node* find(std::string_view key);
  bool has(std::string_view key) const noexcept { return object_.find(key) != nullptr; }

  Status text(std::string_view key, std::string& out);
  Status secret(std::string_view key, SecretBytes& out);
  Status secrets(std::string_view key, std::vector<SecretBytes>& out);
  Status texts(std::string_view key, std::vector<std::string>& out);  // a list, or one text
  Status flag(std::string_view key, bool& out);
  Status number(std::string_view key, std::int64_t min, std::int64_t max, std::int64_t& out);
  Status bytes(std::string_view key, std::size_t& out);
  Status duration(std::string_view key, Nanos& out);
  template <typename T>
  Status optional(Status (Section::*get)(std::string_view, T&), std::string_view key, std::optional<T>& out) {
    if (find(key) == nullptr)
      return ok_status();
    T value{};
    COFFER_TRY((this->*get)(key, value));
    out = value;
    return ok_status();
  }

  // Marks settings as known.
  void know(std::string_view key) { known_.insert(std::string(key)); }
  // Unknown ones become warnings.
  void warn_unknown(std::vector<std::string>& warnings) const;

  Status fail(hcl::Position at, std::string_view key, std::string_view message) const;
  const hcl::Node& object() const noexcept { return object_; }
  const std::string& file() const noexcept { return file_; }
  const std::string& name() const noexcept { return name_; }

 private:
  const hcl::Node& object_;
  const std::string& file_;
  std::string name_;  // "listener \"tcp\"", or empty at the top
  std::set<std::string, std::less<>> known_;
};

// "file: line 3, column 1".
std::string place_of(const std::string& file, hcl::Position at);
// `file`, place and message as one error.
Status config_error(const std::string& file, hcl::Position at, std::string_view message);

struct Config;
struct ListenerConfig;
// server/config_audit.cc
Status read_registration(const hcl::Node& root, const std::string& file, Config& config);
Status read_tracing(const hcl::Node& root, const std::string& file, Config& config);
Status read_audits(const hcl::Node& root, const std::string& file, Config& config);
// server/config_seal.cc
Status read_seals(const hcl::Node& root, const std::string& file, Config& config);
// server/config_lockout.cc
Status read_lockouts(const hcl::Node& root, const std::string& file, Config& config);
// server/config_listener.cc
Result<ListenerConfig> read_listener(const hcl::Block& block, const std::string& file,
                                     std::vector<std::string>& warnings);

}  // namespace coffer::server
