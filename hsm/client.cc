#include "hsm/client.h"

#include <algorithm>

#include "base/mutant.h"
#include "hsm/messages.h"
#include "hsm/worker.h"

namespace coffer::hsm {
namespace {

constexpr std::string_view kKnownText = "coffer knows this text by heart.";
constexpr int kAttemptsMax = 2;

Code code_of(Why why) {
  switch (why) {
    case Why::kPin:
    case Why::kSetting: return Code::kInvalid;
    case Why::kNoKey: return Code::kDenied;
    case Why::kIntegrity: return Code::kDataLoss;
    default: return Code::kUnavailable;
  }
}

std::string request_of(Ask ask, std::string_view body) {
  return std::string(1, static_cast<char>(ask)).append(body);
}

}  // namespace

Refusal Client::ask(std::string_view request, Nanos time_max, SecretBytes& out) {
  Result<SecretBytes> reply = helper_->call(request, time_max);
  if (!reply.ok())
    return {Why::kLibrary, reply.status().message()};
  const Result<Answer> answer = decode_answer(reply->reveal_text());
  if (!answer.ok())
    return {Why::kLibrary, answer.status().message()};
  out = SecretBytes::copy_of(answer->result);
  return answer->refusal;
}

// What the caller is told; the helper goes, unless it is fine.
Status Client::fail(const Refusal& refusal) {
  const Status status(code_of(refusal.why), "HSM: " + refusal.text);
  if (refusal.why == Why::kPin && !mutant(Mutant::kPinTriedAgain))
    pin_refused_ = status;
  if (status.code() == Code::kUnavailable || !open_) {
    helper_.reset();
    open_ = false;
  }
  return status;
}

// Encrypts the known text.
Refusal Client::make_known(Encrypted& out) {
  std::string body;
  ByteWriter(body).bytes(kKnownText);
  SecretBytes made;
  if (Refusal refusal = ask(request_of(Ask::kEncrypt, body), limits_.call_time_max, made); !refusal.ok())
    return refusal;
  ByteReader in(made.reveal_text());
  Result<Encrypted> read = decode_encrypted(in);
  if (!read.ok())
    return {Why::kLibrary, "the helper answered what it should not"};
  out = std::move(*read);
  return {};
}

// kIntegrity when it decrypts to something else.
Refusal Client::try_known(const Encrypted& known) {
  SecretBytes text;
  Refusal refusal = ask(request_of(Ask::kDecrypt, encode_encrypted(known)), limits_.call_time_max, text);
  if (refusal.ok() && text.reveal_text() != kKnownText)
    refusal = {Why::kIntegrity, "it decrypts to something else"};
  return refusal;
}

Status Client::check_key() {
  if (!known_) {
    Encrypted made;
    if (const Refusal refusal = make_known(made); !refusal.ok())
      return fail(refusal);
    if (const Refusal refusal = try_known(made); !refusal.ok())
      return fail(refusal);
    known_ = std::move(made);
    return ok_status();
  }
  if (mutant(Mutant::kHsmKeyNotChecked))
    return ok_status();
  const Refusal refusal = try_known(*known_);
  if (refusal.ok())
    return ok_status();
  // Tokens answer a key that does not fit with anything, CKR_GENERAL_ERROR among it. One that does its work is another.
  Encrypted made;
  if (helper_->alive() && make_known(made).ok() && try_known(made).ok())
    return fail({Why::kSetting, "key_label: the token's key is not the one that it was"});
  return fail(refusal);
}

Status Client::open() {
  Result<std::unique_ptr<HelperProcess>> started =
      HelperProcess::start({std::string(kHsmWorker), environment_, program_});
  COFFER_TRY(started.status());
  helper_ = std::move(*started);
  SecretBytes nothing;
  const SecretBytes request = encode_open(settings_);
  if (const Refusal refusal = ask(request.reveal_text(), limits_.open_time_max, nothing); !refusal.ok())
    return fail(refusal);
  COFFER_TRY(check_key());
  open_ = true;
  return ok_status();
}

Status Client::ensure_open() {
  if (open_ && helper_->alive())
    return ok_status();
  COFFER_TRY(pin_refused_);
  if (clock_.boot_now() < not_before_)
    return Status(Code::kUnavailable, last_failure_ + " (a moment ago)");
  open_ = false;
  const Status status = open();
  if (status.ok()) {
    pause_ = Nanos();
    return status;
  }
  pause_ = std::clamp(2 * pause_, limits_.pause_min, limits_.pause_max);
  not_before_ = clock_.boot_now() + pause_;
  last_failure_ = status.message();
  return status;
}

// All requests may be asked again: nothing but a count in the HSM differs.
Result<SecretBytes> Client::perform(std::string_view request) {
  Status last;
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    COFFER_TRY(ensure_open());
    SecretBytes out;
    const Refusal refusal = ask(request, limits_.call_time_max, out);
    if (refusal.ok())
      return out;
    last = fail(refusal);
    if (last.code() != Code::kUnavailable)
      return last;
  }
  return last;
}

Result<Encrypted> Client::encrypt(const SecretBytes& text) {
  if (text.size() > kPlainBytesMax)
    return Status(Code::kTooLarge, "an HSM encrypts at most 1 KiB at once");
  std::string body;
  body.reserve(text.size() + 16);  // nothing is left behind by growing
  ByteWriter(body).u8(static_cast<std::uint8_t>(Ask::kEncrypt)).bytes(text.reveal_text());
  const std::lock_guard lock(mutex_);
  const Result<SecretBytes> made = perform(body);
  wipe(body.data(), body.size());
  COFFER_TRY(made.status());
  ByteReader in(made->reveal_text());
  return decode_encrypted(in);
}

Result<SecretBytes> Client::decrypt(const Encrypted& from) {
  const std::lock_guard lock(mutex_);
  return perform(request_of(Ask::kDecrypt, encode_encrypted(from)));
}

Status Client::check() {
  const std::lock_guard lock(mutex_);
  COFFER_TRY(ensure_open());
  const Result<SecretBytes> text = perform(request_of(Ask::kDecrypt, encode_encrypted(*known_)));
  COFFER_TRY(text.status());
  return text->reveal_text() == kKnownText ? ok_status()
                                           : Status(Code::kDataLoss, "HSM: it decrypts to something else");
}

Result<SecretBytes> Client::random(std::size_t bytes) {
  std::string body;
  ByteWriter(body).u8(static_cast<std::uint8_t>(Ask::kRandom)).varint(bytes);
  const std::lock_guard lock(mutex_);
  return perform(body);
}

}  // namespace coffer::hsm
