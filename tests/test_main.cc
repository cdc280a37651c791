#define BOOST_TEST_MODULE coffer
#include <boost/test/unit_test.hpp>

#include <boost/test/results_collector.hpp>
#include <boost/test/tree/observer.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

namespace unit_test = boost::unit_test;

// Leaves "file::case" of each test case that passed in the file that COFFER_RAN names, so that tools/contracts.py can
// tell what was seen.
class Recorder : public unit_test::test_observer {
 public:
  Recorder() {
    const char* path = std::getenv("COFFER_RAN");
    if (path == nullptr || *path == '\0')
      return;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    record_.open(path, std::ios::trunc);
    unit_test::framework::register_observer(*this);
    registered_ = true;
  }
  ~Recorder() {
    if (registered_)
      unit_test::framework::deregister_observer(*this);
  }

  void test_unit_finish(const unit_test::test_unit& unit, unsigned long) override {
    if (unit.p_type != unit_test::TUT_CASE || !unit_test::results_collector.results(unit.p_id).passed())
      return;
    const std::string file(unit.p_file_name.begin(), unit.p_file_name.end());
    const std::size_t at = file.rfind("tests/");
    record_ << (at == std::string::npos ? file : file.substr(at + 6)) << "::" << unit.p_name.get() << std::endl;
  }
  // After the collector of results, whose word this takes.
  int priority() override { return 10; }

 private:
  std::ofstream record_;
  bool registered_ = false;
};

BOOST_TEST_GLOBAL_FIXTURE(Recorder);

}  // namespace
