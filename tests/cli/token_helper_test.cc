#include "cli/token_helper.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

namespace coffer::cli {
namespace {

// A home folder that goes away with the test.
struct Home {
  std::string path = "/tmp/coffer-cli-XXXXXX";
  Invocation invocation;
  Home() {
    BOOST_REQUIRE(mkdtemp(path.data()) != nullptr);
    invocation.env = [this](const char* name) -> const char* {
      return std::string(name) == "HOME" ? path.c_str() : nullptr;
    };
  }
  ~Home() { std::filesystem::remove_all(path); }
  void write(const std::string& name, const std::string& text) { std::ofstream(path + "/" + name) << text; }
};

BOOST_AUTO_TEST_SUITE(token_helper)

BOOST_AUTO_TEST_CASE(file_is_private_and_replaced) {
  Home home;
  auto helper = default_token_helper(home.invocation);
  BOOST_REQUIRE(helper.ok());
  BOOST_TEST(*(*helper)->get() == "");
  home.write(".vault-token", "an older token\n");
  BOOST_TEST(*(*helper)->get() == "an older token");
  BOOST_REQUIRE((*helper)->store("hvs.new").ok());
  BOOST_TEST(*(*helper)->get() == "hvs.new");
  struct stat info {};
  BOOST_REQUIRE(stat((home.path + "/.vault-token").c_str(), &info) == 0);
  BOOST_TEST((info.st_mode & 0777) == 0600u);
  BOOST_REQUIRE((*helper)->erase().ok());
  BOOST_TEST(*(*helper)->get() == "");
  BOOST_REQUIRE((*helper)->erase().ok());
}

BOOST_AUTO_TEST_CASE(external_program) {
  Home home;
  home.write("helper.sh", "#!/bin/sh\ncase $1 in get) cat " + home.path + "/kept;; store) cat > " + home.path +
                              "/kept;; *) exit 3;; esac\n");
  chmod((home.path + "/helper.sh").c_str(), 0700);
  home.write(".vault", "token_helper = \"" + home.path + "/helper.sh\"\n");
  auto helper = default_token_helper(home.invocation);
  BOOST_REQUIRE(helper.ok());
  BOOST_REQUIRE((*helper)->store("hvs.kept").ok());
  BOOST_TEST(*(*helper)->get() == "hvs.kept");
  BOOST_TEST(!(*helper)->erase().ok());
  BOOST_TEST(!std::filesystem::exists(home.path + "/.vault-token"));
}

// More than a pipe holds, so that the write meets the closed end whenever the program is gone.
BOOST_AUTO_TEST_CASE(a_program_that_reads_nothing) {
  Home home;
  home.write("helper.sh", "#!/bin/sh\ncase $1 in store) exit 0;; *) exit 3;; esac\n");
  chmod((home.path + "/helper.sh").c_str(), 0700);
  home.write(".vault", "token_helper = \"" + home.path + "/helper.sh\"\n");
  auto helper = default_token_helper(home.invocation);
  BOOST_REQUIRE(helper.ok());
  BOOST_TEST((*helper)->store(std::string(1 << 20, 't')).ok());
}

BOOST_AUTO_TEST_CASE(relative_program_is_refused) {
  Home home;
  home.write(".vault", "token_helper = \"helper\"\n");
  BOOST_TEST((default_token_helper(home.invocation).code() == Code::kInvalid));
}

BOOST_AUTO_TEST_CASE(unwritable_place) {
  Home home;
  std::filesystem::create_directory(home.path + "/.vault-token");
  home.write(".vault-token/x", "");
  auto helper = default_token_helper(home.invocation);
  BOOST_REQUIRE(helper.ok());
  BOOST_TEST(!(*helper)->store("t").ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::cli
