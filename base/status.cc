#include "base/status.h"

namespace coffer {

std::string_view code_name(Code code) noexcept {
  switch (code) {
    case Code::kOk: return "ok";
    case Code::kInvalid: return "invalid";
    case Code::kUnauthenticated: return "unauthenticated";
    case Code::kDenied: return "denied";
    case Code::kNotFound: return "not_found";
    case Code::kUnsupported: return "unsupported";
    case Code::kConflict: return "conflict";
    case Code::kTooLarge: return "too_large";
    case Code::kExhausted: return "exhausted";
    case Code::kSealed: return "sealed";
    case Code::kUnavailable: return "unavailable";
    case Code::kOutcomeUnknown: return "outcome_unknown";
    case Code::kDataLoss: return "data_loss";
    case Code::kIo: return "io";
    case Code::kInternal: return "internal";
  }
  COFFER_CHECK(false);
}

Status Status::with_context(std::string_view prefix) const {
  if (ok())
    return Status();
  return Status(code_, std::string(prefix) + ": " + message_);
}

}  // namespace coffer
