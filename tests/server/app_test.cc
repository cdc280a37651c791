// A node as it is composed, without its command line.
#include "server/app.h"

#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

namespace coffer::server {
namespace {

std::set<std::string> thread_names() {
  std::set<std::string> names;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "comm");
    std::string name;
    if (std::getline(file, name))
      names.insert(name);
  }
  return names;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(app)

// Members are destroyed after stop(), one after the other: a thread that is left would use some that are gone.
BOOST_AUTO_TEST_CASE(no_thread_of_its_own_outlives_stop) {
  const auto logger = Logger::open({.level = LogLevel::kError});
  BOOST_REQUIRE(logger.ok());
  AppOptions options;
  http::Listener listener;
  listener.port = 0;
  options.http.listeners.push_back(std::move(listener));
  rpc::Listener grpc;
  grpc.port = 0;
  options.rpc.listeners.push_back(std::move(grpc));
  const auto app = App::start(std::move(options), **logger, [](const Status&) {});
  BOOST_REQUIRE_MESSAGE(app.ok(), app.status().message());
  BOOST_REQUIRE((*app)->init_dev().ok());
  BOOST_TEST(thread_names().contains("usage"));
  (*app)->stop();
  for (const std::string& name : thread_names())
    BOOST_TEST(!(name == "usage" || name == "audit" || name == "flusher" || name == "otlp"), name << " is left");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::server
