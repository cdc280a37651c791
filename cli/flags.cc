#include "cli/flags.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "cli/duration.h"
#include "cli/text.h"

namespace coffer::cli {
namespace {

Result<bool> parse_bool(std::string_view text) {
  static constexpr std::array<std::string_view, 6> kTrue = {"1", "t", "T", "true", "TRUE", "True"};
  static constexpr std::array<std::string_view, 6> kFalse = {"0", "f", "F", "false", "FALSE", "False"};
  if (std::find(kTrue.begin(), kTrue.end(), text) != kTrue.end())
    return true;
  if (std::find(kFalse.begin(), kFalse.end(), text) != kFalse.end())
    return false;
  return Status(Code::kInvalid, "strconv.ParseBool: parsing " + quoted(text) + ": invalid syntax");
}

Result<std::int64_t> parse_int(std::string_view text) {
  std::string_view digits = text;
  bool negative = !digits.empty() && digits.front() == '-';
  if (!digits.empty() && (digits.front() == '-' || digits.front() == '+'))
    digits.remove_prefix(1);
  int base = 10;
  if (digits.size() > 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X')) {
    base = 16;
    digits.remove_prefix(2);
  }
  std::int64_t value = 0;
  std::string signed_digits = (negative ? "-" : "") + std::string(digits);
  const char* end = signed_digits.data() + signed_digits.size();
  auto [at, error] = std::from_chars(signed_digits.data(), end, value, base);
  if (error == std::errc::result_out_of_range)
    return Status(Code::kInvalid, "strconv.ParseInt: parsing " + quoted(text) + ": value out of range");
  if (error != std::errc() || at != end || (!digits.empty() && digits.front() == '-'))
    return Status(Code::kInvalid, "strconv.ParseInt: parsing " + quoted(text) + ": invalid syntax");
  return value;
}

std::string_view example_of(const Flag& flag) {
  if (!flag.example.empty())
    return flag.example;
  switch (flag.kind) {
    case FlagKind::kBool: return "";
    case FlagKind::kOptionalBool: return "*bool";
    case FlagKind::kInt: return "int";
    case FlagKind::kDuration: return "duration";
    case FlagKind::kString: return "string";
    case FlagKind::kList: return "string";
    case FlagKind::kMap: return "key=value";
  }
  return "";
}

std::string usage_of(const Flag& flag) {
  std::string usage(flag.usage);
  if (!flag.alias.empty())
    usage += " This is aliased as \"-" + std::string(flag.alias) + "\".";
  if (flag.kind == FlagKind::kBool && flag.fallback.empty())
    usage += " The default is false.";
  else if (!flag.fallback.empty())
    usage += " The default is " + std::string(flag.fallback) + ".";
  if (!flag.env.empty())
    usage += " This can also be specified via the " + std::string(flag.env) + " environment variable.";
  return usage;
}

}  // namespace

FlagSet::FlagSet(std::vector<FlagGroup> groups, const Invocation& invocation) : groups_(std::move(groups)) {
  for (const FlagGroup& group : groups_) {
    for (const Flag& flag : group.flags) {
      Slot slot;
      slot.flag = &flag;
      if (!flag.fallback.empty()) {
        COFFER_CHECK(set(slot, flag.fallback).ok());
      }
      if (!flag.env.empty()) {
        std::string value = invocation.env_or(std::string(flag.env).c_str());
        Slot tried = slot;
        tried.list.clear();
        if (!value.empty() && set(tried, value).ok()) {
          slot = tried;
          slot.from_env = true;
        }
      }
      slots_.emplace(flag.name, std::move(slot));
    }
  }
}

FlagSet::Slot* FlagSet::find(std::string_view name) {
  auto found = slots_.find(name);
  if (found != slots_.end())
    return &found->second;
  for (auto& [key, slot] : slots_) {
    if (slot.flag->alias == name)
      return &slot;
  }
  return nullptr;
}

const FlagSet::Slot& FlagSet::slot(std::string_view name) const {
  auto found = slots_.find(name);
  COFFER_CHECK(found != slots_.end());
  return found->second;
}

Status FlagSet::set(Slot& slot, std::string_view value) {
  switch (slot.flag->kind) {
    case FlagKind::kBool:
    case FlagKind::kOptionalBool: {
      COFFER_ASSIGN(slot.boolean, parse_bool(value));
      break;
    }
    case FlagKind::kInt: {
      COFFER_ASSIGN(slot.number, parse_int(value));
      break;
    }
    case FlagKind::kDuration: {
      COFFER_ASSIGN(slot.number, parse_duration(value == "system" ? "-1" : value));
      break;
    }
    case FlagKind::kString: slot.text = value; break;
    case FlagKind::kList: slot.list.emplace_back(trim(value)); break;
    case FlagKind::kMap:
      if (value.find('=') == std::string_view::npos)
        return Status(Code::kInvalid, "missing = in KV pair: " + quoted(value));
      slot.list.emplace_back(value);
      break;
  }
  return ok_status();
}

// True when a flag was taken from args[at], false when flags end there.
Result<bool> FlagSet::parse_one(const std::vector<std::string>& args, std::size_t& at) {
  const std::string& arg = args[at];
  if (arg.size() < 2 || arg[0] != '-')
    return false;
  std::size_t dashes = arg[1] == '-' ? 2 : 1;
  if (arg == "--") {
    ++at;
    return false;
  }
  std::string name = arg.substr(dashes);
  if (name.empty() || name[0] == '-' || name[0] == '=')
    return Status(Code::kInvalid, "bad flag syntax: " + arg);
  std::size_t equals = name.find('=');
  bool has_value = equals != std::string::npos;
  std::string value = has_value ? name.substr(equals + 1) : "";
  name = name.substr(0, equals);
  Slot* slot = find(name);
  if (slot == nullptr)
    return Status(Code::kInvalid, "flag provided but not defined: -" + name);
  ++at;
  bool is_bool = slot->flag->kind == FlagKind::kBool || slot->flag->kind == FlagKind::kOptionalBool;
  if (!has_value && is_bool) {
    value = "true";
  } else if (!has_value) {
    if (at == args.size())
      return Status(Code::kInvalid, "flag needs an argument: -" + name);
    value = args[at++];
  }
  Status done = set(*slot, value);
  if (!done.ok()) {
    std::string lead = is_bool ? "invalid boolean value " + quoted(value) + " for -"
                               : "invalid value " + quoted(value) + " for flag -";
    return Status(Code::kInvalid, lead + name + ": " + done.message());
  }
  slot->given = true;
  return true;
}

Status FlagSet::parse(const std::vector<std::string>& args) {
  std::size_t at = 0;
  while (at < args.size()) {
    Result<bool> more = parse_one(args, at);
    if (!more.ok())
      return more.status();
    if (!*more)
      break;
  }
  args_.assign(args.begin() + static_cast<std::ptrdiff_t>(at), args.end());
  return ok_status();
}

const std::string& FlagSet::text(std::string_view name) const { return slot(name).text; }
bool FlagSet::boolean(std::string_view name) const { return slot(name).boolean; }
std::int64_t FlagSet::integer(std::string_view name) const { return slot(name).number; }
std::int64_t FlagSet::duration_nanos(std::string_view name) const { return slot(name).number; }
const std::vector<std::string>& FlagSet::list(std::string_view name) const { return slot(name).list; }
bool FlagSet::given(std::string_view name) const { return slot(name).given; }
bool FlagSet::declared(std::string_view name) const { return slots_.find(name) != slots_.end(); }
bool FlagSet::given_or_env(std::string_view name) const { return slot(name).given || slot(name).from_env; }

std::map<std::string, std::string> FlagSet::map(std::string_view name) const {
  std::map<std::string, std::string> out;
  for (const std::string& pair : slot(name).list) {
    std::size_t equals = pair.find('=');
    out[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return out;
}

std::string FlagSet::help() const {
  std::string out;
  for (const FlagGroup& group : groups_) {
    std::vector<const Flag*> shown;
    for (const Flag& flag : group.flags) {
      if (!flag.hidden)
        shown.push_back(&flag);
    }
    if (shown.empty())
      continue;
    std::sort(shown.begin(), shown.end(), [](const Flag* a, const Flag* b) { return a->name < b->name; });
    out += std::string(group.title) + ":\n\n";
    for (const Flag* flag : shown) {
      std::string_view example = example_of(*flag);
      out += "  -" + std::string(flag->name) + (example.empty() ? "" : "=<" + std::string(example) + ">") + "\n";
      out += wrap(usage_of(*flag), 6) + "\n\n";
    }
  }
  while (!out.empty() && out.back() == '\n')
    out.pop_back();
  return out;
}

std::string misplaced_flags_warning(const std::vector<std::string>& args) {
  // These are read wherever they stand.
  static constexpr std::array<std::string_view, 4> kAnywhere = {"output-curl-string", "output-policy", "format",
                                                                "detailed"};
  std::vector<std::string> flags;
  for (const std::string& arg : args) {
    if (arg.size() < 2 || arg[0] != '-')
      continue;
    std::string_view name = std::string_view(arg).substr(std::min(arg.find_first_not_of('-'), arg.size()));
    name = name.substr(0, name.find('='));
    if (std::find(kAnywhere.begin(), kAnywhere.end(), name) == kAnywhere.end())
      flags.push_back(arg.substr(0, arg.find('=')));  // not its value, which may be a secret
  }
  if (flags.empty())
    return "";
  return "Command flags must be provided before positional arguments. The following arguments will not be parsed as "
         "flags: [" +
         join(flags, ",") + "]";
}

}  // namespace coffer::cli
