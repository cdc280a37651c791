#include "crypto/pgp.h"

#include <memory>

#include "base/check.h"
#include "base/codec.h"
#include "base/encoding.h"
#include "crypto/pgp_library.h"

namespace coffer::crypto {
namespace {

constexpr std::string_view kArmour = "-----BEGIN PGP ";
constexpr std::size_t kHelperMemoryBytesMax = 512 * 1024 * 1024;

// A request: whether there are texts, how many keys, and each key with its text. An answer: each fingerprint with its
// message.
struct Parsed {
  bool has_texts = false;
  std::vector<std::string_view> keys;
  std::vector<std::string_view> texts;
};

Result<Parsed> parse(std::string_view request) {
  ByteReader in(request);
  Parsed out;
  out.has_texts = in.u8() != 0;
  const std::uint64_t count = in.varint();
  if (count > kPgpKeysMax)
    return Status(Code::kTooLarge, "too many keys");
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
    out.keys.push_back(in.bytes());
    out.texts.push_back(in.bytes());
  }
  COFFER_TRY(in.finish());
  return out;
}

Result<SecretBytes> answer(std::string_view request) {
  COFFER_ASSIGN(const Parsed parsed, parse(request));
  std::string out;
  ByteWriter writer(out);
  for (std::size_t i = 0; i < parsed.keys.size(); ++i) {
    const Result<PgpMessage> one = pgp_encrypt(parsed.keys[i], parsed.has_texts ? &parsed.texts[i] : nullptr);
    if (!one.ok() && one.code() == Code::kInvalid)
      return Status(Code::kInvalid, "PGP key " + std::to_string(i + 1) + " " + one.status().message());
    COFFER_TRY(one.status());
    writer.bytes(one->fingerprint).bytes(one->message);
  }
  return SecretBytes::copy_of(out);
}

}  // namespace

Result<std::string> pgp_key_bytes(std::string_view text) {
  std::string bytes(text);
  if (!text.starts_with(kArmour)) {
    std::erase_if(bytes, [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); });
    Result<std::string> decoded = base64_decode(bytes);
    if (!decoded.ok())
      return Status(Code::kInvalid, "is neither base64 nor armour");
    bytes = std::move(*decoded);
  }
  if (bytes.empty())
    return Status(Code::kInvalid, "is empty");
  if (bytes.size() > kPgpKeyBytesMax)
    return Status(Code::kTooLarge, "has more than " + std::to_string(kPgpKeyBytesMax) + " bytes");
  return bytes;
}

Result<std::vector<PgpMessage>> PgpHelpers::ask(const std::vector<std::string>& keys,
                                                const std::vector<SecretBytes>* texts) {
  COFFER_CHECK(texts == nullptr || texts->size() == keys.size());
  std::unique_lock lock(mutex_);
  if (!free_.wait_for(lock, kWaitMax, [this] { return running_ < kAtOnceMax; }))
    return Status(Code::kExhausted, "too much is being encrypted to OpenPGP keys, ask again later");
  ++running_;
  lock.unlock();
  const auto done = [this](void*) {
    const std::lock_guard again(mutex_);
    --running_;
    free_.notify_one();
  };
  const std::unique_ptr<void, decltype(done)> place(this, done);

  std::size_t size = 16;
  for (std::size_t i = 0; i < keys.size(); ++i)
    size += keys[i].size() + (texts == nullptr ? 0 : (*texts)[i].size()) + 16;
  std::string request;
  request.reserve(size);  // it holds secrets: nothing is left behind by growing
  ByteWriter writer(request);
  writer.u8(texts != nullptr ? 1 : 0).varint(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i)
    writer.bytes(keys[i]).bytes(texts == nullptr ? std::string_view() : (*texts)[i].reveal_text());
  Result<std::unique_ptr<HelperProcess>> helper =
      HelperProcess::start({std::string(kPgpHelper), {}, program_});
  Result<SecretBytes> reply =
      helper.ok() ? (*helper)->call(request, kTimeMax) : Result<SecretBytes>(helper.status());
  wipe(request.data(), request.size());
  COFFER_TRY(reply.status());

  ByteReader in(reply->reveal_text());
  std::vector<PgpMessage> out(keys.size());
  for (PgpMessage& one : out) {
    one.fingerprint = in.bytes();
    one.message = in.bytes();
  }
  if (!in.finish().ok())
    return Status(Code::kUnavailable, "the helper for OpenPGP keys answered what it should not");
  return out;
}

Result<std::vector<std::string>> PgpHelpers::fingerprints(const std::vector<std::string>& keys) {
  COFFER_ASSIGN(const std::vector<PgpMessage> all, ask(keys, nullptr));
  std::vector<std::string> out;
  for (const PgpMessage& one : all)
    out.push_back(one.fingerprint);
  return out;
}

Result<std::vector<PgpMessage>> PgpHelpers::encrypt(const std::vector<std::string>& keys,
                                                    const std::vector<SecretBytes>& texts) {
  return ask(keys, &texts);
}

int serve_pgp() { return serve_helper(answer, kHelperMemoryBytesMax); }

}  // namespace coffer::crypto
