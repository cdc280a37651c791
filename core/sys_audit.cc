#include "base/encoding.h"
#include "base/path.h"
#include "core/answers.h"
#include "core/audit_options.h"
#include "core/call.h"
#include "core/sys_engine.h"
#include "core/work_pool.h"

namespace coffer::core {
namespace {

constexpr std::size_t kSaltBytes = 32;
constexpr std::size_t kDeviceOptionsMax = 64;

std::string record_name(std::string_view path) { return std::string(layout::kAuditPrefix).append(path); }

Status handle_list(HandlerContext& base) {
  CallContext& ctx = call(base);
  json::ObjectBuilder data(ctx.arena);
  for (const AuditDeviceConfig& device : *ctx.published.audit_rows) {
    json::ObjectBuilder options(ctx.arena);
    for (const auto& [name, value] : device.options)
      options.add(name, value);
    data.add(device.path, json::ObjectBuilder(ctx.arena, 5)
                              .add("description", device.description)
                              .add("local", device.local)
                              .add("options", options.build())
                              .add("path", device.path)
                              .add("type", device.type)
                              .build());
  }
  ctx.response.data = data.build();
  ctx.response.data_also_top_level = true;
  return ok_status();
}

Status read_options(const json::Value& given, AuditDeviceConfig& config) {
  if (given.is_null())
    return ok_status();
  if (!given.is_object() || given.size() > kDeviceOptionsMax)
    return Status(Code::kInvalid, "field \"options\" must be an object of strings");
  for (const json::Member& member : given.members()) {
    std::string value;
    if (member.value.is_string())
      value = member.value.as_string();
    else if (member.value.is_bool() || member.value.is_number())
      json::write(member.value, value);
    else
      return Status(Code::kInvalid, "field \"options\" must be an object of strings");
    config.options.emplace_back(member.key(), std::move(value));
  }
  return ok_status();
}

Result<AuditDeviceConfig> read_device(CallContext& ctx) {
  AuditDeviceConfig config;
  config.path = std::string(ctx.captures.front()) + "/";
  COFFER_ASSIGN(const std::string_view type, ctx.string_field("type", ""));
  COFFER_ASSIGN(const std::string_view description, ctx.string_field("description", ""));
  if (type.empty())
    return Status(Code::kInvalid, "audit device type must be specified as a string");
  config.type = std::string(type);
  config.description = std::string(description);
  COFFER_ASSIGN(config.local, ctx.bool_field("local", false));
  COFFER_TRY(read_options(ctx.field("options"), config));
  return config;
}

// What the table says against a new device, before anything is opened for it and again when it is written.
Status check_table(CallContext& ctx, const AuditDeviceConfig& config, const AuditOptions& options) {
  for (const AuditDeviceConfig& other : *ctx.published.audit_rows)
    if (other.path.starts_with(config.path) || config.path.starts_with(other.path))
      return Status(Code::kInvalid, "path already in use");
  for (const AuditDeviceConfig& other : *ctx.published.audit_rows) {
    const auto known = parse_audit_options(other.type, other.options);
    if (!known.ok())
      continue;
    if (options.fallback && known->fallback)
      return Status(Code::kInvalid, "fallback: another device is the fallback already");
    if (options.target == AuditTarget::kFile && known->target == AuditTarget::kFile &&
        options.file_path == known->file_path)
      return Status(Code::kInvalid, "file_path: another device writes to this file");
  }
  return ok_status();
}

// Connecting and writing take as long as others like: that is no work for a thread that serves requests.
class Probing final : public WaitingWork {
 public:
  Probing(AuditRegistry& registry, AuditDeviceConfig config, AuditOptions options)
      : registry_(registry), config_(std::move(config)), options_(std::move(options)) {}
  void perform() override { outcome_ = registry_.probe(config_, options_); }
  const AuditDeviceConfig& config() const { return config_; }
  const Status& outcome() const { return outcome_; }

 private:
  AuditRegistry& registry_;
  AuditDeviceConfig config_;
  AuditOptions options_;
  Status outcome_ = Status(Code::kInternal, "nothing was tried");
};

Result<std::unique_ptr<PreparedWork>> prepare_enable(HandlerContext& base) {
  CallContext& ctx = call(base);
  std::unique_ptr<PreparedWork> work;
  if (ctx.prepared != nullptr)
    return work;
  COFFER_ASSIGN(AuditDeviceConfig config, read_device(ctx));
  COFFER_ASSIGN(AuditOptions options, parse_audit_options(config.type, config.options));
  COFFER_TRY(check_table(ctx, config, options));
  config.salt = SecretBytes(kSaltBytes);
  COFFER_TRY(ctx.random.fill(config.salt.reveal_mutable()));
  COFFER_ASSIGN(config.uuid, random_uuid(ctx.random));
  work = std::make_unique<Probing>(ctx.services.audit, std::move(config), std::move(options));
  return work;
}

Status handle_enable(HandlerContext& base) {
  CallContext& ctx = call(base);
  if (ctx.prepared == nullptr)
    return Status(Code::kUnsupported, "an audit device is enabled by a request of its own only");
  const auto& probing = static_cast<const Probing&>(*ctx.prepared);
  const AuditDeviceConfig& config = probing.config();
  COFFER_ASSIGN(const AuditOptions options, parse_audit_options(config.type, config.options));
  // The whole table is read: two devices must not lie one below the other.
  COFFER_ASSIGN(const ListPage page, ctx.txn.list(layout::core_key(layout::kAuditPrefix), {}, 0));
  COFFER_TRY(check_table(ctx, config, options));
  COFFER_TRY(probing.outcome());
  std::string record = encode(config);
  const Status status = ctx.txn.put(layout::core_key(record_name(ctx.captures.front())), record);
  wipe(record.data(), record.size());
  return status;
}

Status handle_disable(HandlerContext& base) {
  CallContext& ctx = call(base);
  for (const AuditDeviceConfig& device : *ctx.published.audit_rows)
    if (device.declared && device.path == std::string(ctx.captures.front()) + "/")
      return Status(Code::kInvalid, "this audit device is declared in the server's configuration");
  const store::StoreKey key = layout::core_key(ctx.arena.copy(record_name(ctx.captures.front())));
  COFFER_ASSIGN(const auto stored, ctx.txn.get(key));
  if (!stored)
    return Status(Code::kInvalid, "no matching audit device");
  return ctx.txn.erase(key);
}

Status handle_hash(HandlerContext& base) {
  CallContext& ctx = call(base);
  COFFER_ASSIGN(const std::string_view input, ctx.string_field("input", ""));
  if (input.empty())
    return Status(Code::kInvalid, "the \"input\" parameter is empty");
  const std::string path = std::string(ctx.captures.front()) + "/";
  const Result<std::string> hash = ctx.published.audit->hash(path, input);
  if (!hash.ok())
    return Status(Code::kInvalid, "unknown audit backend \"" + path + "\"");
  ctx.response.data = json::ObjectBuilder(ctx.arena, 1).add("hash", *hash).build();
  ctx.response.data_also_top_level = true;
  return ok_status();
}

}  // namespace

std::vector<PathSpec> sys_audit_specs() {
  std::vector<PathSpec> specs;
  specs.push_back({"audit",
                   "Which audit devices there are.",
                   {},
                   {{Operation::kRead, Effect::kReads, handle_list, "Lists the audit devices."}},
                   nullptr,
                   false,
                   true});
  specs.push_back({"audit/*path", "One audit device: enable or disable it.",
                   {{"type", FieldType::kString, "Which kind of device: file, syslog or socket.", true},
                    {"description", FieldType::kString, "A note for people."},
                    {"options", FieldType::kMap, "Settings of the device, for example file_path."},
                    {"local", FieldType::kBool, "Whether it belongs to this cluster alone."}},
                   {{Operation::kWrite, Effect::kWrites, handle_enable, "Enables an audit device.", prepare_enable},
                    {Operation::kDelete, Effect::kWrites, handle_disable, "Disables an audit device."}},
                   nullptr, false, true});
  specs.push_back({"audit-hash/*path", "The hash of a text as the device's lines show it.",
                   {{"input", FieldType::kString, "The text to hash.", true}},
                   {{Operation::kWrite, Effect::kReads, handle_hash, "Hashes a text."}}});
  return specs;
}

}  // namespace coffer::core
