#include "tests/sim/campaign.h"

#include <cstdio>
#include <ctime>
#include <fstream>

namespace coffer::sim {
namespace {

std::uint64_t processor_us() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
}

}  // namespace

SimReport Campaign::run(std::uint64_t seed) {
  const std::uint64_t before = processor_us();
  const SimReport report = run_seed(seed, SimOptions());
  sums_["processor_us"] += processor_us() - before;
  sums_["seeds"] += 1;
  sums_["last_seed"] = seed;
  sums_["failures"] += report.failure.empty() ? 0 : 1;
  sums_["simulated_ms"] += static_cast<std::uint64_t>(report.simulated / kMs);
  sums_["operations"] += report.operations;
  sums_["acknowledged"] += report.acknowledged;
  sums_["checked"] += report.checked;
  sums_["handler runs"] += report.runs;
  sums_["speculative runs"] += report.speculative_runs;
  sums_["elections"] += report.elections;
  sums_["leases"] += report.leases;
  sums_["snapshots"] += report.snapshots;
  sums_["restores"] += report.restores;
  sums_["seeds on the real log"] += report.real_log ? 1 : 0;
  for (std::size_t i = 0; i < report.faults.size(); ++i) {
    const std::string name = fault_name(static_cast<Fault>(i));
    sums_["faults " + name] += report.faults[i];
    sums_["seeds with " + name] += report.faults[i] > 0 ? 1 : 0;
  }
  return report;
}

bool Campaign::load(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  while (std::getline(in, line)) {
    if (const std::size_t split = line.rfind('='); split != std::string::npos)
      sums_[line.substr(0, split)] = std::stoull(line.substr(split + 1));
  }
  return !sums_.empty();
}

void Campaign::save(const std::string& path) const {
  const std::string fresh = path + ".new";
  {
    std::ofstream out(fresh);
    for (const auto& [name, sum] : sums_)
      out << name << '=' << sum << '\n';
  }
  std::rename(fresh.c_str(), path.c_str());
}

std::uint64_t Campaign::get(const std::string& name) const {
  const auto it = sums_.find(name);
  return it == sums_.end() ? 0 : it->second;
}

double Campaign::speed() const {
  return static_cast<double>(get("simulated_ms")) * 1e3 /
         static_cast<double>(std::max<std::uint64_t>(get("processor_us"), 1));
}

std::string Campaign::text() const {
  char line[256];
  std::string out;
  std::snprintf(line, sizeof line,
                "%lu seeds (%lu on the real log), %lu failed; %.1f simulated hours, %.0f times real time\n", seeds(),
                get("seeds on the real log"), failures(), static_cast<double>(get("simulated_ms")) / 3.6e6, speed());
  out += line;
  std::snprintf(
      line, sizeof line,
      "%lu operations, %lu acknowledged, %lu checked in histories; %lu speculative runs, %lu elections, %lu leases, "
      "%lu snapshots, %lu restores\n",
      get("operations"), get("acknowledged"), get("checked"), speculative_runs(), get("elections"), get("leases"),
      get("snapshots"), get("restores"));
  out += line;
  for (std::size_t i = 0; i < static_cast<std::size_t>(Fault::kCount); ++i) {
    const std::string name = fault_name(static_cast<Fault>(i));
    std::snprintf(line, sizeof line, "  %-18s %10lu in %5.1f %% of seeds\n", name.c_str(), get("faults " + name),
                  100.0 * static_cast<double>(get("seeds with " + name)) /
                      static_cast<double>(std::max<std::uint64_t>(seeds(), 1)));
    out += line;
  }
  return out;
}

}  // namespace coffer::sim
