// A chain over the lines of a file: each line carries the hash of itself and of the one before, so that a line that was
// changed, dropped, moved or put in shows (docs/formats/audit_line.md). Pure.
//
// The hash needs no key, so anybody can follow the chain; the mark that stands beside it does (a MAC of the hash), so
// nobody without the key can make a whole chain anew.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace coffer {

class HashChain {
 public:
  struct Link {
    std::uint64_t sequence = 0;
    std::string previous;  // 64 hex digits; zeros at the beginning of a chain
    std::string hash;
    std::string mark;
  };

  HashChain();

  // The link of the next line, `{…}` without its line end; its mark is the caller's to fill. The chain moves on.
  Link next(std::string_view line);
  // Goes on behind this link.
  void resume(const Link& link);

  std::uint64_t sequence() const noexcept { return sequence_; }
  const std::string& last_hash() const noexcept { return previous_; }

  // Appends `line` with the link as its last member, without a line end.
  static void append(std::string_view line, const Link& link, std::string& out);
  // Takes both apart; `line` is as it was before. kInvalid when the text carries no link.
  static Result<Link> read(std::string_view text, std::string& line);
  // Whether the link is that of this line.
  static bool fits(const Link& link, std::string_view line);

 private:
  std::uint64_t sequence_ = 0;
  std::string previous_;
};

}  // namespace coffer
