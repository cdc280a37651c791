// Command-line flags with the semantics of Go's flag package: -x and --x, -x=v or -x v, booleans without a value,
// parsing stops at the first argument that is no flag or after "--". A command's flags stand in titled groups, which
// its help prints.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "cli/invocation.h"

namespace coffer::cli {

enum class FlagKind {
  kBool,
  kOptionalBool,  // a bool that remembers whether it was given
  kInt,
  kDuration,
  kString,
  kList,  // given several times, collects
  kMap,   // key=value, given several times, collects
};

// All texts are literals or outlive the set.
struct Flag {
  std::string_view name;
  FlagKind kind = FlagKind::kString;
  std::string_view usage;
  std::string_view fallback = "";  // the value when it is not given
  std::string_view env = "";       // variable that replaces the fallback
  std::string_view alias = "";
  std::string_view example = "";   // in the help, instead of the kind's own
  bool hidden = false;             // accepted, but in no help
};

struct FlagGroup {
  std::string_view title;
  std::vector<Flag> flags;
};

class FlagSet {
 public:
  // An environment variable that does not parse is ignored, as Go's clients do.
  FlagSet(std::vector<FlagGroup> groups, const Invocation& invocation);
  FlagSet(const FlagSet&) = delete;
  FlagSet& operator=(const FlagSet&) = delete;

  // kInvalid with Go's message. Flags before the faulty one keep their values.
  Status parse(const std::vector<std::string>& args);
  const std::vector<std::string>& args() const { return args_; }  // what is left after parse()

  // The flag must be declared, with a kind that fits.
  const std::string& text(std::string_view name) const;
  bool boolean(std::string_view name) const;
  std::int64_t integer(std::string_view name) const;
  std::int64_t duration_nanos(std::string_view name) const;
  const std::vector<std::string>& list(std::string_view name) const;
  std::map<std::string, std::string> map(std::string_view name) const;
  bool given(std::string_view name) const;  // on the command line
  bool declared(std::string_view name) const;
  // What counts came from somewhere: command line or environment.
  bool given_or_env(std::string_view name) const;

  const std::vector<FlagGroup>& groups() const { return groups_; }
  std::string help() const;  // all groups; hidden flags left out

 private:
  struct Slot {
    const Flag* flag;
    std::string text;
    bool boolean = false;
    std::int64_t number = 0;
    std::vector<std::string> list;
    bool given = false;
    bool from_env = false;
  };

  Slot* find(std::string_view name);
  const Slot& slot(std::string_view name) const;
  static Status set(Slot& slot, std::string_view value);
  Result<bool> parse_one(const std::vector<std::string>& args, std::size_t& at);

  std::vector<FlagGroup> groups_;
  std::map<std::string, Slot, std::less<>> slots_;
  std::vector<std::string> args_;
};

// The sentence that warns about flags among positional arguments, or nothing.
std::string misplaced_flags_warning(const std::vector<std::string>& args);

}  // namespace coffer::cli
