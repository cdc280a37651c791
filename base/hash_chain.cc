#include "base/hash_chain.h"

#include <openssl/sha.h>

#include <charconv>

#include "base/check.h"
#include "base/encoding.h"

namespace coffer {
namespace {

constexpr std::size_t kHashDigits = 64;
constexpr std::string_view kHead = R"(,"chain":{"sequence":)";
constexpr std::string_view kPrevious = R"(,"previous":")";
constexpr std::string_view kHash = R"(","hash":")";
constexpr std::string_view kMark = R"(","mark":")";
constexpr std::string_view kTail = R"("}})";

std::string hash_of(std::uint64_t sequence, std::string_view previous, std::string_view line) {
  std::string text(previous);
  text.append(std::to_string(sequence)).push_back(':');
  text.append(line);
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return hex_encode({reinterpret_cast<const char*>(digest), sizeof digest});
}

bool is_hash(std::string_view text) {
  return text.size() == kHashDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool skip(std::string_view& text, std::string_view what) {
  if (!text.starts_with(what))
    return false;
  text.remove_prefix(what.size());
  return true;
}

}  // namespace

HashChain::HashChain() : previous_(kHashDigits, '0') {}

HashChain::Link HashChain::next(std::string_view line) {
  Link link{sequence_ + 1, previous_, {}, {}};
  link.hash = hash_of(link.sequence, previous_, line);
  resume(link);
  return link;
}

void HashChain::resume(const Link& link) {
  sequence_ = link.sequence;
  previous_ = link.hash;
}

void HashChain::append(std::string_view line, const Link& link, std::string& out) {
  COFFER_CHECK(line.ends_with('}'));
  out.append(line.substr(0, line.size() - 1)).append(kHead).append(std::to_string(link.sequence));
  out.append(kPrevious).append(link.previous).append(kHash).append(link.hash).append(kMark).append(link.mark);
  out.append(kTail);
}

Result<HashChain::Link> HashChain::read(std::string_view text, std::string& line) {
  const Status none(Code::kInvalid, "the line carries no link of a chain");
  const std::size_t head = text.rfind(kHead);
  if (head == std::string_view::npos || head == 0)
    return none;
  line.assign(text.substr(0, head)).push_back('}');
  std::string_view rest = text.substr(head + kHead.size());
  Link link;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), link.sequence);
  if (error != std::errc())
    return none;
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  if (!skip(rest, kPrevious))
    return none;
  link.previous = rest.substr(0, kHashDigits);
  rest.remove_prefix(link.previous.size());
  if (!is_hash(link.previous) || !skip(rest, kHash))
    return none;
  link.hash = rest.substr(0, kHashDigits);
  rest.remove_prefix(link.hash.size());
  if (!is_hash(link.hash) || !skip(rest, kMark) || !rest.ends_with(kTail))
    return none;
  link.mark = rest.substr(0, rest.size() - kTail.size());
  return link;
}

bool HashChain::fits(const Link& link, std::string_view line) {
  return hash_of(link.sequence, link.previous, line) == link.hash;
}

}  // namespace coffer
