// What a member is told that slept while the certificates of its cluster changed. It is taken by nobody and takes
// nobody, so it asks over the API. Whoever is unsealed answers: as long as members take each other for strangers there
// may be nobody to lead. Who asks shows that it opened the keyring (core/join.h), who answers shows the same
// (prove_plan()).
#pragma once

#include <string>
#include <string_view>

#include "core/certificate_plan.h"
#include "core/cluster.h"

namespace coffer::core {

struct CertificateNews {
  CertificatePlan plan;    // as the state says that the answering node has applied
  bool by_leader = false;  // and no state is newer
  Members members;         // of that state
};

// No plan's encoding is also one of these.
std::string encode(const CertificateNews& news);
// kInvalid for what is none.
Result<CertificateNews> decode_certificate_news(std::string_view bytes);

// Whether a node that goes by `now` shall go by the news. The cluster goes back to an earlier plan only by a restore,
// and of that the leader knows; anybody else who names an earlier one has slept as well.
bool is_newer(const CertificateNews& news, const CertificatePlan& now);

}  // namespace coffer::core
