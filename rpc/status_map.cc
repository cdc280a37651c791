#include "rpc/status_map.h"

#include "base/json.h"
#include "proto/coffer/v1/logical.pb.h"

namespace coffer::rpc {
namespace {

constexpr std::size_t kDetailDataBytesMax = 4096;  // details travel as a header, and clients take 8 KiB of those

grpc::Status with_details(grpc::StatusCode code, const v1::Error& error) {
  const std::string message = error.errors_size() != 0 ? error.errors(0) : std::string();
  v1::StatusDetails details;
  details.set_code(code);
  details.set_message(message);
  details.add_details()->PackFrom(error);
  return grpc::Status(code, message, details.SerializeAsString());
}

}  // namespace

grpc::StatusCode code_of_http(int status) noexcept {
  switch (status) {
    case 400:
    case 415:
      return grpc::StatusCode::INVALID_ARGUMENT;
    case 403:
      return grpc::StatusCode::PERMISSION_DENIED;
    case 404:
      return grpc::StatusCode::NOT_FOUND;
    case 405:
      return grpc::StatusCode::UNIMPLEMENTED;
    case 408:
      return grpc::StatusCode::DEADLINE_EXCEEDED;
    case 412:
      return grpc::StatusCode::FAILED_PRECONDITION;
    case 413:
    case 429:
      return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case 472:
    case 473:
    case 474:
    case 501:
    case 502:
    case 503:
    case 530:
      return grpc::StatusCode::UNAVAILABLE;
    default:
      return status < 500 ? grpc::StatusCode::FAILED_PRECONDITION : grpc::StatusCode::INTERNAL;
  }
}

grpc::Status failure_of(const core::Exchange& exchange) {
  const core::Response& response = exchange.response;
  v1::Error error;
  error.set_http_status(response.status);
  for (const std::string_view text : response.errors)
    error.add_errors(std::string(text));
  for (const std::string_view text : response.warnings)
    error.add_warnings(std::string(text));
  if (!response.data.is_null()) {
    json::write(response.data, *error.mutable_data_json());
    if (error.data_json().size() > kDetailDataBytesMax)
      error.clear_data_json();
  }
  return with_details(response.late ? grpc::StatusCode::DEADLINE_EXCEEDED : code_of_http(response.status), error);
}

grpc::Status failure_of(const Status& status) {
  v1::Error error;
  error.set_http_status(core::http_status(status.code()));
  error.add_errors(status.message());
  return with_details(code_of_http(error.http_status()), error);
}

Status out_of_memory() { return Status(Code::kUnavailable, "the server is out of memory"); }

}  // namespace coffer::rpc
