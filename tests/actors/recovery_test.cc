// Recovering a group whose majority is gone.
#include "actors/recovery.h"

#include <boost/test/unit_test.hpp>

#include "raft/entry.h"
#include "store/memory_backend.h"
#include "tests/raft/memory_log.h"

namespace coffer::actors {
namespace {

const raft::NodeId kA(1), kB(2), kC(3);

store::LogRecord record(Index index, Term term, raft::EntryKind kind, std::string payload) {
  raft::stamp_entry_time(payload, WallTime{});
  return {index, term, static_cast<std::uint8_t>(kind), std::make_shared<const std::string>(std::move(payload))};
}

// The log of a member whose last entry is of `last`.
void fill(testing::MemoryLog& log, Term last, Term known) {
  const store::LogRecord records[] = {
      record(Index(1), Term(1), raft::EntryKind::kConfiguration, raft::encode_configuration({{kA, kB, kC}, {}})),
      record(Index(2), last, raft::EntryKind::kData, std::string(raft::kEntryHeaderBytes, '\0') + "x")};
  BOOST_REQUIRE(log.append(records).ok());
  store::HardState hard;
  hard.term = known;
  BOOST_REQUIRE(log.save_hard_state(hard).ok());
}

Term recovered(Term last, Term known, raft::NodeId self) {
  testing::MemoryLog log;
  fill(log, last, known);
  const store::MemoryBackend backend;
  const auto plan = std::move(plan_recovery(backend, log, self, {{kA, kB}, {}})).value();
  BOOST_REQUIRE(recover_group(log, backend, plan, {{kA, kB}, {}}).ok());
  BOOST_TEST((log.last_index() == Index(3) && log.last_term() == plan.term && log.hard_state().term == plan.term));
  return plan.term;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(recovery)

BOOST_AUTO_TEST_CASE(equal_logs_get_equal_entries) {
  BOOST_TEST((recovered(Term(5), Term(7), kA) == recovered(Term(5), Term(7), kB)));
  BOOST_TEST((recovered(Term(5), Term(7), kA) > Term(7)));
}

// Raft takes logs that share an entry's index and term for equal before it.
BOOST_AUTO_TEST_CASE(different_logs_never_share_the_new_entry) {
  BOOST_TEST((recovered(Term(5), Term(7), kA) != recovered(Term(6), Term(7), kB)));
  const std::uint64_t twice = recovered(Term(5), Term(7), kA).get();
  BOOST_TEST((recovered(Term(twice), Term(twice + 3), kA) != recovered(Term(twice + 1), Term(twice + 3), kB)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::actors
