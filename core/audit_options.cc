#include "core/audit_options.h"

#include <array>
#include <optional>
#include <utility>

#include "base/limits.h"
#include "base/mutant.h"
#include "base/utf8.h"

namespace coffer::core {
namespace {

Status refuse(std::string_view option, std::string_view rule) {
  return Status(Code::kInvalid, std::string(option).append(": ").append(rule));
}

// The spellings that configuration files of such servers use.
std::optional<bool> bool_of(std::string_view text) {
  for (const std::string_view yes : {"1", "t", "T", "TRUE", "true", "True"})
    if (text == yes)
      return true;
  for (const std::string_view no : {"0", "f", "F", "FALSE", "false", "False"})
    if (text == no)
      return false;
  return std::nullopt;
}

Status set_bool(std::string_view option, std::string_view text, bool& into) {
  const std::optional<bool> value = bool_of(text);
  if (!value)
    return refuse(option, "must be true or false");
  into = *value;
  return ok_status();
}

// Octal permissions and nothing else: no execute bit, no set-id or sticky bit, no file type.
Status set_mode(std::string_view text, std::uint32_t& into) {
  constexpr std::uint32_t kRefusedBits = 07111;
  if (text.empty() || text.size() > 12)
    return refuse("mode", "must be octal permissions such as 0600");
  std::uint64_t mode = 0;
  for (const char c : text) {
    if (c < '0' || c > '7')
      return refuse("mode", "must be octal permissions such as 0600");
    mode = mode * 8 + static_cast<std::uint64_t>(c - '0');
  }
  if (((mode & kRefusedBits) != 0 || mode > 0777) && !mutant(Mutant::kAuditFileModeUnchecked))
    return refuse("mode", "must hold read and write permissions only");
  into = static_cast<std::uint32_t>(mode);
  return ok_status();
}

Status check_path_text(std::string_view option, std::string_view path) {
  if (path.empty())
    return refuse(option, "must not be empty");
  if (path.size() > limits::kAuditOptionBytesMax || !is_utf8(path))
    return refuse(option, "is not a usable path");
  for (const char c : path)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return refuse(option, "must not hold control characters");
  for (std::string_view rest = path; !rest.empty();) {
    const std::size_t end = rest.find('/');
    if (rest.substr(0, end) == "..")
      return refuse(option, "must not hold \"..\"");
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  if (path.back() == '/')
    return refuse(option, "must name a file, not a folder");
  return ok_status();
}

Status set_path(std::string_view option, std::string_view text, AuditOptions& into) {
  if (!into.file_path.empty() || into.target != AuditTarget::kFile)
    return refuse(option, "file_path and path are the same option; give one");
  const bool unchecked = option == "path" && mutant(Mutant::kAuditPathAliasUnchecked);
  if (text == "stdout" || text == "discard") {
    into.target = text == "stdout" ? AuditTarget::kStdout : AuditTarget::kDiscard;
    return ok_status();
  }
  if (!unchecked)
    COFFER_TRY(check_path_text(option, text));
  into.file_path = text;
  return ok_status();
}

Status set_option(std::string_view name, std::string_view text, AuditOptions& into) {
  if (name == "file_path" || name == "path")
    return set_path(name, text, into);
  if (name == "mode")
    return set_mode(text, into.mode);
  if (name == "sync")
    return set_bool(name, text, into.sync);
  if (name == "hmac_accessor")
    return set_bool(name, text, into.hmac_accessor);
  if (name == "log_raw")
    return set_bool(name, text, into.log_raw);
  if (name == "elide_list_responses")
    return set_bool(name, text, into.elide_list_responses);
  if (name == "skip_test")
    return set_bool(name, text, into.skip_test);
  if (name == "prefix")
    return text.empty() ? ok_status() : Status(Code::kInvalid, "audit log prefixing is not allowed");
  if (name == "format")
    return text == "json" ? ok_status() : refuse(name, "must be json");
  return Status(Code::kInvalid, "an audit device of type file has no such option; see file_path, mode, sync, "
                                "hmac_accessor, log_raw, elide_list_responses, format, skip_test");
}

}  // namespace

Result<AuditOptions> parse_audit_options(std::string_view type, OptionPairs options) {
  if (type != "file")
    return Status(Code::kInvalid, "unknown backend type: only \"file\" audit devices are available");
  AuditOptions parsed;
  for (const auto& [name, text] : options)
    COFFER_TRY(set_option(name, text, parsed));
  if (parsed.target == AuditTarget::kFile && parsed.file_path.empty())
    return Status(Code::kInvalid, "file_path is required");
  return parsed;
}

}  // namespace coffer::core
