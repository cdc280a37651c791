#include "cli/websocket_client.h"

#include <boost/test/unit_test.hpp>
#include <deque>

#include "base/websocket.h"
#include "tests/cli/fake.h"

namespace coffer::cli {
namespace {

using websocket::Opcode;

// What the server sends, piece by piece; what the client sent.
class FakeChannel final : public ByteChannel {
 public:
  Status send(std::string_view bytes) override {
    sent += bytes;
    return ok_status();
  }
  Result<std::string> receive(std::chrono::milliseconds) override {
    if (answers.empty())
      return Status(Code::kUnavailable, "EOF");
    std::string piece = answers.front();
    answers.pop_front();
    const std::size_t at = piece.find("ACCEPT");
    if (at == std::string::npos)
      return piece;
    const std::size_t key = sent.find("Sec-WebSocket-Key: ") + 19;
    return piece.replace(at, 6, websocket::accept_of(sent.substr(key, 24)).value());
  }

  std::string sent;
  std::deque<std::string> answers;
};

struct Talking {
  Talking() {
    request.url = "http://127.0.0.1:8200/v1/sys/events/subscribe/kv%2A?json=true";
    request.headers = {{"X-Vault-Token", "root"}};
    request.websocket = true;
    request.on_piece = [this](std::string_view piece) {
      told.emplace_back(piece);
      return told.size() < wanted;
    };
  }
  Result<HttpResponse> run() { return talk_websocket(channel, request, "127.0.0.1:8200", std::chrono::seconds(5)); }
  static std::string text(std::string_view payload, Opcode opcode = Opcode::kText) {
    std::string out;
    websocket::append_frame(opcode, payload, nullptr, out);
    return out;
  }
  // Frames of the client behind its request.
  std::vector<websocket::Frame> said() {
    websocket::FrameReader reader(true, 1000);
    reader.put(std::string_view(channel.sent).substr(channel.sent.find("\r\n\r\n") + 4));
    std::vector<websocket::Frame> out;
    for (auto frame = reader.next().value(); frame; frame = reader.next().value())
      out.push_back(*std::move(frame));
    return out;
  }

  const std::string upgraded = "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: ACCEPT\r\n\r\n";
  FakeChannel channel;
  HttpRequest request;
  std::vector<std::string> told;
  std::size_t wanted = 100;
};

BOOST_FIXTURE_TEST_SUITE(websocket_client, Talking)

BOOST_AUTO_TEST_CASE(messages_come_until_the_server_closes) {
  std::string close;
  websocket::append_close(websocket::kPolicyViolation, "too slow", nullptr, close);
  const std::string frames = text("one") + text("p", Opcode::kPing) + text("two") + close;
  channel.answers = {upgraded + frames.substr(0, 3), frames.substr(3, 6), "", frames.substr(9)};
  const Result<HttpResponse> response = run();
  BOOST_TEST(response.value().status == 101);
  BOOST_TEST(response.value().ended == "too slow");
  BOOST_TEST(told == (std::vector<std::string>{"one", "two"}), boost::test_tools::per_element());
  BOOST_TEST(channel.sent.starts_with("GET /v1/sys/events/subscribe/kv%2A?json=true HTTP/1.1\r\n"
                                      "Host: 127.0.0.1:8200\r\n"));
  BOOST_TEST(channel.sent.find("X-Vault-Token: root\r\n") != std::string::npos);
  const auto answers = said();
  BOOST_TEST_REQUIRE(answers.size() == 2u);
  BOOST_TEST((answers[0].opcode == Opcode::kPong));
  BOOST_TEST((answers[1].opcode == Opcode::kClose));
}

BOOST_AUTO_TEST_CASE(whoever_has_enough_says_so) {
  wanted = 1;
  channel.answers = {upgraded + text("one") + text("two")};
  BOOST_TEST(run().value().ended.empty());
  BOOST_TEST(told.size() == 1u);
  BOOST_TEST((said().at(0).opcode == Opcode::kClose));
}

BOOST_AUTO_TEST_CASE(an_answer_that_is_no_upgrade_is_the_answer) {
  channel.answers = {"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\n", "{}", "\r\n"};
  const Result<HttpResponse> response = run();
  BOOST_TEST(response.value().status == 403);
  BOOST_TEST(response.value().body == "{}\r\n");
}

BOOST_AUTO_TEST_CASE(what_is_no_websocket_fails) {
  for (const std::string& answer : {std::string("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n"),
                                    upgraded + "\x83", upgraded}) {
    FakeChannel other;
    other.answers = {answer, std::string(1, '\0')};
    BOOST_TEST(!talk_websocket(other, request, "h", std::chrono::seconds(5)).ok());
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_CASE(events_subscribe_asks_for_what_its_flags_say) {
  testing::World world;
  world.answer("", 101);
  const testing::Ran ran = world.run({"events", "subscribe", "-namespaces=a*", "-namespaces=b",
                                      "-filter=operation == write", "-timeout=2s", "kv-v2/*"});
  BOOST_TEST(ran.code == 0);
  BOOST_TEST_REQUIRE(world.wire.requests.size() == 1u);
  const HttpRequest& request = world.wire.requests[0];
  BOOST_TEST(request.websocket);
  BOOST_TEST(request.stream_time.count() == 2000);
  BOOST_TEST(request.url == "http://127.0.0.1:8200/v1/sys/events/subscribe/kv-v2/%2A"
                            "?filter=operation+%3D%3D+write&json=true&namespaces=a%2A&namespaces=b");
}

}  // namespace
}  // namespace coffer::cli
