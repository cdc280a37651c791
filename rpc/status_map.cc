#include "rpc/status_map.h"

#include "base/json.h"
#include "proto/coffer/v1/logical.pb.h"

namespace coffer::rpc {
namespace {

// Details travel as a header, and clients take 8 KiB of those. The first text stands in it three times, twice in
// base64.
constexpr std::size_t kDetailBytesMax = 4096;  // of texts and data together
constexpr std::size_t kTextBytesMax = 1024;    // of one text
constexpr std::size_t kTextsBytesMax = 2048;   // of all of them

// A text that names what was sent may be as long as that.
std::string clipped(std::string_view text) {
  if (text.size() <= kTextBytesMax)
    return std::string(text);
  std::size_t end = kTextBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
    --end;
  return std::string(text.substr(0, end)) + "...";
}

// Returns how many bytes were added; what is beyond the bound is left out.
template <typename Texts, typename Add>
std::size_t add_texts(const Texts& texts, Add add) {
  std::size_t bytes = 0;
  for (const std::string_view text : texts) {
    std::string one = clipped(text);
    bytes += one.size();
    if (bytes > kTextsBytesMax)
      break;
    add(std::move(one));
  }
  return bytes;
}

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
  std::size_t bytes = add_texts(response.errors, [&error](std::string text) { error.add_errors(std::move(text)); });
  bytes += add_texts(response.warnings, [&error](std::string text) { error.add_warnings(std::move(text)); });
  if (!response.data.is_null()) {
    json::write(response.data, *error.mutable_data_json());
    if (error.data_json().size() + bytes > kDetailBytesMax)
      error.clear_data_json();
  }
  return with_details(response.late ? grpc::StatusCode::DEADLINE_EXCEEDED : code_of_http(response.status), error);
}

grpc::Status failure_of(const Status& status) {
  v1::Error error;
  error.set_http_status(core::http_status(status.code()));
  error.add_errors(clipped(status.message()));
  return with_details(code_of_http(error.http_status()), error);
}

Status out_of_memory() { return Status(Code::kUnavailable, "the server is out of memory"); }

}  // namespace coffer::rpc
