#include "core/sys_engine.h"

#include "core/control_group.h"
#include "core/wrapping.h"

namespace coffer::core {
namespace {

class SysEngine final : public Engine {
 public:
  SysEngine() : table_(specs()) {}
  std::string_view type() const override { return "system"; }
  const PathTable& paths(const MountInfo&) const override { return table_; }

 private:
  static std::vector<PathSpec> specs() {
    std::vector<PathSpec> all;
    for (std::vector<PathSpec> (*part)() :
         {sys_mount_specs, sys_remount_specs, sys_lease_specs, sys_quota_specs, sys_openapi_specs, sys_ui_specs,
          sys_policy_specs, sys_password_specs, sys_explain_specs, sys_inspect_specs, sys_audit_specs, sys_key_specs,
          sys_rotation_specs, sys_rekey_specs, sys_share_backup_specs, sys_root_specs, sys_lockout_specs,
          wrapping_specs, control_group_specs, sys_batch_specs, sys_namespace_specs, sys_tool_specs, sys_observe_specs,
          sys_config_specs, sys_activity_specs, sys_plugin_specs, sys_event_specs, sys_raft_specs,
          sys_snapshot_specs, sys_snapshot_auto_specs}) {
      std::vector<PathSpec> some = part();
      all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
    }
    return all;
  }

  PathTable table_;
};

}  // namespace

std::unique_ptr<Engine> make_sys_engine() { return std::make_unique<SysEngine>(); }

}  // namespace coffer::core
