#include "core/certificate_plan.h"

#include <algorithm>
#include <span>

#include "base/codec.h"
#include "base/mutant.h"
#include "core/join.h"
#include "crypto/hmac.h"

namespace coffer::core {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::uint64_t kGenerationsMax = std::uint64_t{1} << 32;
constexpr std::string_view kProofPurpose = "raft join certificates";

using Phase = CertificatePlan::Phase;

crypto::HmacKey proof_key(const seal::Keyring& keyring) { return crypto::HmacKey(keyring.derive(kProofPurpose)); }

std::string proven_text(std::string_view nonce, std::string_view plan) {
  std::string out;
  ByteWriter(out).bytes(nonce).bytes(plan);
  return out;
}

}  // namespace

std::vector<std::uint64_t> CertificatePlan::trusted() const {
  if (phase == Phase::kSteady && !(mutant(Mutant::kOldAuthorityTrusted) && generation > 1))
    return {generation};
  return {generation - 1, generation};
}

std::string encode(const CertificatePlan& plan) {
  std::string out;
  ByteWriter(out)
      .u8(kFormat)
      .varint(plan.generation)
      .u8(static_cast<std::uint8_t>(plan.phase))
      .u64(static_cast<std::uint64_t>(plan.since.time_since_epoch().count()));
  return out;
}

Result<CertificatePlan> decode_certificate_plan(std::string_view bytes) {
  ByteReader reader(bytes);
  CertificatePlan plan;
  const std::uint8_t format = reader.u8();
  plan.generation = reader.varint();
  const std::uint8_t phase = reader.u8();
  plan.since = WallTime{Nanos(static_cast<std::int64_t>(reader.u64()))};
  COFFER_TRY(reader.finish().with_context("the plan of certificates"));
  const bool is_phase = phase >= 1 && phase <= 3;
  const std::uint64_t least = phase == static_cast<std::uint8_t>(Phase::kSteady) ? 1 : 2;
  if (format != kFormat || !is_phase || plan.generation < least || plan.generation > kGenerationsMax)
    return Status(Code::kDataLoss, "the plan of certificates has an unknown form");
  plan.phase = static_cast<Phase>(phase);
  return plan;
}

std::string_view phase_name(Phase phase) noexcept {
  return phase == Phase::kAnnounced ? "announced" : phase == Phase::kChanging ? "changing" : "steady";
}

Result<CertificatePlan> begin_rotation(const CertificatePlan& now, WallTime time) {
  if (now.phase != Phase::kSteady)
    return Status(Code::kInvalid, "a rotation of the cluster's certificates is under way");
  if (now.generation >= kGenerationsMax)
    return Status(Code::kInvalid, "the cluster's certificates were rotated too often");
  return CertificatePlan{now.generation + 1, Phase::kAnnounced, time};
}

std::string encode(const CertificateStep& step) {
  std::string out;
  ByteWriter(out).u64(step.step).u8(step.settled ? 1 : 0);
  return out;
}

Result<CertificateStep> decode_certificate_step(std::string_view bytes) {
  ByteReader reader(bytes);
  CertificateStep step;
  step.step = reader.u64();
  step.settled = reader.u8() != 0;
  if (!reader.finish().ok())
    return Status(Code::kInvalid, "no step of certificates");
  return step;
}

std::optional<CertificatePlan> due_plan(const CertificatePlan& now,
                                        const std::vector<std::optional<CertificateStep>>& alive, WallTime time) {
  const auto all = [&](bool settled) {
    return std::ranges::all_of(alive, [&](const std::optional<CertificateStep>& one) {
      return one && one->step == now.step() && (one->settled || !settled);
    });
  };
  switch (now.phase) {
    case Phase::kAnnounced:
      if (!all(false) && !mutant(Mutant::kCertificateShownEarly))
        return std::nullopt;
      return CertificatePlan{now.generation, Phase::kChanging, time};
    case Phase::kChanging:
      if (!all(true) || time - now.since < kChangeGrace)
        return std::nullopt;
      return CertificatePlan{now.generation, Phase::kSteady, time};
    case Phase::kSteady:
      break;
  }
  if (now.since == WallTime{})
    return CertificatePlan{now.generation, Phase::kSteady, time};
  if (time - now.since < kAuthorityAgeMax)
    return std::nullopt;
  const Result<CertificatePlan> next = begin_rotation(now, time);
  return next.ok() ? std::optional(*next) : std::nullopt;
}

std::string authority_purpose(std::uint64_t generation) {
  std::string purpose(kAuthorityPurpose);
  return generation == 1 ? purpose : purpose + " " + std::to_string(generation);
}

std::string prove_plan(const seal::Keyring& keyring, std::string_view nonce, std::string_view plan) {
  const crypto::Digest256 proof = proof_key(keyring).mac(proven_text(nonce, plan));
  return std::string(reinterpret_cast<const char*>(proof.data()), proof.size());
}

bool is_plan_proven(const seal::Keyring& keyring, std::string_view nonce, std::string_view plan,
                    std::string_view proof) {
  const auto bytes = [](std::string_view text) {
    return std::span<const std::uint8_t>(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  };
  const std::string text = proven_text(nonce, plan);
  return proof_key(keyring).verify(bytes(text), bytes(proof));
}

}  // namespace coffer::core
