// Automated snapshots as they are asked for: how often, how many are kept, where they go; and how the last one went.
// Pure functions and records (docs/formats/snapshot_plan.md).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace coffer::core {

struct SnapshotPlan {
  enum class Store : std::uint8_t { kLocal = 1, kS3 = 2 };
  struct S3 {
    std::string bucket;
    std::string region;
    std::string endpoint;           // host, with a port if need be; empty: Amazon's of the region
    std::string access_key_id;
    std::string secret_access_key;  // never shown
    std::string session_token;      // never shown
    std::string kms_key;
    bool disable_tls = false;
    bool force_path_style = false;
    bool server_side_encryption = false;
    bool enable_kms = false;
    bool operator==(const S3&) const = default;
  };

  std::string name;
  Nanos interval{0};
  std::uint64_t retain = 1;
  std::string path_prefix;          // relative: below the configured folder, or of keys in the bucket
  std::string file_prefix = "vault-snapshot";
  Store store = Store::kLocal;
  std::uint64_t local_max_space = 0;  // bytes of all files of this plan; 0: no bound
  S3 s3;
  bool operator==(const SnapshotPlan&) const = default;
};
std::string encode(const SnapshotPlan& plan);
Result<SnapshotPlan> decode_snapshot_plan(std::string_view plaintext);
// kInvalid names the field. A name of a folder on this host never comes by the API (it is relative to one that the
// configuration names), so whatever leads out of it is refused.
Status check_snapshot_plan(const SnapshotPlan& plan);

inline constexpr std::size_t kSnapshotPlansMax = 64;

// How it went. Times are cluster time; a default one: never.
struct SnapshotPlanStatus {
  std::uint64_t consecutive_errors = 0;
  WallTime last_start{};
  WallTime last_end{};
  WallTime last_success{};
  std::string last_error;
  std::string last_url;
  bool operator==(const SnapshotPlanStatus&) const = default;
};
std::string encode(const SnapshotPlanStatus& status);
Result<SnapshotPlanStatus> decode_snapshot_plan_status(std::string_view plaintext);

// When the next one is due; what was never made is due now.
WallTime next_snapshot(const SnapshotPlan& plan, const SnapshotPlanStatus& status, WallTime now);

// "vault-snapshot-20240506T070809.123Z.snap": the order of names is that of times.
std::string snapshot_file_name(const SnapshotPlan& plan, WallTime now);
// Which of `names` (in any order, without folders) are this plan's and go, because only the newest `retain` stay.
std::vector<std::string> superseded_snapshots(const SnapshotPlan& plan, std::vector<std::string> names);
// Whether both plans name their files alike in the same place: each would take the other's for its own and remove them.
bool share_files(const SnapshotPlan& a, const SnapshotPlan& b);
// Whether it is a name that snapshot_file_name() makes.
bool is_snapshot_file(const SnapshotPlan& plan, std::string_view name);

}  // namespace coffer::core
