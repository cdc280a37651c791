// What operators set of the autopilot (sys/storage/raft/autopilot/configuration). A record of the state, so that
// whoever leads goes by it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"

namespace coffer::core {

struct AutopilotSettings {
  bool cleanup_dead_servers = false;
  Nanos last_contact_threshold{std::chrono::seconds(10)};          // heard longer ago: not healthy
  Nanos dead_server_last_contact_threshold{std::chrono::hours(24)};  // heard longer ago: dead, and cleaned up
  std::uint64_t max_trailing_logs = 1000;                          // further behind: not healthy
  std::uint32_t min_quorum = 0;                                    // clean-up leaves at least so many voters
  Nanos server_stabilization_time{std::chrono::seconds(10)};       // healthy for so long before it votes
  bool disable_upgrade_migration = false;
  bool operator==(const AutopilotSettings&) const = default;
};

// kInvalid names the field.
Status check_autopilot_settings(const AutopilotSettings& settings);

std::string encode(const AutopilotSettings& settings);
// kDataLoss when it is no such record.
Result<AutopilotSettings> decode_autopilot_settings(std::string_view plaintext);

}  // namespace coffer::core
