#include "core/lifecycle.h"

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iterator>

#include "store/memory_backend.h"
#include "tests/core/core_fixture.h"

namespace coffer::core {
namespace {

using testing::CountingRandom;
using testing::FakeCommitter;

class Inline final : public ApplierPort {
 public:
  void on_applier(std::function<void()> step, std::function<void()> then) override {
    step();
    then();
  }
};

AuditEnvironment audit_environment(const Clock& clock) {
  AuditEnvironment environment;
  environment.clock = &clock;
  return environment;
}

// A node that was never initialized, with a log that can be read.
struct Fixture : private Home {
  Fixture() {
    auto opened = Logger::open({LogLevel::kInfo, false, log_path});
    BOOST_REQUIRE(opened.ok());
    logger = std::move(*opened);
    Lifecycle::Info info;
    info.storage_type = "inmemory";
    lifecycle = std::make_unique<Lifecycle>(
        info, Lifecycle::Ports{backend, committer, applier, deriver, nullptr, random, clock, *logger, [] { return Index(); },
                               [] { return Index(); }, [](bool) {}});
    lifecycle->begin();
  }
  ~Fixture() { ::unlink(log_path.c_str()); }

  void resume_later(std::unique_ptr<Exchange>) override {}
  void respond(std::unique_ptr<Exchange> exchange) override { answered = std::move(exchange); }

  void init() {
    auto exchange = std::make_unique<Exchange>();
    exchange->home = this;
    exchange->request.operation = Operation::kWrite;
    auto path = CanonicalPath::from_text("sys/init");
    BOOST_REQUIRE(path.ok());
    exchange->request.path = std::move(*path);
    exchange->request.data =
        json::ObjectBuilder(exchange->arena, 2).add("secret_shares", std::int64_t{1}).add("secret_threshold", std::int64_t{1}).build();
    BOOST_REQUIRE(lifecycle->handle(exchange));
    BOOST_REQUIRE(answered != nullptr);
  }
  std::string log() {
    logger.reset();
    std::ifstream in(log_path);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::string log_path = "/tmp/coffer-lifecycle-test-" + std::to_string(::getpid()) + ".log";
  ManualClock clock;
  CountingRandom random;
  store::MemoryBackend backend;
  EngineRegistry engines;
  AuditRegistry audit{audit_environment(clock)};
  StateDeriver deriver{engines, audit, SystemConfig{}};
  FakeCommitter committer{backend, deriver};
  Inline applier;
  std::unique_ptr<Logger> logger;
  std::unique_ptr<Lifecycle> lifecycle;
  std::unique_ptr<Exchange> answered;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(lifecycle)

BOOST_FIXTURE_TEST_CASE(what_failed_inside_an_init_is_logged_and_not_told, Fixture) {
  for (const Code code : {Code::kDataLoss, Code::kIo, Code::kInternal}) {
    committer.forced.push_back({CommitOutcome::kRefused, Status(code, "detail of the disk")});
    init();
    BOOST_TEST(answered->response.status == 500);
    BOOST_REQUIRE(answered->response.errors.size() == 1u);
    BOOST_TEST(answered->response.errors[0] == "internal error");
  }
  random.failing = true;
  init();
  BOOST_TEST(answered->response.errors[0] == "internal error");
  const std::string text = log();
  BOOST_TEST(text.find("cannot initialize: detail of the disk") != std::string::npos);
  BOOST_TEST(text.find("no randomness") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(why_an_init_was_refused_is_told, Fixture) {
  committer.leading = false;
  init();
  BOOST_TEST(answered->response.status == 503);
  BOOST_TEST(answered->response.errors[0] == "this node does not lead yet");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::core
