#include "server/instruments.h"

#include <fstream>
#include <utility>

#include <malloc.h>
#include <unistd.h>

#include "base/time_text.h"

namespace coffer::server {
namespace {

// "2026-11-22 12:07:40 +0000 UTC", as Go prints a time.
std::string go_time(WallTime now) {
  std::string text = format_time(now);  // 2026-11-22T12:07:40.…Z
  text.resize(19);
  text[10] = ' ';
  return text + " +0000 UTC";
}

void add_process(metrics::Reading& reading) {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  if (statm >> size >> resident) {
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    reading.gauges.push_back({"vault.runtime.sys_bytes", static_cast<double>(resident * page)});
  }
  // What is in use: without the rooms that the allocator keeps for later, so that growth shows at once.
  const struct mallinfo2 heap = ::mallinfo2();
  reading.gauges.push_back({"vault.runtime.alloc_bytes", static_cast<double>(heap.uordblks + heap.hblkhd)});
  std::ifstream status("/proc/self/status");
  std::string word;
  double threads = 0;
  while (status >> word)
    if (word == "Threads:" && status >> threads)
      break;
  reading.gauges.push_back({"vault.runtime.num_threads", threads});
}

template <typename Rows>
void rename(Rows& rows, const std::string& prefix) {
  constexpr std::string_view kOwn = "vault.";
  for (auto& row : rows)
    if (row.name.starts_with(kOwn))
      row.name = prefix + (prefix.empty() ? "" : ".") + row.name.substr(kOwn.size());
}

}  // namespace

ServerInstruments::ServerInstruments(TelemetryOptions options, std::string sanitized_config, Ports ports)
    : options_(std::move(options)),
      sanitized_config_(std::move(sanitized_config)),
      ports_(std::move(ports)),
      started_ns_(metrics::now_ns()) {}

metrics::Reading ServerInstruments::read() const {
  metrics::Reading reading;
  metrics::read(reading);
  ports_.gauges(reading);
  if (ports_.usage != nullptr) {
    reading.gauges.push_back({"vault.token.count", static_cast<double>(ports_.usage->tokens())});
    reading.gauges.push_back(
        {"vault.expire.num_irrevocable_leases", static_cast<double>(ports_.usage->irrevocable())});
    reading.gauges.push_back({"vault.expire.num_leases", static_cast<double>(ports_.usage->leases())});
    for (metrics::Reading::Gauge& gauge : ports_.usage->gauges())
      reading.gauges.push_back(std::move(gauge));
  }
  add_process(reading);
  if (options_.prefix != "vault") {
    rename(reading.gauges, options_.prefix);
    rename(reading.counters, options_.prefix);
    rename(reading.summaries, options_.prefix);
  }
  return reading;
}

std::string ServerInstruments::prometheus() const {
  return options_.enabled ? metrics::prometheus_text(read(), options_.labels) : std::string();
}

std::string ServerInstruments::metrics_json() const {
  const double up = static_cast<double>(metrics::now_ns() - started_ns_) / 1e9;
  return metrics::json_text(read(), go_time(ports_.clock.wall_now()), up);
}

std::string ServerInstruments::host_info() const { return host_info_json(ports_.clock); }

}  // namespace coffer::server
