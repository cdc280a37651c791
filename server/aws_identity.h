// Who a server is for AWS: keys that are configured, or temporary ones from where AWS gives them to programs, in the
// order of its own clients: a web identity's token (STS AssumeRoleWithWebIdentity), a profile of the shared file, the
// container's agent, the instance's metadata service (IMDSv2). With a role, those then assume it (STS AssumeRole).
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/secret.h"
#include "core/aws_signature.h"
#include "server/key_service.h"

namespace coffer::server {

struct AwsIdentitySettings {
  std::string access_key;
  SecretBytes secret_key;
  SecretBytes session_token;  // may be empty
  std::string role_arn;
  std::string role_session_name;        // empty: "coffer"
  std::string web_identity_token_file;  // read for each token
  std::string profile;                  // empty: "default"
  std::string shared_creds_filename;    // empty: no such file
  std::string container_uri;            // "/path" of the agent, or a URL
  SecretBytes container_token;
  std::string container_token_file;     // read for each request
  std::string sts_endpoint;             // empty: the region's own; a host, or a URL of one
  std::string metadata_endpoint;        // empty: the metadata service's address
  bool metadata_disabled = false;
};

// "kms.us-east-1.amazonaws.com".
std::string aws_host(std::string_view service, std::string_view region);

// Any thread.
class AwsIdentity {
 public:
  // kInvalid names the setting that is missing or wrong; nothing is asked yet. `clock` outlives it.
  static Result<std::unique_ptr<AwsIdentity>> create(AwsIdentitySettings settings, std::string region,
                                                     KeyService service, const Clock& clock);

  ~AwsIdentity();

  // Whoever gets them wipes them. Temporary ones are fetched anew five minutes before they end, which blocks; then
  // kUnavailable says what was asked and which setting to look at.
  Result<core::aws::Keys> keys();
  // They were refused: temporary ones are fetched anew. Whether that can help.
  bool forget();
  // Where these keys are from, for whoever has to mend it.
  std::string_view advice() const noexcept;

 private:
  enum class Source : std::uint8_t { kConfigured, kWebIdentity, kProfile, kContainer, kInstance };
  struct Temporary {
    core::aws::Keys keys;
    WallTime ends{};
  };

  AwsIdentity(AwsIdentitySettings settings, Source source, std::string region, std::string sts_url,
              KeyService service, const Clock& clock);
  Result<Temporary> fetch();
  Result<Temporary> of_profile() const;
  Result<Temporary> of_container() const;
  Result<Temporary> of_instance() const;
  Result<Temporary> of_web_identity() const;
  Result<Temporary> assume(Temporary base) const;
  Result<Temporary> from_json(const KeyService::Answer& answer, std::string_view token_name) const;
  Result<Temporary> ask_sts(const std::string& form, const core::aws::Keys* signer) const;

  const AwsIdentitySettings settings_;
  const Source source_;
  const std::string region_;
  const std::string sts_url_;
  const KeyService service_;
  const Clock& clock_;
  std::mutex mutex_;  // guards the rest
  core::aws::Keys kept_;
  std::optional<WallTime> ends_;  // of kept_; nothing: there are none
};

}  // namespace coffer::server
