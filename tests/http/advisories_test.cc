// Rows B6, K1 and K2: what an unauthenticated client can learn from an answer, and what it can make the server hold.
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <regex>

#include "tests/http/fixture.h"
#include "tests/mutant_on.h"

namespace coffer::http {
namespace {

using testing::Answer;
using testing::ask;
using testing::Client;
using testing::ScopedMutant;
using testing::ServerFixture;

std::size_t resident_bytes() {
  std::ifstream status("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  status >> total >> resident;
  return resident * 4096;
}

// True when no answer, header or body, holds an address that is not public.
bool no_address_disclosed(std::uint16_t port) {
  const std::regex address(R"((127|10|192\.168|172\.(1[6-9]|2\d|3[01])|169\.254)\.\d+\.\d+|\[?::1\]?|fe80|localhost)");
  const std::string requests[] = {"GET / HTTP/1.0\r\n\r\n",
                                  "GET /ui HTTP/1.0\r\n\r\n",
                                  "GET /v1 HTTP/1.1\r\n\r\n",
                                  "GET /v1/ HTTP/1.0\r\n\r\n",
                                  "GET /v1/a//b HTTP/1.1\r\n\r\n",
                                  "GET /v1/a/../b HTTP/1.0\r\n\r\n",
                                  "GET http:// HTTP/1.0\r\n\r\n",
                                  "OPTIONS * HTTP/1.1\r\n\r\n",
                                  "CONNECT a:1 HTTP/1.1\r\n\r\n",
                                  "NONSENSE\r\n\r\n",
                                  "\x16\x03\x01",
                                  "GET /v1/a HTTP/3.0\r\n\r\n",
                                  "POST /v1/a HTTP/1.0\r\nContent-Length: 1\r\n\r\n{",
                                  "POST /v1/a HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
                                  "GET /v1/a HTTP/1.1\r\nA: " + std::string(20000, 'x') + "\r\n\r\n",
                                  "GET /v1/a HTTP/1.1\r\nX-Vault-Wrap-TTL: x\r\n\r\n",
                                  "GET /v1/sys/health HTTP/1.0\r\n\r\n"};
  for (const std::string& request : requests) {
    Client client(port);
    client.send(request);
    client.finish_sending();
    const std::string answer = client.receive_all();
    BOOST_TEST(!answer.empty());
    if (std::regex_search(answer, address) || answer.find("Location:") != std::string::npos)
      return false;
  }
  return true;
}

BOOST_FIXTURE_TEST_SUITE(advisories_http, ServerFixture)

BOOST_AUTO_TEST_CASE(b6_no_answer_names_an_address) {
  const auto port = start();
  BOOST_TEST(no_address_disclosed(port));
  const ScopedMutant bug(Mutant::kHttpErrorNamesAddress);
  BOOST_TEST(!no_address_disclosed(port));
}

// Many clients send large bodies that never end; returns how much the server holds at most. With `enough`, which a
// planted bug is to exceed, it stops there.
std::size_t hold_bodies(std::uint16_t port, const Server& server, std::string_view token, int clients,
                        std::size_t bytes, std::size_t enough = SIZE_MAX) {
  const std::string body(bytes, ' ');
  std::vector<Client> open;
  std::size_t most = 0;
  for (int i = 0; i < clients; ++i) {
    open.emplace_back(port);
    open.back().send("POST /v1/a HTTP/1.1\r\n" + std::string(token) + "Content-Length: 33554432\r\n\r\n");
    open.back().send(body);
    most = std::max(most, std::size_t{server.stats().body_bytes_held});
  }
  // Bodies are read in slices between the requests of others, and room is taken by doubling: all is read when very many
  // of those change nothing any more.
  std::size_t last = 0;
  const int patience = enough == SIZE_MAX ? 500 : 50'000;
  for (int unchanged = 0; unchanged < patience && most <= enough; ++unchanged) {
    BOOST_TEST(ask(port, "GET /v1/a HTTP/1.1\r\n\r\n").status == 200);
    const std::size_t held = server.stats().body_bytes_held;
    if (held != std::exchange(last, held))
      unchanged = 0;
    most = std::max(most, held);
  }
  return most;
}

BOOST_AUTO_TEST_CASE(k1_bodies_without_a_token_are_refused_by_their_head) {
  const auto port = start();
  BOOST_TEST(hold_bodies(port, *server, "", 20, 2u << 20) == 0u);
  const ScopedMutant bug(Mutant::kHttpTokenlessBodyUnbounded);
  BOOST_TEST(hold_bodies(port, *server, "", 20, 2u << 20, 0) > 0u);
}

BOOST_AUTO_TEST_CASE(k1_all_bodies_together_have_a_bound) {
  config.limits.large_bodies_bytes = 24u << 20;
  const auto port = start();
  const std::string token = "X-Vault-Token: guessed\r\n";
  BOOST_TEST(hold_bodies(port, *server, token, 60, 2u << 20) <= (24u << 20) + limits::kSmallBodiesHeldBytesMax);
  const ScopedMutant bug(Mutant::kHttpBodiesUnbounded);
  const std::size_t bound = (24u << 20) + limits::kSmallBodiesHeldBytesMax;
  BOOST_TEST(hold_bodies(port, *server, token, 60, 2u << 20, bound) > bound);
}

BOOST_AUTO_TEST_CASE(k1_a_thousand_clients_leave_memory_as_it_was) {
  const auto port = start();
  BOOST_TEST(ask(port, "GET /v1/a HTTP/1.1\r\n\r\n").status == 200);
  const std::size_t before = resident_bytes();
  BOOST_TEST(hold_bodies(port, *server, "X-Vault-Token: guessed\r\n", 1000, 256u << 10) <= (128u << 20));
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)  // which multiply what a byte costs
  BOOST_TEST(resident_bytes() <= before + (256u << 20));
#else
  BOOST_TEST(before != 0u);
#endif
}

std::string post(const std::string& body) {
  return "POST /v1/a HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

class Full final : public core::Gate {
 public:
  bool admit(core::Exchange& exchange) override {
    ++asked;
    known = exchange.request.path.view() == "a" && exchange.request.remote_address == "127.0.0.1";
    return admits;
  }
  bool knows_token(core::Exchange&) override { return true; }
  std::atomic<int> asked{0};
  std::atomic<bool> known{false};
  std::atomic<bool> admits{false};
};

BOOST_AUTO_TEST_CASE(c4_a_gate_is_asked_before_a_body_is_read) {
  Full gate;
  const auto board = std::make_shared<core::DoorBoard>();
  config.board = board;
  const auto port = start();
  board->put_gate(&gate);
  // Whatever stands in the body, and however much it shall be, the dispatcher has the answer.
  const std::string requests[] = {post("{"), post(std::string(64u << 10, '[')),
                                  "POST /v1/a HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n{",
                                  "POST /v1/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":"};
  for (const std::string& request : requests) {
    const auto answer = ask(port, request);
    BOOST_TEST(answer.status == 200);
    BOOST_TEST(answer.headers.at("connection") == "close");
    BOOST_TEST(gate.known.load());
    BOOST_TEST(dispatcher.seen().back().data == "null");
  }
  BOOST_TEST(gate.asked == 4);
  // Without a body there is nothing to ask.
  BOOST_TEST(ask(port, "GET /v1/a HTTP/1.1\r\n\r\n").status == 200);
  BOOST_TEST(gate.asked == 4);
  gate.admits = true;
  BOOST_TEST(ask(port, post("{\"a\":1}")).status == 200);
  BOOST_TEST(dispatcher.seen().back().data == "{\"a\":1}");
  BOOST_TEST(ask(port, post("{")).status == 400);
  board->put_gate(nullptr);
  BOOST_TEST(ask(port, post("{\"a\":1}")).status == 200);
  BOOST_TEST(gate.asked == 6);
}

BOOST_AUTO_TEST_CASE(k2_json_limits_hold_at_the_door) {
  const auto port = start();
  std::string deep = "{\"a\":";
  for (int i = 0; i < 200; ++i)
    deep += '[';
  for (int i = 0; i < 200; ++i)
    deep += ']';
  deep += '}';
  std::string wide = "{";
  for (int i = 0; i < 600; ++i)
    wide += (i != 0 ? ",\"k" : "\"k") + std::to_string(i) + "\":\"v\"";
  wide += '}';
  const auto refused = [&] { return ask(port, post(deep)).status == 413 && ask(port, post(wide)).status == 413; };
  BOOST_TEST(refused());
  BOOST_TEST(ask(port, post("{\"a\":1,\"\\u0061\":2}")).status == 400);
  BOOST_TEST(dispatcher.seen().empty());
  const ScopedMutant bug(Mutant::kHttpJsonLimitsUnset);
  BOOST_TEST(!refused());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::http
