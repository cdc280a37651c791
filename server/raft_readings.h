// What sys/metrics tells of replication, under Vault's names.
#pragma once

#include "actors/node.h"
#include "base/metrics.h"
#include "core/autopilot.h"

namespace coffer::server {

// Of any node. Any thread.
void read_raft(const actors::Node& node, metrics::Reading& reading);
// Of the node that leads: each other node, and how healthy the cluster is.
void read_pilot(const core::PilotState& state, metrics::Reading& reading);

}  // namespace coffer::server
