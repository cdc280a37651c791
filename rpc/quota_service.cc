#include "proto/coffer/v1/quotas.grpc.pb.h"
#include "rpc/named.h"
#include "rpc/services.h"

namespace coffer::rpc {
namespace {

using core::Operation;
using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

constexpr Call kReadConfig{Operation::kRead, "sys/quotas/config"};
constexpr Call kWriteConfig{Operation::kWrite, "sys/quotas/config"};
constexpr Call kListRates{Operation::kList, "sys/quotas/rate-limit"};
constexpr Call kReadRate{Operation::kRead, "sys/quotas/rate-limit/{name}"};
constexpr Call kWriteRate{Operation::kWrite, "sys/quotas/rate-limit/{name}"};
constexpr Call kDeleteRate{Operation::kDelete, "sys/quotas/rate-limit/{name}"};
constexpr Call kListCounts{Operation::kList, "sys/quotas/lease-count"};
constexpr Call kReadCount{Operation::kRead, "sys/quotas/lease-count/{name}"};
constexpr Call kWriteCount{Operation::kWrite, "sys/quotas/lease-count/{name}"};
constexpr Call kDeleteCount{Operation::kDelete, "sys/quotas/lease-count/{name}"};

class QuotaService final : public v1::Quotas::CallbackService {
 public:
  explicit QuotaService(Gateway& gateway) : gateway_(gateway) {}

  Reactor* ReadConfig(Context* context, const v1::QuotaConfigRequest* request, v1::QuotaConfig* reply) override {
    return named(gateway_, *context, kReadConfig, *request, *reply);
  }
  Reactor* WriteConfig(Context* context, const v1::QuotaConfig* request, v1::QuotaEmpty* reply) override {
    return named(gateway_, *context, kWriteConfig, *request, *reply);
  }
  Reactor* ListRateLimits(Context* context, const v1::QuotaListRequest* request,
                          v1::QuotaListResponse* reply) override {
    return named(gateway_, *context, kListRates, *request, *reply);
  }
  Reactor* ReadRateLimit(Context* context, const v1::QuotaRequest* request, v1::RateLimitQuota* reply) override {
    return named(gateway_, *context, kReadRate, *request, *reply);
  }
  Reactor* WriteRateLimit(Context* context, const v1::RateLimitQuota* request, v1::QuotaEmpty* reply) override {
    return named(gateway_, *context, kWriteRate, *request, *reply);
  }
  Reactor* DeleteRateLimit(Context* context, const v1::QuotaRequest* request, v1::QuotaEmpty* reply) override {
    return named(gateway_, *context, kDeleteRate, *request, *reply);
  }
  Reactor* ListLeaseCounts(Context* context, const v1::QuotaListRequest* request,
                           v1::QuotaListResponse* reply) override {
    return named(gateway_, *context, kListCounts, *request, *reply);
  }
  Reactor* ReadLeaseCount(Context* context, const v1::QuotaRequest* request, v1::LeaseCountQuota* reply) override {
    return named(gateway_, *context, kReadCount, *request, *reply);
  }
  Reactor* WriteLeaseCount(Context* context, const v1::LeaseCountQuota* request, v1::QuotaEmpty* reply) override {
    return named(gateway_, *context, kWriteCount, *request, *reply);
  }
  Reactor* DeleteLeaseCount(Context* context, const v1::QuotaRequest* request, v1::QuotaEmpty* reply) override {
    return named(gateway_, *context, kDeleteCount, *request, *reply);
  }

 private:
  Gateway& gateway_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_quota_service(Gateway& gateway) { return std::make_unique<QuotaService>(gateway); }

}  // namespace coffer::rpc
