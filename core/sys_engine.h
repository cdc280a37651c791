// sys/: mounts, policies, audit devices, capabilities, keys, wrapping. What works without a barrier (init, unseal,
// health…) is core/lifecycle's.
#pragma once

#include <memory>
#include <vector>

#include "core/engine.h"
#include "core/path_table.h"

namespace coffer::core {

// Immutable, any thread.
std::unique_ptr<Engine> make_sys_engine();

// The table's parts, one file each.
std::vector<PathSpec> sys_mount_specs();     // sys_mounts.cc
std::vector<PathSpec> sys_remount_specs();   // sys_remount.cc
std::vector<PathSpec> sys_lease_specs();     // sys_leases.cc
std::vector<PathSpec> sys_quota_specs();     // sys_quotas.cc
std::vector<PathSpec> sys_openapi_specs();   // sys_openapi.cc
std::vector<PathSpec> sys_ui_specs();        // sys_ui.cc
std::vector<PathSpec> sys_policy_specs();    // sys_policies.cc
std::vector<PathSpec> sys_password_specs();  // sys_passwords.cc
std::vector<PathSpec> sys_explain_specs();   // sys_explain.cc
std::vector<PathSpec> sys_audit_specs();     // sys_audit.cc
std::vector<PathSpec> sys_key_specs();       // sys_keys.cc
std::vector<PathSpec> sys_rotation_specs();  // rotation.cc
std::vector<PathSpec> sys_rekey_specs();     // sys_rekey.cc
std::vector<PathSpec> sys_share_backup_specs();  // share_backup.cc: rekey/backup and its kind
std::vector<PathSpec> sys_root_specs();      // sys_root.cc
std::vector<PathSpec> sys_batch_specs();     // sys_batch.cc
std::vector<PathSpec> sys_observe_specs();   // sys_observe.cc
std::vector<PathSpec> sys_config_specs();    // sys_config.cc
std::vector<PathSpec> sys_activity_specs();  // sys_activity.cc
std::vector<PathSpec> sys_plugin_specs();    // sys_plugins.cc
std::vector<PathSpec> sys_event_specs();     // sys_events.cc
std::vector<PathSpec> sys_namespace_specs(); // sys_namespaces.cc
std::vector<PathSpec> sys_tool_specs();      // sys_tools.cc
std::vector<PathSpec> sys_raft_specs();      // sys_raft.cc
std::vector<PathSpec> sys_snapshot_specs();  // sys_snapshot.cc
std::vector<PathSpec> sys_snapshot_auto_specs();  // sys_snapshot_auto.cc

std::vector<PathSpec> sys_inspect_specs();   // sys_inspect.cc
std::vector<PathSpec> sys_lockout_specs();     // sys_lockout.cc

struct CallContext;
struct Route;
struct MountRecord;
// No mount may stand where a namespace does, or above it: kInvalid "path is already in use at team/".
Status check_no_namespace(CallContext& ctx, const MountRecord& record);
// One mount as sys/mounts shows it.
bool is_plugin(std::string_view type);
json::Value mount_value(CallContext& ctx, const Route& route, bool with_path);

}  // namespace coffer::core
