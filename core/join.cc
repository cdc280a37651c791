#include "core/join.h"

#include <array>
#include <span>

#include "base/codec.h"
#include "crypto/hmac.h"

namespace coffer::core {
namespace {

// What keys are derived for.
struct Purposes {
  std::string_view challenge;
  std::string_view answer;
};
constexpr Purposes kJoinPurposes{"raft join challenge", "raft join answer"};
constexpr Purposes kCertificatePurposes{"raft certificates challenge", "raft certificates answer"};
constexpr std::size_t kRandomBytes = 16;
constexpr std::size_t kBodyBytes = 8 + kRandomBytes;
constexpr std::size_t kTagBytes = 32;

std::span<const std::uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string text_of(const crypto::Digest256& digest) {
  return std::string(reinterpret_cast<const char*>(digest.data()), digest.size());
}

std::string with_id(std::string_view body, std::string_view server_id) {
  std::string out;
  ByteWriter(out).bytes(body).bytes(server_id);
  return out;
}

std::string with_joiner(std::string_view challenge, const Member& joiner) {
  std::string out;
  ByteWriter(out).bytes(challenge).bytes(encode(joiner));
  return out;
}

const Purposes& purposes_of(Asked asked) { return asked == Asked::kToJoin ? kJoinPurposes : kCertificatePurposes; }

crypto::HmacKey key_for(const seal::Keyring& keyring, std::string_view purpose) {
  return crypto::HmacKey(keyring.derive(purpose));
}

}  // namespace

Result<std::string> make_challenge(const seal::Keyring& keyring, std::string_view server_id, WallTime now,
                                   RandomSource& random, Asked asked) {
  std::array<std::uint8_t, kRandomBytes> drawn;
  COFFER_TRY(random.fill(drawn));
  std::string out;
  ByteWriter(out)
      .u64(static_cast<std::uint64_t>(now.time_since_epoch().count()))
      .raw({reinterpret_cast<const char*>(drawn.data()), drawn.size()});
  return out + text_of(key_for(keyring, purposes_of(asked).challenge).mac(with_id(out, server_id)));
}

std::string answer_challenge(const seal::Keyring& keyring, std::string_view challenge, const Member& joiner,
                             Asked asked) {
  return text_of(key_for(keyring, purposes_of(asked).answer).mac(with_joiner(challenge, joiner)));
}

Status check_answer(const seal::Keyring& keyring, std::string_view challenge, std::string_view answer,
                    const Member& joiner, WallTime now, Asked asked) {
  const Status refused(Code::kDenied, "the challenge was not answered");
  if (challenge.size() != kBodyBytes + kTagBytes || answer.size() != kTagBytes)
    return refused;
  const std::string_view body = challenge.substr(0, kBodyBytes);
  const bool ours = key_for(keyring, purposes_of(asked).challenge)
                        .verify(bytes_of(with_id(body, joiner.id)), bytes_of(challenge.substr(kBodyBytes)));
  const bool right =
      key_for(keyring, purposes_of(asked).answer).verify(bytes_of(with_joiner(challenge, joiner)), bytes_of(answer));
  const WallTime made{Nanos(static_cast<std::int64_t>(load_u64(body.data())))};
  const bool fresh = made <= now && now - made <= kChallengeTimeMax;
  return ours && right && fresh ? ok_status() : refused;
}

}  // namespace coffer::core
