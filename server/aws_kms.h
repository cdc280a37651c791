// The seal's key in AWS Key Management Service: `seal "awskms"`. Its JSON protocol over HTTPS, signed with Signature
// Version 4; Encrypt, Decrypt and DescribeKey (AWS KMS API Reference, 2014-11-01).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/secret.h"
#include "core/web_call.h"
#include "seal/remote_seal.h"
#include "server/aws_identity.h"

namespace coffer::server {

inline constexpr std::string_view kAwsKmsKind = "awskms";

struct AwsKmsSettings {
  std::string region;
  std::string key_id;    // id or ARN of a key, or alias/NAME
  std::string endpoint;  // empty: the region's own; a host, or a URL of one
  AwsIdentitySettings identity;
};

// kInvalid names the setting that is missing or wrong; nothing is asked yet. What it encrypts names the key's ARN: what
// an earlier key encrypted decrypts for as long as the service keeps that key. `clock` outlives it.
//
// Of its calls: kUnavailable: no answer, an answer that is none, or a refusal that rights, credentials or the key's
// state may take back (named, without the service's own text). kDenied: made by another key. kDataLoss: damaged.
Result<std::unique_ptr<seal::RemoteKey>> make_aws_kms_key(AwsKmsSettings settings, core::WebCall call,
                                                          const Clock& clock);

}  // namespace coffer::server
