// The seal's key in the transit engine of another server of this API: `seal "transit"`.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "core/web_call.h"
#include "seal/remote_seal.h"

namespace coffer::server {

inline constexpr std::string_view kTransitKind = "transit";

struct TransitSettings {
  std::string address;     // URL; https:// unless it is this machine
  SecretBytes token;
  std::string key_name;
  std::string mount_path;  // empty: "transit/"
  std::string name_space;
  bool disable_renewal = false;
  std::string ca_file, cert_file, key_file, server_name;
  bool skip_verify = false;
};

// kInvalid names the setting that is missing or wrong; nothing is asked yet. What it encrypts names the mount and the
// key that made it, and the engine writes the key's version into it: it decrypts for as long as that server allows the
// version.
//
// Of its calls: kUnavailable: no answer, an answer that is none, or a refusal that rights, the token or the key's state
// may take back. kDataLoss: nothing that encrypt() made. check() renews the token first, unless that is disabled or the
// token cannot be.
Result<std::unique_ptr<seal::RemoteKey>> make_transit_key(TransitSettings settings, core::WebCall call);

}  // namespace coffer::server
