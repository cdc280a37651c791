// The server's own log file: when it is put aside, and what is kept.
#include "base/log.h"

#include <boost/test/unit_test.hpp>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/log_archive.h"

namespace coffer {
namespace {

namespace fs = std::filesystem;

struct Folder {
  Folder() : path(fs::temp_directory_path() / ("coffer-log-test-" + std::to_string(::getpid()))) {
    fs::create_directories(path);
  }
  ~Folder() { fs::remove_all(path); }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
  }
  std::string all() const {
    std::string text;
    for (const auto& file : fs::directory_iterator(path)) {
      std::stringstream out;
      out << std::ifstream(file.path()).rdbuf();
      text += out.str();
    }
    return text;
  }
  fs::path path;
};

std::unique_ptr<Logger> open(const Folder& folder, int archives_max, std::size_t bytes) {
  Logger::Options options;
  options.file = folder.path / "vault.log";
  options.rotate_bytes = bytes;
  options.archives_max = archives_max;
  auto logger = Logger::open(options);
  BOOST_REQUIRE(logger.ok());
  return std::move(*logger);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(log)

BOOST_AUTO_TEST_CASE(a_large_file_is_put_aside_and_no_line_is_lost) {
  const Folder folder;
  const auto logger = open(folder, 0, 500);
  for (int i = 0; i < 50; ++i)
    logger->info("server", "line " + std::to_string(i) + "|");
  BOOST_TEST(folder.files() > 3u);
  const std::string all = folder.all();
  for (int i = 0; i < 50; ++i)
    BOOST_TEST((all.find("line " + std::to_string(i) + "|") != std::string::npos));
  for (const auto& file : fs::directory_iterator(folder.path))
    BOOST_TEST(fs::file_size(file.path()) <= 600u);
}

BOOST_AUTO_TEST_CASE(so_many_are_kept) {
  for (const int keep : {-1, 1, 3}) {
    const Folder folder;
    const fs::path foreign = folder.path / "vault-other.log";
    std::ofstream(foreign) << "not ours";
    const auto logger = open(folder, keep, 100);
    for (int i = 0; i < 50; ++i)
      logger->info("server", "something was done that takes a line of its own");
    BOOST_TEST(folder.files() == 2u + static_cast<std::size_t>(keep < 0 ? 0 : keep));
    BOOST_TEST(fs::exists(foreign));
  }
}

BOOST_AUTO_TEST_CASE(what_cannot_be_put_aside_stays) {
  const Folder folder;
  BOOST_TEST(!archive_log(folder.path / "nothing.log", 1, -1).ok());
  std::ofstream(folder.path / "a.log") << "now";
  std::ofstream(folder.path / "a-7.log") << "before";
  BOOST_TEST(!archive_log(folder.path / "a.log", 7, 0).ok());
  BOOST_TEST(file_bytes(folder.path / "a.log") == 3u);
  BOOST_TEST(file_bytes(folder.path / "a-7.log") == 6u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer
