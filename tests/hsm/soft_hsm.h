// A token of SoftHSM2 in a folder of its own, and the module that plants faults in front of it (tests/hsm/faulty.c).
#pragma once

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "hsm/client.h"

namespace coffer::hsm::testing {

inline constexpr const char* kSoftHsm = "/usr/lib/softhsm/libsofthsm2.so";
inline constexpr const char* kPin = "4711-4711";

class SoftHsm {
 public:
  SoftHsm() {
    char name[] = "/tmp/coffer-hsm-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(name) != nullptr);
    folder_ = name;
    std::filesystem::create_directory(folder_ + "/tokens");
    std::ofstream(folder_ + "/softhsm2.conf") << "directories.tokendir = " << folder_ << "/tokens\nlog.level = ERROR\n";
    run("softhsm2-util --init-token --free --label coffer --so-pin 1234-1234 --pin " + std::string(kPin));
  }
  ~SoftHsm() { std::filesystem::remove_all(folder_); }
  SoftHsm(const SoftHsm&) = delete;
  SoftHsm& operator=(const SoftHsm&) = delete;

  void run(const std::string& command) const {
    const std::string text = "SOFTHSM2_CONF=" + folder_ + "/softhsm2.conf " + command + " >" + folder_ + "/out 2>&1";
    BOOST_REQUIRE_MESSAGE(std::system(text.c_str()) == 0, command);
  }
  // pkcs11-tool, logged in.
  void tool(const std::string& arguments) const {
    run(std::string("pkcs11-tool --module ") + kSoftHsm + " --token-label coffer --login --pin " + kPin + " " +
        arguments);
  }
  void remove_token() const { std::filesystem::rename(folder_ + "/tokens", folder_ + "/away"); }
  void put_token_back() const { std::filesystem::rename(folder_ + "/away", folder_ + "/tokens"); }

  // The next `count` calls of a function ("*": of any) return the value, or "crash", or "hang".
  void plant(const std::string& function, const std::string& value, int count = 1) const {
    std::ofstream(folder_ + "/faults") << function << " " << value << " " << count << "\n";
  }
  // How many of them have not happened yet.
  int left() const {
    std::ifstream file(folder_ + "/faults");
    std::string function, value;
    int count = 0;
    file >> function >> value >> count;
    return count;
  }

  Settings settings() const {
    Settings out;
    out.library = kSoftHsm;
    out.token_label = "coffer";
    out.pin = SecretBytes::copy_of(std::string_view(kPin));
    out.key.label = "seal";
    out.generate_key = true;
    out.oaep_hash = "sha1";  // all that SoftHSM2 has
    return out;
  }
  std::vector<std::string> environment() const {
    return {"SOFTHSM2_CONF=" + folder_ + "/softhsm2.conf", "PKCS11_FAULTS_FILE=" + folder_ + "/faults"};
  }

 private:
  std::string folder_;
};

}  // namespace coffer::hsm::testing
