#include "core/audit_broker.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/hash_chain.h"
#include "base/mutant.h"
#include "base/wake.h"
#include "core/audit_device.h"
#include "core/audit_file.h"

namespace coffer::core {
namespace {

// What enabling a device may wait for: a connection to one address, or a look-up of a name.
constexpr std::chrono::nanoseconds kTrialTimeMax = limits::kAuditAcceptTimeMax + std::chrono::seconds(1);
constexpr unsigned kTrialsLeftBehindMax = 8;

// Room for the two lines of an ordinary request, so that they grow without moving.
constexpr std::size_t kOrdinaryLinesBytes = 4096;

// A request as a device's filter sees it.
class FilteredRequest final : public AuditFilterSubject {
 public:
  FilteredRequest(const Exchange& exchange, const AuditFacts& facts) : request_(exchange.request), facts_(facts) {}

  void values(std::string_view selector, std::vector<std::string_view>& out) const override {
    if (selector == "mount_point")
      out.push_back(facts_.mount_point);
    else if (selector == "mount_type")
      out.push_back(facts_.mount_type);
    else if (selector == "namespace")
      out.push_back(facts_.namespace_path);
    else if (selector == "operation")
      out.push_back(audit_operation_name(request_, facts_));
    else if (selector == "path")
      out.push_back(facts_.path.empty() ? request_.path.view() : facts_.path);
  }

 private:
  const Request& request_;
  const AuditFacts& facts_;
};

}  // namespace

AuditSet::AuditSet(std::vector<Member> members) : members_(std::move(members)) {
  for (const Member& member : members_)
    filtered_ = filtered_ || member.device->options().filter || member.device->options().fallback;
}

// Who gets this request: each device whose filter lets it pass; what nobody else gets, the fallback.
void AuditSet::choose(const Exchange& exchange, const AuditFacts& facts, std::vector<bool>& chosen) const {
  chosen.assign(members_.size(), true);
  if (!filtered_)
    return;
  const FilteredRequest subject(exchange, facts);
  bool anybody = false;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    const AuditOptions& options = members_[i].device->options();
    chosen[i] = !options.fallback && (!options.filter || options.filter->matches(subject));
    anybody = anybody || chosen[i];
  }
  for (std::size_t i = 0; i < members_.size(); ++i)
    chosen[i] = chosen[i] || (members_[i].device->options().fallback && !anybody);
}

AuditDeviceConfig AuditDeviceConfig::clone() const {
  return AuditDeviceConfig{path, type, uuid, description, local, declared, salt.clone(), options};
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
  std::vector<bool> chosen;
  if (filtered_)
    choose(exchange, facts, chosen);
  for (std::size_t i = 0; i < members_.size(); ++i) {
    AuditLine& line = exchange.audit_lines[i];
    line.device = static_cast<std::uint32_t>(i);
    if (filtered_ && !chosen[i]) {
      if (phase == AuditPhase::kRequest)
        line.clear();
      continue;
    }
    if (phase == AuditPhase::kRequest) {
      line.clear();
      if (line.text.capacity() > limits::kAuditLineKeptBytesMax)
        line.text = std::string();
      line.text.reserve(kOrdinaryLinesBytes);
    }
    const std::size_t like = mutant(Mutant::kDeviceOptionsShared) ? 0 : i;
    members_[like].device->formatter().append(exchange, phase, facts, now, error, line);
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
  if (members_.size() == 1 && !filtered_) {
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
  const std::size_t asked = lines.size() - static_cast<std::size_t>(std::ranges::count(lines, std::string()));
  if (asked == 0) {  // the filters of all devices let it go, as the operator said
    sink.audited(std::move(exchange), ok_status());
    return;
  }
  auto vote = std::make_shared<AuditVote>(std::move(exchange), sink, static_cast<std::uint32_t>(asked));
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (lines[i].empty())
      continue;
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

// Opens, and writes the test line; on a thread that may be left behind.
struct AuditRegistry::Trial {
  AuditDeviceConfig config;
  AuditOptions options;
  std::shared_ptr<AuditFileSystem> files;
  std::vector<std::string> forbidden_folders;
  std::vector<std::string> taken;  // files of other devices
  std::string line;                // empty: only opened
  std::shared_ptr<std::atomic<unsigned>> left_behind;

  std::mutex mutex;
  std::condition_variable changed;
  bool given_up = false;           // guarded by mutex: nobody waits any more
  std::optional<Status> outcome;   // guarded by mutex

  Status write_test(AuditFile& file) {
    if (options.hash_chain) {
      const AuditHasher hasher(config.salt);
      HashChain chain;
      std::string last;
      if (const auto link = HashChain::read(file.last_line(), last); link.ok())
        chain.resume(*link);
      line = chained_lines(chain, hasher, line);
    }
    bool torn = file.ends_in_part();
    return file.ready() ? write_all(file, line, torn) : Status(Code::kIo, "nobody reads what is written to it");
  }

  void run() {
    auto opened = files->open(options, forbidden_folders);
    Status status = opened.status();
    if (status.ok() && std::ranges::any_of(taken, [&](const std::string& path) { return opened->file->is_at(path); }))
      status = Status(Code::kInvalid, "file_path: another device writes to this file");
    else if (status.ok() && !line.empty())
      status = write_test(*opened->file);
    const std::lock_guard lock(mutex);
    if (opened.ok() && opened->created && (given_up || !status.ok()))
      files->remove(options);
    if (given_up)
      left_behind->fetch_sub(1);
    outcome = status;
    changed.notify_all();
  }
};

Status AuditRegistry::try_device(const AuditDeviceConfig& config, const AuditOptions& options) {
  if (left_behind_->load() >= kTrialsLeftBehindMax)
    return Status(Code::kUnavailable, "too many earlier tries still wait for the system");
  auto trial = std::make_shared<Trial>();
  trial->config = config.clone();
  trial->options = options;
  trial->options.write_timeout = std::min<Nanos>(options.write_timeout, limits::kAuditAcceptTimeMax);  // somebody waits
  trial->files = environment_.files;
  trial->forbidden_folders = environment_.forbidden_folders;
  trial->left_behind = left_behind_;
  for (const auto& device : all_devices())
    if (device->options().target == AuditTarget::kFile && options.target == AuditTarget::kFile)
      trial->taken.push_back(device->options().file_path);
  if (!options.skip_test)
    AuditFormatter(config.salt, options, environment_.running_version)
        .append_test(config.uuid, environment_.clock->wall_now(), trial->line);
  std::thread thread;
  try {
    thread = std::thread([trial] { trial->run(); });
  } catch (const std::system_error& error) {
    return Status(Code::kUnavailable, std::string("no thread could be started: ") + error.what());
  }
  WakeScope::now();
  Status status;
  {
    std::unique_lock lock(trial->mutex);
    trial->changed.wait_for(lock, kTrialTimeMax, [&] { return trial->outcome.has_value(); });
    if (!trial->outcome) {
      // A name server or a disk that does not answer: the thread ends when they do.
      trial->given_up = true;
      left_behind_->fetch_add(1);
      thread.detach();
      return Status(Code::kIo, "the system did not answer in time");
    }
    status = *trial->outcome;
  }
  thread.join();
  return status;
}

Status AuditRegistry::probe(const AuditDeviceConfig& config, const AuditOptions& options) {
  const Status status = try_device(config, options);
  if (status.ok())
    return status;
  if (environment_.complain)
    environment_.complain("audit device " + config.path + " was not enabled: " + status.message());
  // What stands where on the server is nobody's to find out by trying (rule R7).
  std::string text = options.target == AuditTarget::kFile
                         ? "sanity check failed; file_path: unable to open the file for writing, or it is no audit log;"
                         : "sanity check failed; unable to reach what the device writes to;";
  text += mutant(Mutant::kAuditProbeTellsWhy) ? " " + status.message() : " the server's log says why";
  return Status(Code::kInvalid, text);
}

std::vector<AuditDeviceConfig> AuditRegistry::declared(
    const std::function<SecretBytes(std::string_view purpose)>& derive) const {
  std::vector<AuditDeviceConfig> out;
  if (!environment_.declared)
    return out;
  for (const AuditDeviceConfig& config : *environment_.declared) {
    out.push_back(config.clone());
    out.back().declared = true;
    out.back().uuid = "declared " + config.path;
    out.back().salt = derive("audit device " + config.path);
  }
  return out;
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
