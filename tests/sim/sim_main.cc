// Runs seeds of the cluster simulator:
//   sim_run --seeds A..B [--report] [--state FILE] [--trace]
// --state resumes after the last seed that FILE records and goes on recording there. --trace prints a line a seed. Exit
// code 1 when a seed failed; its number runs it again, exactly.
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/sim/campaign.h"

namespace {

using namespace coffer::sim;

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t last = 100;
  bool report = false;
  bool trace = false;
  std::string state;
};

bool parse(int argc, char** argv, Arguments& out) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--report") {
      out.report = true;
    } else if (argument == "--trace") {
      out.trace = true;
    } else if (argument == "--state" && i + 1 < argc) {
      out.state = argv[++i];
    } else if (argument == "--seeds" && i + 1 < argc) {
      if (std::sscanf(argv[++i], "%" SCNu64 "..%" SCNu64, &out.first, &out.last) != 2 || out.first > out.last)
        return false;
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fprintf(stderr, "usage: sim_run --seeds A..B [--report] [--state FILE] [--trace]\n");
    return 2;
  }
  Campaign campaign;
  std::uint64_t seed = arguments.first;
  if (!arguments.state.empty() && campaign.load(arguments.state))
    seed = std::max(seed, campaign.last_seed() + 1);
  std::uint64_t unsaved = 0;
  for (; seed <= arguments.last; ++seed) {
    const SimReport report = campaign.run(seed);
    if (arguments.trace)
      std::printf("seed %" PRIu64 " trace %016" PRIx64 " %s\n", seed, report.trace,
                  report.failure.empty() ? "ok" : "FAILED");
    if (!report.failure.empty()) {
      std::printf("seed %" PRIu64 " trace %016" PRIx64 " failed %s\n", seed, report.trace, report.failure.c_str());
      std::fflush(stdout);  // an interrupted campaign must not take the failing seed with it
    }
    if (!arguments.state.empty() && ++unsaved == 100) {
      unsaved = 0;
      campaign.save(arguments.state);
      std::fprintf(stderr, "\rseed %" PRIu64 " of %" PRIu64, seed, arguments.last);
    }
  }
  if (!arguments.state.empty())
    campaign.save(arguments.state);
  if (arguments.report)
    std::fputs(campaign.text().c_str(), stdout);
  return campaign.failures() == 0 ? 0 : 1;
}
