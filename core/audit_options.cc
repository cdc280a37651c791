#include "core/audit_options.h"

#include <charconv>
#include <optional>
#include <utility>

#include "base/json.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "base/time_text.h"
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

// Numbers of RFC 3164.
constexpr std::pair<std::string_view, std::uint8_t> kFacilities[] = {
    {"KERN", 0},    {"USER", 1},      {"MAIL", 2},    {"DAEMON", 3},  {"AUTH", 4},    {"SYSLOG", 5},  {"LPR", 6},
    {"NEWS", 7},    {"UUCP", 8},      {"CRON", 9},    {"AUTHPRIV", 10}, {"FTP", 11},  {"LOCAL0", 16}, {"LOCAL1", 17},
    {"LOCAL2", 18}, {"LOCAL3", 19},   {"LOCAL4", 20}, {"LOCAL5", 21}, {"LOCAL6", 22}, {"LOCAL7", 23}};

Status set_facility(std::string_view text, std::uint8_t& into) {
  std::string upper(text);
  for (char& c : upper)
    c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  for (const auto& [name, number] : kFacilities)
    if (name == upper) {
      into = number;
      return ok_status();
    }
  return refuse("facility", "must be one of syslog's, such as AUTH or LOCAL0");
}

// What stands before each message must not look like something else.
Status set_tag(std::string_view text, std::string& into) {
  constexpr std::size_t kTagBytesMax = 32;
  if (text.empty() || text.size() > kTagBytesMax)
    return refuse("tag", "must have 1 to 32 characters");
  for (const char c : text)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
          c == '.' || c == '/'))
      return refuse("tag", "may hold letters, digits, '_', '-', '.' and '/' only");
  into = text;
  return ok_status();
}

Status set_socket_type(std::string_view text, AuditOptions& into) {
  if (text == "tcp")
    into.target = AuditTarget::kTcp;
  else if (text == "udp")
    into.target = AuditTarget::kUdp;
  else if (text == "unix")
    into.target = AuditTarget::kUnix;
  else
    return refuse("socket_type", "must be tcp, udp or unix");
  return ok_status();
}

Status set_number(std::string_view option, std::string_view text, std::uint64_t max, std::uint64_t& into) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
  if (error != std::errc() || end != text.data() + text.size() || into > max)
    return refuse(option, "must be a number from 0 to " + std::to_string(max));
  return ok_status();
}

Status set_duration(std::string_view option, std::string_view text, Nanos max, Nanos& into) {
  const Result<Nanos> value = parse_duration(text);
  if (!value.ok() || *value < Nanos(0) || *value > max)
    return refuse(option, "must be a duration such as 2s, and not too long");
  into = *value;
  return ok_status();
}

Status set_filter(std::string_view text, AuditOptions& into) {
  auto filter = AuditFilter::parse(text, kAuditFilterNames);
  if (!filter.ok())
    return filter.status().with_context("filter");
  into.filter = std::make_shared<const AuditFilter>(std::move(*filter));
  return ok_status();
}

// What makes a line a line of ours stays in it.
bool may_be_excluded(std::string_view pointer) {
  return pointer.size() > 1 && pointer.front() == '/' && pointer != "/time" && pointer != "/type" &&
         pointer != "/request" && pointer != "/request/id";
}

// [{"condition": "…", "fields": ["/response/data"]}, …]
Status set_exclude(std::string_view text, AuditOptions& into) {
  constexpr std::size_t kEntriesMax = 32;
  constexpr std::string_view kRule = "must be a list of objects with \"fields\" and perhaps a \"condition\"";
  auto document = json::Document::parse(text);
  if (!document.ok() || !document->root.is_array() || document->root.size() > kEntriesMax)
    return refuse("exclude", kRule);
  for (const json::Value& entry : document->root.elements()) {
    AuditExclusion exclusion;
    for (const json::Member& member : entry.members()) {
      if (member.key() != "condition" && member.key() != "fields")
        return refuse("exclude", kRule);
    }
    const json::Value* fields = entry.find("fields");
    if (fields == nullptr || fields->size() == 0 || fields->size() > kEntriesMax)
      return refuse("exclude", kRule);
    for (const json::Value& field : fields->elements()) {
      if (!field.is_string() || !may_be_excluded(field.as_string()))
        return refuse("exclude", "fields must be JSON pointers such as /response/data");
      exclusion.fields.emplace_back(field.as_string());
    }
    if (const json::Value* condition = entry.find("condition"); condition != nullptr) {
      if (!condition->is_string())
        return refuse("exclude", kRule);
      auto filter = AuditFilter::parse(condition->as_string(), {});
      if (!filter.ok())
        return filter.status().with_context("exclude: condition");
      exclusion.condition = std::make_shared<const AuditFilter>(std::move(*filter));
    }
    into.exclude.push_back(std::move(exclusion));
  }
  return ok_status();
}

// Options that every type has. True when `name` was one.
Result<bool> set_common(std::string_view name, std::string_view text, AuditOptions& into) {
  Status status;
  if (name == "hmac_accessor")
    status = set_bool(name, text, into.hmac_accessor);
  else if (name == "log_raw")
    status = set_bool(name, text, into.log_raw);
  else if (name == "elide_list_responses")
    status = set_bool(name, text, into.elide_list_responses);
  else if (name == "skip_test")
    status = set_bool(name, text, into.skip_test);
  else if (name == "hash_chain")
    status = set_bool(name, text, into.hash_chain);
  else if (name == "fallback")
    status = set_bool(name, text, into.fallback);
  else if (name == "filter")
    status = set_filter(text, into);
  else if (name == "exclude")
    status = set_exclude(text, into);
  else if (name == "prefix")
    status = text.empty() ? ok_status() : Status(Code::kInvalid, "audit log prefixing is not allowed");
  else if (name == "format")
    status = text == "json" ? ok_status() : refuse(name, "must be json");
  else
    return false;
  COFFER_TRY(status);
  return true;
}

constexpr std::string_view kCommonOptions =
    "hmac_accessor, log_raw, elide_list_responses, format, skip_test, hash_chain, filter, fallback, exclude";

Status unknown_option(std::string_view type, std::string_view own) {
  return Status(Code::kInvalid, std::string("an audit device of type ")
                                    .append(type)
                                    .append(" has no such option; see ")
                                    .append(own)
                                    .append(", ")
                                    .append(kCommonOptions));
}

Status set_file_option(std::string_view name, std::string_view text, AuditOptions& into) {
  if (name == "file_path" || name == "path")
    return set_path(name, text, into);
  if (name == "mode")
    return set_mode(text, into.mode);
  if (name == "sync")
    return set_bool(name, text, into.sync);
  if (name == "rotate_bytes")
    return set_number(name, text, std::uint64_t{1} << 50, into.rotate_bytes);
  if (name == "rotate_duration")
    return set_duration(name, text, std::chrono::hours(24 * 366), into.rotate_duration);
  if (name == "rotate_max_files") {
    std::uint64_t files = 0;
    COFFER_TRY(set_number(name, text, 1000, files));
    into.rotate_files_max = static_cast<std::uint32_t>(files);
    return ok_status();
  }
  if (name == "rotate_compress")
    return set_bool(name, text, into.rotate_compress);
  return unknown_option("file",
                        "file_path, mode, sync, rotate_bytes, rotate_duration, rotate_max_files, rotate_compress");
}

Status set_syslog_option(std::string_view name, std::string_view text, AuditOptions& into) {
  if (name == "facility")
    return set_facility(text, into.facility);
  if (name == "tag")
    return set_tag(text, into.tag);
  return unknown_option("syslog", "facility, tag");
}

Status set_socket_option(std::string_view name, std::string_view text, AuditOptions& into) {
  if (name == "socket_type")
    return set_socket_type(text, into);
  if (name == "address") {
    if (text.empty() || text.size() > limits::kAuditOptionBytesMax)
      return refuse(name, "is not usable");
    into.address = text;
    return ok_status();
  }
  if (name == "write_timeout")
    return set_duration(name, text, std::chrono::minutes(1), into.write_timeout);
  return unknown_option("socket", "address, socket_type, write_timeout");
}

Status check_whole(const AuditOptions& parsed) {
  if (parsed.target == AuditTarget::kFile && parsed.file_path.empty())
    return Status(Code::kInvalid, "file_path is required");
  const bool rotates = parsed.rotate_bytes != 0 || parsed.rotate_duration > Nanos(0);
  if (rotates && parsed.target != AuditTarget::kFile)
    return refuse("rotate_bytes and rotate_duration", "only a file can be rotated");
  if (rotates && parsed.rotate_bytes != 0 && parsed.rotate_bytes < 4096)
    return refuse("rotate_bytes", "must be 4096 or more");
  if (rotates && parsed.rotate_bytes == 0 && parsed.rotate_duration < std::chrono::seconds(1))
    return refuse("rotate_duration", "must be a second or more");
  if (parsed.fallback && parsed.filter)
    return refuse("fallback", "a fallback device takes what others leave; it has no filter");
  if (parsed.target == AuditTarget::kUnix)
    return check_path_text("address", parsed.address);
  const bool network = parsed.target == AuditTarget::kTcp || parsed.target == AuditTarget::kUdp;
  if (network && parsed.address.empty())
    return Status(Code::kInvalid, "address is required");
  if (network && parsed.address.rfind(':') == std::string::npos)
    return refuse("address", "must be host:port");
  if (parsed.remote() && parsed.target != AuditTarget::kSyslog && parsed.write_timeout <= Nanos(0))
    return refuse("write_timeout", "must be more than 0");
  return ok_status();
}

}  // namespace

Result<AuditOptions> parse_audit_options(std::string_view type, OptionPairs options) {
  Status (*own)(std::string_view, std::string_view, AuditOptions&) = nullptr;
  AuditOptions parsed;
  if (type == "file") {
    own = set_file_option;
  } else if (type == "syslog") {
    own = set_syslog_option;
    parsed.target = AuditTarget::kSyslog;
  } else if (type == "socket") {
    own = set_socket_option;
    parsed.target = AuditTarget::kTcp;
  } else {
    return Status(Code::kInvalid, "unknown backend type: an audit device is of type file, socket or syslog");
  }
  for (const auto& [name, text] : options) {
    COFFER_ASSIGN(const bool common, set_common(name, text, parsed));
    if (!common)
      COFFER_TRY(own(name, text, parsed));
  }
  COFFER_TRY(check_whole(parsed));
  return parsed;
}

}  // namespace coffer::core
