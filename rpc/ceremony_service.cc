#include "proto/coffer/v1/ceremonies.grpc.pb.h"
#include "rpc/named.h"
#include "rpc/services.h"

namespace coffer::rpc {
namespace {

using core::Operation;
using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

class CeremonyService final : public v1::Ceremonies::CallbackService {
 public:
  explicit CeremonyService(Gateway& gateway) : gateway_(gateway) {}

  Reactor* RekeyBegin(Context* context, const v1::RekeyBeginRequest* request, v1::RekeyState* reply) override {
    return named(gateway_, *context, {Operation::kWrite, "sys/rekey/init"}, *request, *reply);
  }
  Reactor* RekeyStatus(Context* context, const v1::RekeyAsk* request, v1::RekeyState* reply) override {
    return named(gateway_, *context, {Operation::kRead, "sys/rekey/init"}, *request, *reply);
  }
  Reactor* RekeyCancel(Context* context, const v1::RekeyNonce* request, v1::CeremonyEmpty* reply) override {
    return named(gateway_, *context, {Operation::kDelete, "sys/rekey/init"}, *request, *reply);
  }
  Reactor* RekeyGive(Context* context, const v1::RekeyShare* request, v1::RekeyState* reply) override {
    return named(gateway_, *context, {Operation::kWrite, "sys/rekey/update"}, *request, *reply);
  }
  Reactor* RekeyVerificationStatus(Context* context, const v1::RekeyAsk* request,
                                   v1::RekeyVerification* reply) override {
    return named(gateway_, *context, {Operation::kRead, "sys/rekey/verify"}, *request, *reply);
  }
  Reactor* RekeyShow(Context* context, const v1::RekeyShare* request, v1::RekeyVerification* reply) override {
    return named(gateway_, *context, {Operation::kWrite, "sys/rekey/verify"}, *request, *reply);
  }
  Reactor* RekeyShowAnew(Context* context, const v1::RekeyAsk* request, v1::RekeyVerification* reply) override {
    return named(gateway_, *context, {Operation::kDelete, "sys/rekey/verify"}, *request, *reply);
  }

  Reactor* RecoveryRekeyBegin(Context* context, const v1::RekeyBeginRequest* request, v1::RekeyState* reply) override {
    return named(gateway_, *context, {Operation::kWrite, "sys/rekey-recovery-key/init"}, *request, *reply);
  }
  Reactor* RecoveryRekeyStatus(Context* context, const v1::RekeyAsk* request, v1::RekeyState* reply) override {
    return named(gateway_, *context, {Operation::kRead, "sys/rekey-recovery-key/init"}, *request, *reply);
  }
  Reactor* RecoveryRekeyCancel(Context* context, const v1::RekeyNonce* request, v1::CeremonyEmpty* reply) override {
    return named(gateway_, *context, {Operation::kDelete, "sys/rekey-recovery-key/init"}, *request, *reply);
  }
  Reactor* RecoveryRekeyGive(Context* context, const v1::RekeyShare* request, v1::RekeyState* reply) override {
    return named(gateway_, *context, {Operation::kWrite, "sys/rekey-recovery-key/update"}, *request, *reply);
  }
  Reactor* RecoveryRekeyVerificationStatus(Context* context, const v1::RekeyAsk* request,
                                           v1::RekeyVerification* reply) override {
    return named(gateway_, *context, {Operation::kRead, "sys/rekey-recovery-key/verify"}, *request, *reply);
  }
  Reactor* RecoveryRekeyShow(Context* context, const v1::RekeyShare* request, v1::RekeyVerification* reply) override {
    return named(gateway_, *context, {Operation::kWrite, "sys/rekey-recovery-key/verify"}, *request, *reply);
  }
  Reactor* RecoveryRekeyShowAnew(Context* context, const v1::RekeyAsk* request, v1::RekeyVerification* reply) override {
    return named(gateway_, *context, {Operation::kDelete, "sys/rekey-recovery-key/verify"}, *request, *reply);
  }

  Reactor* BeginRoot(Context* context, const v1::RootBegin* request, v1::RootState* reply) override {
    return named(gateway_, *context, {Operation::kWrite, "sys/generate-root/attempt"}, *request, *reply);
  }
  Reactor* RootStatus(Context* context, const v1::RootAsk* request, v1::RootState* reply) override {
    return named(gateway_, *context, {Operation::kRead, "sys/generate-root/attempt"}, *request, *reply);
  }
  Reactor* CancelRoot(Context* context, const v1::RekeyNonce* request, v1::CeremonyEmpty* reply) override {
    return named(gateway_, *context, {Operation::kDelete, "sys/generate-root/attempt"}, *request, *reply);
  }
  Reactor* GiveRoot(Context* context, const v1::RekeyShare* request, v1::RootState* reply) override {
    return named(gateway_, *context, {Operation::kWrite, "sys/generate-root/update"}, *request, *reply);
  }
  Reactor* DecodeToken(Context* context, const v1::EncodedToken* request, v1::DecodedToken* reply) override {
    return named(gateway_, *context, {Operation::kWrite, "sys/decode-token"}, *request, *reply);
  }

 private:
  Gateway& gateway_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_ceremony_service(Gateway& gateway) {
  return std::make_unique<CeremonyService>(gateway);
}

}  // namespace coffer::rpc
