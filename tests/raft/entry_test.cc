#include "raft/entry.h"

#include <boost/test/unit_test.hpp>

#include <fstream>

#include "raft/cluster_time.h"

namespace coffer::raft {
namespace {

std::string golden(const char* name) {
  std::ifstream in(std::string("tests/golden/raft/") + name, std::ios::binary);
  BOOST_REQUIRE_MESSAGE(in.good(), name << " is missing");
  return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
}

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (unsigned char c : bytes) {
    out.push_back(kDigits[c >> 4]);
    out.push_back(kDigits[c & 15]);
  }
  return out + "\n";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(entry)

BOOST_AUTO_TEST_CASE(bytes_are_pinned) {
  std::string configuration = encode_configuration({{NodeId(1), NodeId(2), NodeId(0x0102030405060708)}, {NodeId(9)}});
  stamp_entry_time(configuration, WallTime(Nanos(1'700'000'000'123'456'789)));
  BOOST_CHECK_EQUAL(hex(configuration), golden("configuration.hex"));
  std::string data = std::string(kEntryHeaderBytes, '\0') + "body";
  stamp_entry_time(data, WallTime(Nanos(-1)));
  BOOST_CHECK_EQUAL(hex(data), golden("data.hex"));
}

BOOST_AUTO_TEST_CASE(configurations_come_back) {
  const Configuration c{{NodeId(3), NodeId(7)}, {NodeId(1), NodeId(9)}};
  const Result<Configuration> back = decode_configuration(encode_configuration(c).substr(kEntryHeaderBytes));
  BOOST_REQUIRE(back.ok());
  BOOST_CHECK(*back == c);
}

BOOST_AUTO_TEST_CASE(malformed_configurations_are_damage) {
  const std::string good = encode_configuration({{NodeId(1), NodeId(2)}, {NodeId(3)}}).substr(kEntryHeaderBytes);
  for (std::size_t cut = 0; cut < good.size(); ++cut)
    BOOST_CHECK(decode_configuration(good.substr(0, cut)).code() == Code::kDataLoss);
  BOOST_CHECK(decode_configuration(good + "x").code() == Code::kDataLoss);
  std::string twice = good;
  twice[twice.size() - 8] = 2;  // the learner is a voter
  BOOST_CHECK(decode_configuration(twice).code() == Code::kDataLoss);
  store::LogRecord shorter{Index(1), Term(1), 1, std::make_shared<const std::string>("1234567")};
  BOOST_CHECK(entry_time(shorter).code() == Code::kDataLoss);
  BOOST_CHECK(entry_body(shorter).empty());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(cluster_time)

BOOST_AUTO_TEST_CASE(never_goes_back_and_slews) {
  const auto at = [](std::int64_t ms) { return BootTime(std::chrono::milliseconds(ms)); };
  const auto wall = [](std::int64_t ms) { return WallTime(std::chrono::milliseconds(ms)); };
  ClusterTime time(wall(1'000'000), at(0));
  time.lead(at(0), wall(2'000'000));  // has just started: takes the later
  BOOST_CHECK(time.now(at(0)) == wall(2'000'000));
  time.steer(at(0), wall(1'000'000));  // the operator sets the clock back
  BOOST_CHECK(time.wall_lead() == std::chrono::seconds(-1'000));
  BOOST_CHECK(time.now(at(10'000)) == wall(2'009'000));  // 0.9
  time.steer(at(10'000), wall(3'000'000));
  BOOST_CHECK(time.now(at(20'000)) == wall(2'020'000));  // 1.1
  time.observe(wall(2'000'000), at(20'000));  // a leader that is behind
  BOOST_CHECK(time.now(at(30'000)) == wall(2'029'000));
  time.observe(wall(5'000'000), at(30'000));  // one that is ahead is followed at once
  BOOST_CHECK(time.now(at(30'000)) == wall(5'000'000));
  BOOST_CHECK(time.now(at(29'000)) == wall(5'000'000));
}

BOOST_AUTO_TEST_CASE(a_leader_that_was_running_goes_on_from_there) {
  const auto at = [](std::int64_t s) { return BootTime(std::chrono::seconds(s)); };
  const auto wall = [](std::int64_t s) { return WallTime(std::chrono::seconds(s)); };
  ClusterTime time(wall(100), at(0));
  time.observe(wall(200), at(1));
  time.lead(at(2), wall(9'000));
  BOOST_CHECK(time.now(at(2)) == wall(201));
  BOOST_CHECK(time.wall_lead() > ClusterTime::kWarnDifference);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::raft
