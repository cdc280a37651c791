#include "core/pipeline_state.h"
#include "core/request.h"

namespace coffer::core {

Exchange::Exchange() = default;
Exchange::~Exchange() = default;

void Exchange::reset() {
  request = Request();
  response = Response();
  authenticated = false;
  home = nullptr;
  connection = nullptr;
  for (AuditLine& line : audit_lines)
    line.clear();
  audit_set.reset();
  if (pipeline)
    pipeline->reset();
  arena.reset();
}

int http_status(Code code) noexcept {
  switch (code) {
    case Code::kOk:
      return 200;
    case Code::kInvalid:
      return 400;
    case Code::kUnauthenticated:
    case Code::kDenied:
      return 403;
    case Code::kNotFound:
      return 404;
    case Code::kUnsupported:
      return 405;
    case Code::kTooLarge:
      return 413;
    case Code::kExhausted:
      return 429;
    case Code::kSealed:
    case Code::kUnavailable:
    case Code::kConflict:
      return 503;
    case Code::kOutcomeUnknown:
    case Code::kDataLoss:
    case Code::kIo:
    case Code::kInternal:
      return 500;
  }
  return 500;
}

void fail(Exchange& exchange, const Status& status) {
  fail(exchange, http_status(status.code()), status.message());
}

void fail(Exchange& exchange, int status, std::string_view error) {
  COFFER_CHECK(status >= 400);
  exchange.response = Response();
  exchange.response.status = status;
  if (!error.empty())
    exchange.response.errors.push_back(exchange.arena.copy(error));
}

}  // namespace coffer::core
