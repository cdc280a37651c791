#include "proto/coffer/v1/leases.grpc.pb.h"
#include "rpc/named.h"
#include "rpc/services.h"

namespace coffer::rpc {
namespace {

using core::Operation;
using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

constexpr Call kLookup{Operation::kWrite, "sys/leases/lookup"};
constexpr Call kList{Operation::kList, "sys/leases/lookup/{prefix}"};
constexpr Call kRenew{Operation::kWrite, "sys/leases/renew"};
constexpr Call kRevoke{Operation::kWrite, "sys/leases/revoke"};
constexpr Call kRevokePrefix{Operation::kWrite, "sys/leases/revoke-prefix/{prefix}"};
constexpr Call kRevokeForce{Operation::kWrite, "sys/leases/revoke-force/{prefix}"};
constexpr Call kTidy{Operation::kWrite, "sys/leases/tidy"};
constexpr Call kCount{Operation::kRead, "sys/leases/count"};
constexpr Call kIrrevocable{Operation::kRead, "sys/leases"};

// What is renewed is told beside the answer's data.
Status decode_renewed(core::Exchange& exchange, v1::LeaseRenewResponse& reply) {
  const core::Response& response = exchange.response;
  reply.set_lease_id(std::string(response.lease_id));
  reply.set_lease_duration_seconds(
      std::chrono::duration_cast<std::chrono::seconds>(response.lease_duration).count());
  reply.set_renewable(response.renewable);
  return ok_status();
}

class LeaseService final : public v1::Leases::CallbackService {
 public:
  explicit LeaseService(Gateway& gateway) : gateway_(gateway) {}

  Reactor* Lookup(Context* context, const v1::LeaseRequest* request, v1::Lease* reply) override {
    return named(gateway_, *context, kLookup, *request, *reply);
  }
  Reactor* List(Context* context, const v1::LeaseListRequest* request, v1::LeaseListResponse* reply) override {
    return named(gateway_, *context, kList, *request, *reply);
  }
  Reactor* Renew(Context* context, const v1::LeaseRenewRequest* request, v1::LeaseRenewResponse* reply) override {
    const Ask ask{kRenew.operation, path_of(kRenew, *request),
                  [request](json::Arena& arena) { return data_of(kRenew, *request, arena); }};
    return unary<v1::LeaseRenewResponse>(gateway_, *context, ask, *reply, decode_renewed);
  }
  Reactor* Revoke(Context* context, const v1::LeaseRevokeRequest* request, v1::LeaseEmpty* reply) override {
    return named(gateway_, *context, kRevoke, *request, *reply);
  }
  Reactor* RevokePrefix(Context* context, const v1::LeaseRevokePrefixRequest* request,
                        v1::LeaseEmpty* reply) override {
    return named(gateway_, *context, kRevokePrefix, *request, *reply);
  }
  Reactor* RevokeForce(Context* context, const v1::LeaseRevokeForceRequest* request, v1::LeaseEmpty* reply) override {
    return named(gateway_, *context, kRevokeForce, *request, *reply);
  }
  Reactor* Tidy(Context* context, const v1::LeaseTidyRequest* request, v1::LeaseEmpty* reply) override {
    return named(gateway_, *context, kTidy, *request, *reply);
  }
  Reactor* Count(Context* context, const v1::LeaseCountRequest* request, v1::LeaseCountResponse* reply) override {
    return named(gateway_, *context, kCount, *request, *reply);
  }
  Reactor* ListIrrevocable(Context* context, const v1::LeaseIrrevocableRequest* request,
                           v1::LeaseIrrevocableResponse* reply) override {
    return named(gateway_, *context, kIrrevocable, *request, *reply);
  }

 private:
  Gateway& gateway_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_lease_service(Gateway& gateway) { return std::make_unique<LeaseService>(gateway); }

}  // namespace coffer::rpc
