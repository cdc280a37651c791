#include "rpc/cluster_channel.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <algorithm>
#include <limits>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/secret.h"

namespace coffer::rpc {
namespace {

// gRPC pings no faster than once a second.
constexpr int kKeepaliveMillis = 1000;
constexpr int kBackoffMinMillis = 50;
constexpr int kBackoffMaxMillis = 500;
constexpr int kConnectMillis = 2000;        // for one attempt, with the handshake
constexpr int kResolveAgainMillis = 500;

int millis(std::chrono::milliseconds time) { return static_cast<int>(time.count()); }

}  // namespace

std::shared_ptr<grpc::ServerCredentials> cluster_server_credentials(const crypto::NodeCertificate& certificate) {
  grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = certificate.authority_pem;
  options.pem_key_cert_pairs.push_back({std::string(certificate.key_pem.reveal_text()), certificate.cert_pem});
  auto made = grpc::SslServerCredentials(options);
  wipe(options.pem_key_cert_pairs[0].private_key.data(), options.pem_key_cert_pairs[0].private_key.size());
  return made;
}

std::shared_ptr<grpc::ChannelCredentials> cluster_channel_credentials(const crypto::NodeCertificate& certificate) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = certificate.authority_pem;
  options.pem_private_key = certificate.key_pem.reveal_text();
  options.pem_cert_chain = certificate.cert_pem;
  auto made = grpc::SslCredentials(options);
  wipe(options.pem_private_key.data(), options.pem_private_key.size());
  return made;
}

std::shared_ptr<grpc::Channel> open_cluster_channel(const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                                                    const std::string& address, raft::NodeId to,
                                                    std::size_t message_bytes_max, std::chrono::seconds ping_time_max) {
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(crypto::node_dns_name(to.get()));
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kBackoffMinMillis);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kBackoffMaxMillis);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMillis);
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, kResolveAgainMillis);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMillis);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, millis(ping_time_max));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // What was handed to gRPC is sent once or not at all.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // Nodes talk to each other directly, whatever the environment says of proxies.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  // A connection stays, used or not.
  arguments.SetInt(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, std::numeric_limits<int>::max());
  arguments.SetMaxReceiveMessageSize(static_cast<int>(message_bytes_max));
  auto channel = grpc::CreateCustomChannel("dns:///" + address, credentials, arguments);
  channel->GetState(true);
  return channel;
}

void set_cluster_keepalive(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMillis);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, millis(kBulkPingTimeMax));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kKeepaliveMillis / 10);
}

std::optional<raft::NodeId> cluster_caller(const grpc::ServerContextBase& context) {
  const auto auth = context.auth_context();
  if (auth == nullptr || !auth->IsPeerAuthenticated())
    return std::nullopt;
  const std::vector<grpc::string_ref> names = auth->FindPropertyValues(GRPC_X509_SAN_PROPERTY_NAME);
  if (names.size() != 1)
    return std::nullopt;
  const auto number = crypto::node_of_dns_name(std::string_view(names[0].data(), names[0].size()));
  return number ? std::optional(raft::NodeId(*number)) : std::nullopt;
}

gpr_timespec grpc_deadline(Nanos from_now) {
  const Nanos positive = std::max(from_now, Nanos(0));
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(positive.count(), GPR_TIMESPAN));
}

void Outstanding::add() {
  const std::lock_guard lock(mutex_);
  ++count_;
}

void Outstanding::done() {
  const std::lock_guard lock(mutex_);
  COFFER_CHECK(count_ > 0);
  if (--count_ == 0)
    changed_.notify_all();
}

void Outstanding::await_none() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return count_ == 0; });
}

}  // namespace coffer::rpc
