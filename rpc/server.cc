#include "rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "base/descriptors.h"
#include "base/listen.h"
#include "crypto/tls.h"
#include "rpc/acceptor.h"
#include "rpc/gateway.h"
#include "rpc/library_log.h"
#include "rpc/services.h"
#include "rpc/ticker.h"

namespace coffer::rpc {
namespace {

constexpr unsigned kCertificatePollSeconds = 1;
constexpr std::chrono::milliseconds kWatchInterval{500};
constexpr std::size_t kBufferedBytesMax = 256u << 20;  // that gRPC may hold for all connections

// gRPC says nothing about files that it cannot use; this does.
Status check_files(const crypto::TlsFiles& files) {
  ERR_clear_error();
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  if (!context)
    return Status(Code::kInternal, "tls: no memory for a context");
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.cert_file.c_str()) != 1)
    return crypto::tls_file_error("tls_cert_file", files.cert_file);
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1)
    return crypto::tls_file_error("tls_key_file", files.key_file);
  if (!files.client_ca_file.empty() &&
      SSL_CTX_load_verify_locations(context.get(), files.client_ca_file.c_str(), nullptr) != 1)
    return crypto::tls_file_error("tls_client_ca_file", files.client_ca_file);
  return ok_status();
}

std::shared_ptr<grpc::ServerCredentials> credentials_of(const Listener& listener) {
  if (!listener.tls)
    return grpc::InsecureServerCredentials();
  const crypto::TlsFiles& files = *listener.tls;
  namespace tls = grpc::experimental;
  const auto provider = files.client_ca_file.empty()
                            ? std::make_shared<tls::FileWatcherCertificateProvider>(files.key_file, files.cert_file,
                                                                                    kCertificatePollSeconds)
                            : std::make_shared<tls::FileWatcherCertificateProvider>(
                                  files.key_file, files.cert_file, files.client_ca_file, kCertificatePollSeconds);
  tls::TlsServerCredentialsOptions options(provider);
  options.watch_identity_key_cert_pairs();
  if (!files.client_ca_file.empty() && files.ask_client_cert) {
    options.watch_root_certs();
    options.set_cert_request_type(files.require_client_cert ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                                            : GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return tls::TlsServerCredentials(options);
}

}  // namespace

class Server::Impl {
 public:
  Impl(Config c, core::Dispatcher& dispatcher, RandomSource& random, LogFn log)
      : config(std::move(c)),
        log_(std::move(log)),
        gateway(std::make_unique<Gateway>(
            dispatcher, random,
            Gateway::CallLimits{config.json, config.tokenless_message_bytes, config.request,
                                [this](std::string_view address, std::uint16_t port, bool known) {
                                  if (Acceptor* const open = accepting.load())
                                    open->note_call(address, port, known);
                                },
                                config.board})) {
    for (auto* make : {make_logical_service, make_kv_service, make_token_service, make_identity_service,
                       make_sys_service, make_ceremony_service, make_auth_service, make_lease_service,
                       make_quota_service, make_namespace_service})
      services.push_back(make(*gateway));
    services.push_back(make_watch_service(*gateway, ticker));
  }

  ~Impl() { stop(Nanos(0)); }

  Status open() {
    if (config.listeners.empty())
      return Status(Code::kInvalid, "listener \"grpc\": none is configured");
    std::vector<int> sockets;
    Status status = bind(sockets);
    if (status.ok())
      status = build();
    if (!status.ok()) {
      for (const int fd : sockets)
        ::close(fd);
      return status;
    }
    const auto handover = [this](std::size_t listener, int listener_fd, int fd) {
      grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
      connection.listener_fd = listener_fd;
      connection.fd = fd;
      doors[listener]->HandleNewConnection(&connection);
    };
    const std::size_t silent = std::min(config.silent_connections, descriptors_max() / 2);
    const Acceptor::Limits limits{config.connections, silent, config.handshake, config.bytes_without_call,
                                  config.bytes_of_known};
    acceptor = std::make_unique<Acceptor>(std::move(sockets), limits, handover, log_);
    accepting = acceptor.get();
    return ok_status();
  }

  Status bind(std::vector<int>& sockets) {
    for (const Listener& listener : config.listeners) {
      if (listener.tls)
        COFFER_TRY(check_files(*listener.tls));
      COFFER_ASSIGN(const int fd, listen_tcp(listener.host, listener.port));
      sockets.push_back(fd);
      bound.push_back({listener.host, bound_port(fd), listener.tls.has_value()});
    }
    return ok_status();
  }

  Status build() {
    quiet_library_log();
    static std::once_flag plugins;
    std::call_once(plugins, [] {
      grpc::EnableDefaultHealthCheckService(true);
      grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    });
    grpc::ServerBuilder builder;
    grpc::ResourceQuota quota("coffer");
    quota.Resize(kBufferedBytesMax);
    builder.SetResourceQuota(quota);
    builder.SetMaxReceiveMessageSize(static_cast<int>(config.message_bytes));
    // gRPC inflates a compressed message as a whole before it looks at its size, so nothing may be compressed: a call
    // that says so is refused, and what comes all the same stays as it is.
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
    builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
    builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, static_cast<int>(config.streams));
    builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, static_cast<int>(limits::kRequestHeaderBytesMax));
    builder.AddChannelArgument(
        GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
        static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(config.handshake).count()));
    using Type = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
    for (const Listener& listener : config.listeners)
      doors.push_back(builder.experimental().AddExternalConnectionAcceptor(Type::FROM_FD, credentials_of(listener)));
    for (const auto& service : services)
      builder.RegisterService(service.get());
    server = builder.BuildAndStart();
    if (!server)
      return Status(Code::kInternal, "listener \"grpc\": gRPC did not start");
    set_serving(true);
    return ok_status();
  }

  void set_serving(bool serving) {
    if (auto* health = server->GetHealthCheckService())
      health->SetServingStatus(serving);
  }

  void stop(Nanos drain) {
    if (!server)
      return;
    acceptor->close();
    ticker.stop();
    const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(drain).count();
    const gpr_timespec deadline =
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(millis, GPR_TIMESPAN));
    // It waits for every connection, those that nobody uses too: once all calls are answered, what is left is cut.
    std::thread closing([&] { server->Shutdown(deadline); });
    gateway->await_quiet(drain);
    acceptor->disconnect();
    closing.join();
    server->Wait();
    acceptor.reset();
    doors.clear();
    server.reset();
    gateway.reset();
  }

  const Config config;
  const LogFn log_;
  Ticker ticker{kWatchInterval};
  std::unique_ptr<Gateway> gateway;
  std::vector<std::unique_ptr<grpc::Service>> services;
  std::vector<std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor>> doors;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<Acceptor> acceptor;
  std::atomic<Acceptor*> accepting{nullptr};  // for calls, which may come before it is set and never after it is gone
  std::vector<BoundAddress> bound;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::create(Config config, core::Dispatcher& dispatcher, RandomSource& random,
                                               LogFn log) {
  auto impl = std::make_unique<Impl>(std::move(config), dispatcher, random, std::move(log));
  COFFER_TRY(impl->open());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

const std::vector<BoundAddress>& Server::bound() const noexcept { return impl_->bound; }
void Server::set_serving(bool serving) { impl_->set_serving(serving); }
void Server::stop(Nanos drain) { impl_->stop(drain); }
std::size_t Server::connections() const { return impl_->acceptor ? impl_->acceptor->connections() : 0; }

Status Server::reload_tls() {
  for (const Listener& listener : impl_->config.listeners) {
    if (listener.tls)
      COFFER_TRY(check_files(*listener.tls));
  }
  return ok_status();
}

}  // namespace coffer::rpc
