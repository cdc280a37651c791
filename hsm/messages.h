// Internal to hsm/: what a node and its helper say to each other (base/helper_process.h carries it).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/codec.h"
#include "base/secret.h"
#include "base/status.h"
#include "hsm/refusal.h"
#include "hsm/settings.h"
#include "hsm/token.h"

namespace coffer::hsm {

enum class Ask : std::uint8_t { kOpen = 1, kEncrypt = 2, kDecrypt = 3, kRandom = 4 };

inline constexpr std::size_t kPlainBytesMax = 1024;
inline constexpr std::size_t kRandomBytesMax = 4096;

// What one side writes the other reads; kDataLoss when it does not fit.
SecretBytes encode_open(const Settings& settings);
Result<Settings> decode_open(ByteReader& in);
std::string encode_encrypted(const Encrypted& one);
Result<Encrypted> decode_encrypted(ByteReader& in);

// An answer: why not, and the text or what was asked for.
SecretBytes encode_answer(const Refusal& refusal, std::string_view result);
struct Answer {
  Refusal refusal;
  std::string_view result;  // borrowed
};
Result<Answer> decode_answer(std::string_view bytes);

}  // namespace coffer::hsm
