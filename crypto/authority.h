// The cluster's own certificate authority. Its nodes know each other by certificates that it signed and trust no other:
// a certificate names its node's number and serves both ends of a connection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/rng.h"
#include "base/secret.h"
#include "base/status.h"

namespace coffer::crypto {

struct Authority {
  std::string cert_pem;
  SecretBytes key_pem;
};

// How one node shows itself, and whom it trusts.
struct NodeCertificate {
  std::string authority_pem;  // may hold several certificates: each of them is trusted
  std::string cert_pem;
  SecretBytes key_pem;
};

// A new authority on P-256, valid from a day before `now` (for clocks that are behind) to `days` after it. kInternal
// when the library or `random` failed. Any thread, as all of this.
Result<Authority> make_authority(WallTime now, unsigned days, RandomSource& random);

// The authority that every node of a cluster comes to by itself: the same `seed`, of at least 32 secret bytes, gives
// the same name and the same key (on P-521), and so trust in the same nodes; the dates are its maker's. kInternal when
// the library failed.
Result<Authority> derive_authority(const SecretBytes& seed, WallTime now, unsigned days);

// A certificate for node number `node`, valid as above. kInvalid when `authority` is not what make_authority() gave.
Result<NodeCertificate> issue_node_certificate(const Authority& authority, std::uint64_t node, WallTime now,
                                               unsigned days, RandomSource& random);

// kInvalid when the certificate does not name `node` or the key is not its own.
Status check_node_certificate(const NodeCertificate& certificate, std::uint64_t node);

// "node-<16 hexadecimal digits>.coffer.internal", the one name of a node's certificate, and back.
std::string node_dns_name(std::uint64_t node);
std::optional<std::uint64_t> node_of_dns_name(std::string_view name);

}  // namespace coffer::crypto
