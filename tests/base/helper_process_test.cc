#include "base/helper_process.h"

#include <signal.h>
#include <sys/wait.h>

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <string>

namespace coffer {
namespace {

constexpr Nanos kLong = std::chrono::seconds(20);

struct Fixture {
  std::unique_ptr<HelperProcess> start(std::vector<std::string> environment = {}) {
    return HelperProcess::start({"test-helper", std::move(environment), COFFER_TEST_HELPER}).value();
  }
  std::string text(HelperProcess& helper, std::string_view request) {
    const Result<SecretBytes> answer = helper.call(request, kLong);
    return answer.ok() ? std::string(answer->reveal_text()) : answer.status().message();
  }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(helper_process_test, Fixture)

BOOST_AUTO_TEST_CASE(it_answers_as_often_as_it_is_asked) {
  const auto helper = start();
  for (const std::size_t size : {std::size_t{1}, std::size_t{70'000}, kHelperFrameBytesMax - 1}) {
    const std::string request(size, 'x');
    BOOST_TEST((text(*helper, request) == request));
  }
  BOOST_TEST(text(*helper, "nothing") == "");
  const Result<SecretBytes> refused = helper->call("refuse", kLong);
  BOOST_TEST((refused.code() == Code::kInvalid));
  BOOST_TEST(refused.status().message() == "not this one");
  BOOST_TEST(text(*helper, "still there") == "still there");
  BOOST_TEST((helper->call(std::string(kHelperFrameBytesMax + 1, 'x'), kLong).code() == Code::kTooLarge));
  BOOST_TEST(helper->alive());
}

BOOST_AUTO_TEST_CASE(one_that_ends_or_says_too_much_is_over) {
  for (const std::string_view request : {"crash", "exit", "much"}) {
    const auto helper = start();
    const pid_t pid = helper->pid();
    const Result<SecretBytes> answer = helper->call(request, kLong);
    BOOST_TEST((answer.code() == Code::kUnavailable));
    BOOST_TEST(answer.status().message().starts_with("test-helper: "));
    BOOST_TEST(!helper->alive());
    BOOST_TEST(::kill(pid, 0) == -1);  // not even a zombie
    BOOST_TEST((helper->call("more", kLong).code() == Code::kUnavailable));
  }
}

BOOST_AUTO_TEST_CASE(one_that_hangs_is_killed_after_its_time) {
  const auto helper = start();
  BOOST_TEST(text(*helper, "ready") == "ready");
  const pid_t pid = helper->pid();
  BOOST_TEST((helper->call("hang", std::chrono::milliseconds(50)).code() == Code::kUnavailable));
  BOOST_TEST(::kill(pid, 0) == -1);
}

// One descriptor and the null device, and the environment that is given; no core, no more memory than it may have.
BOOST_AUTO_TEST_CASE(it_inherits_nothing_else) {
  ::setenv("COFFER_TEST_SECRET", "s3cret", 1);
  std::ifstream open("/proc/self/stat");
  const auto helper = start({"GIVEN=yes"});
  BOOST_TEST(text(*helper, "inherited") == "0 1 2 3 GIVEN=yes ");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  BOOST_TEST(text(*helper, "memory") == "none");
#endif
}

// A server that is killed leaves no helper behind, whatever that was doing.
BOOST_AUTO_TEST_CASE(it_ends_with_its_parent) {
  int told[2];
  BOOST_REQUIRE(::pipe(told) == 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    const auto helper = start();
    const pid_t pid = helper->pid();
    if (!helper->call("ready", kLong).ok() || ::write(told[1], &pid, sizeof(pid)) != sizeof(pid))
      ::_exit(1);
    static_cast<void>(helper->call("hang", kLong));
    ::_exit(1);
  }
  pid_t helper = 0;
  BOOST_REQUIRE(::read(told[0], &helper, sizeof(helper)) == sizeof(helper));
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  // It is nobody's child that could be waited for: its place in /proc tells, a zombie's until it is reaped.
  const std::string stat = "/proc/" + std::to_string(helper) + "/stat";
  for (;;) {
    std::ifstream file(stat);
    std::string line;
    if (!std::getline(file, line) || line.find(") Z") != std::string::npos)
      break;
  }
  ::close(told[0]);
  ::close(told[1]);
}

BOOST_AUTO_TEST_CASE(a_program_that_is_not_there) {
  BOOST_TEST((HelperProcess::start({"x", {}, "/nonexistent"}).code() == Code::kIo));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer
