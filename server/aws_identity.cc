#include "server/aws_identity.h"

#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "base/disk.h"
#include "base/time_text.h"
#include "core/xml_element.h"

namespace coffer::server {
namespace {

constexpr std::chrono::minutes kEarly{5};
constexpr std::size_t kFileBytesMax = 65536;
constexpr std::string_view kInstanceHost = "http://169.254.169.254";
constexpr std::string_view kContainerHost = "http://169.254.170.2";
constexpr std::string_view kRolePath = "/latest/meta-data/iam/security-credentials/";
constexpr std::string_view kFormType = "application/x-www-form-urlencoded";

void wipe_keys(core::aws::Keys& keys) {
  wipe(keys.secret_access_key.data(), keys.secret_access_key.size());
  wipe(keys.session_token.data(), keys.session_token.size());
  keys = {};
}

bool sound(const core::aws::Keys& keys) {
  constexpr std::string_view kBreaks("\r\n\0 ", 4);
  return !keys.access_key_id.empty() && is_plain(keys.access_key_id) && !keys.secret_access_key.empty() &&
         keys.session_token.find_first_of(kBreaks) == std::string::npos;
}

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  const std::size_t end = text.find_last_not_of(" \t\r\n");
  return begin == std::string_view::npos ? std::string() : std::string(text.substr(begin, end - begin + 1));
}

// A setting of a section of the shared file.
std::string of_section(std::string_view file, std::string_view section, std::string_view name) {
  bool inside = false;
  while (!file.empty()) {
    const std::size_t end = std::min(file.find('\n'), file.size());
    const std::string line = trimmed(file.substr(0, end));
    file.remove_prefix(std::min(end + 1, file.size()));
    if (line.starts_with('[') && line.ends_with(']'))
      inside = trimmed(std::string_view(line).substr(1, line.size() - 2)) == section;
    const std::size_t equals = line.find('=');
    if (inside && equals != std::string::npos && trimmed(line.substr(0, equals)) == name)
      return trimmed(line.substr(equals + 1));
  }
  return {};
}

// The agent of a container is on the machine: what it gives must not come from elsewhere in the clear.
Result<std::string> url_of_agent(const std::string& uri, const KeyService& service) {
  if (uri.starts_with('/') && is_plain(uri))
    return std::string(kContainerHost) + uri;
  for (const std::string_view begins : {"https://", "http://127.0.0.1", "http://localhost", "http://169.254.170.2/",
                                        "http://169.254.170.23/"})
    if (uri.starts_with(begins) && is_plain(uri))
      return uri;
  return service.setting("AWS_CONTAINER_CREDENTIALS_FULL_URI", "must be https://, or on this machine");
}

core::WebRequest get(std::string url) {
  core::WebRequest out;
  out.method = "GET";
  out.url = std::move(url);
  return out;
}

}  // namespace

std::string aws_host(std::string_view service, std::string_view region) {
  return std::string(service).append(".").append(region).append(".amazonaws.com").append(
      region.starts_with("cn-") ? ".cn" : "");
}

AwsIdentity::AwsIdentity(AwsIdentitySettings settings, Source source, std::string region, std::string sts_url,
                         KeyService service, const Clock& clock)
    : settings_(std::move(settings)),
      source_(source),
      region_(std::move(region)),
      sts_url_(std::move(sts_url)),
      service_(std::move(service)),
      clock_(clock) {}

Result<std::unique_ptr<AwsIdentity>> AwsIdentity::create(AwsIdentitySettings settings, std::string region,
                                                         KeyService service, const Clock& clock) {
  Source source = Source::kConfigured;
  if (!settings.access_key.empty() || !settings.secret_key.empty()) {
    if (settings.access_key.empty() || !is_plain(settings.access_key))
      return service.setting("access_key", "is missing or none: give it, or AWS_ACCESS_KEY_ID");
    if (settings.secret_key.empty())
      return service.setting("secret_key", "is missing: give it, or AWS_SECRET_ACCESS_KEY");
  } else if (!settings.web_identity_token_file.empty()) {
    if (settings.role_arn.empty())
      return service.setting("role_arn", "is missing: a web identity has a role");
    source = Source::kWebIdentity;
  } else if (!settings.shared_creds_filename.empty()) {
    source = Source::kProfile;
  } else if (!settings.container_uri.empty()) {
    COFFER_ASSIGN(settings.container_uri, url_of_agent(settings.container_uri, service));
    source = Source::kContainer;
  } else if (!settings.metadata_disabled) {
    source = Source::kInstance;
  } else {
    return service.setting("access_key", "is missing: give it, or AWS_ACCESS_KEY_ID");
  }
  if (settings.role_session_name.empty())
    settings.role_session_name = "coffer";
  if (settings.metadata_endpoint.empty() || settings.metadata_endpoint.starts_with(kInstanceHost)) {
    settings.metadata_endpoint = kInstanceHost;
  } else {
    COFFER_ASSIGN(settings.metadata_endpoint,
                  service.url_of("AWS_EC2_METADATA_SERVICE_ENDPOINT", settings.metadata_endpoint));
  }
  const std::string sts = settings.sts_endpoint.empty() ? aws_host("sts", region) : settings.sts_endpoint;
  COFFER_ASSIGN(std::string sts_url, service.url_of("AWS_ENDPOINT_URL_STS", sts));
  return std::unique_ptr<AwsIdentity>(new AwsIdentity(std::move(settings), source, std::move(region),
                                                      std::move(sts_url), std::move(service), clock));
}

AwsIdentity::~AwsIdentity() { wipe_keys(kept_); }

std::string_view AwsIdentity::advice() const noexcept {
  switch (source_) {
    case Source::kConfigured: return "access_key, secret_key or session_token is wrong or has ended";
    case Source::kWebIdentity: return "web_identity_token_file or role_arn is wrong or has ended";
    case Source::kProfile: return "profile or shared_creds_filename is wrong or has ended";
    case Source::kContainer: return "the container has no role that gives keys";
    case Source::kInstance:
      return "the instance has no role that gives keys: give it one, or access_key and secret_key";
  }
  return "";
}

Result<core::aws::Keys> AwsIdentity::keys() {
  const std::lock_guard lock(mutex_);
  if (!ends_ || clock_.wall_now() >= *ends_ - kEarly) {
    COFFER_ASSIGN(Temporary fetched, fetch());
    wipe_keys(kept_);
    kept_ = std::move(fetched.keys);
    ends_ = fetched.ends;
  }
  return kept_;
}

bool AwsIdentity::forget() {
  const std::lock_guard lock(mutex_);
  ends_.reset();
  return source_ != Source::kConfigured || !settings_.role_arn.empty();
}

Result<AwsIdentity::Temporary> AwsIdentity::fetch() {
  Temporary base{{settings_.access_key, std::string(settings_.secret_key.reveal_text()),
                  std::string(settings_.session_token.reveal_text())},
                 WallTime::max()};
  if (source_ == Source::kWebIdentity)
    return of_web_identity();
  if (source_ == Source::kProfile) {
    COFFER_ASSIGN(base, of_profile());
  } else if (source_ == Source::kContainer) {
    COFFER_ASSIGN(base, of_container());
  } else if (source_ == Source::kInstance) {
    COFFER_ASSIGN(base, of_instance());
  }
  return settings_.role_arn.empty() ? Result<Temporary>(std::move(base)) : assume(std::move(base));
}

Result<AwsIdentity::Temporary> AwsIdentity::of_profile() const {
  Result<std::string> read = read_file(posix_disk(), settings_.shared_creds_filename, kFileBytesMax);
  if (!read.ok())
    return service_.unavailable("shared_creds_filename: " + read.status().message());
  const Wiped file{std::move(*read)};
  const std::string section = settings_.profile.empty() ? "default" : settings_.profile;
  Temporary out{{of_section(file.text, section, "aws_access_key_id"),
                 of_section(file.text, section, "aws_secret_access_key"),
                 of_section(file.text, section, "aws_session_token")},
                clock_.wall_now() + std::chrono::hours(1)};
  if (!sound(out.keys))
    return service_.unavailable("profile: the shared file has no keys of \"" + section + "\"");
  return out;
}

// {"AccessKeyId", "SecretAccessKey", TOKEN, "Expiration"}.
Result<AwsIdentity::Temporary> AwsIdentity::from_json(const KeyService::Answer& answer,
                                                      std::string_view token_name) const {
  if (answer.status != 200)
    return service_.refusal(answer.status, answer.word(), advice());
  Temporary out{{std::string(answer.fields.string_or("AccessKeyId", "")),
                 std::string(answer.fields.string_or("SecretAccessKey", "")),
                 std::string(answer.fields.string_or(token_name, ""))},
                {}};
  const Result<WallTime> ends = parse_time(answer.fields.string_or("Expiration", ""));
  if (!sound(out.keys) || !ends.ok())
    return service_.unavailable("the answer to the request for keys is none");
  out.ends = *ends;
  return out;
}

Result<AwsIdentity::Temporary> AwsIdentity::of_container() const {
  json::Arena arena;
  Wiped token{std::string(settings_.container_token.reveal_text())};
  if (!settings_.container_token_file.empty()) {
    COFFER_ASSIGN(token.text, read_file(posix_disk(), settings_.container_token_file, kFileBytesMax));
  }
  COFFER_ASSIGN(const KeyService::Answer answer, service_.ask(arena, [&] {
    core::WebRequest request = get(settings_.container_uri);
    if (!token.text.empty())
      request.headers.emplace_back("Authorization", trimmed(token.text));
    return request;
  }));
  return from_json(answer, "Token");
}

Result<AwsIdentity::Temporary> AwsIdentity::of_instance() const {
  json::Arena arena;
  COFFER_ASSIGN(const KeyService::Answer session, service_.ask(arena, [this] {
    core::WebRequest request = get(settings_.metadata_endpoint + "/latest/api/token");
    request.method = "PUT";
    request.headers = {{"X-aws-ec2-metadata-token-ttl-seconds", "300"}};
    return request;
  }));
  const std::string token = trimmed(session.text);
  if (session.status != 200 || token.empty() || token.find_first_of(" \r\n") != std::string::npos)
    return service_.refusal(session.status, "", "the instance's metadata service gives no token");
  const auto read = [&](const std::string& name) {
    return service_.ask(arena, [&] {
      core::WebRequest request = get(settings_.metadata_endpoint + std::string(kRolePath) + name);
      request.headers = {{"X-aws-ec2-metadata-token", token}};
      return request;
    });
  };
  COFFER_ASSIGN(const KeyService::Answer role, read(""));
  const std::string name = trimmed(std::string_view(role.text).substr(0, role.text.find('\n')));
  if (role.status != 200 || name.empty() || !core::aws::encode_uri(name, false).starts_with(name))
    return service_.refusal(role.status, "", advice());
  COFFER_ASSIGN(const KeyService::Answer answer, read(name));
  return from_json(answer, "Token");
}

Result<AwsIdentity::Temporary> AwsIdentity::ask_sts(const std::string& form, const core::aws::Keys* signer) const {
  json::Arena arena;
  COFFER_ASSIGN(KeyService::Answer answer, service_.ask(arena, [&] {
    core::WebRequest request;
    request.method = "POST";
    request.url = sts_url_ + "/";
    request.headers = {{"Content-Type", std::string(kFormType)}};
    request.body = form;
    if (signer != nullptr)
      request.headers = core::aws::sign({"POST", sts_url_.substr(sts_url_.find("://") + 3), "/", {},
                                         {{"content-type", std::string(kFormType)}}, form},
                                        *signer, region_, "sts", clock_.wall_now());
    return request;
  }));
  const Wiped xml{std::move(answer.text)};
  if (answer.status != 200) {
    const std::string word = core::xml_element(xml.text, "Code");
    return service_.refusal(answer.status, is_plain(word) ? word.substr(0, 64) : std::string(),
                            signer != nullptr ? "role_arn may not be assumed" : advice());
  }
  Temporary out{{core::xml_element(xml.text, "AccessKeyId"), core::xml_element(xml.text, "SecretAccessKey"),
                 core::xml_element(xml.text, "SessionToken")},
                {}};
  const Result<WallTime> ends = parse_time(core::xml_element(xml.text, "Expiration"));
  if (!sound(out.keys) || !ends.ok())
    return service_.unavailable("the answer to the request for keys is none");
  out.ends = *ends;
  return out;
}

Result<AwsIdentity::Temporary> AwsIdentity::of_web_identity() const {
  Result<std::string> read = read_file(posix_disk(), settings_.web_identity_token_file, kFileBytesMax);
  if (!read.ok())
    return service_.unavailable("web_identity_token_file: " + read.status().message());
  const Wiped token{std::move(*read)};
  const Wiped form{form_of({{"Action", "AssumeRoleWithWebIdentity"},
                            {"Version", "2011-06-15"},
                            {"RoleArn", settings_.role_arn},
                            {"RoleSessionName", settings_.role_session_name},
                            {"WebIdentityToken", trimmed(token.text)}})};
  return ask_sts(form.text, nullptr);
}

Result<AwsIdentity::Temporary> AwsIdentity::assume(Temporary base) const {
  const std::string form = form_of({{"Action", "AssumeRole"},
                                    {"Version", "2011-06-15"},
                                    {"RoleArn", settings_.role_arn},
                                    {"RoleSessionName", settings_.role_session_name}});
  Result<Temporary> out = ask_sts(form, &base.keys);
  wipe_keys(base.keys);
  return out;
}

}  // namespace coffer::server
