// A node's way into a cluster, as seen from the node: it asks another one for the seal's records and a challenge,
// and, once it can open them, answers (core/join.h). A member that was away asks in the same way for nothing but the
// news. What calls the other node is a port; nothing is kept here.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/rng.h"
#include "base/status.h"
#include "core/certificate_news.h"
#include "core/certificate_plan.h"
#include "core/cluster.h"
#include "seal/keyring.h"
#include "seal/seal_config.h"

namespace coffer::core {

// How the other node is reached, over its API.
struct JoinTarget {
  std::string url;          // "https://node-a.example.com:8200"
  std::string ca_pem;       // empty: what the system trusts
  std::string ca_file;      // likewise, as a file of the configuration
  std::string client_cert_pem;
  std::string client_key_pem;
  std::string client_cert_file;
  std::string client_key_file;
  std::string server_name;  // expected in its certificate instead of the host
  bool non_voter = false;   // who joins there shall never vote
  bool operator==(const JoinTarget&) const = default;
};

struct PeerAnswer {
  int status = 0;
  std::string body;
};
// POSTs JSON to a path below /v1/. Blocks; kUnavailable when there is no answer. Any thread.
using PeerCall =
    std::function<Result<PeerAnswer>(const JoinTarget& target, const std::string& path, const std::string& body)>;

// What the other node says of the cluster before it knows who asks.
struct ClusterRecords {
  seal::SealConfig seal;
  std::string keyring;       // the record, sealed by the root key
  std::string cluster_name;
  std::string cluster_id;
  std::string challenge;
};

// kUnavailable when the node cannot be reached or does not serve; kInvalid when it answers what no Coffer would.
Result<ClusterRecords> ask_for_records(const PeerCall& call, const JoinTarget& target, const Member& self);

struct LetIn {
  Members members;               // the others, as the cluster knows them
  CertificatePlan certificates;  // as of now, whatever this node's state says: it was proven
};

// Shows `keyring`, opened with the records, and asks to be let in. kDenied: this node's keys are not the
// cluster's.
Result<LetIn> ask_to_be_let_in(const PeerCall& call, const JoinTarget& target, const seal::Keyring& keyring,
                               const ClusterRecords& records, const Member& self, RandomSource& random);

// Of a member that stands in the group, as the other node knows it; kDenied when it does not, or has other keys.
Result<CertificateNews> ask_for_news(const PeerCall& call, const JoinTarget& target, const seal::Keyring& keyring,
                                     const std::string& id, RandomSource& random);

}  // namespace coffer::core
