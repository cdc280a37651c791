#include "core/rotation.h"

#include "base/codec.h"
#include "core/jobs.h"
#include "core/layout.h"
#include "core/sys_engine.h"

namespace coffer::core {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::string_view kRules = "core/rotation";  // docs/formats/settings.md

Status handle_read(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const RotationRules rules, read_rotation_rules(ctx.txn));
  ctx.response.data = json::ObjectBuilder(ctx.arena, 3)
                          .add("enabled", rules.enabled)
                          .add("interval", std::chrono::duration_cast<std::chrono::seconds>(rules.interval).count())
                          .add("max_operations", rules.max_operations)
                          .build();
  ctx.response.data_also_top_level = true;
  return ok_status();
}

Status handle_write(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(RotationRules rules, read_rotation_rules(ctx.txn));
  COFFER_ASSIGN(rules.enabled, ctx.bool_field("enabled", rules.enabled));
  COFFER_ASSIGN(rules.interval, ctx.duration_field("interval", rules.interval));
  COFFER_ASSIGN(rules.max_operations,
                ctx.int_field("max_operations", rules.max_operations, RotationRules::kOperationsMin,
                              RotationRules::kOperationsMax));
  if (rules.interval != Nanos(0) && rules.interval < RotationRules::kIntervalMin)
    return Status(Code::kInvalid, "interval must be 0 or at least 24h");
  return put_rotation_rules(ctx.txn, rules);
}

}  // namespace

Result<RotationRules> read_rotation_rules(TxnImpl& txn) {
  RotationRules rules;
  COFFER_ASSIGN(const auto stored, txn.get(layout::core_key(kRules)));
  if (!stored)
    return rules;
  ByteReader in(*stored);
  const std::uint8_t format = in.u8();
  rules.enabled = in.u8() != 0;
  rules.max_operations = static_cast<std::int64_t>(in.u64());
  rules.interval = Nanos(static_cast<std::int64_t>(in.u64()));
  COFFER_TRY(in.finish().with_context("the rules of rotation"));
  if (format != kFormat)
    return Status(Code::kDataLoss, "the rules of rotation have an unknown form");
  return rules;
}

Status put_rotation_rules(TxnImpl& txn, const RotationRules& rules) {
  std::string record;
  ByteWriter(record)
      .u8(kFormat)
      .u8(rules.enabled ? 1 : 0)
      .u64(static_cast<std::uint64_t>(rules.max_operations))
      .u64(static_cast<std::uint64_t>(rules.interval.count()));
  return txn.put(layout::core_key(kRules), record);
}

Status rotate_keyring(TxnImpl& txn, const Published& published, RandomSource& random) {
  const store::StoreKey key = layout::core_key(layout::kKeyring);
  COFFER_ASSIGN(const auto before, txn.get_as_is(key));
  if (!before)
    return Status(Code::kDataLoss, "the store holds no keyring");
  COFFER_ASSIGN(const auto rotated, published.barrier->keyring()->rotated(txn.now(), random));
  COFFER_ASSIGN(const std::string record, rotated->seal(*published.root_key, random));
  return txn.put_as_is(key, record);
}

bool rotation_is_due(const RotationRules& rules, const seal::Keyring::TermInfo& active, WallTime now) {
  if (!rules.enabled)
    return false;
  return active.encryptions >= static_cast<std::uint64_t>(rules.max_operations) ||
         (rules.interval > Nanos(0) && now - active.installed >= rules.interval);
}

bool Rotator::tick(BootTime now) {
  if (now < due_ || *busy_ || !services_.committer.is_leader())
    return false;
  due_ = now + kPause;
  *busy_ = true;
  const auto rotated = std::make_shared<bool>(false);
  const auto look = [&services = services_, rotated](TxnImpl& txn, const Published& published, json::Arena&) -> Status {
    *rotated = false;
    COFFER_ASSIGN(const RotationRules rules, read_rotation_rules(txn));
    if (!rotation_is_due(rules, published.barrier->keyring()->active_info(), txn.now()))
      return ok_status();
    *rotated = true;
    return rotate_keyring(txn, published, services.random);
  };
  SystemTask::start(services_, look, [busy = busy_, rotated, log = services_.log](const Status& status) {
    *busy = false;
    if (log == nullptr)
      return;
    if (!status.ok())
      log->warn("core", "the key was not rotated: " + status.message());
    else if (*rotated)
      log->info("core", "the key was rotated by itself");
  });
  return true;
}

std::vector<PathSpec> sys_rotation_specs() {
  std::vector<PathSpec> specs;
  for (const std::string_view path : {"rotate/config", "rotate/keyring/config"}) {
    OperationSpec read{Operation::kRead, Effect::kReads, handle_read, "Reads it."};
    OperationSpec write{Operation::kWrite, Effect::kWrites, handle_write, "Changes what is given."};
    read.sudo = write.sudo = true;
    specs.push_back({path,
                     "When the key that seals what is stored gets a successor by itself.",
                     {{"enabled", FieldType::kBool, "Whether it does."},
                      {"max_operations", FieldType::kInt, "After so many values, 1000000 to 3865470566."},
                      {"interval", FieldType::kDuration, "After so long, at least 24h; 0: its age does not count."}},
                     {read, write}});
  }
  return specs;
}

}  // namespace coffer::core
