// Every file of tests/raft/scenarios is a conversation with a cluster: lines that begin with "> " are commands, what
// follows is what the cluster did. COFFER_REWRITE=1 writes the answers anew; the diff is then what changed in
// behaviour.
#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/mutant_on.h"
#include "tests/raft/scenario.h"

namespace coffer::testing {
namespace {

constexpr const char* kFolder = "tests/raft/scenarios";

std::vector<std::filesystem::path> files() {
  std::vector<std::filesystem::path> out;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".txt")
      out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

// The file with fresh answers. `broken` when an invariant did not hold.
std::string replay(const std::string& text, bool& broken) {
  std::istringstream in(text);
  std::string out;
  Scenario scenario;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("> "))
      out += line + "\n" + scenario.run(line.substr(2));
    else if (line.empty() || line.starts_with("#"))
      out += line + "\n";
  }
  broken = scenario.broken();
  return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(scenarios)

BOOST_AUTO_TEST_CASE(transcripts_hold) {
  const char* rewrite = std::getenv("COFFER_REWRITE");
  const std::vector<std::filesystem::path> all = files();
  BOOST_CHECK_GE(all.size(), 25u);
  for (const std::filesystem::path& path : all) {
    std::ifstream in(path);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    bool broken = false;
    const std::string fresh = replay(text, broken);
    BOOST_CHECK_MESSAGE(!broken, path << " breaks an invariant");
    if (rewrite != nullptr && *rewrite == '1')
      std::ofstream(path) << fresh;
    else
      BOOST_CHECK_MESSAGE(fresh == text, path << " went another way:\n" << fresh);
  }
}

// Who counts both lives alike never sends the second what only the first had.
BOOST_AUTO_TEST_CASE(lives_that_look_alike_are_found) {
  std::ifstream in(std::string(kFolder) + "/rolled_back.txt");
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const ScopedMutant on(Mutant::kLivesAlike);
  bool broken = false;
  BOOST_TEST(replay(text, broken) != text);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::testing
