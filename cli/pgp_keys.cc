#include "cli/pgp_keys.h"

#include <algorithm>

#include "base/encoding.h"
#include "cli/kv_args.h"
#include "cli/text.h"
#include "cli/value_text.h"

namespace coffer::cli {
namespace {

constexpr std::string_view kArmour = "-----BEGIN PGP ";
constexpr std::string_view kArmourOfKey = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
constexpr std::string_view kArmourEnd = "-----END PGP ";
constexpr std::string_view kKeybase = "keybase:";
constexpr const char* kKeybaseAddress = "https://keybase.io";
constexpr unsigned kPublicKeyTag = 6;  // RFC 4880, 4.3

std::string without_space(std::string_view text) {
  std::string out(text);
  std::erase_if(out, [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); });
  return out;
}

// What the armour of one public key holds (RFC 4880, 6.2). Its checksum is left to whoever reads the key.
Result<std::string> without_armour(std::string_view text) {
  if (!text.starts_with(kArmourOfKey))
    return Status(Code::kInvalid, "is not a public key");
  std::string body;
  bool headers = true;
  std::vector<std::string> lines = split(text, '\n');
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::string_view line = trim(lines[i]);
    if (line.starts_with(kArmourEnd))
      return base64_decode(body);
    if (headers)
      headers = !line.empty();
    else if (!line.starts_with('='))
      body += line;
  }
  return Status(Code::kInvalid, "is not complete");
}

// In base64, from any form that a file may have.
Result<std::string> key_text(std::string_view content) {
  std::string bytes(content);
  if (const Result<std::string> decoded = base64_decode(without_space(content)); decoded.ok() && !decoded->empty())
    bytes = *decoded;
  if (std::string_view text = trim(bytes); text.starts_with(kArmour)) {
    Result<std::string> bare = without_armour(text);
    if (!bare.ok())
      return Status(Code::kInvalid, bare.code() == Code::kInvalid ? bare.status().message() : "is damaged");
    bytes = std::move(*bare);
  }
  if (bytes.empty() || (static_cast<unsigned char>(bytes[0]) & 0x80) == 0)
    return Status(Code::kInvalid, "is no OpenPGP key: neither binary nor armour, nor base64 of either");
  return base64_encode(bytes);
}

// The tag of the packet that begins here, and how long it is with its head; 0 when that cannot be told.
struct Packet {
  unsigned tag = 0;
  std::size_t size = 0;
};
Packet packet_at(std::string_view bytes) {
  const auto at = [bytes](std::size_t i) { return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0u; };
  const auto number = [&at](std::size_t from, std::size_t count) {
    std::size_t out = 0;
    for (std::size_t i = 0; i < count; ++i)
      out = out << 8 | at(from + i);
    return out;
  };
  const unsigned first = at(0);
  if ((first & 0x80) == 0)
    return {};
  if ((first & 0x40) == 0) {  // the old format: a length of 1, 2 or 4 bytes, or none
    const unsigned kind = first & 3;
    const std::size_t width = std::size_t{1} << kind;
    return {first >> 2 & 15, kind == 3 ? 0 : 1 + width + number(1, width)};
  }
  const unsigned tag = first & 63;
  if (at(1) < 192)
    return {tag, 2 + at(1)};
  if (at(1) < 224)
    return {tag, 3 + ((at(1) - 192u) << 8) + at(2) + 192};
  return {tag, at(1) == 255 ? 6 + number(2, 4) : 0};
}

// Whether a key that was read so far is whole.
bool complete(const std::string& text) {
  const Result<std::string> bytes = text.starts_with(kArmour) ? text : base64_decode(text);
  if (!bytes.ok())
    return false;
  if (bytes->starts_with(kArmour))
    return bytes->find(kArmourEnd) != std::string::npos;
  std::string_view rest = *bytes;
  while (!rest.empty()) {
    const Packet packet = packet_at(rest);
    if (packet.size == 0 || packet.size > rest.size())
      return false;
    rest.remove_prefix(packet.size);
  }
  return true;
}

bool begins_key(std::string_view line, const std::string& before) {
  const Result<std::string> head = base64_decode(line.substr(0, std::min<std::size_t>(line.size(), 24) / 4 * 4));
  if (!head.ok())
    return false;
  return head->starts_with(kArmour) || (packet_at(*head).tag == kPublicKeyTag && complete(before));
}

// The armours of the users, in their order.
Result<std::vector<std::string>> ask_keybase(Context& context, const std::vector<std::string>& users) {
  std::string names;
  for (const std::string& user : users) {
    const bool known = !user.empty() && std::ranges::all_of(user, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    });
    if (!known)
      return Status(Code::kInvalid, "\"" + user + "\" is no name of a Keybase user");
    names.append(names.empty() ? "" : ",").append(user);
  }
  const std::string address = context.invocation().env_or("COFFER_KEYBASE_ADDR", kKeybaseAddress);
  COFFER_ASSIGN(const std::unique_ptr<Transport> transport, context.ports().transport(TransportOptions()));
  HttpRequest request;
  request.method = "GET";
  request.url = address + "/_/api/1.0/user/lookup.json?usernames=" + names + "&fields=public_keys";
  const Result<HttpResponse> response = transport->perform(request);
  if (!response.ok())
    return response.status().with_context("Keybase");
  if (response->status != 200)
    return Status(Code::kUnavailable, "Keybase answered with code " + std::to_string(response->status));
  const Result<json::Value> answer = json::parse_copy(context.arena(), response->body);
  const json::Value* const them = answer.ok() ? member(*answer, "them") : nullptr;
  if (them == nullptr || !them->is_array() || them->size() != users.size())
    return Status(Code::kUnavailable, "Keybase did not answer for each of the users");
  std::vector<std::string> out;
  for (const json::Value& one : them->elements()) {
    const json::Value* value = &one;
    for (const char* name : {"public_keys", "primary", "bundle"})
      value = value != nullptr && value->is_object() ? member(*value, name) : nullptr;
    if (value == nullptr || !value->is_string())
      return Status(Code::kInvalid, "Keybase knows no key of \"" + users[out.size()] + "\"");
    out.emplace_back(value->as_string());
  }
  return out;
}

}  // namespace

Result<std::vector<std::string>> pgp_keys_of(Context& context, const std::string& flag) {
  std::vector<std::string> contents;
  std::vector<std::string> entries;
  std::vector<std::string> users;  // each once
  for (const std::string& entry : split(context.flags().text(flag), ',')) {
    const std::string name(trim(entry));
    if (name.empty())
      continue;
    entries.push_back(name);
    const std::string user = name.starts_with(kKeybase) ? name.substr(kKeybase.size()) : "";
    if (name.starts_with(kKeybase) && std::ranges::find(users, user) == users.end())
      users.push_back(user);
  }
  std::vector<std::string> armours;
  if (!users.empty()) {
    Result<std::vector<std::string>> asked = ask_keybase(context, users);
    if (!asked.ok())
      return asked.status().with_context("-" + flag);
    armours = std::move(*asked);
  }
  std::vector<std::string> out;
  for (const std::string& name : entries) {
    std::string content;
    if (name.starts_with(kKeybase)) {
      const auto user = std::ranges::find(users, name.substr(kKeybase.size()));
      content = armours[static_cast<std::size_t>(user - users.begin())];
    } else {
      Result<std::string> text = read_file(name.starts_with('@') ? name.substr(1) : name);
      if (!text.ok())
        return text.status().with_context("-" + flag);
      content = std::move(*text);
    }
    Result<std::string> key = key_text(content);
    if (!key.ok())
      return Status(Code::kInvalid, "-" + flag + ": " + name + " " + key.status().message());
    out.push_back(std::move(*key));
  }
  return out;
}

Result<std::vector<std::string>> pgp_keys_or_file(Context& context, const std::string& flag) {
  const std::string& file = context.flags().text("pgp-keys-file");
  if (file.empty())
    return pgp_keys_of(context, flag);
  if (!context.flags().text(flag).empty())
    return Status(Code::kInvalid, "-" + flag + " and -pgp-keys-file exclude each other");
  const Result<std::string> text = read_file(file);
  if (!text.ok())
    return text.status().with_context("-pgp-keys-file");
  Result<std::vector<std::string>> keys = split_pgp_keys(*text);
  if (!keys.ok())
    return keys.status().with_context("-pgp-keys-file: " + file);
  return keys;
}

Result<std::vector<std::string>> split_pgp_keys(std::string_view text) {
  std::vector<std::string> found;
  bool in_armour = false;
  for (const std::string& raw : split(text, '\n')) {
    const std::string line(trim(raw));
    const bool armour = line.starts_with(kArmour);
    if (!in_armour && line.empty())
      continue;
    if (armour || (!in_armour && (found.empty() || begins_key(line, found.back()))))
      found.emplace_back();
    in_armour = (in_armour || armour) && !line.starts_with(kArmourEnd);
    found.back().append(line);
    if (in_armour || line.starts_with(kArmourEnd))
      found.back().push_back('\n');
  }
  if (found.empty())
    return Status(Code::kInvalid, "there is no key in it");
  for (std::size_t i = 0; i < found.size(); ++i) {
    Result<std::string> key = key_text(found[i]);
    if (!key.ok())
      return Status(Code::kInvalid, "key " + std::to_string(i + 1) + " " + key.status().message());
    found[i] = std::move(*key);
  }
  return found;
}

}  // namespace coffer::cli
