// A body on its way from one thread to another.
#include <boost/test/unit_test.hpp>

#include <thread>

#include "base/limits.h"
#include "core/body_pipe.h"

namespace coffer::core {
namespace {

constexpr Nanos kNoWait{0};
constexpr Nanos kPatience = std::chrono::seconds(20);

BOOST_AUTO_TEST_SUITE(body_pipe)

BOOST_AUTO_TEST_CASE(what_is_put_in_comes_out_and_ends) {
  BodyPipe pipe;
  BOOST_TEST(!pipe.wanted());
  pipe.put("one");
  pipe.put("two");
  BOOST_TEST(*pipe.take(kPatience) == "onetwo");
  BOOST_TEST(pipe.wanted());
  BOOST_TEST((pipe.take(kNoWait).code() == Code::kUnavailable));
  pipe.end();
  pipe.break_off(Status(Code::kUnavailable, "too late: it has ended"));
  BOOST_TEST(pipe.take(kPatience)->empty());
}

BOOST_AUTO_TEST_CASE(what_breaks_off_says_why) {
  BodyPipe pipe;
  pipe.put("one");
  pipe.break_off(Status(Code::kUnavailable, "the client has gone"));
  pipe.end();
  BOOST_TEST(pipe.take(kPatience).status().message() == "the client has gone");
}

BOOST_AUTO_TEST_CASE(the_connection_hears_of_the_wish_and_of_room) {
  BodyPipe pipe;
  unsigned heard = 0;
  pipe.on_ready([&heard] { ++heard; });
  pipe.put(std::string(limits::kPipeBytesMax, 'x'));
  BOOST_TEST(!pipe.has_room());
  BOOST_TEST(pipe.take(kPatience)->size() == limits::kPipeBytesMax);
  BOOST_TEST(heard == 2u);
  BOOST_TEST(pipe.has_room());
  pipe.on_ready(nullptr);
  pipe.put(std::string(limits::kPipeBytesMax, 'x'));
  BOOST_TEST(pipe.take(kPatience).ok());
  BOOST_TEST(heard == 2u);
}

BOOST_AUTO_TEST_CASE(one_thread_waits_for_the_other) {
  BodyPipe pipe;
  std::string got;
  std::thread taker([&] {
    for (;;) {
      const Result<std::string> piece = pipe.take(kPatience);
      if (!piece.ok() || piece->empty())
        return;
      got += *piece;
    }
  });
  for (int i = 0; i < 100; ++i)
    pipe.put("x");
  pipe.end();
  taker.join();
  BOOST_TEST(got.size() == 100u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::core
