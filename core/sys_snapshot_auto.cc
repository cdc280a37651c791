// sys/storage/raft/snapshot-auto/: automated snapshots, as Vault Enterprise names their settings.
#include "base/time_text.h"
#include "core/answers.h"
#include "core/call.h"
#include "core/layout.h"
#include "core/snapshot_keeper.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

constexpr std::string_view kLocal = "local";
constexpr std::string_view kS3 = "aws-s3";

store::StoreKey plan_key(const CallContext& ctx, std::string_view name) {
  return layout::token_key(ctx.arena.copy(std::string(kSnapshotPlanPrefix).append(name)));
}

Status no_raft(const CallContext& ctx) {
  const bool there = ctx.services.group != nullptr && ctx.services.snapshots != nullptr;
  return there ? ok_status() : Status(Code::kInvalid, "raft storage is not in use");
}

Status read_text(CallContext& ctx, std::string_view field, std::string& to) {
  COFFER_ASSIGN(const std::string_view text, ctx.string_field(field, to));
  to = text;
  return ok_status();
}

Status read_flag(CallContext& ctx, std::string_view field, bool& to) {
  COFFER_ASSIGN(to, ctx.bool_field(field, to));
  return ok_status();
}

// What an existing plan says stays unless it is given anew; where it keeps its files stays for good.
Status read_place(CallContext& ctx, SnapshotPlan& plan, bool there) {
  const SnapshotPlan before = plan;
  COFFER_ASSIGN(const std::string_view store,
                ctx.string_field("storage_type", there && plan.store == SnapshotPlan::Store::kS3 ? kS3
                                                 : there                                        ? kLocal
                                                                                                : ""));
  if (store != kLocal && store != kS3)
    return Status(Code::kInvalid, "storage_type must be \"local\" or \"aws-s3\"");
  plan.store = store == kS3 ? SnapshotPlan::Store::kS3 : SnapshotPlan::Store::kLocal;
  COFFER_TRY(read_text(ctx, "path_prefix", plan.path_prefix));
  COFFER_TRY(read_text(ctx, "file_prefix", plan.file_prefix));
  if (there && (plan.store != before.store || plan.path_prefix != before.path_prefix ||
                plan.file_prefix != before.file_prefix))
    return Status(Code::kInvalid, "storage_type, path_prefix and file_prefix cannot be changed");
  return ok_status();
}

Status read_s3(CallContext& ctx, SnapshotPlan::S3& s3) {
  COFFER_TRY(read_text(ctx, "aws_s3_bucket", s3.bucket));
  COFFER_TRY(read_text(ctx, "aws_s3_region", s3.region));
  COFFER_TRY(read_text(ctx, "aws_s3_endpoint", s3.endpoint));
  COFFER_TRY(read_text(ctx, "aws_access_key_id", s3.access_key_id));
  COFFER_TRY(read_text(ctx, "aws_secret_access_key", s3.secret_access_key));
  COFFER_TRY(read_text(ctx, "aws_session_token", s3.session_token));
  COFFER_TRY(read_text(ctx, "aws_s3_kms_key", s3.kms_key));
  COFFER_TRY(read_flag(ctx, "aws_s3_disable_tls", s3.disable_tls));
  COFFER_TRY(read_flag(ctx, "aws_s3_force_path_style", s3.force_path_style));
  COFFER_TRY(read_flag(ctx, "aws_s3_server_side_encryption", s3.server_side_encryption));
  return read_flag(ctx, "aws_s3_enable_kms", s3.enable_kms);
}

Result<SnapshotPlan> stored_plan(CallContext& ctx) {
  COFFER_TRY(no_raft(ctx));
  COFFER_ASSIGN(auto plan, stored_snapshot_plan(ctx.txn, ctx.captures.front()));
  if (!plan)
    return Status(Code::kNotFound, "");
  return std::move(*plan);
}

Status check_own_files(CallContext& ctx, const SnapshotPlan& plan) {
  COFFER_ASSIGN(const ListPage page, ctx.txn.list(layout::token_key(kSnapshotPlanPrefix), {}, kSnapshotPlansMax));
  for (const std::string_view name : page.names) {
    COFFER_ASSIGN(const auto other, stored_snapshot_plan(ctx.txn, name));
    if (other && other->name != plan.name && share_files(*other, plan))
      return Status(Code::kInvalid, "file_prefix: the automated snapshot \"" + other->name +
                                        "\" has files of such names there; give another file_prefix or path_prefix");
  }
  return ok_status();
}

Status write_plan(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(no_raft(ctx));
  COFFER_ASSIGN(const auto known, stored_snapshot_plan(ctx.txn, ctx.captures.front()));
  if (!known) {
    COFFER_ASSIGN(const ListPage page, ctx.txn.list(layout::token_key(kSnapshotPlanPrefix), {}, kSnapshotPlansMax));
    if (page.names.size() >= kSnapshotPlansMax)
      return Status(Code::kInvalid, "there are " + std::to_string(kSnapshotPlansMax) + " automated snapshots already");
  }
  SnapshotPlan plan = known.value_or(SnapshotPlan());
  plan.name = ctx.captures.front();
  COFFER_ASSIGN(plan.interval, ctx.duration_field("interval", plan.interval));
  COFFER_ASSIGN(const std::int64_t retain,
                ctx.int_field("retain", static_cast<std::int64_t>(plan.retain), 1, INT32_MAX));
  plan.retain = static_cast<std::uint64_t>(retain);
  COFFER_ASSIGN(const std::int64_t space,
                ctx.int_field("local_max_space", static_cast<std::int64_t>(plan.local_max_space), 0, INT64_MAX));
  plan.local_max_space = static_cast<std::uint64_t>(space);
  COFFER_TRY(read_place(ctx, plan, known.has_value()));
  COFFER_TRY(read_s3(ctx, plan.s3));
  COFFER_TRY(check_snapshot_plan(plan));
  COFFER_TRY(check_own_files(ctx, plan));
  if (plan.store == SnapshotPlan::Store::kLocal && ctx.services.snapshots->automated.empty())
    return Status(Code::kInvalid, "storage_type \"local\" needs snapshot_folder in the storage of the configuration");
  return ctx.txn.put(plan_key(ctx, plan.name), ctx.arena.copy(encode(plan)));
}

Status read_plan(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const SnapshotPlan plan, stored_plan(ctx));
  json::ObjectBuilder data(ctx.arena, 16);
  data.add("name", plan.name)
      .add("interval", whole_seconds(plan.interval))
      .add("retain", plan.retain)
      .add("path_prefix", plan.path_prefix)
      .add("file_prefix", plan.file_prefix)
      .add("storage_type", plan.store == SnapshotPlan::Store::kS3 ? kS3 : kLocal);
  if (plan.store == SnapshotPlan::Store::kLocal)
    data.add("local_max_space", plan.local_max_space);
  else
    data.add("aws_s3_bucket", plan.s3.bucket)
        .add("aws_s3_region", plan.s3.region)
        .add("aws_s3_endpoint", plan.s3.endpoint)
        .add("aws_access_key_id", plan.s3.access_key_id)
        .add("aws_s3_disable_tls", plan.s3.disable_tls)
        .add("aws_s3_force_path_style", plan.s3.force_path_style)
        .add("aws_s3_server_side_encryption", plan.s3.server_side_encryption)
        .add("aws_s3_enable_kms", plan.s3.enable_kms)
        .add("aws_s3_kms_key", plan.s3.kms_key);
  ctx.response.data = data.build();
  return ok_status();
}

Status erase_plan(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(no_raft(ctx));
  COFFER_TRY(ctx.txn.erase(plan_key(ctx, ctx.captures.front())));
  return ctx.txn.erase(
      layout::token_key(ctx.arena.copy(std::string(kSnapshotStatusPrefix).append(ctx.captures.front()))));
}

Status list_plans(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_TRY(no_raft(ctx));
  COFFER_ASSIGN(const ListPage page, ctx.txn.list(layout::token_key(kSnapshotPlanPrefix), {}, kSnapshotPlansMax));
  if (page.names.empty())
    return Status(Code::kNotFound, "");
  ctx.response.data = keys_answer(ctx.arena, page.names);
  return ok_status();
}

Status read_status(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const SnapshotPlan plan, stored_plan(ctx));
  COFFER_ASSIGN(const SnapshotPlanStatus status, stored_snapshot_status(ctx.txn, plan.name));
  const auto time = [](WallTime at) { return at == WallTime() ? std::string() : format_time(at); };
  ctx.response.data = json::ObjectBuilder(ctx.arena, 8)
                          .add("consecutive_errors", status.consecutive_errors)
                          .add("last_snapshot_start", time(status.last_start))
                          .add("last_snapshot_end", time(status.last_end))
                          .add("last_snapshot_success", time(status.last_success))
                          .add("last_snapshot_error", status.last_error)
                          .add("last_snapshot_url", status.last_url)
                          .add("next_snapshot_start", format_time(next_snapshot(plan, status, ctx.now)))
                          .build();
  return ok_status();
}

std::vector<Field> plan_fields() {
  return {{"name", FieldType::kString, "Its name."},
          {"interval", FieldType::kDuration, "Time from one to the next.", true},
          {"retain", FieldType::kInt, "How many are kept; 1 if not given."},
          {"path_prefix", FieldType::kString, "A folder below the configured one; what keys in the bucket begin with."},
          {"file_prefix", FieldType::kString, "What names of files begin with; vault-snapshot if not given."},
          {"storage_type", FieldType::kString, "local or aws-s3.", true},
          {"local_max_space", FieldType::kInt, "Bytes that the files may take; 0: no bound."},
          {"aws_s3_bucket", FieldType::kString, "The bucket."},
          {"aws_s3_region", FieldType::kString, "Its region."},
          {"aws_s3_endpoint", FieldType::kString, "Host of other storage than Amazon's."},
          {"aws_access_key_id", FieldType::kString, "Who asks."},
          {"aws_secret_access_key", FieldType::kString, "The key of that; never shown."},
          {"aws_session_token", FieldType::kString, "Of a session; never shown."},
          {"aws_s3_disable_tls", FieldType::kBool, "Speak plain HTTP."},
          {"aws_s3_force_path_style", FieldType::kBool, "The bucket stands in the path and not in the host's name."},
          {"aws_s3_server_side_encryption", FieldType::kBool, "The storage encrypts with AES256."},
          {"aws_s3_enable_kms", FieldType::kBool, "The storage encrypts with a key of KMS."},
          {"aws_s3_kms_key", FieldType::kString, "That key."}};
}

}  // namespace

std::vector<PathSpec> sys_snapshot_auto_specs() {
  std::vector<PathSpec> specs;
  for (const std::string_view pattern : {"storage/raft/snapshot-auto/config", "storage/raft/snapshot-auto/config/"})
    specs.push_back({pattern, "Automated snapshots.", {},
                     {{Operation::kList, Effect::kReads, list_plans, "Lists their names."}}, nullptr, false, true});
  specs.push_back({"storage/raft/snapshot-auto/config/:name", "One automated snapshot.", plan_fields(),
                   {{Operation::kRead, Effect::kReads, read_plan, "Reads its settings."},
                    {Operation::kWrite, Effect::kWrites, write_plan, "Makes or changes it."},
                    {Operation::kDelete, Effect::kWrites, erase_plan, "Ends it; its files stay."}},
                   nullptr, false, true});
  specs.push_back({"storage/raft/snapshot-auto/status/:name", "How it went.", {},
                   {{Operation::kRead, Effect::kReads, read_status, "Tells when the last one was made, and how."}}});
  return specs;
}

}  // namespace coffer::core
