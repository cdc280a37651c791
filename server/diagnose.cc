#include "server/diagnose.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/disk.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/listen.h"
#include "http/tls.h"
#include "rpc/server.h"
#include "server/config.h"
#include "server/descriptors.h"
#include "server/options.h"

namespace coffer::server {
namespace {

using State = Finding::State;
namespace fs = std::filesystem;

Finding open_files() {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  const std::string limit = std::to_string(files.rlim_max);
  Finding out{"Check Open File Limits", State::kOk, "Open file limits are set to " + limit + ".", {}};
  const std::size_t wanted =
      descriptors_wanted({limits::kConnectionsMax, limits::kGrpcConnectionsMax, rpc::kSilentConnectionsMax});
  if (files.rlim_max < wanted) {
    out.state = State::kWarning;
    out.message += " Fewer connections than usual will be taken: raise it to " + std::to_string(wanted) + " or more.";
  }
  return out;
}

Finding swap() {
  std::ifstream swaps("/proc/swaps");
  int lines = 0;
  for (std::string line; std::getline(swaps, line);)
    ++lines;
  if (lines <= 1)
    return {"Check Swap", State::kOk, "No swap is in use.", {}};
  return {"Check Swap", State::kWarning, "Swap is in use: request data may reach the disk.", {}};
}

Finding memory_lock(const Config& config) {
  if (config.disable_mlock)
    return {"Check Memory Lock", State::kWarning, "disable_mlock is set: memory for keys may be swapped out.", {}};
  void* const area = ::mmap(nullptr, kSecretArenaBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const bool locked = area != MAP_FAILED && ::mlock(area, kSecretArenaBytes) == 0;
  if (area != MAP_FAILED)
    ::munmap(area, kSecretArenaBytes);
  if (!locked)
    return {"Check Memory Lock", State::kWarning,
            "memory for keys cannot be locked: raise RLIMIT_MEMLOCK or grant CAP_IPC_LOCK.", {}};
  return {"Check Memory Lock", State::kOk, "", {}};
}

Finding telemetry(const Config& config) {
  if (!config.telemetry)
    return {"Check Telemetry", State::kOk, "Telemetry is using default configuration.", {}};
  if (config.telemetry->prometheus_retention_time <= Nanos(0))
    return {"Check Telemetry", State::kWarning, "prometheus_retention_time is 0: sys/metrics gives no Prometheus text.",
            {}};
  return {"Check Telemetry", State::kOk, "", {}};
}

Finding folder_access(const std::string& path) {
  Finding out{"Check Storage Access", State::kOk, "", {}};
  std::error_code error;
  const fs::path folder = fs::exists(path, error) ? fs::path(path) : fs::absolute(path, error).parent_path();
  if (::access(folder.c_str(), R_OK | W_OK | X_OK) != 0) {
    out.state = State::kFailed;
    out.message = "The storage path cannot be read and written by this user.";
  } else if (const fs::perms others = fs::status(path, error).permissions() & fs::perms::others_all;
             fs::exists(path, error) && others != fs::perms::none) {
    out.state = State::kWarning;
    out.message = "The storage path is open to other users.";
  }
  return out;
}

Finding disk_room(const Config& config) {
  std::error_code error;
  const std::string& path = config.storage->path;
  const std::string existing =
      fs::exists(path, error) ? path : fs::absolute(path, error).parent_path().string();
  const auto free = posix_disk().free_bytes(existing);
  if (!free.ok())
    return {"Check Disk Usage", State::kFailed, "The disk cannot be asked: " + free.status().message(), {}};
  const std::string room = std::to_string(*free >> 20) + " MiB are free.";
  if (*free < static_cast<std::uint64_t>(config.storage->min_free_bytes))
    return {"Check Disk Usage", State::kFailed, room + " Writes would be refused (min_free_bytes).", {}};
  if (*free < 1ull << 30)
    return {"Check Disk Usage", State::kWarning, room, {}};
  return {"Check Disk Usage", State::kOk, room, {}};
}

Finding storage(const Config& config) {
  Finding out{"Check Storage", State::kOk, "", {}};
  if (config.storage->kind == StorageKind::kInmem) {
    out.state = State::kWarning;
    out.message = "Storage in memory is lost when the server ends.";
    return out;
  }
  out.children = {folder_access(config.storage->path), disk_room(config)};
  return out;
}

Finding listener(const ListenerConfig& one, std::size_t number) {
  Finding out{"Check Listener " + std::to_string(number), State::kOk, "", {}};
  if (!one.tls) {
    const bool loopback = one.host == "127.0.0.1" || one.host == "::1" || one.host == "localhost";
    out.children.push_back({"Check TLS", loopback ? State::kOk : State::kWarning,
                            loopback ? "TLS is off; the address is of this host alone."
                                     : "TLS is off: tokens and secrets are sent in the clear.",
                            {}});
  } else {
    const auto tls = http::TlsContext::load(*one.tls);
    out.children.push_back(
        {"Check TLS", tls.ok() ? State::kOk : State::kFailed, tls.ok() ? "" : tls.status().message(), {}});
  }
  const auto bound = listen_tcp(one.host, one.port);
  if (bound.ok())
    ::close(*bound);
  out.children.push_back({"Check Address", bound.ok() ? State::kOk : State::kWarning,
                          bound.ok() ? "" : "The address cannot be bound now: " + bound.status().message(), {}});
  return out;
}

Finding listeners(const Config& config) {
  Finding out{"Check Listeners", State::kOk, "", {}};
  for (std::size_t i = 0; i < config.listeners.size(); ++i)
    out.children.push_back(listener(config.listeners[i], i + 1));
  return out;
}

Finding seals(const RunOptions& options) {
  RunOptions looking = options;  // makes no key
  looking.variable = [&options](const std::string& name) {
    return name == "VAULT_HSM_GENERATE_KEY" ? std::optional<std::string>("false") : options.variable(name);
  };
  const Result<StartOptions> start = start_options(looking);
  if (!start.ok())
    return {"Create Seals", State::kFailed, start.status().message(), {}};
  Finding out{"Create Seals", State::kOk, "The seal is of type " + start->seal_kind + ".", {}};
  if (start->app.automatic_seal != nullptr && start->app.automatic_seal->remote()) {
    const Status works = start->app.automatic_seal->check();
    // A key that is not there yet may be made by init.
    const State state = works.ok() ? State::kOk : works.code() == Code::kDenied ? State::kWarning : State::kFailed;
    out.children.push_back({"Check Seal", state, works.message(), {}});
  }
  // Needed for as long as the store is not migrated.
  if (start->app.former_seal != nullptr && start->app.former_seal->remote()) {
    const Status works = start->app.former_seal->check();
    out.children.push_back({"Check Disabled Seal", works.ok() ? State::kOk : State::kWarning, works.message(), {}});
  }
  return out;
}

std::string lower(std::string text) {
  for (char& c : text)
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  return text;
}

void leave_out(Finding& finding, const std::vector<std::string>& skip) {
  for (Finding& child : finding.children) {
    if (std::ranges::any_of(skip, [&](const std::string& name) { return lower(name) == lower(child.name); }))
      child = {child.name, State::kSkipped, "", {}};
    leave_out(child, skip);
  }
}

constexpr std::string_view kMarks[] = {"[ success ]", "[ warning ]", "[ failure ]", "[ skipped ]"};
constexpr std::string_view kStates[] = {"ok", "warn", "fail", "skipped"};

void append_text(const Finding& finding, int depth, std::string& out) {
  out.append(static_cast<std::size_t>(2 * depth), ' ');
  out.append(kMarks[static_cast<std::size_t>(finding.worst())]).append(" ").append(finding.name);
  if (!finding.message.empty())
    out.append(": ").append(finding.message);
  out.push_back('\n');
  for (const Finding& child : finding.children)
    append_text(child, depth + 1, out);
}

json::Value value_of(json::Arena& arena, const Finding& finding, std::string_view time) {
  json::ObjectBuilder out(arena, 6);
  out.add("time", time).add("name", finding.name);
  out.add("status", kStates[static_cast<std::size_t>(finding.worst())]);
  if (!finding.message.empty())
    out.add("message", finding.message);
  if (!finding.children.empty()) {
    json::ArrayBuilder children(arena);
    for (const Finding& child : finding.children)
      children.add(value_of(arena, child, time));
    out.add("children", children.build());
  }
  return out.build();
}

}  // namespace

Finding::State Finding::worst() const {
  State out = state;
  for (const Finding& child : children) {
    const State below = child.worst();
    if (below != State::kSkipped && below > out)
      out = below;
  }
  return out;
}

Finding diagnose(const RunOptions& options, const std::vector<std::string>& skip) {
  Finding all{options.product + " Diagnose", State::kOk, "", {}};
  all.children.push_back({"Check Operating System", State::kOk, "", {open_files(), swap()}});
  Result<Config> config = load_config(options.config_paths, options.variable);
  Status status = config.status();
  if (status.ok())
    status = validate_config(*config);
  Finding parsed{"Parse Configuration", status.ok() ? State::kOk : State::kFailed, status.message(), {}};
  if (config.ok()) {
    for (const std::string& warning : config->warnings)
      parsed.children.push_back({"Setting", State::kWarning, warning, {}});
    for (const std::string& warning : idle_settings(*config))
      parsed.children.push_back({"Setting", State::kWarning, warning, {}});
  }
  all.children.push_back(std::move(parsed));
  if (status.ok()) {
    for (Finding (*check)(const Config&) : {memory_lock, telemetry, storage, listeners})
      all.children.push_back(check(*config));
    all.children.push_back(seals(options));
  }
  leave_out(all, skip);
  return all;
}

std::string diagnosis_text(const Finding& finding) {
  std::string out;
  append_text(finding, 0, out);
  return out;
}

std::string diagnosis_json(const Finding& finding, std::string_view time) {
  json::Arena arena;
  std::string out;
  json::write_pretty(value_of(arena, finding, time), out);
  return out + "\n";
}

}  // namespace coffer::server
