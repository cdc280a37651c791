#include "core/password_policy.h"

#include <algorithm>
#include <array>

#include "base/hcl.h"

namespace coffer::core {
namespace {

constexpr std::size_t kCharsetBytesMax = 4096;

std::size_t character_bytes(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

// The text's characters, each once. kInvalid for what cannot be printed.
Result<std::vector<std::string>> characters_of(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t size = std::min(character_bytes(text.front()), text.size());
    const auto byte = static_cast<unsigned char>(text.front());
    if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && byte < 0xc2))
      return Status(Code::kInvalid, "non-printable character in charset");
    out.emplace_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

// Below `count`, each as likely as any other.
Result<std::size_t> pick(RandomSource& random, std::size_t count) {
  const std::uint32_t fair = UINT32_MAX - UINT32_MAX % static_cast<std::uint32_t>(count);
  for (;;) {
    std::array<std::uint8_t, 4> bytes;
    COFFER_TRY(random.fill(bytes));
    const std::uint32_t number = static_cast<std::uint32_t>(bytes[0]) | static_cast<std::uint32_t>(bytes[1]) << 8 |
                                 static_cast<std::uint32_t>(bytes[2]) << 16 |
                                 static_cast<std::uint32_t>(bytes[3]) << 24;
    if (number < fair)
      return static_cast<std::size_t>(number % count);
  }
}

}  // namespace

Status PasswordPolicy::read_rule(std::string_view kind, std::string_view charset, std::int64_t least) {
  if (kind != "charset")
    return Status(Code::kInvalid, "unrecognized rule");
  if (charset.empty())
    return Status(Code::kInvalid, "charset is empty");
  if (charset.size() > kCharsetBytesMax || least < 0 || charsets_.size() == kPasswordRulesMax)
    return Status(Code::kInvalid, "a charset is too long, min-chars is negative, or there are too many rules");
  Charset one;
  COFFER_ASSIGN(one.characters, characters_of(charset));
  one.least = static_cast<std::size_t>(least);
  all_.insert(all_.end(), one.characters.begin(), one.characters.end());
  charsets_.push_back(std::move(one));
  return ok_status();
}

Result<PasswordPolicy> PasswordPolicy::parse(std::string_view text) {
  COFFER_ASSIGN(const hcl::Node root, hcl::parse(text));
  PasswordPolicy policy;
  std::int64_t length = 0;
  for (const hcl::Item& item : root.items)
    if (item.key != "length" && item.key != "rule")
      return hcl::error_at(item.at, "invalid key \"" + item.key + "\"");
  if (const hcl::Node* given = root.find("length")) {
    COFFER_ASSIGN(length, hcl::as_int(*given));
  }
  if (length <= 0)
    return Status(Code::kInvalid, "length must be > 0");
  if (length > static_cast<std::int64_t>(kPasswordCharactersMax))
    return Status(Code::kInvalid, "length must be at most " + std::to_string(kPasswordCharactersMax));
  policy.length_ = static_cast<std::size_t>(length);
  COFFER_ASSIGN(const auto rules, hcl::blocks(root, "rule", 1));
  std::size_t least = 0;
  for (const hcl::Block& rule : rules) {
    const hcl::Node* charset = rule.body->find("charset");
    const hcl::Node* minimum = rule.body->find("min-chars");
    if (minimum == nullptr)
      minimum = rule.body->find("min_chars");
    std::int64_t count = 0;
    if (minimum != nullptr) {
      COFFER_ASSIGN(count, hcl::as_int(*minimum));
    }
    COFFER_TRY(policy.read_rule(rule.labels.front(), charset == nullptr ? "" : std::string_view(charset->text),
                                std::min<std::int64_t>(count, INT32_MAX)));
    least += policy.charsets_.back().least;
  }
  if (policy.charsets_.empty())
    return Status(Code::kInvalid, "no charset specified");
  if (least > policy.length_)
    return Status(Code::kInvalid, "specified rules require at least " + std::to_string(least) + " characters but " +
                                      std::to_string(length) + " is specified");
  std::sort(policy.all_.begin(), policy.all_.end());
  policy.all_.erase(std::unique(policy.all_.begin(), policy.all_.end()), policy.all_.end());
  return policy;
}

// What each rule asks for at least, then of all charsets; at last in any order.
Result<SecretBytes> PasswordPolicy::generate(RandomSource& random) const {
  std::vector<const std::string*> chosen;
  for (const Charset& charset : charsets_)
    for (std::size_t i = 0; i < charset.least; ++i) {
      COFFER_ASSIGN(const std::size_t at, pick(random, charset.characters.size()));
      chosen.push_back(&charset.characters[at]);
    }
  while (chosen.size() < length_) {
    COFFER_ASSIGN(const std::size_t at, pick(random, all_.size()));
    chosen.push_back(&all_[at]);
  }
  for (std::size_t i = chosen.size(); i > 1; --i) {
    COFFER_ASSIGN(const std::size_t other, pick(random, i));
    std::swap(chosen[i - 1], chosen[other]);
  }
  std::string text;
  text.reserve(4 * length_);
  for (const std::string* character : chosen)
    text.append(*character);
  SecretBytes password = SecretBytes::copy_of(text);
  wipe(text.data(), text.size());
  return password;
}

}  // namespace coffer::core
