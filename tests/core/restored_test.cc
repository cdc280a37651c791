// The log's entry of a replaced state, what a replacement leaves in the state, and what a stream must hold.
#include "core/restored.h"

#include <boost/test/unit_test.hpp>
#include <fstream>

#include "base/encoding.h"
#include "core/layout.h"
#include "raft/entry.h"
#include "store/memory_backend.h"

namespace coffer::core {
namespace {

std::string golden(const char* name) {
  std::ifstream in(std::string("tests/golden/raft/") + name, std::ios::binary);
  BOOST_REQUIRE_MESSAGE(in.good(), name << " is missing");
  return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
}

std::string system_key(store::KeyClass cls, std::string_view rest) {
  return store::make_key(cls, layout::kRootNamespace, layout::kSystemMount, rest);
}

ReplacedEntry example() {
  ReplacedEntry entry;
  for (char c = 0; c < static_cast<char>(kStreamDigestBytes); ++c)
    entry.digest.push_back(c);
  Member member;
  member.id = "node-a";
  member.number = member_number(member.id);
  member.cluster_address = "a.example:8201";
  member.api_address = "https://a.example:8200";
  member.version = "1.0";
  entry.members = {member};
  return entry;
}

RestoreScan whole_state() {
  RestoreScan scan;
  scan.see(system_key(store::KeyClass::kClusterLocal, layout::kSealConfig), "seal");
  scan.see(system_key(store::KeyClass::kClusterLocal, layout::kClusterInfo), "cluster");
  scan.see(system_key(store::KeyClass::kShared, layout::kKeyring), "keyring");
  return scan;
}

BOOST_AUTO_TEST_SUITE(restored)

BOOST_AUTO_TEST_CASE(the_entry_is_pinned_and_comes_back) {
  std::string payload = encode_replaced(example());
  raft::stamp_entry_time(payload, WallTime(Nanos(1'700'000'000'123'456'789)));
  BOOST_TEST(hex_encode(payload) + "\n" == golden("replaced.hex"));
  const std::string_view body = std::string_view(payload).substr(raft::kEntryHeaderBytes);
  const Result<ReplacedEntry> back = decode_replaced(body);
  BOOST_REQUIRE(back.ok());
  BOOST_TEST(back->digest == example().digest);
  BOOST_TEST((back->members == example().members));
}

BOOST_AUTO_TEST_CASE(a_malformed_entry_is_damage) {
  const std::string good = encode_replaced(example()).substr(raft::kEntryHeaderBytes);
  for (std::size_t size = 0; size < good.size(); ++size)
    BOOST_TEST((decode_replaced(std::string_view(good).substr(0, size)).code() == Code::kDataLoss));
  BOOST_TEST((decode_replaced(good + "x").code() == Code::kDataLoss));
  std::string other = good;
  other[0] = 2;
  BOOST_TEST((decode_replaced(other).code() == Code::kDataLoss));
}

BOOST_AUTO_TEST_CASE(the_state_tells_of_its_last_replacement) {
  RestoreScan scan = whole_state();
  const std::string gone = system_key(store::KeyClass::kShared, layout::member_record(5));
  scan.see(gone, "member");
  BOOST_TEST(scan.verdict().ok());
  BOOST_TEST(scan.seal_record() == "seal");
  RaftGroupRecord group{Index(7), WallTime(Nanos(9)), {{raft::NodeId(1)}, {}}};
  const std::vector<store::Op> ops = scan.changes(group, example().members);
  store::MemoryBackend backend;
  const store::Op before{gone, "member"};
  backend.apply(Index(6), {&before, 1});
  backend.apply(Index(7), ops);
  backend.publish(nullptr);
  const auto view = std::move(backend.view()).value();
  std::string value;
  BOOST_TEST(!std::move(view->get(gone, value)).value());
  BOOST_REQUIRE(std::move(view->get(restore_key(), value)).value());
  BOOST_TEST(hex_encode(value) + "\n" == golden("restored.hex"));
  const auto record = std::move(read_restore(*view)).value();
  BOOST_REQUIRE(record.has_value());
  BOOST_TEST((record->index == Index(7)));
  BOOST_TEST((record->members == example().members));
  const auto stored = std::move(read_group(*view)).value();
  BOOST_REQUIRE(stored.has_value());
  BOOST_TEST((stored->index == group.index && stored->time == group.time));
  BOOST_TEST((stored->configuration == group.configuration));
  const store::Op damage{restore_key(), "x"};
  backend.apply(Index(8), {&damage, 1});
  backend.publish(nullptr);
  BOOST_TEST((read_restore(*std::move(backend.view()).value()).code() == Code::kDataLoss));
}

BOOST_AUTO_TEST_CASE(only_the_state_of_an_initialized_server_is_taken) {
  BOOST_TEST((RestoreScan().verdict().code() == Code::kInvalid));
  RestoreScan two;
  two.see(system_key(store::KeyClass::kClusterLocal, layout::kSealConfig), "seal");
  two.see(system_key(store::KeyClass::kShared, layout::kKeyring), "keyring");
  BOOST_TEST((two.verdict().code() == Code::kInvalid));
  RestoreScan crowded = whole_state();
  for (std::uint64_t i = 0; i <= kMembersMax; ++i)
    crowded.see(system_key(store::KeyClass::kShared, layout::member_record(i + 1)), "member");
  BOOST_TEST((crowded.verdict().code() == Code::kInvalid));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::core
