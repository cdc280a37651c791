#include "http/server.h"

#include <boost/test/unit_test.hpp>
#include <algorithm>
#include <future>
#include <set>
#include <thread>

#include "tests/http/fixture.h"

namespace coffer::http {
namespace {

using testing::Answer;
using testing::ask;
using testing::Client;
using testing::ServerFixture;
using namespace std::chrono_literals;

const std::string kGet = "GET /v1/secret/data/a HTTP/1.1\r\nHost: x\r\n\r\n";

BOOST_FIXTURE_TEST_SUITE(http_server, ServerFixture)

BOOST_AUTO_TEST_CASE(answers_with_the_envelope_and_headers) {
  const auto port = start();
  const Answer answer = ask(port, kGet);
  BOOST_TEST(answer.status == 200);
  BOOST_TEST(answer.headers.at("cache-control") == "no-store");
  BOOST_TEST(answer.headers.at("content-type") == "application/json");
  BOOST_TEST(answer.headers.count("strict-transport-security") == 0u);
  BOOST_TEST(answer.headers.at("date") == "Fri, 15 Jan 2027 08:00:00 GMT");
  const auto seen = dispatcher.seen();
  BOOST_REQUIRE(seen.size() == 1u);
  BOOST_TEST(seen[0].remote_address == "127.0.0.1");
  BOOST_TEST(answer.body.find("{\"request_id\":\"" + seen[0].id + "\",\"lease_id\":\"\"") == 0u);
  BOOST_TEST(seen[0].id.size() == 36u);
  BOOST_TEST(seen[0].id[14] == '4');
}

BOOST_AUTO_TEST_CASE(many_requests_on_one_connection_have_different_ids) {
  Client client(start());
  std::set<std::string> ids;
  for (int i = 0; i < 600; ++i) {
    client.send(kGet);
    ids.insert(client.receive().body.substr(0, 60));
  }
  BOOST_TEST(ids.size() == 600u);
}

BOOST_AUTO_TEST_CASE(pipelined_requests_are_answered_in_order) {
  dispatcher.set_script([](core::Exchange& exchange) {
    exchange.response.bare = true;
    exchange.response.data = json::ObjectBuilder(exchange.arena).add("path", exchange.request.path.view()).build();
  });
  Client client(start());
  std::string all;
  for (int i = 0; i < 200; ++i)
    all += "GET /v1/p" + std::to_string(i) + " HTTP/1.1\r\n\r\n" + "POST /v1/q HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}";
  client.send(all);
  for (int i = 0; i < 200; ++i) {
    BOOST_TEST(client.receive().body == "{\"path\":\"p" + std::to_string(i) + "\"}\n");
    BOOST_TEST(client.receive().body == "{\"path\":\"q\"}\n");
  }
}

BOOST_AUTO_TEST_CASE(a_refusal_keeps_the_connection_when_the_request_was_whole) {
  Client client(start());
  client.send("GET /ui HTTP/1.1\r\n\r\nPOST /v1/a HTTP/1.1\r\nContent-Length: 1\r\n\r\n{GET /v1/a HTTP/1.1\r\n\r\n");
  BOOST_TEST(client.receive().status == 404);
  const Answer answer = client.receive();
  BOOST_TEST(answer.status == 400);
  BOOST_TEST(answer.body.find("{\"errors\":[\"failed to parse JSON input") == 0u);
  BOOST_TEST(client.receive().status == 200);
}

BOOST_AUTO_TEST_CASE(a_broken_request_closes_the_connection_after_its_answer) {
  Client client(start());
  client.send("NO SENSE\r\n\r\nGET /v1/a HTTP/1.1\r\n\r\n");
  const Answer answer = client.receive();
  BOOST_TEST(answer.status == 400);
  BOOST_TEST(answer.headers.at("connection") == "close");
  BOOST_TEST(client.closed_by_server());
  BOOST_TEST(dispatcher.seen().empty());
}

BOOST_AUTO_TEST_CASE(head_has_no_body_and_204_neither) {
  const auto port = start();
  Client client(port);
  client.send("HEAD /v1/a HTTP/1.1\r\n\r\n");
  Answer answer = client.receive(true);
  BOOST_TEST(answer.status == 200);
  BOOST_TEST(answer.headers.at("content-length") != "0");
  dispatcher.set_script([](core::Exchange&) {});
  client.send("DELETE /v1/a HTTP/1.1\r\n\r\n");
  answer = client.receive();
  BOOST_TEST(answer.status == 204);
  BOOST_TEST(answer.headers.count("content-length") == 0u);
  client.send(kGet);
  BOOST_TEST(client.receive().status == 204);
  // What a health check can ask for: bytes after a 304 would be read as the next answer.
  dispatcher.set_script([](core::Exchange& exchange) {
    exchange.response.bare = true;
    exchange.response.status = 304;
    exchange.response.data = json::ObjectBuilder(exchange.arena, 1).add("sealed", false).build();
  });
  for (int i = 0; i < 2; ++i) {
    client.send(kGet);
    answer = client.receive();
    BOOST_TEST(answer.status == 304);
    BOOST_TEST(answer.headers.count("content-length") == 0u);
    BOOST_TEST(answer.body.empty());
  }
}

BOOST_AUTO_TEST_CASE(http_10_closes_unless_asked_to_stay) {
  const auto port = start();
  Client client(port);
  client.send("GET /v1/a HTTP/1.0\r\n\r\n");
  BOOST_TEST(client.receive().status == 200);
  BOOST_TEST(client.closed_by_server());
  Client closing(port);
  closing.send("GET /v1/a HTTP/1.1\r\nConnection: close\r\n\r\n");
  BOOST_TEST(closing.receive().headers.at("connection") == "close");
  BOOST_TEST(closing.closed_by_server());
}

BOOST_AUTO_TEST_CASE(expect_continue) {
  const auto port = start();
  Client client(port);
  client.send("PUT /v1/a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n");
  BOOST_TEST(client.receive().status == 100);
  client.send("{\"a\":1}");
  BOOST_TEST(client.receive().status == 200);
  BOOST_TEST(dispatcher.seen().back().data == "{\"a\":1}");
  // Too large: refused before the body is sent.
  Client large(port);
  large.send("PUT /v1/a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n");
  BOOST_TEST(large.receive().status == 413);
  BOOST_TEST(ask(port, "PUT /v1/a HTTP/1.1\r\nExpect: something\r\n\r\n").status == 417);
}

BOOST_AUTO_TEST_CASE(a_body_in_pieces_larger_than_any_buffer) {
  Client client(start());
  const std::string body = "{\"a\":\"" + std::string(300000, 'x') + "\"}";
  client.send("POST /v1/a HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
  client.send(body);
  BOOST_TEST(client.receive().status == 200);
  BOOST_TEST(dispatcher.seen().back().data == body);
  client.send(kGet);
  BOOST_TEST(client.receive().status == 200);
  BOOST_TEST(server->stats().body_bytes_held == 0u);
}

BOOST_AUTO_TEST_CASE(an_answer_larger_than_the_socket_takes) {
  const std::string text(20u << 20, 'y');
  dispatcher.set_script([&](core::Exchange& exchange) {
    exchange.response.content_type = "text/plain";
    exchange.response.raw_body = text;
  });
  Client client(start());
  client.send(kGet + kGet);
  for (int i = 0; i < 2; ++i) {
    const Answer answer = client.receive();
    BOOST_TEST(answer.headers.at("content-type") == "text/plain");
    BOOST_TEST((answer.body == text));
  }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // those end the process when memory is refused
BOOST_AUTO_TEST_CASE(an_answer_beyond_the_memory_fails_alone) {
  dispatcher.set_script([](core::Exchange& exchange) {
    exchange.response.content_type = "text/plain";
    // As long as the whole address space: nobody gets to read it.
    exchange.response.raw_body = {"x", std::size_t{1} << 47};
  });
  Client client(start());
  Client other(server->bound()[0].port);
  client.send(kGet + kGet);
  const Answer answer = client.receive();
  BOOST_TEST(answer.status == 503);
  BOOST_TEST(answer.body == "{\"errors\":[\"the server is out of memory\"]}\n");
  BOOST_TEST(client.closed_by_server());
  dispatcher.set_script(nullptr);
  other.send(kGet);
  BOOST_TEST(other.receive().status == 200);
}
#endif

BOOST_AUTO_TEST_CASE(answers_from_other_threads) {
  const auto port = start();
  for (const bool resumed : {false, true}) {
    dispatcher.hold();
    std::vector<Client> clients;
    for (int i = 0; i < 20; ++i) {
      clients.emplace_back(port);
      clients.back().send(kGet + kGet);
    }
    dispatcher.wait_held(20);
    BOOST_TEST(server->stats().requests_in_flight == 20u);
    dispatcher.let_go(resumed);
    for (Client& client : clients) {
      BOOST_TEST(client.receive().status == 200);
      BOOST_TEST(client.receive().status == 200);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_client_that_leaves_before_its_answer) {
  const auto port = start();
  dispatcher.hold();
  {
    Client client(port);
    client.send(kGet);
    dispatcher.wait_held(1);
  }
  dispatcher.let_go();
  BOOST_TEST(ask(port, kGet).status == 200);
}

BOOST_AUTO_TEST_CASE(a_half_closed_client_gets_its_answer) {
  Client client(start());
  client.send(kGet);
  client.finish_sending();
  BOOST_TEST(client.receive().status == 200);
  BOOST_TEST(client.closed_by_server());
}

BOOST_AUTO_TEST_CASE(a_slow_head_ends_at_its_deadline) {
  config.threads = 1;
  const auto port = start();
  Client slow(port);
  slow.send("GET /v1/a HT");
  Client body(port);
  body.send("POST /v1/a HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  BOOST_TEST(body.receive().status == 100);
  Client other(port);
  other.send(kGet);
  BOOST_TEST(other.receive().status == 200);
  pass(9s);
  other.send(kGet);
  BOOST_TEST(other.receive().status == 200);
  slow.send("T");  // a byte now and then buys no time
  pass(2s);
  const Answer answer = slow.receive();
  BOOST_TEST((answer.status == 408 || answer.closed));
  BOOST_TEST(slow.closed_by_server());
  pass(20s);
  BOOST_TEST(body.receive().status == 408);
  BOOST_TEST(body.closed_by_server());
  other.send(kGet);
  BOOST_TEST(other.receive().status == 200);
  pass(301s);
  BOOST_TEST(other.closed_by_server());
}

BOOST_AUTO_TEST_CASE(a_full_server_lets_silent_connections_go_first) {
  config.threads = 1;
  config.limits.connections = 8;
  const auto port = start();
  dispatcher.hold();
  Client busy(port);
  busy.send(kGet);
  dispatcher.wait_held(1);
  std::vector<Client> silent;
  for (int i = 0; i < 40; ++i) {
    silent.emplace_back(port);
    silent.back().send("GET /v1");
  }
  dispatcher.let_go();
  BOOST_TEST(busy.receive().status == 200);
  Client good(port);
  good.send(kGet);
  BOOST_TEST(good.receive().status == 200);
  BOOST_TEST(server->stats().connections_open <= 8u);
  BOOST_TEST(server->stats().connections_evicted >= 33u);
}

// However many come meanwhile, whoever was answered before is answered first (advisory K1).
BOOST_AUTO_TEST_CASE(who_is_known_goes_before_strangers) {
  config.threads = 1;
  const auto port = start();
  Client blocking(port), known(port);
  for (int i = 0; i < 2; ++i) {  // the second request comes when the first one is over
    for (Client* client : {&blocking, &known}) {
      client->send(kGet);
      BOOST_TEST(client->receive().status == 200);
    }
  }
  std::vector<Client> strangers;
  for (int i = 0; i < 60; ++i)
    strangers.emplace_back(port);
  while (server->stats().connections_open < 62) {  // all are accepted, and have said nothing
    known.send(kGet);
    BOOST_TEST(known.receive().status == 200);
  }
  std::promise<void> entered, leave;
  dispatcher.set_script([&](core::Exchange& exchange) {
    exchange.response.data = json::Value::raw("{}");
    if (exchange.request.path.view() != "blocking")
      return;
    entered.set_value();
    leave.get_future().wait();
  });
  blocking.send("GET /v1/blocking HTTP/1.1\r\n\r\n");
  entered.get_future().wait();
  for (Client& stranger : strangers)
    stranger.send("GET /v1/stranger HTTP/1.1\r\n\r\n");
  known.send("GET /v1/known HTTP/1.1\r\n\r\n");
  leave.set_value();
  BOOST_TEST(known.receive().status == 200);
  for (Client& stranger : strangers)
    BOOST_TEST(stranger.receive().status == 200);
  const auto seen = dispatcher.seen();
  const auto first = [&](std::string_view path) {
    return std::find_if(seen.begin(), seen.end(), [path](const auto& request) { return request.path == path; });
  };
  BOOST_TEST((first("known") < first("stranger")));
  BOOST_TEST((first("stranger") != seen.end()));
}

// Nor does it help a stranger to send many requests at once.
BOOST_AUTO_TEST_CASE(who_is_known_goes_before_what_strangers_pipeline) {
  config.threads = 1;
  const auto port = start();
  std::promise<void> entered, leave;
  dispatcher.set_script([&](core::Exchange& exchange) {
    if (exchange.request.path.view() == "stranger")
      return core::fail(exchange, 403, "permission denied");
    exchange.response.data = json::Value::raw("{}");
    if (exchange.request.path.view() != "blocking")
      return;
    entered.set_value();
    leave.get_future().wait();
  });
  Client known(port), blocking(port), stranger(port);
  for (int i = 0; i < 2; ++i) {
    for (Client* client : {&blocking, &known}) {
      client->send(kGet);
      BOOST_TEST(client->receive().status == 200);
    }
  }
  blocking.send("GET /v1/blocking HTTP/1.1\r\n\r\n");
  entered.get_future().wait();
  std::string pipeline;
  for (int i = 0; i < 20; ++i)
    pipeline += "GET /v1/stranger HTTP/1.1\r\n\r\n";
  stranger.send(pipeline);
  known.send("GET /v1/known HTTP/1.1\r\n\r\n");
  leave.set_value();
  BOOST_TEST(known.receive().status == 200);
  for (int i = 0; i < 20; ++i)
    BOOST_TEST(stranger.receive().status == 403);
  const auto seen = dispatcher.seen();
  const auto strangers_before = std::count_if(
      seen.begin(), std::find_if(seen.begin(), seen.end(), [](const auto& request) { return request.path == "known"; }),
      [](const auto& request) { return request.path == "stranger"; });
  BOOST_TEST(strangers_before <= 1);
}

BOOST_AUTO_TEST_CASE(refusals_in_a_row_are_answered) {
  const auto port = start();
  Client client(port);
  std::string pipeline;
  for (int i = 0; i < 300; ++i)
    pipeline += "GET /nothing HTTP/1.1\r\n\r\n";
  client.send(pipeline);
  for (int i = 0; i < 300; ++i)
    BOOST_TEST(client.receive().status == 404);
}

BOOST_AUTO_TEST_CASE(a_drain_answers_what_is_in_flight) {
  config.threads = 1;  // that the idle connection is closed tells of the drain of the busy one's thread
  const auto port = start();
  Client idle(port);
  idle.send(kGet);
  BOOST_TEST(idle.receive().status == 200);
  dispatcher.hold();
  Client busy(port);
  busy.send(kGet);
  dispatcher.wait_held(1);
  std::thread stopping([&] { server->stop(60s); });
  BOOST_TEST(idle.closed_by_server());
  dispatcher.let_go();
  const Answer answer = busy.receive();
  BOOST_TEST(answer.status == 200);
  BOOST_TEST(answer.headers.at("connection") == "close");
  stopping.join();
}

BOOST_AUTO_TEST_CASE(a_drain_has_an_end) {
  config.threads = 1;
  const auto port = start();
  Client half(port);
  half.send("POST /v1/a HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  BOOST_TEST(half.receive().status == 100);
  Client idle(port);
  idle.send(kGet);
  BOOST_TEST(idle.receive().status == 200);
  std::thread stopping([&] { server->stop(5s); });
  BOOST_TEST(idle.closed_by_server());  // the drain has begun
  pass(6s);
  BOOST_TEST(half.closed_by_server());
  stopping.join();
}

BOOST_AUTO_TEST_CASE(addresses_that_cannot_be_bound_are_named) {
  start();
  Config second = config;
  second.listeners[0].port = server->bound()[0].port;
  auto clash = Server::create(second, dispatcher, system_random(), clock, [](std::string_view) {});
  BOOST_REQUIRE(!clash.ok());
  BOOST_TEST(clash.status().message() ==
             "listener 127.0.0.1:" + std::to_string(second.listeners[0].port) + ": Address already in use");
  second.listeners[0] = {"not an address", 0, {}};
  BOOST_TEST(!Server::create(second, dispatcher, system_random(), clock, [](std::string_view) {}).ok());
  second.listeners.clear();
  BOOST_TEST(!Server::create(second, dispatcher, system_random(), clock, [](std::string_view) {}).ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::http
