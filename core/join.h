// How a node shows that it can open the cluster's seal before it is let in, or is told which certificates the cluster
// has (sys/storage/raft/bootstrap/*).
//
// The leader hands out the two records that unsealing needs, both sealed, and a challenge. Who opens the keyring with
// them derives a key of it, and answers with a MAC over the challenge and over everything that it says of itself.
// Nothing is kept of a challenge: it names its time and carries a MAC of the leader's, so that asking costs no memory.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/rng.h"
#include "base/status.h"
#include "core/cluster.h"
#include "seal/keyring.h"

namespace coffer::core {

inline constexpr Nanos kChallengeTimeMax = std::chrono::seconds(60);

// What is asked for. A challenge and an answer for one are none for the other: nobody who stands between can make a
// member join again that wanted nothing but to be told.
enum class Asked : std::uint8_t {
  kToJoin,
  kCertificates,  // core/certificate_news.h; of itself the asker says its id alone
};

// For the node that calls itself `server_id`. Fails when the random source does.
Result<std::string> make_challenge(const seal::Keyring& keyring, std::string_view server_id, WallTime now,
                                   RandomSource& random, Asked asked = Asked::kToJoin);

// What the joiner sends back.
std::string answer_challenge(const seal::Keyring& keyring, std::string_view challenge, const Member& joiner,
                             Asked asked = Asked::kToJoin);

// kDenied: the challenge is not ours, was made for another node or is older than kChallengeTimeMax, or the answer is
// not of somebody who opened the keyring. Which of them is not said.
Status check_answer(const seal::Keyring& keyring, std::string_view challenge, std::string_view answer,
                    const Member& joiner, WallTime now, Asked asked = Asked::kToJoin);

// What the seed of the cluster's certificate authority is derived for.
inline constexpr std::string_view kAuthorityPurpose = "cluster certificate authority";

}  // namespace coffer::core
