#include "core/snapshot_plan.h"

#include <algorithm>
#include <ctime>

#include "base/codec.h"

namespace coffer::core {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr Nanos kIntervalMin = std::chrono::seconds(1);
constexpr Nanos kIntervalMax = std::chrono::hours(24 * 366);
constexpr std::uint64_t kRetainMax = 10'000;
constexpr std::size_t kNameBytesMax = 128;
constexpr std::size_t kPrefixBytesMax = 512;
constexpr std::size_t kTextBytesMax = 2048;  // of any other field
constexpr std::string_view kEnding = ".snap";
constexpr std::string_view kTimeShape = "dddddddd?dddddd.dddZ";  // d: a digit, ?: 'T'

Status wrong(std::string_view field, std::string_view what) {
  return Status(Code::kInvalid, std::string(field).append(" ").append(what));
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

// Segments of plain characters, none of which is "." or "..", with single slashes between.
Status check_relative(std::string_view field, std::string_view path, bool one_segment) {
  if (path.size() > kPrefixBytesMax)
    return wrong(field, "is too long");
  if (path.starts_with('/'))
    return wrong(field, "must be relative: the folder of automated snapshots is snapshot_folder of the configuration");
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    const std::string_view segment = path.substr(at, slash - at);
    if (segment.empty() || segment == "." || segment == ".." || !std::ranges::all_of(segment, is_plain))
      return wrong(field, "may hold letters, digits, '-', '_' and '.', and no \"..\"");
    if (slash < path.size() && (one_segment || slash + 1 == path.size()))
      return wrong(field, one_segment ? "must not hold '/'" : "must not end in '/'");
    at = slash + 1;
  }
  return ok_status();
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

bool is_host(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return is_plain(c) || c == ':' || c == '[' || c == ']'; });
}

Status check_s3(const SnapshotPlan::S3& s3) {
  if (s3.bucket.empty() || s3.bucket.size() > 63 || !std::ranges::all_of(s3.bucket, is_plain))
    return wrong("aws_s3_bucket", "must be the name of a bucket");
  if (s3.region.empty() || s3.region.size() > 63 || !std::ranges::all_of(s3.region, is_plain))
    return wrong("aws_s3_region", "must be the name of a region");
  if (s3.access_key_id.empty() || s3.secret_access_key.empty())
    return wrong("aws_access_key_id, aws_secret_access_key", "must be given");
  if (!is_host(s3.endpoint) || s3.endpoint.size() > 255)
    return wrong("aws_s3_endpoint", "must be a host, with a port if need be");
  for (const std::string* text : {&s3.access_key_id, &s3.secret_access_key, &s3.session_token, &s3.kms_key})
    if (text->size() > kTextBytesMax || !is_printable(*text))
      return wrong("a field of aws_s3", "is too long or not printable");
  if (s3.enable_kms && s3.kms_key.empty())
    return wrong("aws_s3_kms_key", "must be given with aws_s3_enable_kms");
  return ok_status();
}

std::uint64_t count_of(WallTime time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }
WallTime time_of(std::uint64_t count) { return WallTime(Nanos(static_cast<std::int64_t>(count))); }

}  // namespace

std::string encode(const SnapshotPlan& plan) {
  std::string out;
  const SnapshotPlan::S3& s3 = plan.s3;
  const unsigned flags = (s3.disable_tls ? 1 : 0) | (s3.force_path_style ? 2 : 0) |
                         (s3.server_side_encryption ? 4 : 0) | (s3.enable_kms ? 8 : 0);
  ByteWriter(out)
      .u8(kFormat)
      .u8(static_cast<std::uint8_t>(plan.store))
      .u8(static_cast<std::uint8_t>(flags))
      .bytes(plan.name)
      .varint(static_cast<std::uint64_t>(plan.interval.count()))
      .varint(plan.retain)
      .bytes(plan.path_prefix)
      .bytes(plan.file_prefix)
      .varint(plan.local_max_space)
      .bytes(s3.bucket)
      .bytes(s3.region)
      .bytes(s3.endpoint)
      .bytes(s3.access_key_id)
      .bytes(s3.secret_access_key)
      .bytes(s3.session_token)
      .bytes(s3.kms_key);
  return out;
}

Result<SnapshotPlan> decode_snapshot_plan(std::string_view plaintext) {
  ByteReader in(plaintext);
  SnapshotPlan plan;
  const std::uint8_t format = in.u8();
  const std::uint8_t store = in.u8();
  const unsigned flags = in.u8();
  plan.name = in.bytes();
  plan.interval = Nanos(static_cast<std::int64_t>(in.varint()));
  plan.retain = in.varint();
  plan.path_prefix = in.bytes();
  plan.file_prefix = in.bytes();
  plan.local_max_space = in.varint();
  for (std::string* text : {&plan.s3.bucket, &plan.s3.region, &plan.s3.endpoint, &plan.s3.access_key_id,
                            &plan.s3.secret_access_key, &plan.s3.session_token, &plan.s3.kms_key})
    *text = in.bytes();
  COFFER_TRY(in.finish());
  if (format != kFormat || (store != 1 && store != 2) || flags > 15)
    return Status(Code::kDataLoss, "a record of automated snapshots is not readable");
  plan.store = static_cast<SnapshotPlan::Store>(store);
  plan.s3.disable_tls = (flags & 1) != 0;
  plan.s3.force_path_style = (flags & 2) != 0;
  plan.s3.server_side_encryption = (flags & 4) != 0;
  plan.s3.enable_kms = (flags & 8) != 0;
  return plan;
}

Status check_snapshot_plan(const SnapshotPlan& plan) {
  COFFER_TRY(check_relative("name", plan.name, true));
  if (plan.name.empty() || plan.name.size() > kNameBytesMax)
    return wrong("name", "must have between 1 and 128 characters");
  if (plan.interval < kIntervalMin || plan.interval > kIntervalMax)
    return wrong("interval", "must be given, between a second and a year");
  if (plan.retain < 1 || plan.retain > kRetainMax)
    return wrong("retain", "must be between 1 and 10000");
  COFFER_TRY(check_relative("path_prefix", plan.path_prefix, false));
  COFFER_TRY(check_relative("file_prefix", plan.file_prefix, true));
  if (plan.file_prefix.empty() || plan.file_prefix.size() > kNameBytesMax)
    return wrong("file_prefix", "must have between 1 and 128 characters");
  return plan.store == SnapshotPlan::Store::kS3 ? check_s3(plan.s3) : ok_status();
}

std::string encode(const SnapshotPlanStatus& status) {
  std::string out;
  ByteWriter(out)
      .u8(kFormat)
      .varint(status.consecutive_errors)
      .u64(count_of(status.last_start))
      .u64(count_of(status.last_end))
      .u64(count_of(status.last_success))
      .bytes(status.last_error)
      .bytes(status.last_url);
  return out;
}

Result<SnapshotPlanStatus> decode_snapshot_plan_status(std::string_view plaintext) {
  ByteReader in(plaintext);
  SnapshotPlanStatus status;
  const std::uint8_t format = in.u8();
  status.consecutive_errors = in.varint();
  status.last_start = time_of(in.u64());
  status.last_end = time_of(in.u64());
  status.last_success = time_of(in.u64());
  status.last_error = in.bytes();
  status.last_url = in.bytes();
  COFFER_TRY(in.finish());
  if (format != kFormat)
    return Status(Code::kDataLoss, "a status of automated snapshots is not readable");
  return status;
}

WallTime next_snapshot(const SnapshotPlan& plan, const SnapshotPlanStatus& status, WallTime now) {
  return status.last_start == WallTime() ? now : status.last_start + plan.interval;
}

std::string snapshot_file_name(const SnapshotPlan& plan, WallTime now) {
  const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  const std::time_t seconds = static_cast<std::time_t>(millis / 1000);
  std::tm civil{};
  gmtime_r(&seconds, &civil);
  char text[64];
  const std::size_t size = std::strftime(text, sizeof text, "%Y%m%dT%H%M%S.", &civil);
  const std::string thousandths = std::to_string(1000 + millis % 1000).substr(1);
  return plan.file_prefix + "-" + std::string(text, size) + thousandths + "Z" + std::string(kEnding);
}

bool is_snapshot_file(const SnapshotPlan& plan, std::string_view name) {
  if (!name.starts_with(plan.file_prefix) || !name.ends_with(kEnding))
    return false;
  name.remove_prefix(plan.file_prefix.size());
  if (name.size() != 1 + kTimeShape.size() + kEnding.size() || name.front() != '-')
    return false;
  name.remove_prefix(1);
  for (std::size_t i = 0; i < kTimeShape.size(); ++i) {
    const char shape = kTimeShape[i];
    const bool fits = shape == 'd' ? name[i] >= '0' && name[i] <= '9' : name[i] == (shape == '?' ? 'T' : shape);
    if (!fits)
      return false;
  }
  return true;
}

bool share_files(const SnapshotPlan& a, const SnapshotPlan& b) {
  if (a.store != b.store || a.path_prefix != b.path_prefix || a.file_prefix != b.file_prefix)
    return false;
  return a.store == SnapshotPlan::Store::kLocal || (a.s3.bucket == b.s3.bucket && a.s3.region == b.s3.region &&
                                                    a.s3.endpoint == b.s3.endpoint);
}

std::vector<std::string> superseded_snapshots(const SnapshotPlan& plan, std::vector<std::string> names) {
  std::erase_if(names, [&](const std::string& name) { return !is_snapshot_file(plan, name); });
  std::ranges::sort(names);
  names.resize(names.size() - std::min<std::size_t>(names.size(), plan.retain));
  return names;
}

}  // namespace coffer::core
