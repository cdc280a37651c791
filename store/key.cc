#include "store/key.h"

#include <openssl/evp.h>

#include "base/codec.h"

namespace coffer::store {
namespace {

std::string sha256(std::string_view bytes) {
  std::string digest(32, '\0');
  unsigned int size = 0;
  // Cannot fail for a fixed digest unless the library is broken, and then no key may be made up.
  COFFER_CHECK(EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), &size,
                          EVP_sha256(), nullptr) == 1);
  COFFER_CHECK(size == digest.size());
  return digest;
}

}  // namespace

std::string full_key(KeyClass cls, NamespaceId ns, MountId mount, std::string_view rest) {
  std::string key;
  key.reserve(kKeyHeadBytes + rest.size());
  ByteWriter(key).u8(static_cast<std::uint8_t>(cls)).u32_be(ns.get()).u32_be(mount.get()).raw(rest);
  return key;
}

std::string make_key(KeyClass cls, NamespaceId ns, MountId mount, std::string_view rest) {
  return stored_key(full_key(cls, ns, mount, rest));
}

std::string stored_key(std::string full) {
  COFFER_CHECK(full.size() >= kKeyHeadBytes);
  // A plain key with the form of a shortened one is shortened too, so two names never share a stored key.
  if (full.size() <= limits::kStoreKeyPlainBytesMax && !is_shortened(full))
    return full;
  const std::string digest = sha256(full);
  full.resize(kShortenedPrefixBytes);
  full += kShortenedMark;
  full += digest;
  return full;
}

bool is_shortened(std::string_view stored) noexcept {
  return stored.size() == kShortenedKeyBytes && stored[kShortenedPrefixBytes] == kShortenedMark;
}

Result<KeyHead> parse_key(std::string_view stored) {
  ByteReader in(stored);
  const std::uint8_t cls = in.u8();
  const NamespaceId ns(in.u32_be());
  const MountId mount(in.u32_be());
  const std::string_view rest = in.raw(in.left());
  if (!in.ok() || cls < static_cast<std::uint8_t>(KeyClass::kShared) ||
      cls > static_cast<std::uint8_t>(KeyClass::kNotReplicated) || stored.size() > limits::kStoreKeyBytesMax)
    return Status(Code::kDataLoss, "a record's key has no valid head");
  return KeyHead{static_cast<KeyClass>(cls), ns, mount, rest};
}

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff')
    end.pop_back();
  if (!end.empty())
    end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

KeyRange range_of_prefix(std::string_view full_prefix) {
  const std::string_view begin = full_prefix.substr(0, kShortenedPrefixBytes);
  return KeyRange{std::string(begin), prefix_end(begin)};
}

std::string long_record_head(std::string_view rest) {
  std::string head;
  ByteWriter(head).bytes(rest);
  return head;
}

Result<LongRecord> split_long_record(std::string_view opened) {
  ByteReader in(opened);
  const std::string_view rest = in.bytes();
  COFFER_TRY(in.status().with_context("a record with a long name"));
  return LongRecord{rest, in.raw(in.left())};
}

}  // namespace coffer::store
