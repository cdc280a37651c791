// How a node tells a catalogue of services (Consul, Kubernetes) that it is there and what it is just now. Pure: says
// which request is due and hears how it went; a thread of its own (ServiceRegistrar) performs them. Nothing of it ever
// keeps a server from serving.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.h"
#include "core/web_call.h"
#include "server/registration_options.h"

namespace coffer::server {

// Of one request.
inline constexpr std::chrono::seconds kRegistrationTimeMax{3};

// What is told of a node.
struct NodeFace {
  bool initialized = false;
  bool sealed = true;
  bool active = false;
  bool performance_standby = false;
  bool operator==(const NodeFace&) const = default;
};

// One thread.
class Registration {
 public:
  // `api_address`: URL, from which host and port are taken.
  Registration(RegistrationOptions options, std::string api_address, std::string version);

  // The next request, if one is due; told() follows before the next call.
  std::optional<core::WebRequest> due(const NodeFace& face, BootTime now);
  void told(const Result<core::WebAnswer>& answer, BootTime now);
  // Takes the node out of the catalogue, as far as it was put in.
  std::optional<core::WebRequest> farewell() const;

 private:
  core::WebRequest consul(std::string path, std::string body) const;
  core::WebRequest consul_service(const NodeFace& face) const;
  core::WebRequest consul_check(const NodeFace& face) const;
  std::optional<core::WebRequest> kubernetes(const NodeFace& face) const;

  const RegistrationOptions options_;
  std::string host_;
  std::uint16_t port_ = 8200;
  const std::string version_;
  std::string service_id_;
  std::optional<NodeFace> told_;  // as the catalogue has it
  bool registered_ = false;       // it was told once, and may still have it when a later message failed
  NodeFace asked_;
  bool checks_ = false;           // the request under way is a check's
  BootTime next_{};
  Nanos pause_{0};                // before the next try
};

// Performs what is due, on a thread of its own, until it is destroyed; then says farewell, for at most one call.
class ServiceRegistrar {
 public:
  struct Ports {
    core::WebCall call;
    std::function<NodeFace()> face;  // any thread
    const Clock& clock;
    Logger& logger;
  };
  ServiceRegistrar(Registration registration, Ports ports);
  ~ServiceRegistrar();
  ServiceRegistrar(const ServiceRegistrar&) = delete;
  ServiceRegistrar& operator=(const ServiceRegistrar&) = delete;

 private:
  void run();
  void perform(const core::WebRequest& request);

  Registration registration_;  // the thread's
  const Ports ports_;
  std::string last_failure_;   // the thread's
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;      // guarded by mutex_
  std::thread thread_;
};

}  // namespace coffer::server
