// The seal's key in Azure Key Vault or a managed HSM: `seal "azurekeyvault"`. WrapKey, UnwrapKey and GetKey of its REST
// API (version 7.4), by RSA-OAEP-256; tokens from Microsoft Entra ID (OAuth 2.0 client credentials, RFC 6749 section
// 4.4, or a federated token, RFC 7523) or, where no client is configured, from the metadata service of the machine
// (managed identity).
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

inline constexpr std::string_view kAzureKind = "azurekeyvault";

struct AzureSettings {
  std::string tenant_id;
  std::string client_id;
  SecretBytes client_secret;
  std::string federated_token_file;  // of a workload's identity; read for each token
  std::string environment;     // AzurePublicCloud (empty too), AzureUSGovernmentCloud, AzureChinaCloud
  std::string vault_name;
  std::string key_name;
  std::string resource;        // suffix of the vault's host; empty: the environment's
  std::string endpoint;        // empty: https://VAULT_NAME.RESOURCE
  std::string authority_host;  // empty: the environment's
  std::string identity_host;   // empty: the metadata service's address
};

// kInvalid names the setting that is missing or wrong; nothing is asked yet. What it encrypts names the version of the
// key: what an earlier one encrypted decrypts for as long as the vault keeps that version enabled. `clock` outlives it.
//
// Of its calls: kUnavailable: no answer, an answer that is none, or a refusal that rights, credentials or the key's
// state may take back (named, without the service's own text). kDataLoss: damaged.
Result<std::unique_ptr<seal::RemoteKey>> make_azure_key(AzureSettings settings, core::WebCall call, const Clock& clock);

}  // namespace coffer::server
