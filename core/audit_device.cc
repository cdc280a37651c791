#include "core/audit_device.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <system_error>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "base/wake.h"
#include "core/audit_file.h"
#include "core/audit_socket.h"

namespace coffer::core {
namespace {

constexpr std::chrono::seconds kComplaintInterval{1};
constexpr std::chrono::seconds kFileLookInterval{1};  // whether the file was renamed, or is due to be

Status not_audited(std::string_view why) {
  return Status(Code::kInternal, std::string("failed to audit request: ").append(why));
}

// Whether each line fits into a datagram: one that does not would take the lines of others in its batch with it.
bool fits(const AuditOptions& options, std::string_view lines) {
  if (!options.datagrams() || mutant(Mutant::kAuditDatagramUnchecked))
    return true;
  const std::size_t max =
      options.target == AuditTarget::kUdp ? kAuditUdpLineBytesMax : kAuditSyslogLineBytesMax;
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size() - 1) + 1;
    if (end > max)
      return false;
    lines.remove_prefix(end);
  }
  return true;
}

}  // namespace

struct AuditDevice::State final : Sleeper {
  State(const AuditDeviceConfig& config, const AuditOptions& options_in, const AuditEnvironment& environment_in)
      : path(config.path), options(options_in), environment(environment_in), clock(*environment_in.clock) {}

  void wake() noexcept override { lines_wait.notify_one(); }

  // Device thread. Opens when there is no open file, writes, syncs.
  Status write_batch(std::string_view bytes);
  Status write_once(std::string_view bytes);
  Status open();
  void look_after_file();
  void complain(const Status& status, std::size_t refused);

  const std::string path;
  const AuditOptions options;
  const AuditEnvironment environment;
  const Clock& clock;

  std::mutex mutex;
  std::condition_variable lines_wait;  // the device's thread waits on it
  std::condition_variable ended;       // stop() waits on it
  AuditRing ring;                  // guarded by mutex
  bool sleeping = false;           // guarded by mutex
  bool stopping = false;           // guarded by mutex
  bool over = false;               // the thread has ended; guarded by mutex
  bool reopen = false;             // guarded by mutex
  bool writing = false;            // a batch is out; guarded by mutex
  BootTime writing_since{};        // guarded by mutex
  BootTime complained_at{};        // guarded by mutex
  std::uint64_t complaints = 0;    // guarded by mutex

  std::unique_ptr<AuditFile> file;  // device thread only
  bool torn = false;                // device thread only
  HashChain chain;                  // device thread only
  BootTime opened_at{};             // device thread only
  BootTime looked_at{};             // device thread only
  // Set when options.hash_chain. Not the formatter's, which is gone when a thread that hangs is left behind.
  std::optional<AuditHasher> hasher;

  std::thread thread;               // constructor and stop() only
};

Status write_all(AuditFile& file, std::string_view bytes, bool& torn) {
  if (torn) {
    // Ends the line that was cut off, so that every later line stands alone.
    COFFER_ASSIGN(const std::size_t written, file.write("\n"));
    COFFER_CHECK(written == 1);
    torn = false;
  }
  std::size_t done = 0;
  while (done < bytes.size()) {
    auto written = file.write(bytes.substr(done));
    if (!written.ok()) {
      torn = done != 0 && bytes[done - 1] != '\n';
      return written.status();
    }
    COFFER_CHECK(*written > 0 && *written <= bytes.size() - done);
    done += *written;
  }
  return ok_status();
}

std::string chained_lines(HashChain& chain, const AuditHasher& hasher, std::string_view lines) {
  std::string out;
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    const std::string_view line = lines.substr(0, end);
    HashChain::Link link = chain.next(line);
    link.mark = hasher.hash(link.hash);
    HashChain::append(line, link, out);
    out.push_back('\n');
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return out;
}

Status AuditDevice::State::open() {
  COFFER_ASSIGN(OpenedAuditFile opened, environment.files->open(options, environment.forbidden_folders));
  file = std::move(opened.file);
  opened_at = looked_at = clock.boot_now();
  if (options.remote())
    torn = false;  // a new stream
  else if (options.target == AuditTarget::kFile)
    torn = file->ends_in_part();  // it may be another file than the one that was cut off, or of an earlier life
  if (!options.hash_chain)
    return ok_status();
  // A file that was written to says where its chain is; an empty one is the next of the same chain.
  std::string line;
  if (const auto link = HashChain::read(file->last_line(), line); link.ok())
    chain.resume(*link);
  return ok_status();
}

// Once a second: a file that somebody has renamed or removed is opened anew; one that is large or old is put aside.
void AuditDevice::State::look_after_file() {
  const BootTime now = clock.boot_now();
  const bool sized = options.rotate_bytes != 0 && file->size() >= options.rotate_bytes;
  if (!sized && now - looked_at < kFileLookInterval)
    return;
  looked_at = now;
  if (file->replaced()) {
    file.reset();
    return;
  }
  const bool aged = options.rotate_duration > Nanos(0) && now - opened_at >= options.rotate_duration;
  if (!sized && !aged)
    return;
  const Status rotated = environment.files->rotate(options, environment.forbidden_folders, clock.wall_now());
  if (rotated.ok())
    file.reset();
  else
    complain(rotated.with_context("rotation"), 0);
}

Status AuditDevice::State::write_once(std::string_view bytes) {
  if (!file)
    COFFER_TRY(open());
  const HashChain before = chain;
  Status status = options.hash_chain ? write_all(*file, chained_lines(chain, *hasher, bytes), torn)
                                     : write_all(*file, bytes, torn);
  if (status.ok() && options.sync)
    status = file->sync();
  if (!status.ok()) {
    file.reset();  // a descriptor that has failed once is not trusted again
    chain = before;
  }
  return status;
}

Status AuditDevice::State::write_batch(std::string_view bytes) {
  if (file && options.target == AuditTarget::kFile)
    look_after_file();
  const bool was_open = file != nullptr;
  Status status = write_once(bytes);
  // The other side of a connection may have gone since the last batch; a new one is tried once.
  if (!status.ok() && was_open && options.remote())
    status = write_once(bytes);
  return status;
}

void AuditDevice::State::complain(const Status& status, std::size_t refused) {
  if (!environment.complain)
    return;
  {
    const std::scoped_lock lock(mutex);
    const BootTime now = clock.boot_now();
    if (complaints != 0 && now - complained_at < kComplaintInterval)
      return;
    complained_at = now;
    ++complaints;
  }
  environment.complain("audit log write failed: device " + path + ": " + status.message() + " (" +
                       std::to_string(refused) + " requests refused)");
}

AuditDevice::AuditDevice(const AuditDeviceConfig& config, const AuditOptions& options, Status broken,
                         const AuditEnvironment& environment)
    : formatter_(config.salt, options, environment.running_version),
      state_(std::make_shared<State>(config, options, environment)) {
  if (options.hash_chain)
    state_->hasher.emplace(config.salt);
  if (!broken.ok()) {
    state_->complain(broken, 0);
    state_->stopping = true;
    state_->over = true;
    return;
  }
  try {
    state_->thread = std::thread([state = state_] { run(state); });
  } catch (const std::system_error& error) {
    // Devices are made when their entry is applied, and that cannot fail: this one refuses every line.
    state_->complain(Status(Code::kUnavailable, std::string("no thread could be started: ") + error.what()), 0);
    state_->stopping = true;
    state_->over = true;
    return;
  }
  ::pthread_setname_np(state_->thread.native_handle(), "audit");
}

AuditDevice::~AuditDevice() { stop(); }

const AuditOptions& AuditDevice::options() const noexcept { return state_->options; }

Status AuditDevice::offer(std::string_view lines, AuditTicket& ticket) {
  State& state = *state_;
  if (!fits(state.options, lines))
    return not_audited("a line is longer than the device takes");
  const BootTime now = state.clock.boot_now();
  bool wake = false;
  {
    const std::scoped_lock lock(state.mutex);
    if (state.stopping)
      return not_audited("the device is stopped");
    if (state.writing && now - state.writing_since > limits::kAuditAcceptTimeMax)
      return not_audited("the device does not answer");
    if (!state.ring.offer(lines, ticket, now + limits::kAuditAcceptTimeMax))
      return not_audited("the device's queue is full");
    wake = std::exchange(state.sleeping, false);
  }
  if (wake)
    WakeScope::wake(state_);
  return ok_status();
}

void AuditDevice::run(const std::shared_ptr<State>& state) {
  std::vector<AuditRing::Waiter> waiters;
  std::unique_lock lock(state->mutex);
  for (;;) {
    while (!state->ring.anything_queued() && !state->stopping) {
      state->sleeping = true;
      state->lines_wait.wait(lock);
      state->sleeping = false;
    }
    if (!state->ring.anything_queued())
      break;
    const std::string_view bytes = state->ring.take();
    state->writing = true;
    state->writing_since = state->clock.boot_now();
    if (std::exchange(state->reopen, false))
      state->file.reset();
    lock.unlock();
    const Status written = state->write_batch(bytes);
    lock.lock();
    state->writing = false;
    state->ring.finish_batch(waiters);
    lock.unlock();
    const Status answer = written.ok() ? ok_status() : not_audited("the device's write failed");
    if (!written.ok())
      state->complain(written, waiters.size());
    {
      const WakeScope batch;
      for (AuditRing::Waiter& waiter : waiters)
        waiter.ticket.finish(answer);
      waiters.clear();
    }
    lock.lock();
  }
  state->file.reset();
  state->over = true;
  state->ended.notify_all();
}

void AuditDevice::reopen() {
  const std::scoped_lock lock(state_->mutex);
  state_->reopen = true;
}

void AuditDevice::tick(BootTime now) {
  std::vector<AuditRing::Waiter> due;
  {
    const std::scoped_lock lock(state_->mutex);
    due = state_->ring.give_up(now);
  }
  if (due.empty())
    return;
  const Status answer = not_audited("the device does not answer");
  state_->complain(answer, due.size());
  for (AuditRing::Waiter& waiter : due)
    waiter.ticket.finish(answer);
}

void AuditDevice::stop() {
  State& state = *state_;
  if (!state.thread.joinable())
    return;
  std::vector<AuditRing::Waiter> left;
  bool over = false;
  {
    std::unique_lock lock(state.mutex);
    state.stopping = true;
    state.sleeping = false;
    state.lines_wait.notify_one();
    over = state.ended.wait_for(lock, limits::kAuditAcceptTimeMax, [&state] { return state.over; });
    left = state.ring.drain();
  }
  // A thread inside a write that hangs is left behind with the state that it uses; it ends with the write or with the
  // process.
  if (over)
    state.thread.join();
  else
    state.thread.detach();
  for (AuditRing::Waiter& waiter : left)
    waiter.ticket.finish(not_audited("the server stops"));
}

}  // namespace coffer::core
