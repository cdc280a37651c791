// What `tune` and the `config` of enabling say of a mount, beyond what its engine sees.
#pragma once

#include "core/call.h"
#include "core/mounts.h"

namespace coffer::core {

// From the members of `given` (an object or null) into the record; what is absent stays. kInvalid names the field.
Status read_tuning(const json::Value& given, MountRecord& record);
// Lifetimes: "" leaves them, "system" and 0 mean the system's. Checked against each other and the system's.
Status read_lifetimes(const json::Value& given, MountInfo& info, const SystemConfig& system);
// As mounts and their tuning are shown: what is not set is left out.
// When users are locked out, where that is set: members of `out` itself.
void show_lockout(json::ObjectBuilder& out, const MountTuning& tuning);
void show_tuning(json::ObjectBuilder& out, json::Arena& arena, const MountRecord& record);
std::vector<Field> tuning_fields();

}  // namespace coffer::core
