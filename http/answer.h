// A whole HTTP answer as bytes: status line, headers, body, in one buffer for one write.
#pragma once

#include <string>
#include <string_view>

#include "core/request.h"
#include "http/config.h"

namespace coffer::http {

struct AnswerStyle {
  bool without_body = false;  // HEAD
  bool close = false;         // Connection: close
  bool tls = false;           // adds Strict-Transport-Security
  std::string_view date;      // the value of Date, or empty
  const CustomHeaders* custom = nullptr;  // the listener's own
  std::string_view origin;    // of an allowed site of a browser; only for answers without a dispatcher
};

// Appends to `out`; `scratch` is the caller's to reuse, its content is lost. The caller wipes both.
void write_answer(const core::Exchange& exchange, const AnswerStyle& style, std::string& scratch, std::string& out);

// The head of an answer whose body comes in chunks, until one is empty.
void write_stream_head(const core::Exchange& exchange, const AnswerStyle& style, std::string& out);

// The head of an answer behind which the connection speaks WebSocket; `accept` proves that the key was read.
void write_upgrade_head(std::string_view accept, const AnswerStyle& style, std::string& out);

// The same for an answer that no dispatcher gave. For one that is no failure `error` is further header
// lines, and there is no body.
void write_refusal(int status, std::string_view error, const AnswerStyle& style, std::string& scratch,
                   std::string& out);

// The reason phrase; "Unknown" for a status that this server never sends.
std::string_view reason_phrase(int status) noexcept;

// The value of a Date header.
void format_date(WallTime now, std::string& out);

}  // namespace coffer::http
