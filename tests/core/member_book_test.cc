// Whom a node admits, and for how long.
#include <boost/test/unit_test.hpp>

#include "core/member_book.h"

namespace coffer::core {
namespace {

const raft::NodeId kA(1), kB(2), kC(3), kD(4);

Member member(raft::NodeId number, const char* address = "127.0.0.1:8201") {
  Member out;
  out.number = number;
  out.id = "n" + std::to_string(number.get());
  out.cluster_address = address;
  return out;
}

std::vector<raft::NodeId> numbers(MemberBook& book) {
  std::vector<raft::NodeId> out;
  for (const Member& one : book.all())
    out.push_back(one.number);
  return out;
}

using Numbers = std::vector<raft::NodeId>;

}  // namespace

BOOST_AUTO_TEST_SUITE(member_book)

BOOST_AUTO_TEST_CASE(guests_stay_until_the_state_knows_all) {
  MemberBook book;
  book.invite({member(kA), member(kB)});
  BOOST_TEST((numbers(book) == Numbers{kA, kB}));
  book.publish({member(kA)});
  BOOST_TEST((numbers(book) == Numbers{kA, kB}));
  book.publish({member(kA), member(kB)});
  BOOST_TEST((numbers(book) == Numbers{kA, kB}));
  book.publish({member(kA)});  // kB was removed
  BOOST_TEST((numbers(book) == Numbers{kA}));
}

BOOST_AUTO_TEST_CASE(who_asks_while_nobody_leads_is_admitted) {
  MemberBook book;
  book.publish({member(kA), member(kB)});
  BOOST_TEST(!book.ask(member(kB)));  // known
  BOOST_TEST(book.ask(member(kC)));
  BOOST_TEST(!book.ask(member(kC)));
  BOOST_TEST((numbers(book) == Numbers{kA, kB, kC}));
  BOOST_TEST(!book.settle(raft::kNobody, {{kA, kB}, {}}));  // it may lead yet, though this log does not name it
}

BOOST_AUTO_TEST_CASE(who_asked_stays_while_the_log_brings_its_record) {
  MemberBook book;
  book.publish({member(kA), member(kB)});
  BOOST_TEST(book.ask(member(kC)));
  BOOST_TEST(!book.settle(kC, {{kA, kB}, {}}));      // it leads: what names it comes from it
  BOOST_TEST(!book.settle(kB, {{kA, kB, kC}, {}}));  // the log names it
  book.publish({member(kA), member(kB), member(kC)});
  BOOST_TEST(!book.settle(kB, {{kA, kB, kC}, {}}));  // forgotten when the state told
  book.publish({member(kA), member(kB)});
  BOOST_TEST((numbers(book) == Numbers{kA, kB}));
}

BOOST_AUTO_TEST_CASE(who_was_removed_is_forgotten_once_another_leads) {
  MemberBook book;
  book.publish({member(kA), member(kB)});
  BOOST_TEST(book.ask(member(kD)));
  BOOST_TEST(book.settle(kB, {{kA, kB}, {}}));
  BOOST_TEST((numbers(book) == Numbers{kA, kB}));
}

BOOST_AUTO_TEST_CASE(an_askers_address_is_newer_than_the_states) {
  MemberBook book;
  book.publish({member(kA), member(kB)});
  BOOST_TEST(book.ask(member(kB, "127.0.0.1:9201")));
  BOOST_TEST((book.all()[1].cluster_address == "127.0.0.1:9201"));
  BOOST_TEST(book.ask(member(kB, "127.0.0.1:9301")));
  BOOST_TEST((book.all()[1].cluster_address == "127.0.0.1:9301" && book.all().size() == 2u));
  book.publish({member(kA), member(kB)});  // nothing new
  BOOST_TEST((book.all()[1].cluster_address == "127.0.0.1:9301"));
  book.publish({member(kA), member(kB, "127.0.0.1:9401")});  // it moved again, and the leader has stored that
  BOOST_TEST((book.all()[1].cluster_address == "127.0.0.1:9401" && book.all().size() == 2u));
}

// Of three with one dead the leader needs the other, and its answers must go where that one is now.
BOOST_AUTO_TEST_CASE(a_voter_that_moved_stays_where_it_says_until_the_state_says_so) {
  MemberBook book;
  book.publish({member(kA), member(kB), member(kC)});
  BOOST_TEST(book.ask(member(kB, "127.0.0.1:9201")));
  BOOST_TEST(!book.settle(kA, {{kA, kB, kC}, {}}));
  BOOST_TEST((book.all()[1].cluster_address == "127.0.0.1:9201"));
  book.publish({member(kA), member(kB, "127.0.0.1:9201"), member(kC)});
  BOOST_TEST(!book.settle(kA, {{kA, kB, kC}, {}}));
  BOOST_TEST((book.all()[1].cluster_address == "127.0.0.1:9201" && book.all().size() == 3u));
  BOOST_TEST(book.ask(member(kB, "127.0.0.1:9301")));
  BOOST_TEST(book.settle(kA, {{kA, kC}, {}}));  // it was removed
  BOOST_TEST((book.all()[1].cluster_address == "127.0.0.1:9201"));
}

BOOST_AUTO_TEST_CASE(no_more_askers_than_a_cluster_has_members) {
  MemberBook book;
  for (std::uint64_t i = 0; i < kMembersMax; ++i)
    BOOST_TEST(book.ask(member(raft::NodeId(i + 1))));
  BOOST_TEST(!book.ask(member(raft::NodeId(kMembersMax + 1))));
  BOOST_TEST(book.ask(member(kA, "127.0.0.1:9201")));  // who asked already may move
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::core
