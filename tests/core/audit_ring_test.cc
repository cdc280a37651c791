#include <boost/test/unit_test.hpp>

#include "core/audit_ring.h"
#include "tests/core/audit_fixture.h"

namespace coffer {
namespace {

using core::AuditRing;
using core::AuditTicket;
using testing::CollectingSink;

BootTime at(int seconds) { return BootTime(std::chrono::seconds(seconds)); }

struct Ring {
  CollectingSink sink;
  bool offer(AuditRing& ring, std::string_view lines, int deadline = 100) {
    AuditTicket ticket(testing::new_exchange(), sink);
    return ring.offer(lines, ticket, at(deadline));
  }
};

BOOST_FIXTURE_TEST_SUITE(audit_ring, Ring)

BOOST_AUTO_TEST_CASE(what_waits_becomes_one_batch_in_order) {
  AuditRing ring;
  BOOST_TEST(ring.idle());
  BOOST_TEST(ring.take().empty());
  offer(ring, "a\n");
  offer(ring, "b\n");
  BOOST_TEST(ring.queued_lines() == 2u);
  BOOST_TEST(ring.take() == "a\nb\n");
  offer(ring, "c\n");
  BOOST_TEST(ring.queued_bytes() == 2u);
  std::vector<AuditRing::Waiter> waiters;
  ring.finish_batch(waiters);
  BOOST_TEST(waiters.size() == 2u);
  BOOST_TEST(ring.take() == "c\n");
  ring.finish_batch(waiters);
  BOOST_TEST(waiters.size() == 1u);
  BOOST_TEST(ring.idle());
  BOOST_TEST(ring.queued_bytes() == 0u);
}

BOOST_AUTO_TEST_CASE(batches_end_at_their_size_and_between_submissions) {
  AuditRing ring({.lines = 100, .bytes = 1000, .batch_bytes = 5});
  for (const char* lines : {"aa\n", "b\n", "c\n", "long line\n", "d\n"})
    BOOST_TEST(offer(ring, lines));
  std::vector<AuditRing::Waiter> waiters;
  for (const char* batch : {"aa\nb\n", "c\n", "long line\n", "d\n"}) {
    BOOST_TEST(ring.take() == batch);
    ring.finish_batch(waiters);
  }
  BOOST_TEST(ring.idle());
}

BOOST_AUTO_TEST_CASE(a_full_ring_refuses_and_leaves_the_ticket) {
  AuditRing ring({.lines = 3, .bytes = 8, .batch_bytes = 100});
  BOOST_TEST(offer(ring, "larger than the ring\n"));
  BOOST_TEST(!offer(ring, "a\n"));
  std::vector<AuditRing::Waiter> waiters;
  ring.take();
  ring.finish_batch(waiters);
  BOOST_TEST(offer(ring, "a\n"));
  BOOST_TEST(offer(ring, "b\n"));
  BOOST_TEST(offer(ring, "c\n"));
  AuditTicket ticket(testing::new_exchange(), sink);
  BOOST_TEST(!ring.offer("d\n", ticket, at(1)));
  ticket.finish(Status(Code::kInternal, "full"));
  BOOST_TEST(sink.count() == 1u);
}

BOOST_AUTO_TEST_CASE(who_waits_too_long_is_given_up_and_the_lines_stay) {
  AuditRing ring;
  offer(ring, "a\n", 1);
  offer(ring, "b\n", 2);
  ring.take();
  offer(ring, "c\n", 3);
  offer(ring, "d\n", 4);
  BOOST_TEST(ring.give_up(at(0)).empty());
  BOOST_TEST(ring.give_up(at(3)).size() == 3u);
  BOOST_TEST(ring.give_up(at(3)).empty());
  BOOST_TEST(ring.queued_lines() == 2u);
  std::vector<AuditRing::Waiter> waiters;
  ring.finish_batch(waiters);
  BOOST_TEST(waiters.empty());
  BOOST_TEST(ring.take() == "c\nd\n");
  ring.finish_batch(waiters);
  BOOST_TEST(waiters.size() == 1u);
}

BOOST_AUTO_TEST_CASE(drain_reaches_everyone) {
  AuditRing ring;
  offer(ring, "a\n");
  ring.take();
  offer(ring, "b\n");
  BOOST_TEST(ring.drain().size() == 2u);
  BOOST_TEST(!ring.anything_queued());
  BOOST_TEST(!ring.idle());
}

BOOST_AUTO_TEST_CASE(the_first_device_that_accepts_answers_and_the_last_that_refuses) {
  const Status no(Code::kInternal, "no");
  const auto vote = [&] { return std::make_shared<core::AuditVote>(testing::new_exchange(), sink, 3u); };
  auto yes = vote();
  yes->device_says(no);
  BOOST_TEST(sink.count() == 0u);
  yes->device_says(ok_status());
  BOOST_TEST(sink.count() == 1u);
  yes->device_says(no);
  BOOST_TEST(sink.count() == 1u);
  auto none = vote();
  none->device_says(no);
  none->device_says(no);
  BOOST_TEST(sink.count() == 1u);
  none->device_says(no);
  BOOST_REQUIRE(sink.count() == 2u);
  BOOST_TEST(sink.await(2)[0].ok());
  BOOST_TEST(!sink.await(2)[1].ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer
