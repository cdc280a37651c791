#include "engines/kv/patch.h"

namespace coffer::engines::kv {

json::Value merge_patch(json::Arena& arena, const json::Value& target, const json::Value& patch) {
  if (!patch.is_object())
    return patch;
  json::ObjectBuilder merged(arena, target.size() + patch.size() + 1);
  for (const json::Member& member : target.members())
    if (patch.find(member.key()) == nullptr)
      merged.add(member.key(), member.value);
  for (const json::Member& member : patch.members()) {
    if (member.value.is_null())
      continue;
    const json::Value* old = target.find(member.key());
    merged.add(member.key(), merge_patch(arena, old == nullptr ? json::Value::null() : *old, member.value));
  }
  return merged.build();
}

}  // namespace coffer::engines::kv
