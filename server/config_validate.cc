// What only the whole configuration shows.
#include <charconv>
#include <set>

#include "base/limits.h"
#include "base/time_text.h"
#include "server/addresses.h"
#include "server/config.h"

namespace coffer::server {
namespace {

// `where` is empty for what stands in no file: what is missing, or came from the environment.
Status invalid(std::string message, const std::string& where = {}) {
  const std::string lead = where.empty() ? "configuration: " : "error loading configuration from " + where + ": ";
  return Status(Code::kInvalid, lead + std::move(message));
}

const std::string& place(const Config& config, std::string_view key) {
  static const std::string kNowhere;
  const auto found = config.places.find(key);
  return found == config.places.end() ? kNowhere : found->second;
}

// A URL with scheme, host and no more than a port and one slash.
bool is_address_url(std::string_view text, bool any_scheme) {
  if (text.find("{{") != std::string_view::npos)
    return check_address_templates(text).ok();
  const std::size_t scheme = text.find("://");
  if (scheme == std::string_view::npos || scheme == 0)
    return false;
  const std::string_view name = text.substr(0, scheme);
  if (!any_scheme && name != "http" && name != "https")
    return false;
  std::string_view rest = text.substr(scheme + 3);
  if (rest.ends_with('/'))
    rest.remove_suffix(1);
  if (rest.empty() || rest.find_first_of("/?#@ \t") != std::string_view::npos)
    return false;
  const std::size_t bracket = rest.rfind(']');
  const std::size_t colon = rest.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon == std::string_view::npos)
    return true;
  std::uint16_t port = 0;
  const std::string_view digits = rest.substr(colon + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return colon > 0 && error == std::errc() && end == digits.data() + digits.size();
}

Status check_storage(const Config& config) {
  if (!config.storage.has_value())
    return invalid("a \"storage\" block must be given");
  const StorageConfig& storage = *config.storage;
  if (storage.kind != StorageKind::kInmem && storage.path.empty())
    return invalid("storage: \"path\" must be set", storage.where);
  if (storage.max_entry_bytes != 0 &&
      (storage.max_entry_bytes < 4096 || storage.max_entry_bytes > limits::kRequestBodyBytesMax))
    return invalid("storage: \"max_entry_size\" must be from 4096 to " + std::to_string(limits::kRequestBodyBytesMax),
                   storage.where);
  return ok_status();
}

Status check_listeners(const Config& config) {
  std::set<std::pair<std::string, std::uint16_t>> addresses;
  bool tcp = false;
  for (const ListenerConfig& listener : config.listeners) {
    tcp |= listener.kind == ListenerKind::kTcp;
    if (listener.port != 0 && !addresses.insert({listener.host, listener.port}).second)
      return invalid("two listeners have the address " + listener.host + ":" + std::to_string(listener.port),
                     listener.where);
  }
  return tcp ? ok_status() : invalid("a \"listener\" block of kind \"tcp\" must be given");
}

Status check_seals(const Config& config) {
  std::size_t enabled = 0;
  for (const SealStanza& seal : config.seals) {
    if (const Status known = check_seal_kind(seal.kind); !known.ok())
      return invalid(known.message(), seal.where);
    enabled += !seal.disabled;
    if (enabled > 1)
      return invalid("more than one \"seal\" that is not disabled", seal.where);
  }
  return ok_status();
}

}  // namespace

Status validate_config(const Config& config) {
  COFFER_TRY(check_storage(config));
  COFFER_TRY(check_listeners(config));
  COFFER_TRY(check_seals(config));
  if (!config.api_addr.empty() && !is_address_url(config.api_addr, false))
    return invalid("\"api_addr\" must be a URL such as https://vault-1.example.com:8200", place(config, "api_addr"));
  if (!config.cluster_addr.empty() && !is_address_url(config.cluster_addr, true))
    return invalid("\"cluster_addr\" must be a URL such as https://vault-1.example.com:8201",
                   place(config, "cluster_addr"));
  if (config.default_lease_ttl.count() == 0 || config.max_lease_ttl.count() == 0)
    return invalid("\"default_lease_ttl\" and \"max_lease_ttl\" must be more than 0",
                   place(config, config.default_lease_ttl.count() == 0 ? "default_lease_ttl" : "max_lease_ttl"));
  if (config.remove_irrevocable_lease_after > Nanos(0) &&
      config.remove_irrevocable_lease_after < std::chrono::hours(48))
    return invalid("\"remove_irrevocable_lease_after\" must be 0 or at least 48h",
                   place(config, "remove_irrevocable_lease_after"));
  if (config.default_lease_ttl > config.max_lease_ttl)
    return invalid("\"default_lease_ttl\" (" + format_duration_short(config.default_lease_ttl) +
                       ") is above \"max_lease_ttl\" (" + format_duration_short(config.max_lease_ttl) + ")",
                   place(config, config.places.contains("default_lease_ttl") ? "default_lease_ttl"
                                                                             : "max_lease_ttl"));
  return ok_status();
}

std::vector<std::string> protected_folders(const Config& config) {
  std::set<std::string> out;
  const auto add_parent = [&out](const std::string& file) {
    if (file.empty())
      return;
    const std::size_t slash = file.rfind('/');
    out.insert(slash == std::string::npos ? "." : slash == 0 ? "/" : file.substr(0, slash));
  };
  if (config.storage.has_value() && !config.storage->path.empty())
    out.insert(config.storage->path);
  if (!config.plugin_directory.empty())
    out.insert(config.plugin_directory);
  for (const ListenerConfig& listener : config.listeners) {
    if (!listener.tls.has_value())
      continue;
    add_parent(listener.tls->cert_file);
    add_parent(listener.tls->key_file);
    add_parent(listener.tls->client_ca_file);
  }
  for (const std::string& file : config.files)
    add_parent(file);
  return {out.begin(), out.end()};
}

std::vector<std::string> idle_settings(const Config& config) {
  std::vector<std::string> out;
  const auto note = [&out](bool set, std::string_view name) {
    if (set)
      out.push_back("\"" + std::string(name) + "\" is set and has no effect in this version");
  };
  note(config.raw_storage_endpoint, "raw_storage_endpoint");
  note(config.storage && config.storage->kind != StorageKind::kRaft && !config.storage->retry_join.empty(),
       "retry_join");
  if (config.storage && config.storage->max_entry_bytes != 0 &&
      config.storage->max_entry_bytes != limits::kEntryBytesMax)
    out.push_back("\"max_entry_size\" is set and has no effect in this version: the largest write is of " +
                  std::to_string(limits::kEntryBytesMax) + " bytes");
  return out;
}

}  // namespace coffer::server
