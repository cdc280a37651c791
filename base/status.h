// Errors are values: a small category and a message for a person. A message names the setting, path or field that is
// wrong and never the content of a secret.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace coffer {

// The category decides what callers do; the message decides what people read. One function per outer surface maps a
// category to that surface (HTTP status, gRPC code, exit code).
enum class Code {
  kOk,
  kInvalid,         // the input is wrong; the same input fails again                           (HTTP 400)
  kUnauthenticated, // no token or one that is not known                                         (HTTP 403)
  kDenied,          // known, but not allowed                                                    (HTTP 403)
  kNotFound,        // no such thing                                                             (HTTP 404)
  kUnsupported,     // the path exists, the operation does not                                   (HTTP 405)
  kConflict,        // an optimistic check lost; running again may succeed
  kTooLarge,        // over a limit that has a name                                              (HTTP 413)
  kExhausted,       // a bound is reached now (queue, quota); later may succeed                  (HTTP 429)
  kSealed,          // the barrier is sealed                                                     (HTTP 503)
  kUnavailable,     // not now: no leader, shutting down, disk above its watermark               (HTTP 503)
  kOutcomeUnknown,  // proposed, but neither committed nor replaced before the deadline           (HTTP 500)
  kDataLoss,        // durable state is damaged; never repaired silently
  kIo,              // the operating system refused
  kInternal,        // a bug or a failed dependency                                              (HTTP 500)
};

// Stable lower-case name of a category, for logs and tests.
std::string_view code_name(Code code) noexcept;

class [[nodiscard]] Status {
 public:
  Status() noexcept = default;  // success
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {
    COFFER_CHECK(code != Code::kOk);
  }

  bool ok() const noexcept { return code_ == Code::kOk; }
  Code code() const noexcept { return code_; }
  const std::string& message() const noexcept { return message_; }

  // The same category with `prefix: ` before the message; success stays success.
  Status with_context(std::string_view prefix) const;

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

inline Status ok_status() noexcept { return Status(); }

// Either a value or a failed Status. Reading the wrong side stops the process.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<1>, std::move(value)) {}  // NOLINT: implicit on purpose
  Result(Status status) : state_(std::in_place_index<0>, std::move(status)) {  // NOLINT: implicit on purpose
    COFFER_CHECK(!std::get<0>(state_).ok());
  }

  bool ok() const noexcept { return state_.index() == 1; }

  // Success for a held value.
  Status status() const { return ok() ? Status() : std::get<0>(state_); }
  Code code() const noexcept { return ok() ? Code::kOk : std::get<0>(state_).code(); }

  T& value() & {
    COFFER_CHECK(ok());
    return *std::get_if<1>(&state_);
  }
  const T& value() const& {
    COFFER_CHECK(ok());
    return *std::get_if<1>(&state_);
  }
  T&& value() && {
    COFFER_CHECK(ok());
    return std::move(*std::get_if<1>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<Status, T> state_;
};

}  // namespace coffer

#define COFFER_CONCAT_INNER(a, b) a##b
#define COFFER_CONCAT(a, b) COFFER_CONCAT_INNER(a, b)

// Returns a failed Status (or Result) from the enclosing function; does nothing on success.
#define COFFER_TRY(expr)                                   \
  do {                                                     \
    if (auto coffer_status = (expr); !coffer_status.ok())  \
      return coffer_status;                                \
  } while (false)

// COFFER_ASSIGN(auto x, f()): x becomes the value, or the enclosing function returns the failure.
#define COFFER_ASSIGN(lhs, expr) COFFER_ASSIGN_INNER(COFFER_CONCAT(coffer_result_, __LINE__), lhs, expr)
#define COFFER_ASSIGN_INNER(tmp, lhs, expr) \
  auto tmp = (expr);                        \
  if (!tmp.ok())                            \
    return tmp.status();                    \
  lhs = std::move(tmp).value()
