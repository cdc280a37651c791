// The seal's key in Google Cloud KMS: `seal "gcpckms"`. encrypt, decrypt and get of its REST API (v1), with checksums
// both ways; tokens for a service account's key (RFC 7523) or, where none is configured, from the machine's metadata
// server.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/secret.h"
#include "core/web_call.h"
#include "seal/remote_seal.h"

namespace coffer::server {

inline constexpr std::string_view kGcpKind = "gcpckms";

struct GcpSettings {
  std::string project;
  std::string region;       // of the key ring, "global" or the name of a region
  std::string key_ring;
  std::string crypto_key;
  SecretBytes credentials;  // a service account's key, JSON; empty: the machine's own account
  std::string endpoint;       // empty: Google's own; a host, or a URL of one
  std::string metadata_host;  // empty: metadata.google.internal
};

// kInvalid names the setting that is missing or wrong; nothing is asked yet. What it encrypts names the key that made
// it: it decrypts for as long as the service keeps that key's version enabled. `clock` outlives it.
//
// Of its calls: kUnavailable: no answer, an answer that is none or does not fit its checksum, or a refusal that rights,
// credentials or the key's state may take back (named, without the service's own text). kDataLoss: damaged.
Result<std::unique_ptr<seal::RemoteKey>> make_gcp_key(GcpSettings settings, core::WebCall call, const Clock& clock);

}  // namespace coffer::server
