#include "rpc/server.h"

#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "core/request.h"
#include "proto/coffer/v1/kv.grpc.pb.h"
#include "proto/coffer/v1/logical.grpc.pb.h"
#include "proto/coffer/v1/sys.grpc.pb.h"
#include "proto/coffer/v1/token.grpc.pb.h"
#include "proto/coffer/v1/watch.grpc.pb.h"
#include "tests/mutant_on.h"

namespace coffer::rpc {
namespace {

using testing::ScopedMutant;

// Remembers each request as one line of text and answers as the test says.
class Recorder final : public core::Dispatcher {
 public:
  using Script = std::function<void(core::Exchange&)>;

  void dispatch(std::unique_ptr<core::Exchange> exchange) override {
    static constexpr const char* kNames[] = {"read", "write", "delete", "list", "patch", "help"};
    const core::Request& request = exchange->request;
    std::string line = std::string(kNames[static_cast<int>(request.operation)]) + " " + request.path.str() + " ";
    json::write(request.data, line);
    bool later = false;
    {
      const std::lock_guard lock(mutex_);
      lines_.push_back(line);
      seen_.token = request.token;
      seen_.name_space = request.namespace_path;
      seen_.wrap = request.wrap_ttl.value_or(Nanos(0));
      seen_.remote = request.remote_address;
      seen_.time_max = request.time_max;
      later = later_;
    }
    if (!later)
      return answer(std::move(exchange));
    // From another thread, by way of resume().
    std::thread([this, e = exchange.release()] {
      core::Home* home = e->home;
      home->resume_later(std::unique_ptr<core::Exchange>(e));
    }).detach();
  }
  void resume(std::unique_ptr<core::Exchange> exchange) override { answer(std::move(exchange)); }

  void set(Script script, bool later = false) {
    const std::lock_guard lock(mutex_);
    script_ = std::move(script);
    later_ = later;
  }
  std::string last() const {
    const std::lock_guard lock(mutex_);
    return lines_.empty() ? "" : lines_.back();
  }
  struct Seen {
    std::string token, name_space, remote;
    Nanos wrap{0};
    Nanos time_max{0};
  };
  // Of the last request.
  Seen seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  void answer(std::unique_ptr<core::Exchange> exchange) {
    Script script;
    {
      const std::lock_guard lock(mutex_);
      script = script_;
    }
    if (script)
      script(*exchange);
    core::Home* home = exchange->home;
    home->respond(std::move(exchange));
  }
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
  Seen seen_;
  Script script_;
  bool later_ = false;
};

Recorder::Script data(const char* text) {
  return [text](core::Exchange& exchange) { exchange.response.data = json::Value::raw(text); };
}

class Fixture {
 public:
  Fixture() { config.listeners.push_back({"127.0.0.1", 0, std::nullopt}); }
  ~Fixture() {
    if (server)
      server->stop(Nanos(0));
  }
  void start() {
    auto made = Server::create(config, recorder, system_random(), [](std::string_view) {});
    BOOST_REQUIRE(made.ok());
    server = std::move(made).value();
    channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(port()), grpc::InsecureChannelCredentials());
  }
  std::uint16_t port() const { return server->bound()[0].port; }

  struct Context : grpc::ClientContext {
    Context() { set_deadline(std::chrono::system_clock::time_point(std::chrono::seconds(4'000'000'000))); }
  };

  Config config;
  Recorder recorder;
  std::unique_ptr<Server> server;
  std::shared_ptr<grpc::Channel> channel;
};

v1::Error detail_of(const grpc::Status& status) {
  v1::StatusDetails details;
  v1::Error error;
  BOOST_REQUIRE(details.ParseFromString(status.error_details()));
  BOOST_REQUIRE(details.details_size() == 1);
  BOOST_TEST(details.details(0).type_url() == "type.googleapis.com/coffer.v1.Error");
  BOOST_REQUIRE(details.details(0).UnpackTo(&error));
  return error;
}

BOOST_FIXTURE_TEST_SUITE(rpc_server, Fixture)

BOOST_AUTO_TEST_CASE(logical_calls_become_requests) {
  start();
  const auto stub = v1::Logical::NewStub(channel);
  recorder.set([](core::Exchange& exchange) {
    exchange.response.data = json::Value::raw(R"({"n":1.10})");
    exchange.response.warnings = {"w"};
    exchange.response.mount_type = "kv";
  });
  v1::Response reply;
  {
    Context context;
    context.AddMetadata("x-vault-token", "hvs.t");
    context.AddMetadata("x-vault-namespace", "team/");
    context.AddMetadata("x-vault-wrap-ttl", "5m");
    v1::ReadRequest request;
    request.set_path("secret/data/a b");
    (*request.mutable_parameters())["version"] = "2";
    BOOST_TEST(stub->Read(&context, request, &reply).ok());
    BOOST_TEST(recorder.last() == R"(read secret/data/a b {"version":"2"})");
    BOOST_TEST(recorder.seen().token == "hvs.t");
    BOOST_TEST(recorder.seen().name_space == "team");
    BOOST_TEST((recorder.seen().wrap == std::chrono::minutes(5)));
    BOOST_TEST(recorder.seen().remote == "127.0.0.1");
    BOOST_TEST(reply.data_json() == R"({"n":1.10})");
    BOOST_TEST(reply.http_status() == 200);
    BOOST_TEST(reply.warnings(0) == "w");
    BOOST_TEST(reply.request_id().size() == 36u);
  }
  {
    Context context;
    v1::WriteRequest request;
    request.set_path("secret/data/a");
    request.set_data_json(R"({"data":{"big":123456789012345678901234567890}})");
    BOOST_TEST(stub->Write(&context, request, &reply).ok());
    BOOST_TEST(recorder.last() == R"(write secret/data/a {"data":{"big":123456789012345678901234567890}})");
  }
  {
    Context context;
    v1::ListRequest request;
    request.set_path("secret/metadata");
    BOOST_TEST(stub->List(&context, request, &reply).ok());
    BOOST_TEST(recorder.last() == "list secret/metadata/ null");
  }
  {
    Context context;
    v1::DeleteRequest request;
    request.set_path("secret/data/a");
    recorder.set(nullptr, true);
    BOOST_TEST(stub->Delete(&context, request, &reply).ok());
    BOOST_TEST(reply.http_status() == 204);
  }
  {
    Context context;
    v1::PatchRequest request;
    request.set_path("secret/data/a");
    request.set_data_json("{\"data\":null}");
    BOOST_TEST(stub->Patch(&context, request, &reply).ok());
    BOOST_TEST(recorder.last() == "patch secret/data/a {\"data\":null}");
  }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // those end the process when memory is refused
BOOST_AUTO_TEST_CASE(an_answer_beyond_the_memory_fails_alone) {
  start();
  const auto stub = v1::Logical::NewStub(channel);
  v1::ReadRequest request;
  request.set_path("secret/data/a");
  for (const bool later : {false, true}) {
    // As long as the whole address space: nobody gets to read it.
    recorder.set([](core::Exchange& exchange) { exchange.response.lease_id = {"x", std::size_t{1} << 47}; }, later);
    Context context;
    v1::Response reply;
    const grpc::Status status = stub->Read(&context, request, &reply);
    BOOST_TEST(status.error_code() == grpc::StatusCode::UNAVAILABLE);
    BOOST_TEST(status.error_message() == "the server is out of memory");
  }
  recorder.set(data("{}"));
  Context context;
  v1::Response reply;
  BOOST_TEST(stub->Read(&context, request, &reply).ok());
}
#endif

BOOST_AUTO_TEST_CASE(failures_carry_code_and_detail) {
  start();
  const auto stub = v1::Logical::NewStub(channel);
  const std::pair<int, grpc::StatusCode> cases[] = {{400, grpc::StatusCode::INVALID_ARGUMENT},
                                                    {403, grpc::StatusCode::PERMISSION_DENIED},
                                                    {404, grpc::StatusCode::NOT_FOUND},
                                                    {405, grpc::StatusCode::UNIMPLEMENTED},
                                                    {412, grpc::StatusCode::FAILED_PRECONDITION},
                                                    {429, grpc::StatusCode::RESOURCE_EXHAUSTED},
                                                    {500, grpc::StatusCode::INTERNAL},
                                                    {503, grpc::StatusCode::UNAVAILABLE}};
  for (const auto& [http, code] : cases) {
    recorder.set([status = http](core::Exchange& exchange) { core::fail(exchange, status, "why not"); });
    Context context;
    v1::ReadRequest request;
    v1::Response reply;
    request.set_path("a");
    const grpc::Status status = stub->Read(&context, request, &reply);
    BOOST_TEST(status.error_code() == code);
    BOOST_TEST(status.error_message() == "why not");
    const v1::Error error = detail_of(status);
    BOOST_TEST(error.http_status() == http);
    BOOST_TEST(error.errors(0) == "why not");
  }
  recorder.set([](core::Exchange& exchange) {
    core::fail(exchange, 503, "too late");
    exchange.response.late = true;
  });
  {
    Context context;
    v1::ReadRequest request;
    v1::Response reply;
    request.set_path("a");
    BOOST_TEST(stub->Read(&context, request, &reply).error_code() == grpc::StatusCode::DEADLINE_EXCEEDED);
    BOOST_TEST((recorder.seen().time_max == Nanos(limits::kRequestTimeMax)));
  }
  const std::string before = recorder.last();
  for (const char* path : {"a/../b", "a//b", "", "a\\b"}) {
    Context context;
    v1::WriteRequest request;
    v1::Response reply;
    request.set_path(path);
    request.set_data_json(*path == '\0' ? "{" : "{}");
    const grpc::Status status = stub->Write(&context, request, &reply);
    BOOST_TEST(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT, path);
    BOOST_TEST(detail_of(status).http_status() == 400);
  }
  BOOST_TEST(recorder.last() == before);
}

BOOST_AUTO_TEST_CASE(kv) {
  start();
  const auto stub = v1::KV::NewStub(channel);
  {
    recorder.set(data(R"({"version":3,"created_time":"2026-01-01T00:00:00Z","deletion_time":"","destroyed":false,)"
                      R"("custom_metadata":null})"));
    Context context;
    v1::KVPutRequest request;
    v1::KVPutResponse reply;
    request.set_mount("secret/");
    request.set_path("app/db");
    request.set_data_json("{\"a\":1}");
    request.set_cas(0);
    BOOST_TEST(stub->Put(&context, request, &reply).ok());
    BOOST_TEST(recorder.last() == R"(write secret/data/app/db {"data":{"a":1},"options":{"cas":0}})");
    BOOST_TEST(reply.metadata().version() == 3);
  }
  {
    recorder.set(data(R"({"data":{"a":1.10},"metadata":{"version":2,"created_time":"t",)"
                      R"("custom_metadata":{"owner":"x"}}})"));
    Context context;
    v1::KVGetRequest request;
    v1::KVGetResponse reply;
    request.set_mount("secret");
    request.set_path("app/db");
    request.set_version(2);
    BOOST_TEST(stub->Get(&context, request, &reply).ok());
    BOOST_TEST(recorder.last() == R"(read secret/data/app/db {"version":"2"})");
    BOOST_TEST(reply.data_json() == "{\"a\":1.10}");
    BOOST_TEST(reply.metadata().version() == 2);
    BOOST_TEST(reply.metadata().custom_metadata().at("owner") == "x");
  }
  {
    recorder.set(nullptr);
    v1::KVVersionsRequest request;
    v1::KVEmpty reply;
    request.set_mount("secret");
    request.set_path("a");
    Context first, second, third, fourth;
    BOOST_TEST(stub->Delete(&first, request, &reply).ok());
    BOOST_TEST(recorder.last() == "delete secret/data/a null");
    request.add_versions(1);
    request.add_versions(2);
    BOOST_TEST(stub->Delete(&second, request, &reply).ok());
    BOOST_TEST(recorder.last() == R"(write secret/delete/a {"versions":[1,2]})");
    BOOST_TEST(stub->Undelete(&third, request, &reply).ok());
    BOOST_TEST(recorder.last() == R"(write secret/undelete/a {"versions":[1,2]})");
    BOOST_TEST(stub->Destroy(&fourth, request, &reply).ok());
    BOOST_TEST(recorder.last() == R"(write secret/destroy/a {"versions":[1,2]})");
  }
  {
    recorder.set(data(R"({"keys":["a","b/"]})"));
    Context context;
    v1::KVListRequest request;
    v1::KVListResponse reply;
    request.set_mount("secret");
    BOOST_TEST(stub->List(&context, request, &reply).ok());
    BOOST_TEST(recorder.last() == "list secret/metadata/ {}");
    BOOST_TEST(reply.keys_size() == 2);
  }
  {
    recorder.set(data(R"({"current_version":2,"max_versions":5,"cas_required":true,)"
                      R"("versions":{"1":{"destroyed":true},"2":{}}})"));
    Context context;
    v1::KVMetadataRequest request;
    v1::KVMetadata reply;
    request.set_mount("secret");
    request.set_path("a");
    BOOST_TEST(stub->GetMetadata(&context, request, &reply).ok());
    BOOST_TEST(reply.current_version() == 2);
    BOOST_TEST(reply.cas_required());
    BOOST_TEST(reply.versions().at(1).destroyed());
    BOOST_TEST(reply.versions().at(2).version() == 2);
  }
  {
    recorder.set(nullptr);
    Context context;
    v1::KVPutMetadataRequest request;
    v1::KVEmpty reply;
    request.set_mount("secret");
    request.set_path("a");
    request.set_max_versions(3);
    (*request.mutable_custom_metadata())["owner"] = "x";
    BOOST_TEST(stub->PutMetadata(&context, request, &reply).ok());
    BOOST_TEST(recorder.last() == R"(write secret/metadata/a {"max_versions":3,"custom_metadata":{"owner":"x"}})");
  }
}

// A typed reply would be an empty success, and what was wrapped lost.
BOOST_AUTO_TEST_CASE(a_typed_call_that_asks_for_wrapping_is_refused_before_anything_is_done) {
  start();
  recorder.set(data("{}"));
  const auto refused = [this](const auto& call) {
    Context context;
    context.AddMetadata("x-vault-wrap-ttl", "60s");
    const grpc::Status status = call(context);
    BOOST_TEST(status.error_code() == grpc::StatusCode::INVALID_ARGUMENT);
    BOOST_TEST(status.error_message().find("x-vault-wrap-ttl") != std::string::npos);
    BOOST_TEST(status.error_message().find("Logical service") != std::string::npos);
    BOOST_TEST(recorder.last() == "");
  };
  v1::KVGetRequest get;
  get.set_mount("secret");
  get.set_path("a");
  v1::KVGetResponse got;
  v1::Auth auth;
  v1::Policy policy;
  v1::PolicyRequest named;
  named.set_name("p");
  refused([&](Context& context) { return v1::KV::NewStub(channel)->Get(&context, get, &got); });
  refused(
      [&](Context& context) { return v1::Token::NewStub(channel)->Create(&context, v1::TokenCreateRequest(), &auth); });
  refused([&](Context& context) { return v1::Sys::NewStub(channel)->ReadPolicy(&context, named, &policy); });
  Context context;
  context.AddMetadata("x-vault-wrap-ttl", "0");
  BOOST_TEST(v1::KV::NewStub(channel)->Get(&context, get, &got).ok());
}

BOOST_AUTO_TEST_CASE(tokens) {
  start();
  const auto stub = v1::Token::NewStub(channel);
  recorder.set([](core::Exchange& exchange) {
    core::Auth auth;
    auth.client_token = "hvs.new";
    auth.policies = {"app"};
    auth.lease_duration = std::chrono::hours(1);
    exchange.response.auth = auth;
  });
  v1::Auth auth;
  {
    Context context;
    v1::TokenCreateRequest request;
    request.add_policies("app");
    request.set_ttl("1h");
    request.set_renewable(false);
    BOOST_TEST(stub->Create(&context, request, &auth).ok());
    BOOST_TEST(recorder.last() == R"(write auth/token/create {"policies":["app"],"ttl":"1h","renewable":false})");
    BOOST_TEST(auth.client_token() == "hvs.new");
    BOOST_TEST(auth.lease_duration_seconds() == 3600);
  }
  {
    Context context;
    BOOST_TEST(stub->Renew(&context, {}, &auth).ok());
    BOOST_TEST(recorder.last() == "write auth/token/renew-self {}");
  }
  recorder.set(data(R"({"id":"hvs.x","ttl":0,"expire_time":null,"policies":["root"],"creation_time":1767323045,)"
                    R"("meta":null})"));
  {
    Context context;
    v1::TokenInfo info;
    BOOST_TEST(stub->LookupSelf(&context, {}, &info).ok());
    BOOST_TEST(recorder.last() == "read auth/token/lookup-self null");
    BOOST_TEST(info.policies(0) == "root");
    BOOST_TEST(info.creation_time() == 1767323045);
  }
  {
    Context context;
    v1::TokenRevokeRequest request;
    v1::TokenRevokeResponse reply;
    request.set_token("hvs.x");
    BOOST_TEST(stub->Revoke(&context, request, &reply).ok());
    BOOST_TEST(recorder.last() == R"(write auth/token/revoke {"token":"hvs.x"})");
  }
}

BOOST_AUTO_TEST_CASE(sys) {
  start();
  const auto stub = v1::Sys::NewStub(channel);
  recorder.set([](core::Exchange& exchange) {
    exchange.response.status = 503;
    exchange.response.bare = true;
    exchange.response.data = json::Value::raw(R"({"initialized":true,"sealed":true,"server_time_utc":5})");
  });
  {
    Context context;
    v1::HealthResponse reply;
    BOOST_TEST(stub->Health(&context, {}, &reply).ok());
    BOOST_TEST(reply.sealed());
    BOOST_TEST(reply.http_status() == 503);
    BOOST_TEST(reply.server_time_utc() == 5);
  }
  recorder.set(data(R"({"secret/":{"type":"kv","options":{"version":"2"},"config":{"max_lease_ttl":7}},)"
                    R"("request_id":"x"})"));
  {
    Context context;
    v1::ListMountsResponse reply;
    BOOST_TEST(stub->ListMounts(&context, {}, &reply).ok());
    BOOST_TEST(reply.mounts().size() == 1u);
    BOOST_TEST(reply.mounts().at("secret/").options().at("version") == "2");
    BOOST_TEST(reply.mounts().at("secret/").max_lease_ttl_seconds() == 7);
  }
  recorder.set(nullptr);
  {
    Context context;
    v1::EnableSecretsEngineRequest request;
    v1::SysEmpty reply;
    request.set_path("kv");
    request.set_type("kv");
    (*request.mutable_options())["version"] = "2";
    BOOST_TEST(stub->EnableSecretsEngine(&context, request, &reply).ok());
    BOOST_TEST(recorder.last() == R"(write sys/mounts/kv {"type":"kv","options":{"version":"2"}})");
  }
}

BOOST_AUTO_TEST_CASE(the_seal_is_watched) {
  start();
  const auto stub = v1::Watch::NewStub(channel);
  const auto sealed = [](const char* text) {
    return [text](core::Exchange& exchange) {
      exchange.response.bare = true;
      exchange.response.data = json::Value::raw(text);
    };
  };
  recorder.set(sealed(R"({"sealed":true,"t":3})"));
  Context context;
  const auto reader = stub->SealStatus(&context, {});
  v1::SealStatusResponse status;
  BOOST_REQUIRE(reader->Read(&status));
  BOOST_TEST(status.sealed());
  BOOST_TEST(status.threshold() == 3);
  recorder.set(sealed(R"({"sealed":false,"t":3})"));
  BOOST_REQUIRE(reader->Read(&status));
  BOOST_TEST(!status.sealed());
  context.TryCancel();
  BOOST_TEST(!reader->Read(&status));
  BOOST_TEST(reader->Finish().error_code() == grpc::StatusCode::CANCELLED);
}

int connect_to(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  BOOST_REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

// Row K8: clients that connect and say nothing.
BOOST_AUTO_TEST_CASE(k8_half_open_connections_have_a_bound) {
  config.connections = config.silent_connections = 10;
  start();
  const auto stub = v1::Sys::NewStub(channel);
  const auto call = [&] {
    Context context;
    v1::SysEmpty reply;
    return stub->Seal(&context, {}, &reply).ok();
  };
  const auto besiege = [&](int clients) {
    std::vector<int> silent;
    std::size_t most = 0;
    for (int i = 0; i < clients; ++i) {
      silent.push_back(connect_to(port()));
      if (i % 10 == 0)
        BOOST_TEST(call());  // the good client goes on
      most = std::max(most, server->connections());
    }
    // A new client is accepted after all of them, so now all have been.
    grpc::ChannelArguments own;
    own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto fresh =
        grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port()), grpc::InsecureChannelCredentials(), own);
    Context context;
    v1::SysEmpty reply;
    BOOST_TEST(v1::Sys::NewStub(fresh)->Seal(&context, {}, &reply).ok());
    BOOST_TEST(call());
    most = std::max(most, server->connections());
    for (const int fd : silent)
      ::close(fd);
    return most;
  };
  BOOST_TEST(besiege(200) <= 20u);
  const ScopedMutant bug(Mutant::kRpcConnectionsUnbounded);
  BOOST_TEST(besiege(200) > 20u);
}

BOOST_AUTO_TEST_CASE(messages_over_the_limit_are_refused) {
  config.message_bytes = 1000;
  start();
  Context context;
  v1::WriteRequest request;
  v1::Response reply;
  request.set_path("a");
  request.set_data_json("{\"a\":\"" + std::string(2000, 'x') + "\"}");
  BOOST_TEST(v1::Logical::NewStub(channel)->Write(&context, request, &reply).error_code() ==
             grpc::StatusCode::RESOURCE_EXHAUSTED);
  BOOST_TEST(recorder.last() == "");
}

BOOST_AUTO_TEST_CASE(texts_and_bytes_are_limited_as_on_http) {
  config.json.strings = 10;
  config.tokenless_message_bytes = 1000;
  start();
  const auto stub = v1::Sys::NewStub(channel);
  const auto enable = [&](int options, std::size_t value_bytes, bool token) {
    Context context;
    if (token)
      context.AddMetadata("x-vault-token", "hvs.t");
    v1::EnableAuditDeviceRequest request;
    request.set_path("file");
    request.set_type("file");
    for (int i = 0; i < options; ++i)
      (*request.mutable_options())["o" + std::to_string(i)] = std::string(value_bytes, 'x');
    v1::SysEmpty reply;
    return stub->EnableAuditDevice(&context, request, &reply);
  };
  BOOST_TEST(enable(2, 1, true).ok());
  const grpc::Status many = enable(10, 1, true);
  BOOST_TEST(many.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  BOOST_TEST(detail_of(many).http_status() == 413);
  BOOST_TEST(detail_of(many).errors(0) == "the request has more than 10 keys and texts");
  BOOST_TEST(enable(2, 600, true).ok());
  const grpc::Status large = enable(2, 600, false);
  BOOST_TEST(large.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
  BOOST_TEST(detail_of(large).errors(0) == "the request is larger than 1000 bytes");
}

// Clients that use their connection, that watch, and that say nothing.
BOOST_AUTO_TEST_CASE(a_stop_waits_for_answers_and_not_for_connections) {
  start();
  recorder.set([](core::Exchange& exchange) {
    exchange.response.bare = true;
    exchange.response.data = json::Value::raw(R"({"sealed":true})");
  });
  Context call;
  v1::SysEmpty reply;
  BOOST_REQUIRE(v1::Sys::NewStub(channel)->Seal(&call, {}, &reply).ok());
  Context watch;
  const auto reader = v1::Watch::NewStub(channel)->SealStatus(&watch, {});
  v1::SealStatusResponse status;
  BOOST_REQUIRE(reader->Read(&status));
  const int silent = connect_to(port());
  // One call is under way when the stop begins, and gets its answer.
  std::mutex mutex;
  std::condition_variable changed;
  bool entered = false;
  bool go = false;
  recorder.set([&](core::Exchange& exchange) {
    if (exchange.request.path.view() != "sys/seal")
      return data(R"({"sealed":true})")(exchange);
    std::unique_lock lock(mutex);
    entered = true;
    changed.notify_all();
    changed.wait(lock, [&] { return go; });
  });
  bool answered = false;
  std::thread client([&] {
    Context context;
    v1::SysEmpty last;
    answered = v1::Sys::NewStub(channel)->Seal(&context, {}, &last).ok();
  });
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return entered; });
  }
  const auto begun = std::chrono::steady_clock::now();
  std::thread stopping([&] { server->stop(std::chrono::seconds(30)); });
  BOOST_TEST(!reader->Read(&status));  // the stream ends while the call is still under way
  BOOST_TEST(reader->Finish().error_code() == grpc::StatusCode::UNAVAILABLE);
  {
    const std::lock_guard lock(mutex);
    go = true;
  }
  changed.notify_all();
  client.join();
  stopping.join();
  BOOST_TEST(answered);
  BOOST_TEST((std::chrono::steady_clock::now() - begun < std::chrono::seconds(5)));
  ::close(silent);
}

BOOST_AUTO_TEST_CASE(bad_settings_are_named) {
  config.listeners[0].tls = crypto::TlsFiles{"/nowhere/cert.pem", "/nowhere/key.pem"};
  auto made = Server::create(config, recorder, system_random(), [](std::string_view) {});
  BOOST_REQUIRE(!made.ok());
  BOOST_TEST(made.status().message().find("tls_cert_file /nowhere/cert.pem") == 0u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::rpc
