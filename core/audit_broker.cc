#include "core/audit_broker.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "core/audit_device.h"
#include "core/audit_file.h"

namespace coffer::core {
namespace {

// Room for the two lines of an ordinary request, so that they grow without moving.
constexpr std::size_t kOrdinaryLinesBytes = 4096;

}  // namespace

AuditDeviceConfig AuditDeviceConfig::clone() const {
  return AuditDeviceConfig{path, type, uuid, description, local, salt.clone(), options};
}

void AuditSet::prepare(Exchange& exchange, AuditPhase phase, const AuditFacts& facts, WallTime now,
                       std::string_view error) {
  if (exchange.audit_set.get() != this || exchange.audit_lines.size() != members_.size()) {
    // Lines that another set has prepared went to its devices.
    exchange.audit_lines.resize(members_.size());
    for (AuditLine& line : exchange.audit_lines)
      line.clear();
    exchange.audit_set = shared_from_this();
  }
  for (std::size_t i = 0; i < members_.size(); ++i) {
    AuditLine& line = exchange.audit_lines[i];
    line.device = static_cast<std::uint32_t>(i);
    if (phase == AuditPhase::kRequest) {
      line.clear();
      if (line.text.capacity() > limits::kAuditLineKeptBytesMax)
        line.text = std::string();
      line.text.reserve(kOrdinaryLinesBytes);
    }
    members_[i].device->formatter().append(exchange, phase, facts, now, error, line);
  }
}

void AuditSet::submit(std::unique_ptr<Exchange> exchange, AuditSink& sink) {
  COFFER_CHECK(members_.empty() || exchange->audit_set.get() == this);
  COFFER_CHECK(exchange->audit_lines.size() == members_.size() || members_.empty());
  if (members_.empty()) {
    sink.audited(std::move(exchange), ok_status());
    return;
  }
  // A device may be done with the exchange, and so with its reference to this set, before submit() returns.
  const std::shared_ptr<const void> keep = exchange->audit_set;
  if (members_.size() == 1) {
    AuditLine& line = exchange->audit_lines[0];
    const std::string_view lines = std::string_view(line.text).substr(line.submitted);
    line.submitted = static_cast<std::uint32_t>(line.text.size());
    AuditTicket ticket(std::move(exchange), sink);
    const Status status = members_[0].device->offer(lines, ticket);
    if (!status.ok())
      ticket.finish(status);
    return;
  }
  // The first device may answer, and the exchange be used anew, before the second is asked.
  std::vector<std::string> lines;
  for (AuditLine& line : exchange->audit_lines) {
    lines.push_back(line.text.substr(line.submitted));
    line.submitted = static_cast<std::uint32_t>(line.text.size());
  }
  auto vote = std::make_shared<AuditVote>(std::move(exchange), sink, static_cast<std::uint32_t>(members_.size()));
  for (std::size_t i = 0; i < members_.size(); ++i) {
    AuditTicket ticket(vote);
    const Status status = members_[i].device->offer(lines[i], ticket);
    if (!status.ok())
      ticket.finish(status);
  }
}

Result<std::string> AuditSet::hash(std::string_view path, std::string_view input) const {
  for (const Member& member : members_) {
    if (member.path == path)
      return member.device->formatter().hasher().hash(input);
  }
  return Status(Code::kNotFound, "no audit device is enabled at this path");
}

AuditRegistry::AuditRegistry(AuditEnvironment environment) : environment_(std::move(environment)) {
  COFFER_CHECK(environment_.clock != nullptr);
  if (!environment_.files)
    environment_.files = posix_audit_files();
}

AuditRegistry::~AuditRegistry() { stop(); }

Status AuditRegistry::probe(const AuditDeviceConfig& config, const AuditOptions& options) {
  auto opened = environment_.files->open(options, environment_.forbidden_folders);
  Status status = opened.status();
  if (status.ok() && !options.skip_test) {
    std::string line;
    const AuditFormatter formatter(config.salt, options, environment_.running_version);
    formatter.append_test(config.uuid, environment_.clock->wall_now(), line);
    bool torn = false;
    // Whoever enables a device waits here, with the others of its connection's thread.
    if (opened->file->ready())
      status = write_all(*opened->file, line, torn);
    else
      status = Status(Code::kIo, "nobody reads what is written to it");
    if (!status.ok() && opened->created)
      environment_.files->remove(options);
  }
  // The system's refusal is about what the caller named, not about the server.
  if (status.code() == Code::kIo)
    return Status(Code::kInvalid, "sanity check failed; unable to open the file for writing: " + status.message());
  return status;
}

std::shared_ptr<AuditSet> AuditRegistry::build(std::span<const AuditDeviceConfig> configs) {
  const std::scoped_lock lock(mutex_);
  std::vector<AuditSet::Member> members;
  std::vector<Entry> kept;
  for (const AuditDeviceConfig& config : configs) {
    const auto known =
        std::find_if(devices_.begin(), devices_.end(), [&](const Entry& e) { return e.uuid == config.uuid; });
    std::shared_ptr<AuditDevice> device;
    if (known != devices_.end()) {
      device = known->device;
    } else {
      auto options = parse_audit_options(config.type, config.options);
      device = std::make_shared<AuditDevice>(config, options.ok() ? *options : AuditOptions(), options.status(),
                                             environment_);
      if (stopped_)
        device->stop();
    }
    kept.push_back(Entry{config.uuid, device});
    members.push_back(AuditSet::Member{config.path, std::move(device)});
  }
  for (Entry& old : devices_) {
    const bool stays = std::any_of(kept.begin(), kept.end(), [&](const Entry& e) { return e.uuid == old.uuid; });
    if (!stays)
      retired_.push_back(std::move(old.device));
  }
  devices_ = std::move(kept);
  return std::make_shared<AuditSet>(std::move(members));
}

std::vector<std::shared_ptr<AuditDevice>> AuditRegistry::all_devices() {
  const std::scoped_lock lock(mutex_);
  std::vector<std::shared_ptr<AuditDevice>> all = retired_;
  for (const Entry& entry : devices_)
    all.push_back(entry.device);
  return all;
}

void AuditRegistry::reopen() {
  for (const auto& device : all_devices())
    device->reopen();
}

void AuditRegistry::tick(BootTime now) {
  for (const auto& device : all_devices())
    device->tick(now);
  std::vector<std::shared_ptr<AuditDevice>> unused;
  {
    const std::scoped_lock lock(mutex_);
    // Only retired_ refers to it: no set does any more, so nobody can begin to.
    const auto first =
        std::partition(retired_.begin(), retired_.end(), [](const auto& d) { return d.use_count() > 1; });
    unused.assign(std::make_move_iterator(first), std::make_move_iterator(retired_.end()));
    retired_.erase(first, retired_.end());
  }
}

void AuditRegistry::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
  }
  for (const auto& device : all_devices())
    device->stop();
}

}  // namespace coffer::core
