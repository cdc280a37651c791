#include "core/policy_keys.h"

#include <algorithm>

#include "base/path.h"
#include "base/time_text.h"

namespace coffer::core {
namespace {

constexpr std::size_t kFactorsMax = 16;
constexpr std::size_t kGroupsMax = 64;
constexpr std::int64_t kApprovalsMax = 64;
constexpr Nanos kApprovalTimeDefault = std::chrono::hours(24);
constexpr std::string_view kPlaceOfPath = ".path";
constexpr std::string_view kPlaceOfKey = ".key";

Status bad(std::string message) { return Status(Code::kInvalid, std::move(message)); }

// Tells `each` of every text and of every {{…}} in it. False when it does not read.
template <typename Fn>
bool walk(std::string_view text, Fn each) {
  for (;;) {
    const std::size_t open = text.find("{{");
    if (!text.substr(0, open).empty())
      each(text.substr(0, open), false);
    if (open == std::string_view::npos)
      return true;
    const std::size_t close = text.find("}}", open);
    if (close == std::string_view::npos)
      return false;
    std::string_view place = text.substr(open + 2, close - open - 2);
    while (!place.empty() && place.front() == ' ')
      place.remove_prefix(1);
    while (!place.empty() && place.back() == ' ')
      place.remove_suffix(1);
    each(place, true);
    text.remove_prefix(close + 2);
  }
}

Status read_names(const hcl::Item& item, std::vector<std::string>& out) {
  if (item.value.kind != hcl::Kind::kList)
    return bad("\"" + item.key + "\" must be a list of texts");
  for (const hcl::Node& node : item.value.list) {
    if (node.kind != hcl::Kind::kString || node.text.empty())
      return bad("\"" + item.key + "\" must be a list of texts");
    out.push_back(node.text);
  }
  return out.size() <= kGroupsMax ? ok_status() : bad("\"" + item.key + "\" names too many");
}

Status read_people(const hcl::Node& value, ApprovalFactor& factor) {
  if (value.kind != hcl::Kind::kObject)
    return bad("\"identity\" must be a block");
  for (const hcl::Item& item : value.items) {
    if (item.key == "group_names") {
      COFFER_TRY(read_names(item, factor.group_names));
    } else if (item.key == "group_ids") {
      COFFER_TRY(read_names(item, factor.group_ids));
    } else if (item.key == "approvals") {
      std::int64_t approvals = 0;
      if (!whole_number(item.value, 1, kApprovalsMax, approvals))
        return bad("\"approvals\" must be a whole number from 1 to " + std::to_string(kApprovalsMax));
      factor.approvals = static_cast<std::uint32_t>(approvals);
    } else {
      return bad("invalid key \"" + item.key + "\"");
    }
  }
  if (factor.group_names.empty() && factor.group_ids.empty())
    return bad("factor \"" + factor.name + "\" names no group");
  return ok_status();
}

Result<ApprovalFactor> read_factor(const hcl::Block& block) {
  ApprovalFactor factor;
  factor.name = block.labels.front();
  bool people = false;
  for (const hcl::Item& item : block.body->items) {
    if (item.key == "identity") {
      people = true;
      COFFER_TRY(read_people(item.value, factor));
    } else if (item.key == "controlled_capabilities") {
      std::vector<std::string> names;
      COFFER_TRY(read_names(item, names));
      for (const std::string& name : names) {
        const std::optional<Capability> capability = capability_named(name);
        if (!capability || *capability == Capability::kDeny || *capability == Capability::kSudo)
          return bad("factor \"" + factor.name + "\": invalid capability \"" + name + "\"");
        factor.controlled |= bit(*capability);
      }
    } else {
      return bad("invalid key \"" + item.key + "\"");
    }
  }
  if (!people)
    return bad("factor \"" + factor.name + "\" has no \"identity\"");
  return factor;
}

}  // namespace

bool whole_number(const hcl::Node& value, std::int64_t min, std::int64_t max, std::int64_t& out) {
  if (value.kind != hcl::Kind::kNumber && value.kind != hcl::Kind::kString)
    return false;
  const Result<std::int64_t> number = hcl::as_int(value);
  if (!number.ok() || *number < min || *number > max)
    return false;
  out = *number;
  return true;
}

Result<WallTime> expiration_of(const hcl::Node& value) {
  constexpr std::int64_t kSecondsMax = 9'000'000'000;  // of what a time can hold
  std::int64_t seconds = 0;
  if (whole_number(value, 0, kSecondsMax, seconds))
    return WallTime(std::chrono::seconds(seconds));
  if (value.kind != hcl::Kind::kString)
    return bad("no time");
  return parse_time(value.text);
}

Status check_keys_filter(std::string_view text) {
  if (text.size() > limits::kPathBytesMax)
    return bad("is too long");
  bool names_key = false;
  bool known = true;
  const bool reads = walk(text, [&](std::string_view part, bool place) {
    known = known && (!place || part == kPlaceOfPath || part == kPlaceOfKey);
    names_key = names_key || (place && part == kPlaceOfKey);
  });
  if (!reads || !known)
    return bad("may hold {{ .path }} and {{ .key }}, and no other template");
  if (!names_key)
    return bad("resulted in same path for two different keys");
  return ok_status();
}

std::string filled_keys_filter(std::string_view text, std::string_view path, std::string_view key) {
  std::string out;
  walk(text, [&](std::string_view part, bool place) {
    out.append(!place ? part : part == kPlaceOfKey ? key : path);
  });
  return out;
}

Status parse_approval(const hcl::Node& value, Approval& out) {
  if (value.kind != hcl::Kind::kObject)
    return bad("must be a block");
  out.ttl = kApprovalTimeDefault;
  for (const hcl::Item& item : value.items) {
    if (item.key == "factor")
      continue;
    if (item.key != "ttl")
      return bad("invalid key \"" + item.key + "\"");
    const Result<Nanos> ttl = item.value.kind == hcl::Kind::kString || item.value.kind == hcl::Kind::kNumber
                                  ? parse_duration(item.value.text)
                                  : Result<Nanos>(bad("ttl"));
    if (!ttl.ok() || *ttl <= Nanos(0))
      return bad("\"ttl\" must be a duration such as \"4h\"");
    out.ttl = *ttl;
  }
  COFFER_ASSIGN(const std::vector<hcl::Block> factors, hcl::blocks(value, "factor", 1));
  if (factors.empty() || factors.size() > kFactorsMax)
    return bad(factors.empty() ? "requires at least one factor but had none" : "has too many factors");
  for (const hcl::Block& block : factors) {
    COFFER_ASSIGN(ApprovalFactor factor, read_factor(block));
    out.factors.push_back(std::move(factor));
  }
  return ok_status();
}

}  // namespace coffer::core
