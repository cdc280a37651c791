#include "core/autopilot_settings.h"

#include "base/codec.h"

namespace coffer::core {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::uint32_t kMinQuorumLeast = 3;
constexpr Nanos kContactLeast = std::chrono::seconds(1);
constexpr Nanos kDeadLeast = std::chrono::seconds(10);
constexpr Nanos kLongest = std::chrono::hours(24 * 366);
constexpr std::uint32_t kMinQuorumMost = 255;
constexpr std::uint64_t kTrailingMost = std::uint64_t{1} << 32;

Status check_range(std::string_view field, Nanos value, Nanos least, std::string_view least_text) {
  if (value < least || value > kLongest)
    return Status(Code::kInvalid, std::string(field) + " must be from " + std::string(least_text) + " to 366 days");
  return ok_status();
}

std::uint64_t to_number(Nanos time) { return static_cast<std::uint64_t>(time.count()); }
Nanos to_time(std::uint64_t number) { return Nanos(static_cast<std::int64_t>(number)); }

}  // namespace

Status check_autopilot_settings(const AutopilotSettings& settings) {
  COFFER_TRY(check_range("last_contact_threshold", settings.last_contact_threshold, kContactLeast, "1s"));
  COFFER_TRY(check_range("dead_server_last_contact_threshold", settings.dead_server_last_contact_threshold, kDeadLeast,
                         "10s"));
  COFFER_TRY(check_range("server_stabilization_time", settings.server_stabilization_time, Nanos(0), "0s"));
  if (settings.dead_server_last_contact_threshold <= settings.last_contact_threshold)
    return Status(Code::kInvalid, "dead_server_last_contact_threshold must be greater than last_contact_threshold");
  if (settings.max_trailing_logs == 0 || settings.max_trailing_logs > kTrailingMost)
    return Status(Code::kInvalid, "max_trailing_logs must be from 1 to 4294967296");
  if (settings.min_quorum > kMinQuorumMost)
    return Status(Code::kInvalid, "min_quorum must be from 0 to 255");
  if (settings.cleanup_dead_servers && settings.min_quorum < kMinQuorumLeast)
    return Status(Code::kInvalid,
                  "min_quorum must be set when cleanup_dead_servers is set and it should at least be 3");
  return ok_status();
}

std::string encode(const AutopilotSettings& settings) {
  std::string out;
  ByteWriter(out)
      .u8(kFormat)
      .u8(static_cast<std::uint8_t>((settings.cleanup_dead_servers ? 1 : 0) |
                                    (settings.disable_upgrade_migration ? 2 : 0)))
      .u64(to_number(settings.last_contact_threshold))
      .u64(to_number(settings.dead_server_last_contact_threshold))
      .u64(to_number(settings.server_stabilization_time))
      .varint(settings.max_trailing_logs)
      .varint(settings.min_quorum);
  return out;
}

Result<AutopilotSettings> decode_autopilot_settings(std::string_view plaintext) {
  ByteReader reader(plaintext);
  AutopilotSettings settings;
  const std::uint8_t format = reader.u8();
  const std::uint8_t flags = reader.u8();
  settings.cleanup_dead_servers = (flags & 1) != 0;
  settings.disable_upgrade_migration = (flags & 2) != 0;
  settings.last_contact_threshold = to_time(reader.u64());
  settings.dead_server_last_contact_threshold = to_time(reader.u64());
  settings.server_stabilization_time = to_time(reader.u64());
  settings.max_trailing_logs = reader.varint();
  const std::uint64_t min_quorum = reader.varint();
  COFFER_TRY(reader.finish().with_context("the autopilot's settings"));
  settings.min_quorum = min_quorum > kMinQuorumMost ? kMinQuorumMost + 1 : static_cast<std::uint32_t>(min_quorum);
  if (format != kFormat || flags > 3 || !check_autopilot_settings(settings).ok())
    return Status(Code::kDataLoss, "the autopilot's settings have an unknown form");
  return settings;
}

}  // namespace coffer::core
