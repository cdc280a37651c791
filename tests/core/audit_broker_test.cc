#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <future>
#include <thread>

#include "core/audit_device.h"
#include "tests/core/audit_fixture.h"
#include "tests/mutant_on.h"

namespace coffer {
namespace {

using core::AuditDeviceConfig;
using core::AuditPhase;
using testing::AuditedRead;
using testing::CollectingSink;
using testing::FakeAuditFiles;

// A clock that the test and a device's thread may use at once.
class SharedClock final : public Clock {
 public:
  WallTime wall_now() const override { return WallTime(std::chrono::seconds(1795315230)); }
  BootTime boot_now() const override { return BootTime(Nanos(boot_.load())); }
  void advance(Nanos by) { boot_ += by.count(); }

 private:
  std::atomic<std::int64_t> boot_{1'000'000'000};
};

AuditDeviceConfig config_of(std::string path, std::string uuid,
                            std::vector<std::pair<std::string, std::string>> options) {
  AuditDeviceConfig config;
  config.path = std::move(path);
  config.type = "file";
  config.uuid = std::move(uuid);
  config.salt = testing::test_salt(config.uuid[0]);
  config.options = std::move(options);
  return config;
}

struct Devices {
  Devices() : registry(environment()) {}

  core::AuditEnvironment environment() {
    core::AuditEnvironment made;
    made.complain = [this](std::string_view line) {
      const std::scoped_lock lock(complaints_mutex);
      complaints.emplace_back(line);
    };
    made.clock = &clock;
    made.files = files;
    return made;
  }
  std::shared_ptr<core::AuditSet> one(std::vector<std::pair<std::string, std::string>> more = {}) {
    more.emplace_back("file_path", "a.log");
    std::vector<AuditDeviceConfig> configs;
    configs.push_back(config_of("file/", "1", std::move(more)));
    return registry.build(configs);
  }
  // Prepares both lines of a read and submits them.
  void send(core::AuditSet& set, std::string_view id = "2b83dec2-3dc4-461a-a60e-b78bb3a877c7") {
    AuditedRead read(id);
    set.prepare(*read.exchange, AuditPhase::kRequest, read.facts, read.now, {});
    set.prepare(*read.exchange, AuditPhase::kResponse, read.facts, read.now, {});
    set.submit(std::move(read.exchange), sink);
  }
  std::string content() {
    const std::scoped_lock lock(files->mutex);
    return files->content;
  }

  SharedClock clock;
  std::shared_ptr<FakeAuditFiles> files = std::make_shared<FakeAuditFiles>();
  std::mutex complaints_mutex;
  std::vector<std::string> complaints;
  CollectingSink sink;
  core::AuditRegistry registry;
};

std::size_t lines_in(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

BOOST_FIXTURE_TEST_SUITE(audit_broker, Devices)

BOOST_AUTO_TEST_CASE(without_a_device_everything_passes) {
  auto set = registry.build({});
  BOOST_TEST(!set->any_device());
  send(*set);
  BOOST_TEST(sink.await(1)[0].ok());
  BOOST_TEST((set->hash("file/", "x").code() == Code::kNotFound));
}

BOOST_AUTO_TEST_CASE(a_request_is_answered_when_its_lines_are_written) {
  auto set = one();
  BOOST_TEST(set->any_device());
  send(*set);
  BOOST_TEST(sink.await(1)[0].ok());
  BOOST_TEST(lines_in(content()) == 2u);
  BOOST_TEST(content().find("hvs.CAES") == std::string::npos);
  BOOST_TEST(files->syncs == 0);
}

BOOST_AUTO_TEST_CASE(request_and_response_can_be_submitted_one_after_the_other) {
  auto set = one();
  AuditedRead read;
  set->prepare(*read.exchange, AuditPhase::kRequest, read.facts, read.now, {});
  set->submit(std::move(read.exchange), sink);
  BOOST_TEST(sink.await(1)[0].ok());
  BOOST_TEST(lines_in(content()) == 1u);
  auto exchange = sink.take_last();
  set->prepare(*exchange, AuditPhase::kResponse, read.facts, read.now, {});
  set->submit(std::move(exchange), sink);
  BOOST_TEST(sink.await(2)[1].ok());
  BOOST_TEST(lines_in(content()) == 2u);
  BOOST_TEST(content().find(R"("type":"response")") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_line_can_be_prepared_after_the_lines_were_thrown_away) {
  auto set = one();
  AuditedRead read;
  set->prepare(*read.exchange, AuditPhase::kRequest, read.facts, read.now, {});
  read.exchange->audit_lines.clear();
  set->prepare(*read.exchange, AuditPhase::kResponse, read.facts, read.now, "refused");
  set->submit(std::move(read.exchange), sink);
  BOOST_TEST(sink.await(1)[0].ok());
  BOOST_TEST(lines_in(content()) == 1u);
}

BOOST_AUTO_TEST_CASE(what_comes_while_a_batch_is_written_is_the_next_batch) {
  auto set = one();
  files->set_blocked(true);
  send(*set, "id-0");
  files->await_blocked_write();
  for (int i = 1; i <= 20; ++i)
    send(*set, "id-" + std::to_string(i));
  BOOST_TEST(sink.count() == 0u);
  files->set_blocked(false);
  sink.await(21);
  BOOST_TEST(files->writes.size() == 2u);
  BOOST_TEST(lines_in(content()) == 42u);
  const std::vector<std::string> ids = sink.ids();
  BOOST_REQUIRE_EQUAL(ids.size(), 21u);
  for (int i = 0; i <= 20; ++i) {
    BOOST_TEST(ids[i] == "id-" + std::to_string(i));
    BOOST_TEST(content().find("\"id-" + std::to_string(i) + "\"") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(sync_reaches_the_disk_before_the_answer) {
  auto set = one({{"sync", "true"}});
  send(*set);
  sink.await(1);
  BOOST_TEST(files->syncs == 1);
}

BOOST_AUTO_TEST_CASE(short_writes_go_on_where_they_ended) {
  files->piece = 7;
  auto set = one();
  send(*set);
  BOOST_TEST(sink.await(1)[0].ok());
  BOOST_TEST(lines_in(content()) == 2u);
  BOOST_TEST(files->writes.size() > 100u);
}

BOOST_AUTO_TEST_CASE(a_full_disk_refuses_requests_and_leaves_whole_lines_behind) {
  files->room = 100;
  auto set = one();
  send(*set);
  BOOST_TEST(!sink.await(1)[0].ok());
  BOOST_TEST((sink.await(1)[0].code() == Code::kInternal));
  BOOST_TEST(sink.await(1)[0].message() == "failed to audit request: the device's write failed");
  {
    const std::scoped_lock lock(complaints_mutex);
    BOOST_REQUIRE(complaints.size() == 1u);
    BOOST_TEST(complaints[0] ==
               "audit log write failed: device file/: write: No space left on device (1 requests refused)");
  }
  {
    const std::scoped_lock lock(files->mutex);
    files->room = SIZE_MAX;
  }
  send(*set);
  BOOST_TEST(sink.await(2)[1].ok());
  // The line that was cut off ends before the next begins.
  BOOST_TEST(lines_in(content()) == 3u);
  BOOST_TEST(content().substr(100, 10) == "\n{\"time\":\"");
  BOOST_TEST(files->opens == 2);
}

BOOST_AUTO_TEST_CASE(a_broken_pipe_refuses_requests) {
  files->write_fails = Status(Code::kIo, "write: Broken pipe");
  auto set = one();
  send(*set);
  BOOST_TEST(!sink.await(1)[0].ok());
}

BOOST_AUTO_TEST_CASE(a_file_that_does_not_open_refuses_requests_until_it_does) {
  files->open_fails = Status(Code::kIo, "file_path: Permission denied");
  auto set = one();
  BOOST_TEST(set->any_device());
  send(*set);
  BOOST_TEST(!sink.await(1)[0].ok());
  {
    const std::scoped_lock lock(files->mutex);
    files->open_fails = ok_status();
  }
  send(*set);
  BOOST_TEST(sink.await(2)[1].ok());
}

BOOST_AUTO_TEST_CASE(a_row_that_cannot_be_read_fails_closed) {
  auto set = one({{"mode", "0777"}});
  BOOST_TEST(set->any_device());
  send(*set);
  BOOST_TEST(!sink.await(1)[0].ok());
  BOOST_TEST(content().empty());
}

BOOST_AUTO_TEST_CASE(one_device_of_two_is_enough) {
  auto broken = std::make_shared<FakeAuditFiles>();
  std::vector<AuditDeviceConfig> configs;
  configs.push_back(config_of("bad/", "1", {{"mode", "0777"}, {"file_path", "a"}}));
  configs.push_back(config_of("good/", "2", {{"file_path", "b"}}));
  auto set = registry.build(configs);
  send(*set);
  BOOST_TEST(sink.await(1)[0].ok());
  BOOST_TEST(lines_in(content()) == 2u);
}

BOOST_AUTO_TEST_CASE(each_device_has_its_own_key_and_options) {
  std::vector<AuditDeviceConfig> configs;
  configs.push_back(config_of("a/", "1", {{"file_path", "a"}}));
  configs.push_back(config_of("b/", "2", {{"file_path", "b"}, {"log_raw", "true"}}));
  auto set = registry.build(configs);
  BOOST_TEST(*set->hash("a/", "x") != *set->hash("b/", "x"));
  BOOST_TEST(*set->hash("a/", "x") == *set->hash("a/", "x"));
  AuditedRead read;
  set->prepare(*read.exchange, AuditPhase::kRequest, read.facts, read.now, {});
  BOOST_TEST(read.exchange->audit_lines[0].text.find("hvs.CAES") == std::string::npos);
  BOOST_TEST(read.exchange->audit_lines[0].text.find(*set->hash("a/", read.exchange->request.token)) !=
             std::string::npos);
  BOOST_TEST(read.exchange->audit_lines[1].text.find("hvs.CAES") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_device_that_hangs_is_given_up_and_refuses_at_once) {
  auto set = one();
  files->set_blocked(true);
  send(*set);
  files->await_blocked_write();
  registry.tick(clock.boot_now());
  BOOST_TEST(sink.count() == 0u);
  clock.advance(limits::kAuditAcceptTimeMax + std::chrono::seconds(1));
  registry.tick(clock.boot_now());
  BOOST_REQUIRE(sink.count() == 1u);
  BOOST_TEST(sink.await(1)[0].message() == "failed to audit request: the device does not answer");
  send(*set);
  BOOST_REQUIRE(sink.count() == 2u);
  BOOST_TEST(!sink.await(2)[1].ok());
  files->set_blocked(false);
  // The hung write ends some time; then the device serves again.
  for (std::size_t tries = 0; tries < 100000; ++tries) {
    send(*set);
    const std::vector<Status> answers = sink.await(3 + tries);
    if (answers.back().ok())
      break;
    std::this_thread::yield();
  }
  BOOST_TEST(sink.await(3).back().ok());
}

BOOST_AUTO_TEST_CASE(a_hung_device_does_not_freeze_the_others) {
  std::vector<AuditDeviceConfig> configs;
  configs.push_back(config_of("a/", "1", {{"file_path", "a"}}));
  configs.push_back(config_of("discard/", "2", {{"file_path", "b"}}));
  files->set_blocked(true);
  auto set = registry.build(configs);
  send(*set);
  files->await_blocked_write();
  BOOST_TEST(sink.count() == 0u);
  clock.advance(limits::kAuditAcceptTimeMax + std::chrono::seconds(1));
  registry.tick(clock.boot_now());
  BOOST_TEST(sink.count() == 1u);
  files->set_blocked(false);
}

BOOST_AUTO_TEST_CASE(reopen_opens_the_file_before_the_next_batch) {
  auto set = one();
  send(*set);
  sink.await(1);
  BOOST_TEST(files->opens == 1);
  registry.reopen();
  BOOST_TEST(files->opens == 1);
  send(*set);
  BOOST_TEST(sink.await(2)[1].ok());
  BOOST_TEST(files->opens == 2);
}

BOOST_AUTO_TEST_CASE(a_device_is_kept_across_builds_and_freed_when_unused) {
  auto first = one();
  send(*first);
  sink.await(1);
  auto second = one();
  send(*second);
  sink.await(2);
  BOOST_TEST(files->opens == 1);
  auto none = registry.build({});
  BOOST_TEST(!none->any_device());
  registry.tick(clock.boot_now());
  send(*first);  // a request that began before the device was disabled
  BOOST_TEST(sink.await(3)[2].ok());
  first.reset();
  second.reset();
  while (sink.count() != 0 && !sink.ids().empty())
    sink.take_last();  // the last references to the old sets
  registry.tick(clock.boot_now());
  auto again = one();
  send(*again);
  sink.await(4);
  BOOST_TEST(files->opens == 2);
}

BOOST_AUTO_TEST_CASE(stop_writes_what_is_queued_and_refuses_the_rest) {
  auto set = one();
  files->set_blocked(true);
  send(*set, "id-0");
  files->await_blocked_write();
  send(*set, "id-1");
  files->set_blocked(false);
  registry.stop();
  BOOST_TEST(sink.count() == 2u);
  BOOST_TEST(lines_in(content()) == 4u);
  send(*set);
  BOOST_TEST(!sink.await(3)[2].ok());
}

BOOST_AUTO_TEST_CASE(probe_writes_the_test_line) {
  const AuditDeviceConfig config = config_of("file/", "1", {{"file_path", "a"}});
  auto options = core::parse_audit_options("file", config.options);
  BOOST_REQUIRE(options.ok());
  BOOST_TEST(registry.probe(config, *options).ok());
  BOOST_TEST(content() == R"({"time":"2026-11-22T02:40:30Z","type":"request","auth":{"token_type":"default"},)"
                          R"("request":{"id":"1",)"
                          R"("operation":"update","namespace":{"id":"root"},"path":"sys/audit/test"}})" "\n");
  options->skip_test = true;
  BOOST_TEST(registry.probe(config, *options).ok());
  BOOST_TEST(lines_in(content()) == 1u);
}

BOOST_AUTO_TEST_CASE(probe_names_what_is_wrong_and_leaves_nothing) {
  const AuditDeviceConfig config = config_of("file/", "1", {{"file_path", "a"}});
  const auto options = core::parse_audit_options("file", config.options);
  files->room = 10;
  const Status full = registry.probe(config, *options);
  BOOST_TEST((full.code() == Code::kInvalid));
  const std::string uniform = full.message();
  BOOST_TEST(uniform.starts_with("sanity check failed; file_path: unable to open the file for writing"));
  BOOST_TEST(uniform.find("No space") == std::string::npos);
  BOOST_TEST(files->removed == 1);
  files->open_fails = Status(Code::kInvalid, "file_path: must be a regular file");
  // Whatever stands there: one answer, and the log knows more.
  BOOST_TEST(registry.probe(config, *options).message() == uniform);
  BOOST_TEST(complaints.back().find("must be a regular file") != std::string::npos);
  const testing::ScopedMutant mutant(Mutant::kAuditProbeTellsWhy);
  BOOST_TEST(registry.probe(config, *options).message() != uniform);
}

BOOST_AUTO_TEST_CASE(probe_does_not_wait_for_who_does_not_read) {
  const AuditDeviceConfig config = config_of("file/", "1", {{"file_path", "stdout"}});
  const auto options = core::parse_audit_options("file", config.options);
  files->set_blocked(true);
  auto probed = std::async(std::launch::async, [&] { return registry.probe(config, *options); });
  const bool at_once = probed.wait_for(std::chrono::seconds(10)) == std::future_status::ready;
  files->set_blocked(false);
  BOOST_TEST(at_once);
  BOOST_TEST(probed.get().message().starts_with("sanity check failed; "));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer
