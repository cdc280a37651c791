#include "http/feed_session.h"

#include <boost/test/unit_test.hpp>
#include <deque>

namespace coffer::http {
namespace {

using core::EventFeed;
using core::FeedEnd;
using websocket::Opcode;

class FakeFeed final : public EventFeed {
 public:
  Step next(std::shared_ptr<const core::Event>& out) override {
    if (events.empty())
      return ended == FeedEnd::kNone ? Step::kNothing : Step::kEnded;
    auto event = std::make_shared<core::Event>();
    event->type = events.front();
    events.pop_front();
    out = std::move(event);
    return Step::kEvent;
  }
  FeedEnd end() const override { return ended; }
  void on_ready(std::function<void()>) override {}
  std::string_view source() const override { return "coffer://test"; }

  std::deque<std::string> events;
  FeedEnd ended = FeedEnd::kNone;
};

struct Fixture {
  std::vector<websocket::Frame> frames() {
    websocket::FrameReader reader(false, 1u << 20);
    reader.put(out);
    out.clear();
    std::vector<websocket::Frame> all;
    for (auto frame = reader.next().value(); frame; frame = reader.next().value())
      all.push_back(std::move(*frame));
    return all;
  }
  std::string from_client(Opcode opcode, std::string_view payload) {
    std::string bytes;
    websocket::append_frame(opcode, payload, &mask, bytes);
    return bytes;
  }

  const websocket::Mask mask{9, 8, 7, 6};
  std::shared_ptr<FakeFeed> feed = std::make_shared<FakeFeed>();
  BootTime now{};
  FeedSession session{feed, now};
  std::string out;
};

BOOST_FIXTURE_TEST_SUITE(feed_session, Fixture)

BOOST_AUTO_TEST_CASE(events_are_text_frames_in_pieces) {
  for (int i = 0; i < 1000; ++i)
    feed->events.push_back("kv-v2/data-write");
  std::size_t told = 0;
  for (FeedSession::Next next = FeedSession::Next::kMore; next == FeedSession::Next::kMore;) {
    next = session.next(now, out);
    BOOST_TEST(out.size() < limits::kFeedPieceBytesMax + 4096);
    for (const websocket::Frame& frame : frames()) {
      BOOST_TEST((frame.opcode == Opcode::kText));
      ++told;
    }
  }
  BOOST_TEST(told == 1000u);
}

BOOST_AUTO_TEST_CASE(each_end_has_its_code) {
  const std::vector<std::pair<FeedEnd, std::uint16_t>> codes = {{FeedEnd::kBehind, websocket::kPolicyViolation},
                                                                {FeedEnd::kRefused, websocket::kPolicyViolation},
                                                                {FeedEnd::kSealed, websocket::kGoingAway},
                                                                {FeedEnd::kBroken, websocket::kInternalError}};
  for (const auto& [end, code] : codes) {
    auto one = std::make_shared<FakeFeed>();
    one->ended = end;
    one->events.push_back("last");
    FeedSession ending(one, now);
    BOOST_TEST((ending.next(now, out) == FeedSession::Next::kEnded));
    const auto all = frames();
    BOOST_TEST_REQUIRE(all.size() == 2u);
    BOOST_TEST(all[1].close_code() == code);
    BOOST_TEST(all[1].close_reason() == core::text_of(end));
    BOOST_TEST((ending.next(now, out) == FeedSession::Next::kEnded));
    BOOST_TEST(out.empty());
  }
}

BOOST_AUTO_TEST_CASE(a_silent_client_is_asked_and_then_let_go) {
  now += limits::kFeedPingInterval + Nanos(1);
  session.next(now, out);
  BOOST_TEST((frames().at(0).opcode == Opcode::kPing));
  session.next(now, out);
  BOOST_TEST(out.empty());
  session.received(from_client(Opcode::kPong, ""), now, out);
  now += limits::kFeedSilenceMax;
  BOOST_TEST((session.next(now, out) == FeedSession::Next::kWait));
  now += Nanos(1);
  out.clear();
  BOOST_TEST((session.next(now, out) == FeedSession::Next::kEnded));
  BOOST_TEST(frames().at(0).close_code() == websocket::kPolicyViolation);
}

BOOST_AUTO_TEST_CASE(pings_and_closes_of_the_client_are_answered) {
  const std::string both = from_client(Opcode::kPing, "x") + from_client(Opcode::kText, "y");
  BOOST_TEST((session.received(both, now, out) == FeedSession::Next::kWait));
  const auto all = frames();
  BOOST_TEST_REQUIRE(all.size() == 1u);
  BOOST_TEST((all[0].opcode == Opcode::kPong));
  BOOST_TEST(all[0].payload == "x");
  BOOST_TEST((session.received(from_client(Opcode::kClose, ""), now, out) == FeedSession::Next::kEnded));
  BOOST_TEST(frames().at(0).close_code() == websocket::kNormal);
}

BOOST_AUTO_TEST_CASE(nonsense_ends_it) {
  BOOST_TEST((session.received("\x81\x01x", now, out) == FeedSession::Next::kEnded));
  BOOST_TEST(frames().at(0).close_code() == websocket::kProtocolError);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::http
