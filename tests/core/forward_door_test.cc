// The door of forwarded requests and the forwarder with many threads at once: each request is answered once.
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "core/forward.h"
#include "core/forward_door.h"
#include "core/forwarder.h"
#include "core/pipeline_state.h"

using namespace coffer;
using namespace coffer::core;

namespace {

// Runs what it is given on threads of its own, in the order that it came.
class Threads {
 public:
  explicit Threads(unsigned count) {
    for (unsigned i = 0; i < count; ++i)
      threads_.emplace_back([this] { run(); });
  }
  ~Threads() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_)
      thread.join();
  }
  void post(std::function<void()> step) {
    {
      const std::lock_guard lock(mutex_);
      steps_.push_back(std::move(step));
    }
    changed_.notify_one();
  }

 private:
  void run() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopped_ || !steps_.empty(); });
      if (steps_.empty())
        return;
      const auto step = std::move(steps_.front());
      steps_.pop_front();
      lock.unlock();
      step();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> steps_;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

// Answers at once, or from another thread, or after a resumption or two; every so often it does not lead.
class FakeDispatcher final : public Dispatcher {
 public:
  explicit FakeDispatcher(Threads& threads) : threads_(threads) {}

  void dispatch(std::unique_ptr<Exchange> exchange) override {
    marked.fetch_add(exchange->pipeline->forwarded);
    asked.fetch_add(1);
    go_on(std::move(exchange), seen_.fetch_add(1));
  }
  void resume(std::unique_ptr<Exchange> exchange) override {
    resumed.fetch_add(1);
    go_on(std::move(exchange), seen_.fetch_add(1));
  }

  std::atomic<std::size_t> asked{0};
  std::atomic<std::size_t> marked{0};  // as forwarded
  std::atomic<std::size_t> resumed{0};

 private:
  void go_on(std::unique_ptr<Exchange> exchange, std::size_t which) {
    Exchange* held = exchange.release();
    const auto step = [held, which] {
      std::unique_ptr<Exchange> back(held);
      Home* home = back->home;
      if (which % 5 < 2)
        return home->resume_later(std::move(back));
      back->pipeline->bounced = which % 7 == 0;
      back->response.lease_id = back->request.id;
      home->respond(std::move(back));
    };
    if (which % 3 == 0)
      return step();
    threads_.post(step);
  }

  Threads& threads_;
  std::atomic<std::size_t> seen_{0};
};

class ThreadedLink final : public ClusterLink {
 public:
  ThreadedLink(ForwardHandler& handler, Threads& threads) : handler_(handler), threads_(threads) {}
  void forward(raft::NodeId, std::string request, Nanos, Done done) override {
    const std::size_t which = sent_.fetch_add(1);
    if (which % 11 == 0)
      return done(Fate::kNotSent, {});
    threads_.post([this, done, request = std::move(request)] {
      handler_.take(raft::NodeId(2), request, [done](std::string reply) { done(Fate::kAnswered, std::move(reply)); });
    });
  }

 private:
  ForwardHandler& handler_;
  Threads& threads_;
  std::atomic<std::size_t> sent_{0};
};

class CountingHome final : public Home {
 public:
  void resume_later(std::unique_ptr<Exchange>) override { COFFER_CHECK(false); }  // nobody leads here
  void respond(std::unique_ptr<Exchange> exchange) override {
    const Response& response = exchange->response;
    const std::lock_guard lock(mutex);
    right += response.status == 0 && response.lease_id == exchange->request.id;
    ++answered;
    changed.notify_all();
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::size_t answered = 0;
  std::size_t right = 0;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(forward_door)

BOOST_AUTO_TEST_CASE(each_of_many_requests_is_answered_once) {
  constexpr std::size_t kRequests = 4'000;
  CountingHome home;
  {
    Threads threads(4);
    FakeDispatcher dispatcher(threads);
    ForwardDoor door(dispatcher);
    ThreadedLink link(door, threads);
    ManualClock clock;  // stands still, so that nothing is late
    Forwarder::Options options;
    options.requests_max = kRequests;
    options.sends_max = 1'000;
    options.pause_min = options.pause_max = Nanos(0);
    Forwarder forwarder(options, {link, clock, [] { return Forwarder::Leader{raft::NodeId(1), {}, false}; }});
    for (std::size_t i = 0; i < kRequests; ++i)
      threads.post([&, i] {
        auto exchange = std::make_unique<Exchange>();
        exchange->pipeline = std::make_unique<PipelineState>();
        exchange->request.id = exchange->arena.copy("request " + std::to_string(i));
        exchange->home = &home;
        forwarder.forward(std::move(exchange));
      });
    std::unique_lock lock(home.mutex);
    while (home.answered < kRequests) {
      home.changed.wait_for(lock, std::chrono::milliseconds(10));
      lock.unlock();
      forwarder.tick();
      lock.lock();
    }
    lock.unlock();
    BOOST_TEST(dispatcher.marked == dispatcher.asked);
    BOOST_TEST(dispatcher.resumed > 0u);
    BOOST_TEST(forwarder.counts().sent_again > 0u);
    BOOST_TEST(forwarder.counts().requests == 0u);
  }
  BOOST_TEST(home.answered == kRequests);
  BOOST_TEST(home.right == kRequests);
}

// A stream cannot be passed on; it is refused rather than lost.
BOOST_AUTO_TEST_CASE(streams_are_refused) {
  class Endless final : public ByteStream {
    Next next(std::string&) override { return Next::kLater; }
  };
  class Streams final : public Dispatcher {
   public:
    void dispatch(std::unique_ptr<Exchange> exchange) override {
      exchange->response.stream = std::make_shared<Endless>();
      exchange->response.content_type = "text/plain";
      Home* home = exchange->home;
      home->respond(std::move(exchange));
    }
    void resume(std::unique_ptr<Exchange>) override {}
  } streams;
  ForwardDoor door(streams);
  Exchange request, answer;
  request.request.id = "id";
  std::string reply;
  door.take(raft::NodeId(2), *forward::encode_request(request, Nanos(1)), [&](std::string got) { reply = got; });
  BOOST_TEST_REQUIRE(forward::decode_reply(reply, answer).ok());
  BOOST_TEST(answer.response.status == 501);
  BOOST_TEST(answer.response.content_type.empty());
}

// What is too large to be passed on is told as an answer, after the request has taken effect.
BOOST_AUTO_TEST_CASE(answers_beyond_the_bound_are_told) {
  class Large final : public Dispatcher {
   public:
    void dispatch(std::unique_ptr<Exchange> exchange) override {
      exchange->response.raw_body = body;
      exchange->response.content_type = "text/plain";
      Home* home = exchange->home;
      home->respond(std::move(exchange));
    }
    void resume(std::unique_ptr<Exchange>) override {}
    std::string body = std::string(forward::kMessageBytesMax, 'x');
  } large;
  ForwardDoor door(large);
  Exchange request, answer;
  request.request.id = "id";
  std::string reply;
  door.take(raft::NodeId(2), *forward::encode_request(request, Nanos(1)), [&](std::string got) { reply = got; });
  BOOST_TEST_REQUIRE(forward::decode_reply(reply, answer).ok());
  BOOST_TEST(answer.response.status == 500);
  BOOST_TEST_REQUIRE(answer.response.errors.size() == 1u);
  BOOST_TEST(answer.response.errors.front() ==
             "the request took effect, but its answer is too large to be passed to another node: its size");
}

BOOST_AUTO_TEST_SUITE_END()
