#include "hsm/worker.h"

#include "base/helper_process.h"
#include "hsm/messages.h"

namespace coffer::hsm {
namespace {

constexpr std::size_t kMemoryBytesMax = std::size_t{2} << 30;  // vendors' modules map much

SecretBytes answer(const Refusal& refusal, std::string_view result = {}) { return encode_answer(refusal, result); }

Result<SecretBytes> act(Token& token, std::string_view request) {
  ByteReader in(request);
  switch (static_cast<Ask>(in.u8())) {
    case Ask::kOpen: {
      COFFER_ASSIGN(const Settings settings, decode_open(in));
      return answer(token.open(settings));
    }
    case Ask::kEncrypt: {
      const std::string_view text = in.bytes();
      COFFER_TRY(in.finish());
      Encrypted made;
      const Refusal refusal = token.encrypt(text, made);
      return answer(refusal, encode_encrypted(made));
    }
    case Ask::kDecrypt: {
      COFFER_ASSIGN(const Encrypted from, decode_encrypted(in));
      SecretBytes text;
      const Refusal refusal = token.decrypt(from, text);
      return answer(refusal, text.reveal_text());
    }
    case Ask::kRandom: {
      const std::uint64_t bytes = in.varint();
      COFFER_TRY(in.finish());
      SecretBytes drawn;
      const Refusal refusal = bytes <= kRandomBytesMax ? token.random(bytes, drawn)
                                                       : Refusal{Why::kSetting, "too many random bytes"};
      return answer(refusal, drawn.reveal_text());
    }
  }
  return Status(Code::kInvalid, "an unknown request");
}

}  // namespace

int serve_hsm() {
  Token token;
  return serve_helper([&token](std::string_view request) { return act(token, request); }, kMemoryBytesMax);
}

}  // namespace coffer::hsm
