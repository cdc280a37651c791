#include "base/encoding.h"
#include "base/secret.h"
#include "core/answers.h"
#include "core/call.h"
#include "core/sys_engine.h"
#include "crypto/digest.h"

namespace coffer::core {
namespace {

constexpr std::int64_t kRandomBytesMax = 128 << 10;
constexpr std::int64_t kRandomBytesUsual = 32;

Result<std::string> formatted(HandlerContext& ctx, std::string_view usual, std::string_view bytes) {
  COFFER_ASSIGN(const std::string_view format, ctx.string_field("format", usual));
  if (format == "hex")
    return hex_encode(bytes);
  if (format == "base64")
    return base64_encode(bytes);
  return Status(Code::kInvalid, "field \"format\" must be \"hex\" or \"base64\"");
}

Status handle_hash(HandlerContext& ctx) {
  COFFER_ASSIGN(const std::string_view input, ctx.string_field("input", ""));
  COFFER_ASSIGN(const std::string_view named, ctx.string_field("algorithm", "sha2-256"));
  const Result<std::string> data = base64_decode(input);
  if (!data.ok())
    return Status(Code::kInvalid, "field \"input\" must be base64");
  COFFER_ASSIGN(const std::string digest,
                crypto::digest_by_name(ctx.captures.empty() ? named : ctx.captures.front(), *data));
  COFFER_ASSIGN(const std::string sum, formatted(ctx, "hex", digest));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("sum", sum).build();
  return ok_status();
}

bool is_source(std::string_view text) { return text == "platform" || text == "seal" || text == "all"; }

// The path names the source, the number of bytes, or both. There is one source: the kernel's.
Status handle_random(HandlerContext& ctx) {
  std::string_view number;
  for (const std::string_view part : ctx.captures)
    if (!is_source(part) || (ctx.captures.size() == 2 && part.data() == ctx.captures.back().data()))
      number = part;
  COFFER_ASSIGN(const std::string_view source, ctx.string_field("source", "platform"));
  if (!is_source(source) || (ctx.captures.size() == 2 && !is_source(ctx.captures.front())))
    return Status(Code::kInvalid, "field \"source\" must be \"platform\", \"seal\" or \"all\"");
  COFFER_ASSIGN(std::int64_t count, ctx.int_field("bytes", kRandomBytesUsual, 1, kRandomBytesMax));
  if (!number.empty()) {
    const bool digits = number.size() <= 6 && number.find_first_not_of("0123456789") == std::string_view::npos;
    count = digits ? std::stoll(std::string(number)) : 0;
    if (count < 1 || count > kRandomBytesMax)
      return Status(Code::kInvalid, "the number of bytes must be from 1 to " + std::to_string(kRandomBytesMax));
  }
  SecretBytes bytes(static_cast<std::size_t>(count));
  COFFER_TRY(ctx.random.fill(bytes.reveal_mutable()));
  COFFER_ASSIGN(std::string text, formatted(ctx, "base64", bytes.reveal_text()));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("random_bytes", text).build();
  wipe(text.data(), text.size());
  return ok_status();
}

}  // namespace

std::vector<PathSpec> sys_tool_specs() {
  const Field format = {"format", FieldType::kString, "hex or base64."};
  const std::vector<Field> hashed = {
      {"input", FieldType::kString, "What to hash, in base64."},
      {"algorithm", FieldType::kString, "sha2-224, -256, -384, -512 or sha3-224, -256, -384, -512."},
      format};
  const std::vector<Field> random = {{"bytes", FieldType::kInt, "How many bytes: 1 to 131072."},
                                     {"source", FieldType::kString, "platform, seal or all; each is the kernel's."},
                                     format};
  std::vector<PathSpec> specs;
  for (const std::string_view pattern : {"tools/hash", "tools/hash/:urlalgorithm"})
    specs.push_back({pattern, "The hash of some data.", hashed,
                     {{Operation::kWrite, Effect::kReads, handle_hash, "Computes it."}}});
  for (const std::string_view pattern : {"tools/random", "tools/random/:source", "tools/random/:source/:urlbytes"})
    specs.push_back({pattern, "Random bytes.", random,
                     {{Operation::kWrite, Effect::kReads, handle_random, "Draws them."}}});
  return specs;
}

}  // namespace coffer::core
