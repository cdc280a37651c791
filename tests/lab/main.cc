// The server with one engine more, for tests and benchmarks of leases (tests/lab/leased_users.h). Its system outside is
// a folder, COFFER_LAB_USERS, with a file for each user; it ships nowhere.
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/server_command.h"
#include "tests/lab/leased_users.h"

namespace {

using namespace coffer;

class Folder final : public core::testing::UserSystem {
 public:
  explicit Folder(std::string path) : path_(std::move(path)) {}
  Status create(const std::string& user, Nanos) override {
    std::ofstream file(path_ + "/" + user);
    file << user;
    return file.flush() ? ok_status() : Status(Code::kInvalid, "the user was not made");
  }
  Status drop(const std::string& user) override {
    return ::unlink((path_ + "/" + user).c_str()) == 0 || errno == ENOENT
               ? ok_status()
               : Status(Code::kUnavailable, "the user was not dropped");
  }

 private:
  std::string path_;
};

}  // namespace

int main(int argc, char** argv) {
  const char* folder = std::getenv("COFFER_LAB_USERS");
  Folder users(folder == nullptr ? "." : folder);
  const std::unique_ptr<core::Engine> engine = core::testing::make_fake_engine(users);
  return cli::run(cli::process_invocation(argc, argv), {cli::server_command({engine.get()}), cli::diagnose_command()});
}
