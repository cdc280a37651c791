#include "hsm/messages.h"

namespace coffer::hsm {
namespace {

void write(ByteWriter& out, const KeyName& name) { out.bytes(name.label).bytes(name.id); }

KeyName read_name(ByteReader& in) {
  KeyName out;
  out.label = in.bytes();
  out.id = in.bytes();
  return out;
}

}  // namespace

SecretBytes encode_open(const Settings& settings) {
  std::string out;
  out.reserve(8192 + settings.pin.size());  // it holds the PIN: nothing is left behind by growing
  ByteWriter writer(out);
  writer.u8(static_cast<std::uint8_t>(Ask::kOpen)).bytes(settings.library).bytes(settings.slot);
  writer.bytes(settings.token_label).bytes(settings.token_serial).bytes(settings.pin.reveal_text());
  write(writer, settings.key);
  write(writer, settings.hmac_key);
  writer.u64(settings.mechanism).bytes(settings.oaep_hash);
  writer.u8(settings.generate_key ? 1 : 0).u8(settings.force_rw_session ? 1 : 0);
  SecretBytes kept = SecretBytes::copy_of(out);
  wipe(out.data(), out.size());
  return kept;
}

Result<Settings> decode_open(ByteReader& in) {
  Settings out;
  out.library = in.bytes();
  out.slot = in.bytes();
  out.token_label = in.bytes();
  out.token_serial = in.bytes();
  out.pin = SecretBytes::copy_of(in.bytes());
  out.key = read_name(in);
  out.hmac_key = read_name(in);
  out.mechanism = in.u64();
  out.oaep_hash = in.bytes();
  out.generate_key = in.u8() != 0;
  out.force_rw_session = in.u8() != 0;
  COFFER_TRY(in.finish());
  return out;
}

std::string encode_encrypted(const Encrypted& one) {
  std::string out;
  ByteWriter writer(out);
  writer.u64(one.mechanism);
  write(writer, one.key);
  write(writer, one.hmac_key);
  writer.bytes(one.oaep_hash).bytes(one.iv).bytes(one.text).bytes(one.mac);
  return out;
}

Result<Encrypted> decode_encrypted(ByteReader& in) {
  Encrypted out;
  out.mechanism = in.u64();
  out.key = read_name(in);
  out.hmac_key = read_name(in);
  out.oaep_hash = in.bytes();
  out.iv = in.bytes();
  out.text = in.bytes();
  out.mac = in.bytes();
  COFFER_TRY(in.finish());
  return out;
}

SecretBytes encode_answer(const Refusal& refusal, std::string_view result) {
  const std::string_view body = refusal.ok() ? result : std::string_view(refusal.text);
  SecretBytes out(1 + body.size());
  out.reveal_mutable()[0] = static_cast<std::uint8_t>(refusal.why);
  body.copy(reinterpret_cast<char*>(out.reveal_mutable().data()) + 1, body.size());
  return out;
}

Result<Answer> decode_answer(std::string_view bytes) {
  if (bytes.empty() || static_cast<std::uint8_t>(bytes[0]) > static_cast<std::uint8_t>(kLastWhy))
    return Status(Code::kUnavailable, "the HSM's helper answered what it should not");
  const Why why = static_cast<Why>(bytes[0]);
  bytes.remove_prefix(1);
  return why == Why::kNone ? Answer{{}, bytes} : Answer{{why, std::string(bytes)}, {}};
}

}  // namespace coffer::hsm
