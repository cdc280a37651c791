// One function a file of commands.
#pragma once

#include <vector>

#include "cli/command.h"

namespace coffer::cli {

void add_logical_commands(std::vector<Command>& commands);      // read, write, list, delete, patch, unwrap, path-help
void add_login_commands(std::vector<Command>& commands);        // login, print token
void add_operator_commands(std::vector<Command>& commands);     // status, operator ...
void add_raft_commands(std::vector<Command>& commands);          // operator raft, step-down, members
void add_autopilot_commands(std::vector<Command>& commands);     // operator raft autopilot
void add_snapshot_commands(std::vector<Command>& commands);      // operator raft snapshot
void add_token_commands(std::vector<Command>& commands);
void add_policy_commands(std::vector<Command>& commands);
void add_namespace_commands(std::vector<Command>& commands);
void add_secrets_commands(std::vector<Command>& commands);
void add_auth_commands(std::vector<Command>& commands);
void add_lease_commands(std::vector<Command>& commands);
void add_audit_commands(std::vector<Command>& commands);
void add_observe_commands(std::vector<Command>& commands);      // monitor, debug, version-history
void add_usage_commands(std::vector<Command>& commands);        // operator usage, license, plugin
void add_event_commands(std::vector<Command>& commands);        // events subscribe
void add_audit_verify_command(std::vector<Command>& commands);
void add_kv_commands(std::vector<Command>& commands);
void add_kv_metadata_commands(std::vector<Command>& commands);
void add_kv_tree_commands(std::vector<Command>& commands);      // kv scan, search, mv, cp
void add_kv_edit_commands(std::vector<Command>& commands);      // kv edit, diff
void add_kv_file_commands(std::vector<Command>& commands);      // kv export, import

}  // namespace coffer::cli
