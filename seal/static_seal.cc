#include "seal/static_seal.h"

#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "base/encoding.h"
#include "base/error_text.h"
#include "crypto/hmac.h"
#include "seal/envelope_wrapper.h"
#include "seal/keyring.h"
#include "seal/record.h"

namespace coffer::seal {
namespace {

constexpr std::string_view kFileScheme = "file://";
constexpr std::string_view kEnvScheme = "env://";
constexpr std::string_view kDescriptorScheme = "fd://";
constexpr std::size_t kKeyTextBytesMax = 4096;
constexpr std::size_t kDerivedIdBytes = 8;

Status invalid(std::string_view setting, std::string_view what) {
  return Status(Code::kInvalid, std::string("seal \"static\": ").append(setting).append(" ").append(what));
}

Result<SecretBytes> read_file(const std::string& path) {
  std::ifstream file;
  file.rdbuf()->pubsetbuf(nullptr, 0);  // no second copy of the key in the stream's buffer
  errno = 0;
  file.open(path, std::ios::binary);
  if (!file)
    return Status(Code::kIo, "cannot read the key file " + path + ": " + error_text(errno));
  SecretBytes room(kKeyTextBytesMax + 1);
  file.read(reinterpret_cast<char*>(room.reveal_mutable().data()), static_cast<std::streamsize>(room.size()));
  const auto size = static_cast<std::size_t>(file.gcount());
  if (file.bad() || (file.fail() && !file.eof()))
    return Status(Code::kIo, "cannot read the key file " + path);
  if (size > kKeyTextBytesMax)
    return Status(Code::kInvalid, "the key file " + path + " is too large to hold a key");
  return SecretBytes::copy_of(room.reveal().first(size));
}

// Of a descriptor that the server inherited. It is read once: what follows finds it closed.
Result<SecretBytes> read_descriptor(const std::string& number) {
  int descriptor = -1;
  const auto read = std::from_chars(number.data(), number.data() + number.size(), descriptor);
  if (read.ec != std::errc() || read.ptr != number.data() + number.size() || descriptor < 0)
    return Status(Code::kInvalid, "fd://" + number + " names no descriptor");
  SecretBytes room(kKeyTextBytesMax + 1);
  std::size_t size = 0;
  while (size < room.size()) {
    const ssize_t got = ::read(descriptor, room.reveal_mutable().data() + size, room.size() - size);
    if (got < 0 && errno != EINTR)
      return Status(Code::kIo, "cannot read fd://" + number + ": " + error_text(errno));
    if (got == 0)
      break;
    size += got > 0 ? static_cast<std::size_t>(got) : 0;
  }
  ::close(descriptor);
  if (size > kKeyTextBytesMax)
    return Status(Code::kInvalid, "fd://" + number + " has too much to be a key");
  return SecretBytes::copy_of(room.reveal().first(size));
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

Result<SecretBytes> decode_key(std::string_view setting, const SecretBytes& written) {
  const std::string_view whole = written.reveal_text();
  if (whole.size() == kKeyBytes)
    return written.clone();
  const std::string_view text = trimmed(whole);
  auto key = text.size() == 2 * kKeyBytes ? hex_decode_secret(text) : base64_decode_secret(text);
  if (!key.ok() || key->size() != kKeyBytes)
    return invalid(setting, "must be 32 bytes, written as base64, as hexadecimal or as they are");
  return key;
}

// `id` is made from the key when the configuration gives none: it tells keys apart and nothing else.
Result<EnvelopeKey> make_key(std::string_view setting, const SecretBytes& written, const std::string& id,
                             const KeyReader& reader) {
  EnvelopeKey out;
  const std::string_view text = written.reveal_text();
  if (text.starts_with(kFileScheme) || text.starts_with(kEnvScheme) || text.starts_with(kDescriptorScheme)) {
    const auto read = reader(trimmed(text));
    if (!read.ok())
      return read.status().with_context(std::string("seal \"static\": ").append(setting));
    COFFER_ASSIGN(out.key, decode_key(setting, *read));
  } else {
    COFFER_ASSIGN(out.key, decode_key(setting, written));
  }
  if (id.size() > kEnvelopeKeyIdBytesMax)
    return invalid(setting, "has an id of more than 255 bytes");
  if (id.empty()) {
    const crypto::Digest256 digest = crypto::hmac_sha256(out.key.reveal(), bytes_of("coffer key id"));
    out.id = hex_encode(text_of(std::span(digest).first(kDerivedIdBytes)));
  } else {
    out.id = id;
  }
  return out;
}

Result<std::vector<EnvelopeKey>> keys_of_list(const StaticSealOptions& options, const KeyReader& reader) {
  if (!options.current_key.empty() || !options.previous_key.empty())
    return invalid("keys", "cannot be combined with current_key or previous_key");
  if (options.keys.size() > kStaticKeysMax)
    return invalid("keys", "lists more than 16 keys");
  std::vector<EnvelopeKey> out;
  for (std::size_t i = 0; i < options.keys.size(); ++i) {
    COFFER_ASSIGN(EnvelopeKey key, make_key("keys[" + std::to_string(i) + "]", options.keys[i], "", reader));
    out.push_back(std::move(key));
  }
  return out;
}

Result<std::vector<EnvelopeKey>> keys_of_pair(const StaticSealOptions& options, const KeyReader& reader) {
  if (options.current_key.empty())
    return invalid("current_key", "is missing (or keys, newest first)");
  std::vector<EnvelopeKey> out;
  COFFER_ASSIGN(EnvelopeKey current, make_key("current_key", options.current_key, options.current_key_id, reader));
  out.push_back(std::move(current));
  if (options.previous_key.empty()) {
    if (!options.previous_key_id.empty())
      return invalid("previous_key_id", "is set, but previous_key is not");
    return out;
  }
  COFFER_ASSIGN(EnvelopeKey previous, make_key("previous_key", options.previous_key, options.previous_key_id, reader));
  if (previous.id == out.front().id)
    return invalid("previous_key", "has the id of current_key");
  out.push_back(std::move(previous));
  return out;
}

}  // namespace

void fill_from_environment(StaticSealOptions& options,
                           const std::function<std::optional<std::string>(const std::string&)>& variable) {
  if (!options.keys.empty())
    return;
  const auto take = [&](const char* name) { return variable(std::string("VAULT_STATIC_SEAL_") + name).value_or(""); };
  if (options.current_key.empty())
    options.current_key = SecretBytes::copy_of(take("CURRENT_KEY"));
  if (options.current_key_id.empty())
    options.current_key_id = take("CURRENT_KEY_ID");
  if (options.previous_key.empty())
    options.previous_key = SecretBytes::copy_of(take("PREVIOUS_KEY"));
  if (options.previous_key_id.empty())
    options.previous_key_id = take("PREVIOUS_KEY_ID");
}

Result<SecretBytes> read_key_reference(std::string_view reference) {
  if (reference.starts_with(kFileScheme))
    return read_file(std::string(reference.substr(kFileScheme.size())));
  if (reference.starts_with(kEnvScheme)) {
    const std::string name(reference.substr(kEnvScheme.size()));
    const char* value = std::getenv(name.c_str());
    if (value == nullptr)
      return Status(Code::kInvalid, "the environment variable " + name + " is not set");
    return SecretBytes::copy_of(std::string_view(value));
  }
  if (reference.starts_with(kDescriptorScheme))
    return read_descriptor(std::string(reference.substr(kDescriptorScheme.size())));
  return Status(Code::kInvalid, "a reference begins with file://, env:// or fd://");
}

Result<std::unique_ptr<KeyWrapper>> make_static_seal(const StaticSealOptions& options, const KeyReader& reader) {
  auto keys = options.keys.empty() ? keys_of_pair(options, reader) : keys_of_list(options, reader);
  if (!keys.ok())
    return keys.status();
  return std::unique_ptr<KeyWrapper>(std::make_unique<EnvelopeWrapper>(kStaticKind, std::move(*keys)));
}

}  // namespace coffer::seal
