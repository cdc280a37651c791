#include "http/answer.h"

#include <algorithm>
#include <charconv>
#include <ctime>

#include "base/mutant.h"
#include "http/envelope.h"

namespace coffer::http {
namespace {

struct Line {
  int status;
  std::string_view reason;
};
constexpr Line kLines[] = {{101, "Switching Protocols"},
                           {200, "OK"},
                           {204, "No Content"},
                           {202, "Accepted"},
                           {299, "Status"},
                           {307, "Temporary Redirect"},
                           {400, "Bad Request"},
                           {403, "Forbidden"},
                           {404, "Not Found"},
                           {405, "Method Not Allowed"},
                           {408, "Request Timeout"},
                           {412, "Precondition Failed"},
                           {413, "Request Entity Too Large"},
                           {415, "Unsupported Media Type"},
                           {417, "Expectation Failed"},
                           {426, "Upgrade Required"},
                           {429, "Too Many Requests"},
                           {431, "Request Header Fields Too Large"},
                           {472, "DR Secondary"},
                           {473, "Performance Standby"},
                           {474, "Standby Unhealthy"},
                           {500, "Internal Server Error"},
                           {501, "Not Implemented"},
                           {502, "Bad Gateway"},
                           {503, "Service Unavailable"},
                           {530, "Removed"}};

void append_number(std::size_t value, std::string& out) {
  char text[24];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  out.append(text, end);
}

void append_origin(std::string_view origin, std::string& out) {
  if (!origin.empty())
    out.append("Access-Control-Allow-Origin: ").append(origin).append("\r\nVary: Origin\r\n");
}

constexpr std::size_t kChunked = SIZE_MAX;

void append_head(int status, std::string_view content_type, std::size_t body_bytes, const AnswerStyle& style,
                 std::string& out) {
  if (status == 200) {
    out += mutant(Mutant::kAnswerMayBeCached) ? "HTTP/1.1 200 OK\r\n"
                                              : "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n";
  } else {
    out += "HTTP/1.1 ";
    append_number(static_cast<std::size_t>(status), out);
    out += ' ';
    out += reason_phrase(status);
    out += "\r\nCache-Control: no-store\r\n";
  }
  if (may_have_body(status)) {
    out += "Content-Type: ";
    out += content_type;
    if (body_bytes == kChunked) {
      out += "\r\nTransfer-Encoding: chunked\r\n";
    } else {
      out += "\r\nContent-Length: ";
      append_number(body_bytes, out);
      out += "\r\n";
    }
  }
  const std::string_view custom = style.custom == nullptr ? std::string_view() : style.custom->lines_of(status);
  out += custom;
  if (style.tls && custom.find("Strict-Transport-Security: ") == std::string_view::npos)
    out += "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n";
  if (!style.date.empty()) {
    out += "Date: ";
    out += style.date;
    out += "\r\n";
  }
  if (style.close)
    out += "Connection: close\r\n";
}

constexpr std::string_view kJson = "application/json";
constexpr std::size_t kReservedBytesMax = 256u << 10;  // the arena holds the request too, which can be much larger

}  // namespace

void write_answer(const core::Exchange& exchange, const AnswerStyle& style, std::string& scratch, std::string& out) {
  scratch.clear();
  const int status = answer_status(exchange.response);
  // One growth as a rule: text that is copied by growing would stay in the heap unwiped.
  scratch.reserve(std::min(exchange.arena.bytes_used(), kReservedBytesMax) + exchange.response.raw_body.size() + 1024);
  write_body(exchange, status, scratch);
  out.reserve(out.size() + scratch.size() + 512);
  const auto& response = exchange.response;
  append_head(status, response.content_type.empty() ? kJson : response.content_type, scratch.size(), style, out);
  append_origin(exchange.request.origin, out);
  bool tells_when = false;
  for (const auto& [name, value] : response.headers) {
    out.append(name).append(": ").append(value).append("\r\n");
    tells_when = tells_when || name == "Retry-After";
  }
  if (status == 429 && !response.errors.empty() && !tells_when)
    out += "Retry-After: 1\r\n";
  out += "\r\n";
  if (!style.without_body)
    out += scratch;
}

void write_refusal(int status, std::string_view error, const AnswerStyle& style, std::string& scratch,
                   std::string& out) {
  scratch.clear();
  if (status >= 400)
    write_errors(error, scratch);
  append_head(status, kJson, scratch.size(), style, out);
  append_origin(style.origin, out);
  if (status < 400)
    out += error;
  if (status == 503)
    out += "Retry-After: 1\r\n";
  out += "\r\n";
  if (!style.without_body)
    out += scratch;
}

void write_stream_head(const core::Exchange& exchange, const AnswerStyle& style, std::string& out) {
  append_head(answer_status(exchange.response), exchange.response.content_type, kChunked, style, out);
  append_origin(exchange.request.origin, out);
  out += "\r\n";
}

void write_upgrade_head(std::string_view accept, const AnswerStyle& style, std::string& out) {
  out.append("HTTP/1.1 101 ").append(reason_phrase(101)).append("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
  out.append("Sec-WebSocket-Accept: ").append(accept).append("\r\n");
  if (style.custom != nullptr)
    out += style.custom->lines_of(101);
  out.append("Date: ").append(style.date).append("\r\n\r\n");
}

std::string_view reason_phrase(int status) noexcept {
  for (const Line& line : kLines) {
    if (line.status == status)
      return line.reason;
  }
  return "Unknown";
}

void format_date(WallTime now, std::string& out) {
  constexpr std::string_view kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t at = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  std::tm civil{};
  gmtime_r(&at, &civil);
  const auto two = [&out](int value) {
    out += static_cast<char>('0' + value / 10 % 10);
    out += static_cast<char>('0' + value % 10);
  };
  out.clear();
  out += kDays[civil.tm_wday];
  out += ", ";
  two(civil.tm_mday);
  out += ' ';
  out += kMonths[civil.tm_mon];
  out += ' ';
  two(civil.tm_year / 100 + 19);
  two(civil.tm_year % 100);
  out += ' ';
  two(civil.tm_hour);
  out += ':';
  two(civil.tm_min);
  out += ':';
  two(civil.tm_sec);
  out += " GMT";
}

}  // namespace coffer::http
