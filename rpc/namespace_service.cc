#include "proto/coffer/v1/namespaces.grpc.pb.h"
#include "rpc/named.h"
#include "rpc/services.h"

namespace coffer::rpc {
namespace {

using core::Operation;
using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

constexpr Call kList{Operation::kList, "sys/namespaces"};
constexpr Call kRead{Operation::kRead, "sys/namespaces/{path}"};
constexpr Call kCreate{Operation::kWrite, "sys/namespaces/{path}"};
constexpr Call kPatch{Operation::kPatch, "sys/namespaces/{path}"};
constexpr Call kDelete{Operation::kDelete, "sys/namespaces/{path}"};
constexpr Call kLock{Operation::kWrite, "sys/namespaces/api-lock/lock/{path}"};
constexpr Call kUnlock{Operation::kWrite, "sys/namespaces/api-lock/unlock/{path}"};

class NamespaceService final : public v1::Namespaces::CallbackService {
 public:
  explicit NamespaceService(Gateway& gateway) : gateway_(gateway) {}

  Reactor* List(Context* context, const v1::NamespaceListRequest* request, v1::NamespaceListResponse* reply) override {
    return named(gateway_, *context, kList, *request, *reply);
  }
  Reactor* Read(Context* context, const v1::NamespaceRequest* request, v1::Namespace* reply) override {
    return named(gateway_, *context, kRead, *request, *reply);
  }
  Reactor* Create(Context* context, const v1::NamespaceWriteRequest* request, v1::Namespace* reply) override {
    return named(gateway_, *context, kCreate, *request, *reply);
  }
  Reactor* Patch(Context* context, const v1::NamespaceWriteRequest* request, v1::Namespace* reply) override {
    return named(gateway_, *context, kPatch, *request, *reply);
  }
  Reactor* Delete(Context* context, const v1::NamespaceRequest* request, v1::NamespaceEmpty* reply) override {
    return named(gateway_, *context, kDelete, *request, *reply);
  }
  Reactor* Lock(Context* context, const v1::NamespaceRequest* request, v1::NamespaceLockResponse* reply) override {
    return named(gateway_, *context, kLock, *request, *reply);
  }
  Reactor* Unlock(Context* context, const v1::NamespaceUnlockRequest* request, v1::NamespaceEmpty* reply) override {
    return named(gateway_, *context, kUnlock, *request, *reply);
  }

 private:
  Gateway& gateway_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_namespace_service(Gateway& gateway) {
  return std::make_unique<NamespaceService>(gateway);
}

}  // namespace coffer::rpc
