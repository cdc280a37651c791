#include "core/audit_format.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>

#include "base/check.h"
#include "base/mutant.h"
#include "base/time_text.h"
#include "core/audit_exclude.h"
#include "core/audit_file.h"

namespace coffer::core {
namespace {

std::string_view path_of(const Request& request, const AuditFacts& facts) {
  return facts.path.empty() ? request.path.view() : facts.path;
}

constexpr std::size_t kKnownNumbers = 256;

// Two hexadecimal digits for each byte.
constexpr auto kHexPairs = [] {
  std::array<char, 512> pairs{};
  constexpr std::string_view digits = "0123456789abcdef";
  for (std::size_t i = 0; i < 256; ++i) {
    pairs[2 * i] = digits[i >> 4];
    pairs[2 * i + 1] = digits[i & 15];
  }
  return pairs;
}();

// Printable ASCII that stands in JSON as it is: nearly everything here.
bool is_plain(std::string_view text) {
  bool plain = true;
  for (const char c : text)
    plain &= c >= 0x20 && c != 0x7f && c != '"' && c != '\\';
  return plain;
}

// Appends `before` and `text` as a JSON string. One append instead of four: they are what a line is made of.
void append_string(std::string_view before, std::string_view text, std::string& out) {
  char all[256];
  if (before.size() + text.size() + 2 > sizeof all || !is_plain(text)) {
    out.append(before);
    json::write_string(text, out);
    return;
  }
  char* at = std::copy(before.begin(), before.end(), all);
  *at++ = '"';
  at = std::copy(text.begin(), text.end(), at);
  *at++ = '"';
  out.append(all, static_cast<std::size_t>(at - all));
}

void append_number(std::int64_t value, std::string& out) {
  char text[24];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  out.append(text, end);
}

void append_quoted_time(WallTime time, std::string& out) {
  out.push_back('"');
  append_time(time, out);
  out.push_back('"');
}

void append_names(const std::vector<std::string_view>& names, std::string& out) {
  out.push_back('[');
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i != 0)
      out.push_back(',');
    append_string({}, names[i], out);
  }
  out.push_back(']');
}

// Appends `,"name":` and the string, nothing when it is empty.
void append_text(std::string_view name_with_comma, std::string_view text, std::string& out) {
  if (text.empty())
    return;
  append_string(name_with_comma, text, out);
}

// Appends a part of `out` to it once more.
void append_again(std::size_t at, std::size_t size, std::string& out) {
  out.reserve(out.size() + size);  // so that the part does not move while it is read
  out.append(out.data() + at, size);
}

std::int64_t whole_seconds(Nanos time) { return std::chrono::duration_cast<std::chrono::seconds>(time).count(); }

bool same_header(std::string_view given, std::string_view lower) {
  return given.size() == lower.size() && std::equal(given.begin(), given.end(), lower.begin(), [](char a, char b) {
           return (a >= 'A' && a <= 'Z' ? static_cast<char>(a | 0x20) : a) == b;
         });
}

// What is hidden whatever a mount is tuned to show: tokens, what they are told apart by, and half of a login.
constexpr std::string_view kNeverClear[] = {"client_token",     "token",     "accessor", "client_token_accessor",
                                            "wrapped_accessor", "secret_id", "secret_id_accessor", "password"};

bool is_token_text(std::string_view text) {
  return text.starts_with("hvs.") || text.starts_with("hvb.") || text.starts_with("hvr.") || text.starts_with("s.") ||
         text.starts_with("b.") || text.starts_with("ey");
}

class Hide final : public json::ScalarRewriter {
 public:
  Hide(const AuditHasher& hasher, const std::vector<std::string_view>& clear) : hasher_(hasher), clear_(clear) {}
  void rewrite(const json::Scalar& scalar, std::string& out) override {
    if (scalar.kind == json::Kind::kNull) {
      out.append("null");
      return;
    }
    if (!clear_.empty() && shows(scalar)) {
      if (scalar.kind == json::Kind::kString)
        json::write_string(scalar.text, out);
      else
        out.append(scalar.text);
      return;
    }
    if (scalar.kind != json::Kind::kString && mutant(Mutant::kAuditOnlyStringsHashed)) {
      out.append(scalar.text);
      return;
    }
    hasher_.append_quoted(scalar.text, out);
  }

 private:
  bool shows(const json::Scalar& scalar) const {
    const auto begin = std::begin(kNeverClear);
    const auto end = std::end(kNeverClear);
    if (mutant(Mutant::kAuditTuningIgnored) || std::find(clear_.begin(), clear_.end(), scalar.top_key) == clear_.end())
      return false;
    return mutant(Mutant::kAuditTunedTokenInClear) ||
           (std::find(begin, end, scalar.top_key) == end && !is_token_text(scalar.text));
  }

  const AuditHasher& hasher_;
  const std::vector<std::string_view>& clear_;
};

// Tells whether two lines of one exchange say the same about who and what: by where the texts stand, not by what they
// are, because an exchange's arena does not move them. The request's id keeps two exchanges in one arena apart.
class Fingerprint {
 public:
  void add(std::uint64_t value) { state_ = (std::rotl(state_, 23) ^ value) * 0x9e3779b97f4a7c15u; }
  void add(std::string_view text) {
    add(reinterpret_cast<std::uintptr_t>(text.data()));
    add(text.size());
  }
  void add_content(std::string_view text) {
    add(text.size());
    for (std::size_t i = 0; i < text.size(); i += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data() + i, std::min<std::size_t>(8, text.size() - i));
      add(word);
    }
  }
  std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0x243f6a8885a308d3u;
};

std::uint64_t fingerprint(const Request& request, const AuditFacts& facts) {
  Fingerprint f;
  f.add_content(request.id);
  for (const std::string_view text :
       {request.token, facts.accessor, facts.display_name, facts.entity_id, facts.token_type, facts.mount_point,
        facts.mount_type, facts.mount_accessor, facts.namespace_id, facts.namespace_path, path_of(request, facts)})
    f.add(text);
  f.add(reinterpret_cast<std::uintptr_t>(request.headers));
  f.add(reinterpret_cast<std::uintptr_t>(facts.audited_headers.get()));
  f.add(facts.policies.size());
  f.add(facts.token_policies.size());
  f.add(facts.identity_policies.size());
  f.add(static_cast<std::uint64_t>(facts.token_ttl.count()));
  f.add(static_cast<std::uint64_t>(facts.token_issue_time.time_since_epoch().count()));
  f.add(static_cast<std::uint64_t>(facts.remaining_uses));
  f.add(static_cast<std::uint64_t>(request.data.kind()));
  f.add(static_cast<std::uint64_t>(facts.client_token_known) | static_cast<std::uint64_t>(facts.allowed) << 1 |
        static_cast<std::uint64_t>(facts.creates) << 2 | static_cast<std::uint64_t>(request.operation) << 8 |
        static_cast<std::uint64_t>(request.remote_port) << 16);
  return f.value();
}

}  // namespace

AuditHasher::AuditHasher(const SecretBytes& salt) : key_(salt) {
  numbers_.reserve(kKnownNumbers);
  for (std::size_t i = 0; i < kKnownNumbers; ++i)
    numbers_.push_back(compute(std::to_string(i)));
  empty_ = compute("");
  true_ = compute("true");
  false_ = compute("false");
}

AuditHasher::Hash AuditHasher::compute(std::string_view text) const {
  const crypto::Digest256 digest = key_.mac(text);
  Hash hash;
  char* at = hash.data();
  *at++ = '"';
  at = std::copy(kAuditHashPrefix.begin(), kAuditHashPrefix.end(), at);
  for (const std::uint8_t byte : digest) {
    std::memcpy(at, &kHexPairs[2 * byte], 2);
    at += 2;
  }
  *at = '"';
  return hash;
}

const AuditHasher::Hash* AuditHasher::known(std::string_view text) const noexcept {
  switch (text.size()) {
    case 0: return &empty_;
    case 4:
      return text == "true" ? &true_ : nullptr;
    case 5:
      return text == "false" ? &false_ : nullptr;
    case 1:
    case 2:
    case 3: {
      std::size_t value = 0;
      for (const char c : text) {
        if (c < '0' || c > '9')
          return nullptr;
        value = 10 * value + static_cast<std::size_t>(c - '0');
      }
      const bool leading_zero = text.size() > 1 && text[0] == '0';
      return leading_zero || value >= numbers_.size() ? nullptr : &numbers_[value];
    }
    default: return nullptr;
  }
}

void AuditHasher::append_quoted(std::string_view text, std::string& out) const {
  if (const Hash* hash = known(text)) {
    out.append(hash->data(), hash->size());
    return;
  }
  const Hash hash = compute(text);
  out.append(hash.data(), hash.size());
}

std::string AuditHasher::hash(std::string_view text) const {
  const Hash quoted = compute(text);
  return std::string(quoted.data() + 1, quoted.size() - 2);
}

AuditFormatter::AuditFormatter(const SecretBytes& salt, const AuditOptions& options, std::string_view running_version)
    : hasher_(salt),
      log_raw_(options.log_raw),
      hmac_accessor_(options.hmac_accessor),
      elide_lists_(options.elide_list_responses),
      exclude_(options.exclude),
      running_version_(running_version) {}

void AuditFormatter::append_hidden(std::string_view text, std::string& out) const {
  if (log_raw_ || mutant(Mutant::kAuditTokenInClear)) {
    json::write_string(text, out);
    return;
  }
  hasher_.append_quoted(text, out);
}

void AuditFormatter::append_accessor(std::string_view text, std::string& out) const {
  if (hmac_accessor_)
    append_hidden(text, out);
  else
    json::write_string(text, out);
}

std::string_view audit_operation_name(const Request& request, const AuditFacts& facts) {
  switch (request.operation) {
    case Operation::kRead: return "read";
    case Operation::kWrite: return facts.creates ? "create" : "update";
    case Operation::kDelete: return "delete";
    case Operation::kList: return "list";
    case Operation::kPatch: return "patch";
    case Operation::kHelp: return "help";
    case Operation::kScan: return "scan";
  }
  return "read";
}

void set_line_time(std::string& line, WallTime now) {
  COFFER_CHECK(line.starts_with(kAuditLineHead));
  const std::size_t end = line.find('"', kAuditLineHead.size());
  COFFER_CHECK(end != std::string::npos);
  line.replace(kAuditLineHead.size(), end - kAuditLineHead.size(), format_time(now));
}

void AuditFormatter::append(const Exchange& exchange, AuditPhase phase, const AuditFacts& facts, WallTime now,
                            std::string_view error, AuditLine& line) const {
  std::string& out = line.text;
  const std::size_t begin = out.size();
  const Request& request = exchange.request;
  out.append(R"({"time":)");
  append_quoted_time(now, out);
  out.append(phase == AuditPhase::kRequest ? R"(,"type":"request")" : R"(,"type":"response")");
  const std::uint64_t print = fingerprint(request, facts);
  if (phase == AuditPhase::kResponse && line.common_size != 0 && line.common_of == print) {
    append_again(line.common_at, line.common_size, out);
  } else {
    line.common_at = static_cast<std::uint32_t>(out.size());
    Shown token;
    Shown accessor;
    append_auth(request, facts, out, token, accessor);
    append_request(request, facts, out, token, accessor);
    line.common_size = static_cast<std::uint32_t>(out.size() - line.common_at);
    line.common_of = print;
  }
  if (phase == AuditPhase::kResponse)
    append_response(request, exchange.response, facts, out);
  append_text(R"(,"error":)", error, out);
  out.append("}\n");
  if (!exclude_.empty()) {
    exclude_fields(exclude_, begin, out);
    line.common_size = 0;
  }
}

void AuditFormatter::append_auth(const Request& request, const AuditFacts& facts, std::string& out, Shown& token,
                                 Shown& accessor) const {
  if (!facts.client_token_known) {
    out.append(R"(,"auth":{"token_type":"default"})");
    return;
  }
  out.append(R"(,"auth":{"client_token":)");
  token.at = out.size();
  append_hidden(request.token, out);
  token.size = out.size() - token.at;
  out.append(R"(,"accessor":)");
  accessor.at = out.size();
  append_accessor(facts.accessor, out);
  accessor.size = out.size() - accessor.at;
  append_string(R"(,"display_name":)", facts.display_name, out);
  out.append(R"(,"policies":)");
  append_names(facts.policies, out);
  out.append(R"(,"token_policies":)");
  append_names(facts.token_policies, out);
  if (!facts.identity_policies.empty()) {
    out.append(R"(,"identity_policies":)");
    append_names(facts.identity_policies, out);
  }
  out.append(facts.allowed ? R"(,"policy_results":{"allowed":true})" : R"(,"policy_results":{"allowed":false})");
  if (facts.remaining_uses > 0) {
    out.append(R"(,"remaining_uses":)");
    append_number(facts.remaining_uses, out);
  }
  append_text(R"(,"entity_id":)", facts.entity_id, out);
  append_text(R"(,"token_type":)", facts.token_type, out);
  if (facts.token_ttl > Nanos{0}) {
    out.append(R"(,"token_ttl":)");
    append_number(whole_seconds(facts.token_ttl), out);
  }
  out.append(R"(,"token_issue_time":)");
  append_quoted_time(facts.token_issue_time, out);
  out.push_back('}');
}

void AuditFormatter::append_mount(const AuditFacts& facts, std::string_view version_name, std::string& out) const {
  if (facts.mount_point.empty())
    return;
  append_text(R"(,"mount_point":)", facts.mount_point, out);
  append_text(R"(,"mount_type":)", facts.mount_type, out);
  append_text(R"(,"mount_accessor":)", facts.mount_accessor, out);
  append_text(version_name, running_version_, out);
  out.append(facts.mount_point.starts_with("auth/") ? R"(,"mount_class":"auth")" : R"(,"mount_class":"secret")");
}

void AuditFormatter::append_request(const Request& request, const AuditFacts& facts, std::string& out, Shown token,
                                    Shown accessor) const {
  append_string(R"(,"request":{"id":)", request.id, out);
  append_text(R"(,"client_id":)", facts.entity_id, out);
  out.append(R"(,"operation":")").append(audit_operation_name(request, facts)).push_back('"');
  append_mount(facts, R"(,"mount_running_version":)", out);
  if (token.size != 0) {
    out.append(R"(,"client_token":)");
    append_again(token.at, token.size, out);
    out.append(R"(,"client_token_accessor":)");
    append_again(accessor.at, accessor.size, out);
  } else if (!request.token.empty()) {
    out.append(R"(,"client_token":)");
    append_hidden(request.token, out);
  }
  append_string(R"(,"namespace":{"id":)", facts.namespace_id, out);
  append_text(R"(,"path":)", facts.namespace_path, out);
  append_string(R"(},"path":)", path_of(request, facts), out);
  if (!request.data.is_null() && !(request.data.is_object() && request.data.size() == 0)) {
    out.append(R"(,"data":)");
    append_data(request.data, false, facts.clear_request_keys, out);
  }
  append_text(R"(,"remote_address":)", request.remote_address, out);
  if (request.remote_port != 0) {
    out.append(R"(,"remote_port":)");
    append_number(request.remote_port, out);
  }
  if (request.wrap_ttl) {
    out.append(R"(,"wrap_ttl":)");
    append_number(whole_seconds(*request.wrap_ttl), out);
  }
  if (facts.audited_headers)
    append_headers(request, facts, out);
  out.push_back('}');
}

// "headers":{"x-thing":["…"]}: those that the operator asked for, each with all its values.
void AuditFormatter::append_headers(const Request& request, const AuditFacts& facts, std::string& out) const {
  std::string all;
  for (const auto& [name, hashed] : *facts.audited_headers) {
    std::string values;
    for (const HeaderLine* header = request.headers; header != nullptr; header = header->next) {
      if (!same_header(header->name, name))
        continue;
      if (!values.empty())
        values.push_back(',');
      if (hashed)
        append_hidden(header->value, values);
      else
        json::write_string(header->value, values);
    }
    if (values.empty())
      continue;
    if (!all.empty())
      all.push_back(',');
    json::write_string(name, all);
    all.append(":[").append(values).push_back(']');
  }
  if (!all.empty())
    out.append(R"(,"headers":{)").append(all).push_back('}');
}

void AuditFormatter::append_response(const Request& request, const Response& response, const AuditFacts& facts,
                                     std::string& out) const {
  out.append(R"(,"response":{)");
  const std::size_t start = out.size();
  if (response.auth)
    append_response_auth(*response.auth, out);
  append_mount(facts, R"(,"mount_running_plugin_version":)", out);
  if (!response.lease_id.empty()) {
    append_text(R"(,"secret":{"lease_id":)", response.lease_id, out);
    out.push_back('}');
  }
  if (!response.content_type.empty()) {
    out.append(R"(,"data":{"http_content_type":)");
    append_hidden(response.content_type, out);
    out.append(R"(,"http_raw_body":)");
    append_hidden(response.raw_body, out);
    out.append(R"(,"http_status_code":)");
    append_number(response.status == 0 ? 200 : response.status, out);
    out.push_back('}');
  } else if (!response.data.is_null()) {
    out.append(R"(,"data":)");
    append_data(response.data, request.operation == Operation::kList, facts.clear_response_keys, out);
  }
  if (response.wrap_info)
    append_wrap_info(*response.wrap_info, out);
  if (!response.warnings.empty()) {
    out.append(R"(,"warnings":)");
    append_names(response.warnings, out);
  }
  if (out.size() > start)
    out.erase(start, 1);  // the first member's comma
  out.push_back('}');
}

void AuditFormatter::append_response_auth(const Auth& auth, std::string& out) const {
  out.append(R"(,"auth":{"client_token":)");
  append_hidden(auth.client_token, out);
  out.append(R"(,"accessor":)");
  append_accessor(auth.accessor, out);
  out.append(R"(,"policies":)");
  append_names(auth.policies, out);
  out.append(R"(,"token_policies":)");
  append_names(auth.token_policies, out);
  if (!auth.identity_policies.empty()) {
    out.append(R"(,"identity_policies":)");
    append_names(auth.identity_policies, out);
  }
  if (!auth.metadata.is_null()) {
    out.append(R"(,"metadata":)");
    append_data(auth.metadata, false, {}, out);
  }
  append_text(R"(,"entity_id":)", auth.entity_id, out);
  append_text(R"(,"token_type":)", auth.token_type, out);
  if (auth.num_uses > 0) {
    out.append(R"(,"num_uses":)");
    append_number(auth.num_uses, out);
  }
  out.append(R"(,"token_ttl":)");
  append_number(whole_seconds(auth.lease_duration), out);
  out.push_back('}');
}

void AuditFormatter::append_wrap_info(const WrapInfo& wrap, std::string& out) const {
  out.append(R"(,"wrap_info":{"ttl":)");
  append_number(whole_seconds(wrap.ttl), out);
  out.append(R"(,"token":)");
  append_hidden(wrap.token, out);
  out.append(R"(,"accessor":)");
  append_accessor(wrap.accessor, out);
  out.append(R"(,"creation_time":)");
  append_quoted_time(wrap.creation_time, out);
  append_text(R"(,"creation_path":)", wrap.creation_path, out);
  if (!wrap.wrapped_accessor.empty()) {
    out.append(R"(,"wrapped_accessor":)");
    append_accessor(wrap.wrapped_accessor, out);
  }
  out.push_back('}');
}

void AuditFormatter::append_data(const json::Value& data, bool listed, const std::vector<std::string_view>& clear,
                                 std::string& out) const {
  if (listed && elide_lists_ && data.is_object()) {
    append_elided(data, out);
    return;
  }
  if (log_raw_) {
    json::write(data, out);
    return;
  }
  Hide hide(hasher_, clear);
  // Raw text in a request or an answer was JSON when it was let in. If it is not, the line says so instead of leaking
  // it.
  if (!json::rewrite_scalars(data, out, hide).ok())
    out.append(R"("unreadable")");
}

// `keys` and `key_info` of a listing as their sizes, as the peer prints them; the rest as ever.
void AuditFormatter::append_elided(const json::Value& data, std::string& out) const {
  out.push_back('{');
  for (const json::Member& member : data.members()) {
    if (out.back() != '{')
      out.push_back(',');
    json::write_string(member.key(), out);
    out.push_back(':');
    const bool counted = (member.key() == "keys" && member.value.is_array()) ||
                         (member.key() == "key_info" && member.value.is_object());
    if (counted)
      append_number(static_cast<std::int64_t>(member.value.size()), out);
    else
      append_data(member.value, false, {}, out);
  }
  out.push_back('}');
}

void AuditFormatter::append_test(std::string_view id, WallTime now, std::string& out) const {
  out.append(R"({"time":)");
  append_quoted_time(now, out);
  append_string(R"(,"type":"request","auth":{"token_type":"default"},"request":{"id":)", id, out);
  out.append(R"(,"operation":"update","namespace":{"id":"root"},"path":"sys/audit/test"}})");
  out.push_back('\n');
}

}  // namespace coffer::core
