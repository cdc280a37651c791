// Which of the cluster's authorities its nodes show certificates of, and which they trust. Every node derives all of
// them from the keyring; a record of the state says which count (docs/formats/settings.md). They change in steps, so
// that nobody ever shows a certificate that a member in touch does not trust: the next one is announced and trusted,
// then shown, then the last one is trusted no more. Pure, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "seal/keyring.h"

namespace coffer::core {

inline constexpr std::chrono::hours kAuthorityAgeMax{24 * 365};       // then the cluster goes over to the next one
inline constexpr std::chrono::hours kNodeCertificateAgeMax{24 * 30};  // then a node makes itself another
inline constexpr unsigned kNodeCertificateDays = 45;
inline constexpr unsigned kAuthorityDays = 400;  // its certificate is made anew with each node's own
inline constexpr std::chrono::seconds kChangeGrace{5};  // that the last authority stays trusted after all have changed

struct CertificatePlan {
  enum class Phase : std::uint8_t {
    kAnnounced = 1,  // `generation` is trusted, and the one before it shown and trusted
    kChanging = 2,   // it is shown, and the one before it still trusted
    kSteady = 3,     // nothing else counts
  };

  std::uint64_t generation = 1;
  Phase phase = Phase::kSteady;
  WallTime since{};  // when the phase began, on the cluster's clock; the epoch: not noted yet

  std::uint64_t shown() const noexcept { return phase == Phase::kAnnounced ? generation - 1 : generation; }
  std::vector<std::uint64_t> trusted() const;
  // Grows with each step.
  std::uint64_t step() const noexcept { return generation * 3 + static_cast<std::uint64_t>(phase); }
  bool operator==(const CertificatePlan&) const = default;
};

std::string encode(const CertificatePlan& plan);
// kDataLoss when it is no such record.
Result<CertificatePlan> decode_certificate_plan(std::string_view bytes);
std::string_view phase_name(CertificatePlan::Phase phase) noexcept;

// What a rotation begins with. kInvalid: one is under way.
Result<CertificatePlan> begin_rotation(const CertificatePlan& now, WallTime time);

// What a member says of itself: which step it has taken, and whether nothing of an earlier one is left there.
struct CertificateStep {
  std::uint64_t step = 0;
  bool settled = false;
  bool operator==(const CertificateStep&) const = default;
};
std::string encode(const CertificateStep& step);
// kInvalid for what is none.
Result<CertificateStep> decode_certificate_step(std::string_view bytes);

// The leader's next change of the plan, if one is due. `alive`: what those said last who are in touch, the leader among
// them; nothing of who has not said it. Who is away asks when it is back (core/certificate_news.h).
std::optional<CertificatePlan> due_plan(const CertificatePlan& now,
                                        const std::vector<std::optional<CertificateStep>>& alive, WallTime time);

// What the seed of that generation's authority is derived for.
std::string authority_purpose(std::uint64_t generation);

// For who joins or was away: that what is told of the plan is of somebody who opened the keyring, and no older than
// `nonce`.
std::string prove_plan(const seal::Keyring& keyring, std::string_view nonce, std::string_view plan);
bool is_plan_proven(const seal::Keyring& keyring, std::string_view nonce, std::string_view plan,
                    std::string_view proof);

}  // namespace coffer::core
