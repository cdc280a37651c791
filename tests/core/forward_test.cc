// What goes between nodes: it comes out as it went in, and nothing else is taken.
#include <boost/test/unit_test.hpp>

#include <fstream>
#include <random>

#include "base/encoding.h"
#include "core/forward.h"
#include "core/pipeline_state.h"

using namespace coffer;
using namespace coffer::core;

namespace {

json::Value parsed(json::Arena& arena, std::string_view text) {
  const Result<json::Value> value = json::parse_copy(arena, text);
  BOOST_TEST_REQUIRE(value.ok());
  return *value;
}

std::string written(const json::Value& value) {
  std::string out;
  json::write(value, out);
  return out;
}

const HeaderLine* line(json::Arena& arena, std::string_view name, std::string_view value, const HeaderLine* next) {
  return ::new (arena.allocate(sizeof(HeaderLine))) HeaderLine{arena.copy(name), arena.copy(value), next};
}

void fill_request(Exchange& exchange) {
  Request& request = exchange.request;
  request.id = "2b83dec2-3dc4-461a-a60e-b78bb3a877c7";
  request.surface = Surface::kGrpc;
  request.operation = Operation::kPatch;
  request.path = *CanonicalPath::from_text("secret/data/a b/é");
  request.namespace_path = "team/sub";
  request.token = "hvs.CAESIKtoken";
  request.remote_address = "10.1.2.3";
  request.remote_port = 50482;
  request.wrap_ttl = std::chrono::minutes(5);
  request.wrap_format = WrapFormat::kJwt;
  request.explain = true;
  request.content_type = "application/merge-patch+json";
  request.origin = "https://site.example";
  request.inline_login = std::make_shared<const InlineLogin>(
      InlineLogin{*CanonicalPath::from_text("auth/userpass/login/ann"), "team",
                  parsed(exchange.arena, R"({"password":"secret"})")});
  request.known_states = line(exchange.arena, "Index", "djE6", line(exchange.arena, "Index", "djI6", nullptr));
  request.headers = line(exchange.arena, "User-Agent", "curl", nullptr);
  request.data = parsed(exchange.arena, R"({"data":{"n":1.10,"big":123456789012345678901234567890,"e":-1E+9,)"
                                        R"("s":"\u00e9","list":[true,false,null,[],{}]},"":""})");
  exchange.pipeline = std::make_unique<PipelineState>();
  exchange.pipeline->rate.asked = true;
}

void fill_reply(Exchange& exchange) {
  Response& response = exchange.response;
  response.status = 202;
  response.data = json::ObjectBuilder(exchange.arena)
                      .add("data", json::Value::raw(R"({"n":1.10,  "s":"é"})"))
                      .add("names", parsed(exchange.arena, R"(["a","b/"])"))
                      .build();
  response.data_also_top_level = response.bare = response.renewable = response.late = true;
  Auth& auth = response.auth.emplace();
  auth.client_token = "hvs.new";
  auth.accessor = "accessor";
  auth.policies = {"default", "ops"};
  auth.token_policies = {"default"};
  auth.identity_policies = {"ops"};
  auth.metadata = parsed(exchange.arena, R"({"username":"ann"})");
  auth.lease_duration = std::chrono::hours(1);
  auth.renewable = auth.orphan = true;
  auth.entity_id = "entity";
  auth.token_type = "batch";
  auth.num_uses = -3;
  response.wrap_info = WrapInfo{"hvs.wrap", "wrapper", std::chrono::minutes(1), WallTime(Nanos(1795315230824367385)),
                                "secret/data/a", "wrapped"};
  response.lease_id = "lease/id";
  response.lease_duration = std::chrono::seconds(30);
  response.mount_type = "kv";
  response.warnings = {"first", "second"};
  response.errors = {"wrong"};
  response.raw_body = std::string_view("raw\0body", 8);
  response.content_type = "text/plain";
  response.headers = {{"X-Vault-Index", "djE6"}, {"Retry-After", "1"}};
  exchange.authenticated = true;
}

std::string request_bytes() {
  Exchange exchange;
  fill_request(exchange);
  return *forward::encode_request(exchange, std::chrono::seconds(7));
}

std::string reply_bytes() {
  Exchange exchange;
  fill_reply(exchange);
  return *forward::encode_reply(exchange);
}

// The file's lines are hexadecimal; a '#' begins a comment.
std::string pinned(const std::string& name) {
  std::ifstream in("tests/golden/" + name);
  BOOST_TEST_REQUIRE(in.good());
  std::string hex, read;
  while (std::getline(in, read))
    if (!read.starts_with('#'))
      hex += read;
  return hex;
}

// What decodes is encoded to the same bytes.
bool is_request(std::string_view bytes) {
  Exchange exchange;
  const Status status = forward::decode_request(bytes, exchange);
  if (!status.ok()) {
    BOOST_TEST((status.code() == Code::kInvalid));
    return false;
  }
  BOOST_TEST((*forward::encode_request(exchange, exchange.request.time_max) == bytes));
  return true;
}

bool is_reply(std::string_view bytes) {
  Exchange exchange;
  const Result<forward::Told> told = forward::decode_reply(bytes, exchange);
  if (!told.ok()) {
    BOOST_TEST((told.code() == Code::kInvalid));
    BOOST_TEST(exchange.response.status == 0);
    return false;
  }
  BOOST_TEST(((*told == forward::Told::kAnswered ? *forward::encode_reply(exchange)
                                                 : forward::encode_refusal(*told)) == bytes));
  return true;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(forward_messages)

BOOST_AUTO_TEST_CASE(a_request_comes_out_as_it_went_in) {
  Exchange in, out;
  fill_request(in);
  std::string bytes = request_bytes();
  BOOST_TEST(*forward::request_bytes(in) == bytes.size());
  BOOST_TEST_REQUIRE(forward::decode_request(bytes, out).ok());
  forward::wipe_text(bytes);
  const Request& request = out.request;
  BOOST_TEST(request.id == in.request.id);
  BOOST_TEST((request.surface == Surface::kGrpc && request.operation == Operation::kPatch));
  BOOST_TEST(request.path.view() == in.request.path.view());
  BOOST_TEST(request.namespace_path == "team/sub");
  BOOST_TEST(request.token == "hvs.CAESIKtoken");
  BOOST_TEST(request.remote_address == "10.1.2.3");
  BOOST_TEST(request.remote_port == 50482);
  BOOST_TEST((request.time_max == Nanos(std::chrono::seconds(7))));
  BOOST_TEST((request.wrap_ttl == Nanos(std::chrono::minutes(5))));
  BOOST_TEST((request.wrap_format == WrapFormat::kJwt));
  BOOST_TEST(request.explain);
  BOOST_TEST(request.content_type == "application/merge-patch+json");
  BOOST_TEST(request.origin == "https://site.example");
  BOOST_TEST(request.inline_login->path.view() == "auth/userpass/login/ann");
  BOOST_TEST(request.inline_login->namespace_path == "team");
  BOOST_TEST(written(request.inline_login->data) == R"({"password":"secret"})");
  BOOST_TEST(request.known_states->value == "djE6");
  BOOST_TEST(request.known_states->next->value == "djI6");
  BOOST_TEST(request.known_states->next->next == nullptr);
  BOOST_TEST(request.headers->name == "User-Agent");
  BOOST_TEST(written(request.data) == written(in.request.data));
  BOOST_TEST(out.pipeline->rate.asked);
}

// Nodes of two versions talk to each other while a cluster is upgraded.
BOOST_AUTO_TEST_CASE(messages_are_pinned) {
  BOOST_TEST(hex_encode(request_bytes()) == pinned("forward_request.hex"));
  BOOST_TEST(hex_encode(reply_bytes()) == pinned("forward_reply.hex"));
}

BOOST_AUTO_TEST_CASE(what_a_request_does_not_say_is_not_made_up) {
  Exchange in, out;
  in.request.id = "id";
  BOOST_TEST_REQUIRE(forward::decode_request(*forward::encode_request(in, Nanos(1)), out).ok());
  BOOST_TEST(!out.request.wrap_ttl);
  BOOST_TEST(!out.request.inline_login);
  BOOST_TEST(!out.request.explain);
  BOOST_TEST(!out.request.passing_login);
  BOOST_TEST(!out.request.takes_feed);
  BOOST_TEST(!out.request.door.open_metrics);
  BOOST_TEST(out.request.headers == nullptr);
  BOOST_TEST(out.request.data.is_null());
  BOOST_TEST(!out.pipeline->rate.asked);
}

BOOST_AUTO_TEST_CASE(a_reply_comes_out_as_it_went_in) {
  Exchange in, out;
  fill_reply(in);
  std::string bytes = reply_bytes();
  const Result<forward::Told> told = forward::decode_reply(bytes, out);
  forward::wipe_text(bytes);
  BOOST_TEST_REQUIRE(told.ok());
  BOOST_TEST((*told == forward::Told::kAnswered));
  const Response& response = out.response;
  BOOST_TEST(response.status == 202);
  BOOST_TEST(written(response.data) == R"({"data":{"n":1.10,  "s":"é"},"names":["a","b/"]})");
  BOOST_TEST((response.data_also_top_level && response.bare && response.renewable && response.late));
  BOOST_TEST(response.auth->client_token == "hvs.new");
  BOOST_TEST((response.auth->policies == in.response.auth->policies));
  BOOST_TEST((response.auth->token_policies == in.response.auth->token_policies));
  BOOST_TEST((response.auth->identity_policies == in.response.auth->identity_policies));
  BOOST_TEST(written(response.auth->metadata) == R"({"username":"ann"})");
  BOOST_TEST((response.auth->lease_duration == in.response.auth->lease_duration));
  BOOST_TEST((response.auth->renewable && response.auth->orphan));
  BOOST_TEST(response.auth->entity_id == "entity");
  BOOST_TEST(response.auth->token_type == "batch");
  BOOST_TEST(response.auth->num_uses == -3);
  BOOST_TEST(response.wrap_info->token == "hvs.wrap");
  BOOST_TEST((response.wrap_info->creation_time == in.response.wrap_info->creation_time));
  BOOST_TEST(response.wrap_info->wrapped_accessor == "wrapped");
  BOOST_TEST(response.lease_id == "lease/id");
  BOOST_TEST((response.lease_duration == Nanos(std::chrono::seconds(30))));
  BOOST_TEST(response.mount_type == "kv");
  BOOST_TEST((response.warnings == in.response.warnings));
  BOOST_TEST((response.errors == in.response.errors));
  BOOST_TEST(response.raw_body == in.response.raw_body);
  BOOST_TEST(response.content_type == "text/plain");
  BOOST_TEST((response.headers == in.response.headers));
  BOOST_TEST(out.authenticated);
}

BOOST_AUTO_TEST_CASE(a_refusal_is_told_from_an_answer) {
  for (const forward::Told told : {forward::Told::kNotLeading, forward::Told::kFull}) {
    Exchange out;
    const std::string bytes = forward::encode_refusal(told);
    const Result<forward::Told> read = forward::decode_reply(bytes, out);
    BOOST_TEST_REQUIRE(read.ok());
    BOOST_TEST((*read == told));
    BOOST_TEST(!is_reply(bytes + '\0'));
  }
}

BOOST_AUTO_TEST_CASE(what_is_cut_or_longer_is_refused) {
  const std::string request = request_bytes();
  for (std::size_t size = 0; size < request.size(); ++size)
    BOOST_TEST(!is_request(std::string_view(request).substr(0, size)));
  BOOST_TEST(!is_request(request + '\0'));
  const std::string reply = reply_bytes();
  for (std::size_t size = 0; size < reply.size(); ++size)
    BOOST_TEST(!is_reply(std::string_view(reply).substr(0, size)));
  BOOST_TEST(!is_reply(reply + '\0'));
}

BOOST_AUTO_TEST_CASE(changed_bytes_mean_what_they_say_or_are_refused) {
  std::mt19937_64 random(7);
  const std::string whole[] = {request_bytes(), reply_bytes()};
  std::size_t taken = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = whole[round % 2];
    for (std::uint64_t changes = random() % 3 + 1; changes > 0; --changes) {
      const std::size_t at = random() % bytes.size();
      switch (random() % 4) {
        case 0: bytes[at] = static_cast<char>(random()); break;
        case 1: bytes[at] ^= static_cast<char>(1u << random() % 8); break;
        case 2: bytes.erase(at, random() % 8 + 1); break;
        default: bytes.insert(at, random() % 8 + 1, static_cast<char>(random())); break;
      }
    }
    taken += round % 2 == 0 ? is_request(bytes) : is_reply(bytes);
  }
  BOOST_TEST(taken > 0u);
  BOOST_TEST(taken < 20'000u);
}

BOOST_AUTO_TEST_CASE(random_bytes_are_refused) {
  std::mt19937_64 random(8);
  for (int round = 0; round < 5'000; ++round) {
    std::string bytes(random() % 200, '\0');
    for (char& byte : bytes)
      byte = static_cast<char>(random());
    // Past the first look.
    if (bytes.size() > 2 && round % 2 == 0) {
      bytes[0] = 1;
      bytes[1] = round % 4 == 0 ? 0x51 : 0x52;
    }
    is_request(bytes);
    is_reply(bytes);
  }
  BOOST_TEST(!is_request(std::string(300, '\0')));
  BOOST_TEST(!is_reply(std::string(300, '\xff')));
}

// Each is a request that is right but for one thing.
BOOST_AUTO_TEST_CASE(each_field_of_a_request_is_checked) {
  const auto refused = [](const auto& change) {
    Exchange exchange;
    exchange.request.id = "id";
    exchange.request.path = *CanonicalPath::from_text("a");
    Nanos time(1);
    change(exchange, time);
    return !is_request(*forward::encode_request(exchange, time));
  };
  BOOST_TEST(!refused([](Exchange&, Nanos&) {}));
  BOOST_TEST(refused([](Exchange& e, Nanos&) { e.request.operation = static_cast<Operation>(7); }));
  BOOST_TEST(refused([](Exchange& e, Nanos&) { e.request.surface = static_cast<Surface>(2); }));
  BOOST_TEST(refused([](Exchange& e, Nanos&) { e.request.id = ""; }));
  BOOST_TEST(refused([](Exchange& e, Nanos&) { e.request.wrap_ttl = Nanos(-1); }));
  BOOST_TEST(refused([](Exchange& e, Nanos&) { e.request.namespace_path = "team//x"; }));
  BOOST_TEST(refused([](Exchange& e, Nanos&) { e.request.namespace_path = "../x"; }));
  BOOST_TEST(refused([](Exchange& e, Nanos&) { e.request.token = e.arena.copy(std::string(8193, 't')); }));
  BOOST_TEST(refused([](Exchange& e, Nanos&) { e.request.data = json::Value::raw("{}"); }));
  BOOST_TEST(refused([](Exchange& e, Nanos&) { e.request.data = json::Value::borrowed("\xff"); }));
  for (const char* number : {"", "-", "01", "+1", "1.", ".5", "1e", "0x1", "1 ", "NaN", "1e+", "--1"})
    BOOST_TEST(refused([number](Exchange& e, Nanos&) { e.request.data = json::Value::number_from_text(number); }));
  for (const char* number : {"0", "-0", "10", "-1.50", "1E9", "1e-09", "0.1e+2"})
    BOOST_TEST(!refused([number](Exchange& e, Nanos&) { e.request.data = json::Value::number_from_text(number); }));
  // The same key twice has two meanings (advisory K2).
  BOOST_TEST(refused([](Exchange& e, Nanos&) {
    e.request.data = json::ObjectBuilder(e.arena).add("policy", "a").add("other", 1).add("policy", "b").build();
  }));
  BOOST_TEST(refused([](Exchange& e, Nanos&) {
    e.request.inline_login =
        std::make_shared<const InlineLogin>(InlineLogin{*CanonicalPath::from_text("auth/a"), "", json::Value()});
  }));
}

BOOST_AUTO_TEST_CASE(each_path_is_canonical) {
  Exchange exchange;
  exchange.request.id = "id";
  exchange.request.path = *CanonicalPath::from_text("secret/data/xx");
  const std::string bytes = *forward::encode_request(exchange, Nanos(1));
  BOOST_TEST_REQUIRE(is_request(bytes));
  const std::size_t at = bytes.find("secret/data/xx");
  for (const char* other :
       {"secret/data/..", "secret//data/x", "/ecret/data/xx", "secret/data/\\x", "secret/data/x\n"}) {
    std::string changed = bytes;
    changed.replace(at, std::string_view(other).size(), other);
    BOOST_TEST(!is_request(changed));
  }
}

BOOST_AUTO_TEST_CASE(each_field_of_a_reply_is_checked) {
  const auto refused = [](const auto& change) {
    Exchange exchange;
    change(exchange);
    return !is_reply(*forward::encode_reply(exchange));
  };
  BOOST_TEST(!refused([](Exchange&) {}));
  for (const int status : {1, 199, 600, 65535})
    BOOST_TEST(refused([status](Exchange& e) { e.response.status = status; }));
  BOOST_TEST(refused([](Exchange& e) { e.response.lease_duration = Nanos(-1); }));
  BOOST_TEST(refused([](Exchange& e) { e.response.headers.emplace_back("X-A", "b\r\nX-C: d"); }));
  BOOST_TEST(refused([](Exchange& e) { e.response.headers.emplace_back("X\nA", "b"); }));
  BOOST_TEST(refused([](Exchange& e) { e.response.headers.emplace_back("", "b"); }));
  BOOST_TEST(refused([](Exchange& e) { e.response.content_type = "a\r\nb"; }));
  for (const char* raw : {"", "{", "{}{}", "{\"a\":1,\"a\":2}", "nul", "\"\xff\""})
    BOOST_TEST(refused([raw](Exchange& e) { e.response.data = json::Value::raw(raw); }));
}

BOOST_AUTO_TEST_CASE(what_is_beyond_a_bound_is_not_sent) {
  Exchange deep;
  deep.request.id = "id";
  json::Value value = json::Value::boolean(true);
  for (unsigned depth = 1; depth < forward::kDepthMax; ++depth)
    value = json::ArrayBuilder(deep.arena).add(value).build();
  deep.request.data = value;
  BOOST_TEST(is_request(*forward::encode_request(deep, Nanos(1))));
  deep.request.data = json::ArrayBuilder(deep.arena).add(value).build();
  BOOST_TEST((forward::encode_request(deep, Nanos(1)).code() == Code::kTooLarge));
  BOOST_TEST((forward::request_bytes(deep).code() == Code::kTooLarge));

  Exchange large;
  const std::string body(forward::kMessageBytesMax, 'x');
  large.response.raw_body = body;
  const Result<std::string> reply = forward::encode_reply(large);
  BOOST_TEST((reply.code() == Code::kTooLarge));
  BOOST_TEST(reply.status().message() == "too large to be passed to another node: its size");
  BOOST_TEST(!is_reply(std::string(forward::kMessageBytesMax + 1, '\1')));
}

// Counts that claim much, each inside the one before, are not believed.
BOOST_AUTO_TEST_CASE(a_small_message_takes_little_memory) {
  Exchange exchange;
  std::string bytes = forward::encode_refusal(forward::Told::kFull);
  bytes[2] = 1;
  bytes += std::string(3, '\0');
  for (unsigned depth = 0; depth < forward::kDepthMax; ++depth)
    bytes += std::string("\x04\xff\x1f", 3);  // an array of 4095
  bytes += std::string(4096, '\0');
  BOOST_TEST(!forward::decode_reply(bytes, exchange).ok());
  BOOST_TEST(exchange.arena.bytes_used() < (2u << 20));
}

BOOST_AUTO_TEST_SUITE_END()
