#include "core/finished.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/metrics.h"
#include "base/mutant.h"
#include "core/pipeline_state.h"

namespace coffer::core {
namespace {

constexpr std::string_view kOperationNames[] = {"read", "update", "delete", "list", "patch", "help", "scan"};

using metrics::Count;
using metrics::RouteOp;
using metrics::Sample;

// What has counters of its own, by where it is asked for.
struct Counted {
  std::string_view prefix;
  Operation operation;
  Count count;
};
constexpr Counted kCounted[] = {
    {"sys/policies/acl/", Operation::kRead, Count::kPolicyGet},
    {"sys/policies/acl/", Operation::kWrite, Count::kPolicySet},
    {"sys/policies/acl/", Operation::kDelete, Count::kPolicyDelete},
    {"sys/policies/acl", Operation::kList, Count::kPolicyList},
    {"sys/policy/", Operation::kRead, Count::kPolicyGet},
    {"sys/policy/", Operation::kWrite, Count::kPolicySet},
    {"sys/policy/", Operation::kDelete, Count::kPolicyDelete},
    {"sys/policy", Operation::kRead, Count::kPolicyList},
    {"sys/leases/lookup", Operation::kWrite, Count::kExpireLookup},
    {"sys/leases/renew", Operation::kWrite, Count::kExpireRenew},
    {"sys/leases/revoke", Operation::kWrite, Count::kExpireRevoke},
    {"auth/token/lookup", Operation::kRead, Count::kTokenLookup},
    {"auth/token/lookup", Operation::kWrite, Count::kTokenLookup},
    {"auth/token/renew", Operation::kWrite, Count::kTokenRenew},
    {"auth/token/revoke", Operation::kWrite, Count::kTokenRevoke},
};

void count_by_path(const Exchange& exchange) {
  const std::string_view path = exchange.request.path.view();
  if (!path.starts_with("sys/") && !path.starts_with("auth/token/"))
    return;
  for (const Counted& row : kCounted)
    if (exchange.request.operation == row.operation && path.starts_with(row.prefix))
      return metrics::add(row.count);
}

RouteOp route_op(const Exchange& exchange) {
  switch (exchange.request.operation) {
    case Operation::kWrite: return exchange.pipeline->facts.creates ? RouteOp::kCreate : RouteOp::kUpdate;
    case Operation::kPatch: return RouteOp::kUpdate;
    case Operation::kDelete: return RouteOp::kDelete;
    case Operation::kList:
    case Operation::kScan: return RouteOp::kList;
    default: return RouteOp::kRead;
  }
}

void count(const Exchange& exchange) {
  const PipelineState& state = *exchange.pipeline;
  const StageTimes& times = state.times;
  const bool login = exchange.response.auth && !exchange.authenticated;
  metrics::took(login ? Sample::kHandleLogin : Sample::kHandleRequest, times.ended - times.began);
  if (times.token != 0)
    metrics::took(Sample::kCheckToken, times.token - times.began);
  if (times.policy != 0)
    metrics::took(Sample::kFetchAcl, times.policy - times.token);
  if (state.route_slot != UINT32_MAX && times.handled != 0)
    metrics::took_route(state.route_slot, route_op(exchange), times.handled - times.policy);
  if (times.committed != 0) {
    metrics::took(Sample::kRaftApply, times.committed - times.proposed);
    metrics::took(Sample::kRaftCommit, times.committed - times.proposed);
  }
  if (exchange.response.auth && !exchange.response.has_errors())
    metrics::add(Count::kTokenCreation);
  if (state.runs != 0)
    metrics::add(Count::kRequestConflict, state.runs);
  if (exchange.response.status == 429)
    metrics::add(Count::kQuotaRefused);
  count_by_path(exchange);
  if (mutant(Mutant::kMetricsHoldTexts))
    metrics::took_route(metrics::route_slot(exchange.request.token), RouteOp::kRead, 1);
}

bool hex_bytes(std::string_view digits, std::span<std::uint8_t> out) {
  const Result<std::string> bytes = hex_decode(digits);
  if (!bytes.ok() || bytes->size() != out.size())
    return false;
  std::copy(bytes->begin(), bytes->end(), out.begin());
  return true;
}

// The request's own id, a UUID.
bool own_trace_id(std::string_view id, std::array<std::uint8_t, 16>& out) {
  std::string digits;
  std::copy_if(id.begin(), id.end(), std::back_inserter(digits), [](char c) { return c != '-'; });
  return hex_bytes(digits, out);
}

// "00-<32 digits>-<16 digits>-<2 digits>" of the client. False: it sent none that counts.
bool client_trace(const Request& request, FinishedRequest& out, bool& sampled) {
  for (const HeaderLine* header = request.headers; header != nullptr; header = header->next) {
    constexpr std::string_view kName = "traceparent";
    const std::string_view value = header->value;
    if (header->name.size() != kName.size() || (header->name[0] | 0x20) != 't' || value.size() != 55 ||
        !value.starts_with("00-") || value[35] != '-' || value[52] != '-')
      continue;
    std::array<std::uint8_t, 8> parent{};
    std::array<std::uint8_t, 1> flags{};
    if (!hex_bytes(value.substr(3, 32), out.trace_id) || !hex_bytes(value.substr(36, 16), parent) ||
        !hex_bytes(value.substr(53, 2), flags))
      return false;
    for (const std::uint8_t byte : parent)
      out.parent_span = out.parent_span << 8 | byte;
    sampled = (flags[0] & 1) != 0;
    return out.parent_span != 0;
  }
  return false;
}

int status_of(const Response& response) {
  if (response.status != 0)
    return response.status;
  const bool body = !response.data.is_null() || response.auth || response.wrap_info || !response.warnings.empty() ||
                    !response.content_type.empty();
  return body ? 200 : 204;
}

void trace(const Exchange& exchange, TraceSink& sink) {
  const PipelineState& state = *exchange.pipeline;
  FinishedRequest out;
  bool sampled = false;
  const bool of_client = client_trace(exchange.request, out, sampled);
  if (!of_client && !own_trace_id(exchange.request.id, out.trace_id))
    return;
  if (!sink.wants(out.trace_id, of_client ? &sampled : nullptr))
    return;
  out.operation = exchange.request.operation;
  out.surface = exchange.request.surface;
  out.status = status_of(exchange.response);
  out.token_known = exchange.authenticated;
  out.mount_point = state.facts.mount_point;
  out.mount_type = state.facts.mount_type;
  out.request_id = exchange.request.id;
  out.times = state.times;
  if (mutant(Mutant::kTraceHoldsTexts))
    json::write(exchange.request.data, out.mount_point);
  sink.finished(std::move(out));
}

// Paths, never what they hold.
void log_request(const Exchange& exchange, const Services& services, LogLevel level) {
  const Request& request = exchange.request;
  const StageTimes& times = exchange.pipeline->times;
  const Nanos took(times.ended - times.began);
  services.log->log(level, "core", "completed_request",
                    {{"client_address", std::string(request.remote_address).append(":").append(
                                            std::to_string(request.remote_port))},
                     {"duration", std::to_string(std::chrono::floor<std::chrono::milliseconds>(took).count()) + "ms"},
                     {"namespace", exchange.pipeline->facts.namespace_path},
                     {"operation", kOperationNames[static_cast<std::size_t>(request.operation)]},
                     {"request_id", request.id},
                     {"request_path", request.path.view()},
                     {"status_code", status_of(exchange.response)}});
}

}  // namespace

void note_finished(Exchange& exchange, const Services& services) {
  exchange.pipeline->times.ended = metrics::now_ns();
  count(exchange);
  if (services.log_requests != nullptr && services.log != nullptr)
    if (const auto level = services.log_requests->load(std::memory_order_relaxed)) [[unlikely]]
      log_request(exchange, services, *level);
  if (services.traces != nullptr)
    trace(exchange, *services.traces);
}

}  // namespace coffer::core
