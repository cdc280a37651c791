#include "rpc/steady_waits.h"

#include <absl/synchronization/mutex.h>
#include <dlfcn.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <thread>

#include "base/clock.h"

namespace coffer::rpc {
namespace {

// What the shared library of gRPC's locks finds under the name.
std::string file_that_defines(const char* name) {
  Dl_info info{};
  void* const symbol = dlsym(RTLD_DEFAULT, name);
  BOOST_REQUIRE_MESSAGE(symbol != nullptr, name << " is not exported");
  BOOST_REQUIRE(dladdr(symbol, &info) != 0);
  return info.dli_fname;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(steady_waits)

BOOST_AUTO_TEST_CASE(the_programs_own_function_is_used) {
  wait_steadily();
  const std::string file = file_that_defines("AbslInternalPerThreadSemWait_debian3");
  BOOST_CHECK_MESSAGE(file.find("libabsl") == std::string::npos, file);
}

BOOST_AUTO_TEST_CASE(waits_end_when_they_should) {
  constexpr std::chrono::milliseconds span{50};
  absl::Mutex mutex;
  absl::CondVar changed;
  const BootTime begun = system_clock().boot_now();
  mutex.Lock();
  const bool timed_out = changed.WaitWithTimeout(&mutex, absl::FromChrono(span));
  mutex.Unlock();
  BOOST_CHECK(timed_out);
  BOOST_CHECK(system_clock().boot_now() - begun >= span);
}

// As one that was made just before the clock went back.
BOOST_AUTO_TEST_CASE(no_wait_is_longer_than_some_seconds) {
  absl::Mutex mutex;
  absl::CondVar changed;
  const BootTime begun = system_clock().boot_now();
  mutex.Lock();
  BOOST_CHECK(changed.WaitWithTimeout(&mutex, absl::Hours(24)));
  mutex.Unlock();
  BOOST_CHECK(system_clock().boot_now() - begun < std::chrono::minutes(1));
}

BOOST_AUTO_TEST_CASE(a_signal_ends_a_wait_without_a_bound) {
  absl::Mutex mutex;
  absl::CondVar changed;
  bool ready = false;
  std::thread other([&] {
    const absl::MutexLock lock(&mutex);
    ready = true;
    changed.Signal();
  });
  mutex.Lock();
  while (!ready)
    changed.Wait(&mutex);
  mutex.Unlock();
  other.join();
  BOOST_CHECK(ready);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::rpc
