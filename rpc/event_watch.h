// A stream of events to one client.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proto/coffer/v1/watch.pb.h"
#include "rpc/gateway.h"
#include "rpc/ticker.h"

namespace coffer::core {
class EventFeed;
struct Event;
}

namespace coffer::rpc {

// gRPC passes a stream from thread to thread, in order, by means that the thread sanitizer cannot see. Each step meets
// the one before it here as well, where it can.
void see_handover();

// Asks for a subscription, then writes what it tells. gRPC, the gateway and the ticker call it from their threads; one
// step is under way at a time, only the cancellation can come beside it. Deletes itself when gRPC is done with it.
class EventWatch final : public grpc::ServerWriteReactor<v1::Event>, public Pending, public Ticker::Client {
 public:
  struct Interest {
    std::string type;
    std::vector<std::string> namespaces;
    std::string filter;
    std::function<bool(const core::Event&)> wanted;  // of what the subscription tells; null: all
  };

  EventWatch(Gateway& gateway, Ticker& ticker, Interest interest);
  ~EventWatch() override;

  // Once, at the beginning.
  void start(const grpc::CallbackServerContext& context);

  void answered(core::Exchange& exchange) override;
  void tick() override;
  void stopped() override;
  void OnSendInitialMetadataDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  void go_on();
  void wait();

  Gateway& gateway_;
  Ticker& ticker_;
  const Interest interest_;
  std::shared_ptr<core::EventFeed> feed_;
  v1::Event event_;
};

}  // namespace coffer::rpc
