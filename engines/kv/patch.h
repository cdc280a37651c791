// JSON merge patch (RFC 7396) on arena trees. Pure.
#pragma once

#include "base/json.h"

namespace coffer::engines::kv {

// `target` with `patch` applied: members that are null in the patch go, objects are merged, everything else is
// replaced. The result shares parts of both. Depth is bounded by that of the parsed patch.
json::Value merge_patch(json::Arena& arena, const json::Value& target, const json::Value& patch);

}  // namespace coffer::engines::kv
