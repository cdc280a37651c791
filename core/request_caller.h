// The Caller of a request in the pipeline.
#pragma once

#include "core/call.h"
#include "core/caller.h"

namespace coffer::core {

// Everything of the call outlives it.
class RequestCaller final : public Caller {
 public:
  explicit RequestCaller(const CallContext& call) : call_(call) {}

  std::string_view display_name() const override;
  std::string_view entity_id() const override;
  std::string_view prefix() const override { return call_.route.prefix; }
  Status may(Operation operation, std::string_view path, bool exists, const json::Value& data) const override;
  bool reaches(std::string_view path) const override;
  std::optional<Place> place_of(std::string_view path) const override;

 private:
  const CallContext& call_;
};

// What a request must be granted for this operation.
Capability capability_for(Operation operation, bool exists) noexcept;

// Answers a read of another path inside the running request: routed, authorised and handled in the same transaction,
// as a request of its own would be. Only what reads the store, and nothing that hands out tokens or leases; a failure
// is in the response, and no Status but one that ends the whole request is returned.
Result<Response> read_inside(CallContext& ctx, Operation operation, std::string_view path, const json::Value& data);

}  // namespace coffer::core
