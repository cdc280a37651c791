#include <chrono>
#include <cstdio>
#include <cstdlib>
#include "tests/sim/world.h"
int main(int argc, char** argv) {
  using namespace coffer::sim;
  const std::uint64_t a = std::strtoull(argv[1], nullptr, 10), b = std::strtoull(argv[2], nullptr, 10);
  (void)argc;
  auto t = std::chrono::steady_clock::now();
  std::uint64_t ops = 0, ev = 0; Time simt = 0; int bad = 0;
  for (std::uint64_t s = a; s <= b; ++s) {
    SimReport r = run_seed(s, {});
    ops += r.operations; ev += r.events; simt += r.simulated;
    if (!r.failure.empty()) { ++bad; std::printf("seed %lu FAILED: %.300000s\n", s, r.failure.c_str()); }
    else if (a == b || getenv("V")) std::printf("seed %lu trace %016lx sim %.1fs events %lu ops %lu acked %lu checked %lu runs %lu elections %lu crashes %lu leases %lu snaps %lu changes %lu recovery %.0fms\n", s, r.trace, r.simulated/1e9, r.events, r.operations, r.acknowledged, r.checked, r.runs, r.elections, r.crashes, r.leases, r.snapshots, r.changes, r.recovery/1e6);
  }
  double d = std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count();
  std::printf("%lu seeds %d bad %.2fs %.1f ms each, %.0fx, %.0f events/seed %.0f ops/seed\n", b-a+1, bad, d, d*1e3/(b-a+1), simt/1e9/d, double(ev)/(b-a+1), double(ops)/(b-a+1));
}
