#include "server/registration.h"

#include <algorithm>
#include <cctype>
#include <tuple>

#include "base/disk.h"
#include "base/json.h"
#include "base/time_text.h"
#include "core/contained.h"
#include "server/options.h"

namespace coffer::server {
namespace {

constexpr std::chrono::milliseconds kLookInterval{250};
constexpr Nanos kPauseLeast = std::chrono::seconds(1);
constexpr Nanos kPauseMost = std::chrono::seconds(30);
constexpr std::size_t kAccountFileBytesMax = 64u << 10;
constexpr std::uint16_t kApiPort = 8200;

std::string text_of(const json::Value& value) {
  std::string out;
  json::write(value, out);
  return out;
}

std::string_view bool_word(bool value) { return value ? "true" : "false"; }

// A file of the pod's account, without white space at its end; empty when it cannot be read.
std::string account_file(const std::string& folder, const std::string& name) {
  Result<std::string> text = read_file(posix_disk(), folder + "/" + name, kAccountFileBytesMax);
  if (!text.ok())
    return {};
  while (!text->empty() && static_cast<unsigned char>(text->back()) <= ' ')
    text->pop_back();
  return std::move(*text);
}

}  // namespace

Registration::Registration(RegistrationOptions options, std::string api_address, std::string version)
    : options_(std::move(options)), version_(std::move(version)) {
  const std::size_t scheme = api_address.find("://");
  std::string rest = scheme == std::string::npos ? api_address : api_address.substr(scheme + 3);
  rest = rest.substr(0, rest.find('/'));
  if (const auto address = parse_address(rest, kApiPort, "api_addr"); address.ok())
    std::tie(host_, port_) = *address;
  service_id_ = options_.service + ":" + host_ + ":" + std::to_string(port_);
}

std::optional<core::WebRequest> Registration::due(const NodeFace& face, BootTime now) {
  if (now < next_ && (pause_ > Nanos(0) || told_ == face))
    return std::nullopt;
  asked_ = face;
  checks_ = false;
  if (options_.kind == RegistrationOptions::Kind::kKubernetes)
    return told_ == face ? std::nullopt : kubernetes(face);
  checks_ = told_ == face;
  return checks_ ? consul_check(face) : consul_service(face);
}

// A catalogue that forgot the service (its agent was started anew) is told again.
void Registration::told(const Result<core::WebAnswer>& answer, BootTime now) {
  const bool good = answer.ok() && answer->status >= 200 && answer->status < 300;
  if (good) {
    pause_ = Nanos(0);
    told_ = asked_;
    registered_ = true;
    // A service that was just registered is checked at once.
    next_ = checks_ ? now + options_.check_timeout / 2 : now;
    return;
  }
  if (checks_)
    told_.reset();
  pause_ = std::clamp(pause_ * 2, kPauseLeast, kPauseMost);
  next_ = now + pause_;
}

std::optional<core::WebRequest> Registration::farewell() const {
  if (!registered_)
    return std::nullopt;
  if (options_.kind == RegistrationOptions::Kind::kConsul)
    return consul("agent/service/deregister/" + service_id_, {});
  return kubernetes(NodeFace{asked_.initialized, true, false, false});
}

core::WebRequest Registration::consul(std::string path, std::string body) const {
  core::WebRequest out;
  out.method = "PUT";
  out.time_max = kRegistrationTimeMax;
  out.url = options_.scheme + "://" + options_.address + "/v1/" + std::move(path);
  out.headers = {{"Content-Type", "application/json"}};
  if (!options_.token.empty())
    out.headers.emplace_back("X-Consul-Token", options_.token);
  out.body = std::move(body);
  out.ca_file = options_.ca_file;
  out.cert_file = options_.cert_file;
  out.key_file = options_.key_file;
  out.skip_verify = options_.skip_verify;
  return out;
}

core::WebRequest Registration::consul_service(const NodeFace& face) const {
  json::Arena arena;
  json::ArrayBuilder tags(arena);
  for (const std::string& tag : options_.tags)
    tags.add(tag);
  tags.add(face.active ? "active" : face.performance_standby ? "performance-standby" : "standby");
  if (face.initialized)
    tags.add("initialized");
  const json::Value check = json::ObjectBuilder(arena, 5)
                                .add("CheckID", service_id_ + ":vault-sealed-check")
                                .add("Name", "Vault Sealed Status")
                                .add("Notes", "Vault service is healthy when Vault is in an unsealed status")
                                .add("Status", face.sealed ? "critical" : "passing")
                                .add("TTL", format_duration(options_.check_timeout))
                                .build();
  return consul("agent/service/register", text_of(json::ObjectBuilder(arena, 7)
                                                      .add("Address", options_.service_address.value_or(host_))
                                                      .add("Check", check)
                                                      .add("EnableTagOverride", false)
                                                      .add("ID", service_id_)
                                                      .add("Name", options_.service)
                                                      .add("Port", static_cast<std::int64_t>(port_))
                                                      .add("Tags", tags.build())
                                                      .build()));
}

core::WebRequest Registration::consul_check(const NodeFace& face) const {
  json::Arena arena;
  return consul("agent/check/update/" + service_id_ + ":vault-sealed-check",
                text_of(json::ObjectBuilder(arena, 2)
                            .add("Output", face.sealed ? "Vault Sealed" : "Vault Unsealed")
                            .add("Status", face.sealed ? "critical" : "passing")
                            .build()));
}

// The account's files are read for each request: the cluster renews its token.
std::optional<core::WebRequest> Registration::kubernetes(const NodeFace& face) const {
  std::string name_space = options_.name_space;
  if (name_space.empty())
    name_space = account_file(options_.account_folder, "namespace");
  // No character that a label's value may not have.
  std::string version = version_;
  std::ranges::replace_if(
      version, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.' && c != '-'; }, '-');
  json::Arena arena;
  const json::Value labels = json::ObjectBuilder(arena, 5)
                                 .add("vault-active", bool_word(face.active))
                                 .add("vault-initialized", bool_word(face.initialized))
                                 .add("vault-perf-standby", bool_word(face.performance_standby))
                                 .add("vault-sealed", bool_word(face.sealed))
                                 .add("vault-version", version)
                                 .build();
  core::WebRequest out;
  out.method = "PATCH";
  out.time_max = kRegistrationTimeMax;
  out.url = options_.api_server + "/api/v1/namespaces/" + name_space + "/pods/" + options_.pod_name;
  out.headers = {{"Authorization", "Bearer " + account_file(options_.account_folder, "token")},
                 {"Content-Type", "application/merge-patch+json"}};
  out.body = text_of(json::ObjectBuilder(arena, 1)
                         .add("metadata", json::ObjectBuilder(arena, 1).add("labels", labels).build())
                         .build());
  out.ca_file = options_.account_folder + "/ca.crt";
  return out;
}

ServiceRegistrar::ServiceRegistrar(Registration registration, Ports ports)
    : registration_(std::move(registration)), ports_(std::move(ports)), thread_([this] { run(); }) {}

ServiceRegistrar::~ServiceRegistrar() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void ServiceRegistrar::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    if (const auto request = registration_.due(ports_.face(), ports_.clock.boot_now()))
      perform(*request);
    lock.lock();
    wake_.wait_for(lock, kLookInterval, [this] { return stopping_; });
  }
  lock.unlock();
  if (const auto request = registration_.farewell())
    if (const auto answer = core::contained([&] { return ports_.call(*request); }); !answer.ok())
      ports_.logger.warn("service_registration", "the node was not taken out: " + answer.status().message());
}

// A failure is told once, until it is another one or over.
void ServiceRegistrar::perform(const core::WebRequest& request) {
  const Result<core::WebAnswer> answer = core::contained([&] { return ports_.call(request); });
  registration_.told(answer, ports_.clock.boot_now());
  std::string failure;
  if (!answer.ok())
    failure = answer.status().message();
  else if (answer->status < 200 || answer->status >= 300)
    failure = "the answer's status is " + std::to_string(answer->status);
  if (failure != last_failure_ && !failure.empty())
    ports_.logger.warn("service_registration", "the node is not registered: " + failure + "; it is tried again");
  else if (failure.empty() && !last_failure_.empty())
    ports_.logger.info("service_registration", "the node is registered");
  last_failure_ = std::move(failure);
}

}  // namespace coffer::server
