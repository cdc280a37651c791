// Conditions on audit lines, in the expression language that users of such servers know: `mount_type == "kv" and not
// path contains "tmp"`. Pure; immutable after parsing, so any thread may ask.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace coffer::core {

// What a condition is asked about.
class AuditFilterSubject {
 public:
  virtual ~AuditFilterSubject() = default;
  // The values under a selector: one for a text, several for a list, none where there is nothing.
  virtual void values(std::string_view selector, std::vector<std::string_view>& out) const = 0;
};

class AuditFilter {
 public:
  static constexpr std::size_t kTermsMax = 64;
  static constexpr std::size_t kDepthMax = 16;

  // Selectors are words, or quoted texts that begin with '/'. `known` lists the allowed ones; empty: every one that
  // begins with '/'. kInvalid says what is wrong at which offset, without the text.
  static Result<AuditFilter> parse(std::string_view text, std::span<const std::string_view> known);

  bool matches(const AuditFilterSubject& subject) const;

 private:
  friend class AuditFilterParser;
  enum class Kind : std::uint8_t { kEqual, kContains, kEmpty, kAnd, kOr, kNot };
  struct Term {
    Kind kind = Kind::kEqual;
    std::string selector;
    std::string value;
    std::size_t left = 0;   // of kAnd, kOr, kNot
    std::size_t right = 0;  // of kAnd, kOr
  };
  bool holds(std::size_t at, const AuditFilterSubject& subject) const;

  std::vector<Term> terms_;
  std::size_t root_ = 0;
};

}  // namespace coffer::core
