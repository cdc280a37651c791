#include "core/root_attempts.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/encoding.h"
#include "base/mutant.h"
#include "core/token_record.h"
#include "seal/init.h"
#include "seal/rekey.h"

namespace coffer::core {
namespace {

bool printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

std::string exclusive_or(std::string_view a, std::string_view b) {
  std::string out(a);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<char>(out[i] ^ b[i]);
  return out;
}

}  // namespace

Result<std::string> encode_root_token(std::string_view token, std::string_view otp) {
  if (token.size() != otp.size())
    return Status(Code::kInvalid, "the one-time password has another length than the token");
  std::string text = base64_encode(exclusive_or(token, otp));
  text.erase(text.find_last_not_of('=') + 1);
  return text;
}

Result<SecretBytes> decode_root_token(std::string_view encoded, std::string_view otp) {
  const std::size_t padding = encoded.find('=');
  std::string text(encoded.substr(0, padding));
  text.append((4 - text.size() % 4) % 4, '=');
  const Result<std::string> bytes = base64_decode(text);
  if (!bytes.ok())
    return Status(Code::kInvalid, "the encoded token is no base64");
  if (bytes->empty() || bytes->size() != otp.size())
    return Status(Code::kInvalid, "the one-time password has another length than the encoded token");
  std::string token = exclusive_or(*bytes, otp);
  SecretBytes out = SecretBytes::copy_of(token);
  wipe(token.data(), token.size());
  return out;
}

RootAttempts::State RootAttempts::state_of(const Attempt& attempt) {
  return {true, attempt.nonce, attempt.shares.progress(), attempt.fingerprint};
}

void RootAttempts::tidy(const Asked& asked) {
  std::erase_if(attempts_, [&asked](const Attempt& one) { return one.term != asked.term || asked.now >= one.ends; });
}

RootAttempts::Attempts::iterator RootAttempts::find(std::string_view nonce) {
  return std::ranges::find(attempts_, nonce, &Attempt::nonce);
}

// Whoever asks often pushes out what they began themselves.
bool RootAttempts::make_room(const Asked& asked) {
  std::map<std::string_view, std::size_t> idle;
  for (const Attempt& one : attempts_)
    if (!one.by_token && one.shares.progress().have == 0)
      ++idle[one.remote];
  std::string_view from = asked.remote;
  if (!asked.by_token && idle[from] >= kAttemptsOfAddressMax) {
    // The oldest of this address goes.
  } else if (attempts_.size() < kAttemptsMax) {
    return true;
  } else {
    from = std::ranges::max_element(idle, {}, [](const auto& one) { return one.second; })->first;
  }
  const auto victim = std::ranges::find_if(attempts_, [from](const Attempt& one) {
    return !one.by_token && one.remote == from && one.shares.progress().have == 0;
  });
  if (victim == attempts_.end())
    return false;
  attempts_.erase(victim);
  return true;
}

bool RootAttempts::may_look_at_key(const Asked& asked) {
  if (asked.by_token)
    return true;
  const std::lock_guard lock(mutex_);
  if (asked.now - keys_since_ >= kKeysOfStrangersPeriod || asked.now < keys_since_) {
    keys_since_ = asked.now;
    keys_ = 0;
  }
  return ++keys_ <= kKeysOfStrangersMax;
}

Result<RootAttempts::Begun> RootAttempts::begin(const Asked& asked, std::string_view otp, const std::string& pgp_key,
                                                seal::ShareCounts counts) {
  std::vector<std::string> fingerprint(1);
  if (!pgp_key.empty()) {
    if (!otp.empty())
      return Status(Code::kInvalid, "\"otp\" and \"pgp_key\" exclude each other");
    COFFER_TRY(seal::check_key_count({pgp_key}, {1, 1}, pgp_));
    if (!may_look_at_key(asked))
      return Status(Code::kExhausted, "too many public keys were brought without a token, ask again in a minute");
    COFFER_ASSIGN(fingerprint, pgp_->fingerprints({pgp_key}));
  }
  if (!otp.empty() && (otp.size() != kRootTokenBytes || !printable(otp)))
    return Status(Code::kInvalid,
                  "\"otp\" must have " + std::to_string(kRootTokenBytes) + " printable characters, or be left out");
  std::string password(otp);
  if (password.empty() && pgp_key.empty()) {
    COFFER_ASSIGN(password, random_base62(random_, kRootTokenBytes));
  }
  COFFER_ASSIGN(std::string nonce, random_uuid(random_));
  const std::lock_guard lock(mutex_);
  tidy(asked);
  if (mutant(Mutant::kRootAttemptsOneSlot))
    attempts_.clear();
  if (!make_room(asked))
    return Status(Code::kExhausted, "too many attempts at a root token are under way");
  attempts_.push_back({std::move(nonce), SecretBytes::copy_of(password), pgp_key, std::move(fingerprint.front()),
                       seal::ShareCollector(counts), asked.term, asked.now + kTimeMax, asked.by_token, asked.remote});
  return Begun{state_of(attempts_.back()), std::move(password)};
}

RootAttempts::State RootAttempts::state(const Asked& asked, std::string_view nonce) {
  const std::lock_guard lock(mutex_);
  tidy(asked);
  if (!nonce.empty()) {
    const auto at = find(nonce);
    return at == attempts_.end() ? State() : state_of(*at);
  }
  if (attempts_.empty())
    return {};
  return asked.by_token ? state_of(attempts_.back()) : State{true, "", {}};
}

Status RootAttempts::cancel(const Asked& asked, std::string_view nonce) {
  const std::lock_guard lock(mutex_);
  tidy(asked);
  if (mutant(Mutant::kRootAttemptEndedByAnybody))
    attempts_.clear();
  if (attempts_.empty())
    return ok_status();
  if (nonce.empty())
    return Status(Code::kInvalid, "missing 'nonce': whoever ends an attempt names it");
  std::erase_if(attempts_, [nonce](const Attempt& one) { return one.nonce == nonce; });
  return ok_status();
}

Result<RootAttempts::Step> RootAttempts::give(const Asked& asked, std::string_view nonce, const SecretBytes& share,
                                              std::string_view record, const SecretBytes& root_key) {
  COFFER_ASSIGN(const seal::SealConfig config, seal::SealConfig::decode(record));
  std::unique_lock lock(mutex_);
  tidy(asked);
  const auto at = find(nonce);
  if (at == attempts_.end())
    return Status(Code::kInvalid, attempts_.empty() ? "no root generation in progress"
                                                    : "incorrect nonce supplied: there is no such attempt");
  COFFER_TRY(at->shares.add(share, random_));
  State state = state_of(*at);
  if (!at->shares.complete())
    return Step{std::move(state), std::nullopt, ""};
  Result<SecretBytes> combined = at->shares.combine();
  const Status right = combined.ok() ? seal::check_shared_key(config, std::move(*combined), root_key)
                                     : Status(Code::kInvalid, "unseal key verification failed");
  if (!right.ok() && !mutant(Mutant::kRootByAnyShares))
    return right;
  COFFER_ASSIGN(std::string token, new_root_token(random_));
  Step step{std::move(state), SecretBytes::copy_of(token), ""};
  wipe(token.data(), token.size());
  const Attempt over = std::move(*at);
  attempts_.erase(at);
  lock.unlock();
  COFFER_ASSIGN(step.encoded, tell(over, *step.token));
  return step;
}

Result<std::string> RootAttempts::tell(const Attempt& attempt, const SecretBytes& token) {
  if (attempt.pgp_key.empty())
    return encode_root_token(token.reveal_text(), attempt.otp.reveal_text());
  std::vector<SecretBytes> text;
  text.push_back(token.clone());
  COFFER_ASSIGN(const auto told, pgp_->encrypt({attempt.pgp_key}, text));
  return base64_encode(told.front().message);
}

void RootAttempts::forget() {
  const std::lock_guard lock(mutex_);
  attempts_.clear();
}

}  // namespace coffer::core
