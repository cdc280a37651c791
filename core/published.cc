#include "core/published.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/codec.h"
#include "base/mutant.h"
#include "core/layout.h"
#include "core/restored.h"
#include "core/wrapping_jwt.h"
#include "crypto/es512.h"

namespace coffer::core {
namespace {

bool is_core_key(std::string_view key, std::string_view& rest) {
  const Result<store::KeyHead> head = store::parse_key(key);
  if (!head.ok() || head->cls != store::KeyClass::kShared || head->ns != layout::kRootNamespace ||
      head->mount != layout::kSystemMount || !head->rest.starts_with(layout::kCorePrefix))
    return false;
  rest = head->rest;
  return true;
}

// The path of the request that a lease or a token comes from.
std::string_view lease_path(std::string_view id) { return id.substr(0, id.rfind('/')); }

std::string stored_name(std::string_view rest) {
  const store::StoreKey key = layout::core_key(rest);
  return store::make_key(key.cls, key.ns, key.mount, key.rest);
}

}  // namespace

const PolicyStore& Published::policies_of(NamespaceId ns) const {
  static const PolicyStore kNone{PolicyStore::Entries()};
  if (ns == layout::kRootNamespace)
    return *policies;
  const auto at = inner_policies.find(ns);
  return at == inner_policies.end() ? kNone : *at->second;
}

bool Published::revoking(std::string_view token_hash) const {
  for (const Job& job : *jobs)
    if (job.kind == Job::Kind::kRevokeTree && job.token_hash == token_hash)
      return true;
  return false;
}

StateDeriver::StateDeriver(const EngineRegistry& engines, AuditRegistry& audit, SystemConfig config)
    : engines_(engines), audit_registry_(audit), config_(config) {}

void StateDeriver::forget() {
  root_key_.reset();
  barrier_.reset();
  hasher_.reset();
  wrap_key_.reset();
  mounts_.clear();
  policies_.clear();
  devices_.clear();
  jobs_.clear();
  quotas_.clear();
  quota_config_ = QuotaConfig();
  quotas_changed_ = true;
  damage_ = ok_status();
  settings_ = ServerSettings();
  namespaces_.clear();
  members_.clear();
  members_changed_ = true;
  policies_changed_ = {layout::kRootNamespace};
  inner_forgotten_ = true;
  changed_ = mounts_changed_ = namespaces_changed_ = devices_changed_ = jobs_changed_ = settings_changed_ = true;
}

void StateDeriver::stop() { forget(); }

Status StateDeriver::start(const store::View& view, SecretBytes root_key) {
  forget();
  root_key_ = std::make_shared<const SecretBytes>(std::move(root_key));
  const auto load = [&]() -> Status {
    std::string record;
    const std::string name = stored_name(layout::kKeyring);
    COFFER_ASSIGN(const bool found, view.get(name, record));
    if (!found)
      return Status(Code::kDataLoss, "the store holds no keyring");
    COFFER_TRY(take(name, layout::kKeyring, record));
    COFFER_ASSIGN(const std::unique_ptr<store::Cursor> cursor, view.cursor());
    const std::string begin = stored_name(layout::kCorePrefix);
    const std::string end = store::prefix_end(begin);
    COFFER_ASSIGN(bool more, cursor->seek(begin));
    while (more && cursor->key() < end) {
      std::string_view rest;
      if (is_core_key(cursor->key(), rest) && rest != layout::kKeyring)
        COFFER_TRY(take(cursor->key(), rest, std::string(cursor->value())));
      COFFER_ASSIGN(more, cursor->next());
    }
    return ok_status();
  };
  const Status status = load();
  if (!status.ok())
    forget();
  return status;
}

void StateDeriver::on_replaced(const store::View& state) {
  if (!started())
    return;
  if (Status status = start(state, root_key_->clone()); !status.ok())
    damage_ = std::move(status);
}

void StateDeriver::on_apply(Index index, std::span<const store::Op> ops) {
  if (!started())
    return;
  for (const store::Op& op : ops) {
    std::string_view rest;
    if (!quotas_.empty()) [[unlikely]]
      count_lease(op);
    if (op.key == seal_key() && seal_told_) [[unlikely]]
      seal_told_(index);
    if (!is_core_key(op.key, rest))
      continue;
    changed_ = true;
    if (const Status status = take(op.key, rest, op.value); !status.ok() && damage_.ok())
      damage_ = status;
  }
}

Status StateDeriver::take(std::string_view key, std::string_view rest, const std::optional<std::string>& value) {
  if (rest == layout::kKeyring) {
    if (!value)
      return Status(Code::kDataLoss, "the keyring was deleted");
    COFFER_ASSIGN(auto keyring, seal::Keyring::open(*value, KeyringId(0), *root_key_));
    hasher_ = std::make_shared<const TokenHasher>(keyring->derive(kTokenHashPurpose));
    COFFER_ASSIGN(wrap_key_, crypto::Es512Key::derive(keyring->derive(kWrapKeyPurpose)));
    barrier_ = seal::Barrier::create(std::move(keyring));
    return ok_status();
  }
  if (!value)
    return take_opened(rest, value);
  SecretBytes plaintext(seal::Barrier::plaintext_size(*value));
  COFFER_ASSIGN(const std::size_t size, barrier_->open(key, *value, plaintext.reveal_mutable()));
  std::string opened(plaintext.reveal_text().substr(0, size));
  const Status status = take_opened(rest, opened);
  wipe(opened.data(), opened.size());
  return status;
}

Status StateDeriver::take_opened(std::string_view rest, const std::optional<std::string>& value) {
  const auto row = [rest](std::string_view prefix) { return std::string(rest.substr(prefix.size())); };
  if (rest.starts_with(layout::kMountPrefix)) {
    mounts_changed_ = true;
    mounts_.erase(row(layout::kMountPrefix));
    if (value) {
      COFFER_ASSIGN(MountRecord record, decode_mount(*value));
      mounts_.emplace(row(layout::kMountPrefix), std::move(record));
    }
  } else if (rest.starts_with(layout::kPolicyPrefix)) {
    return take_policy(layout::kRootNamespace, row(layout::kPolicyPrefix), value);
  } else if (rest.starts_with(layout::kInnerPolicyPrefix)) {
    const std::string inner = row(layout::kInnerPolicyPrefix);
    std::uint32_t ns = 0;
    const auto [end, error] = std::from_chars(inner.data(), inner.data() + inner.size(), ns, 16);
    if (error != std::errc() || inner.size() < 9 || end != inner.data() + 8 || inner[8] != '/')
      return Status(Code::kDataLoss, "a policy's record stands under an unknown name");
    return take_policy(NamespaceId(ns), inner.substr(9), value);
  } else if (rest.starts_with(layout::kNamespacePrefix)) {
    namespaces_changed_ = true;
    namespaces_.erase(row(layout::kNamespacePrefix));
    if (value) {
      COFFER_ASSIGN(NamespaceRecord record, decode_namespace(*value));
      namespaces_.emplace(row(layout::kNamespacePrefix), std::move(record));
    }
  } else if (rest.starts_with(layout::kAuditPrefix)) {
    devices_changed_ = true;
    devices_.erase(row(layout::kAuditPrefix));
    if (value) {
      COFFER_ASSIGN(AuditDeviceConfig config, decode_device(*value));
      devices_.emplace(row(layout::kAuditPrefix), std::move(config));
    }
  } else if (rest.starts_with(layout::kConfigPrefix)) {
    settings_changed_ = true;
    COFFER_TRY(take_setting(rest.substr(layout::kConfigPrefix.size()), value ? &*value : nullptr, settings_));
  } else if (rest.starts_with(layout::kQuotaPrefix) || rest == layout::kQuotaConfig) {
    COFFER_TRY(take_quota(rest, value));
  } else if (rest.starts_with(layout::kMemberPrefix)) {
    members_changed_ = true;
    members_.erase(row(layout::kMemberPrefix));
    if (value) {
      COFFER_ASSIGN(Member member, decode_member(*value));
      members_.emplace(row(layout::kMemberPrefix), std::move(member));
    }
  } else if (rest.starts_with(layout::kJobPrefix)) {
    jobs_changed_ = true;
    jobs_.erase(row(layout::kJobPrefix));
    if (value) {
      COFFER_ASSIGN(Job job, decode_job(row(layout::kJobPrefix), *value));
      jobs_.emplace(row(layout::kJobPrefix), std::move(job));
    }
  }
  return ok_status();
}

// Those of the configuration take the place of stored ones at the same path.
void StateDeriver::add_declared_devices(std::vector<AuditDeviceConfig>& rows) const {
  const auto derive = [this](std::string_view purpose) { return barrier_->keyring()->derive(purpose); };
  for (AuditDeviceConfig& device : audit_registry_.declared(derive)) {
    std::erase_if(rows, [&device](const AuditDeviceConfig& row) { return row.path == device.path; });
    rows.push_back(std::move(device));
  }
  std::ranges::sort(rows, {}, &AuditDeviceConfig::path);
}

Status StateDeriver::take_policy(NamespaceId ns, const std::string& name, const std::optional<std::string>& value) {
  policies_changed_.insert(ns);
  PolicyStore::Entries& entries = policies_[ns];
  if (mutant(Mutant::kPolicyChangeMissed) && entries.contains(name))
    return ok_status();
  entries.erase(name);
  if (value) {
    COFFER_ASSIGN(auto entry, decode_policy(name, *value));
    entries.emplace(name, std::move(entry));
  }
  return ok_status();
}

// A store is made anew only where a policy changed: compiled lists of the others stay.
void StateDeriver::publish_policies(Published& next) {
  if (std::exchange(inner_forgotten_, false))
    next.inner_policies.clear();
  for (const NamespaceId ns : policies_changed_) {
    auto store = std::make_shared<const PolicyStore>(policies_[ns]);
    if (ns == layout::kRootNamespace)
      next.policies = std::move(store);
    else if (policies_[ns].empty())
      next.inner_policies.erase(ns);
    else
      next.inner_policies[ns] = std::move(store);
  }
  policies_changed_.clear();
}

Status StateDeriver::take_quota(std::string_view rest, const std::optional<std::string>& value) {
  quotas_changed_ = true;
  if (rest == layout::kQuotaConfig) {
    quota_config_ = QuotaConfig();
    if (value) {
      COFFER_ASSIGN(quota_config_, decode_quota_config(*value));
    }
    return ok_status();
  }
  const std::string name(rest.substr(layout::kQuotaPrefix.size()));
  if (!value) {
    quotas_.erase(name);
    return ok_status();
  }
  const auto there = quotas_.find(name);
  if (there != quotas_.end() && there->second.encoded == *value)
    return ok_status();
  COFFER_ASSIGN(QuotaRecord record, decode_quota(*value));
  Quota quota;
  quota.encoded = *value;
  quota.rule = {std::move(record), std::make_shared<RateCounter>(), std::make_shared<LeaseCount>(), 0};
  quotas_.insert_or_assign(name, std::move(quota));
  return ok_status();
}

// Every lease, and every token that ends, is a name in the index of ids, written once and erased once.
void StateDeriver::count_lease(const store::Op& op) {
  const Result<store::KeyHead> head = store::parse_key(op.key);
  if (!head.ok() || head->cls != store::KeyClass::kClusterLocal || head->mount != layout::kSystemMount ||
      !head->rest.starts_with(layout::kLeaseIdPrefix))
    return;
  // Nothing is leased in a namespace that was not published before.
  const NamespaceRecord* ns = current_ == nullptr || current_->sealed ? nullptr : current_->namespaces->find(head->ns);
  if (ns == nullptr)
    return;
  const std::string path = ns->path + std::string(lease_path(head->rest.substr(layout::kLeaseIdPrefix.size())));
  for (auto& [name, quota] : quotas_) {
    if (quota.rule.record.kind != QuotaKind::kLeases || !quota_covers(quota.rule.record, ns->path, path))
      continue;
    quota.rule.changed += op.value ? 1 : -1;
    changed_ = quotas_changed_ = true;
  }
}

std::shared_ptr<const store::Attachment> StateDeriver::attachment() {
  if (!changed_)
    return current_;
  auto next = current_ ? std::make_shared<Published>(*current_) : std::make_shared<Published>();
  next->sealed = !started();
  next->damage = damage_;
  next->config = config_;
  next->barrier = barrier_;
  next->root_key = root_key_;
  next->hasher = hasher_;
  next->wrap_key = wrap_key_;
  if (namespaces_changed_) {
    std::vector<NamespaceRecord> records;
    for (const auto& [id, record] : namespaces_)
      records.push_back(record);
    next->namespaces = std::make_shared<const NamespaceTable>(std::move(records));
  }
  if (mounts_changed_ || namespaces_changed_) {
    std::vector<MountRecord> records;
    for (const auto& [id, record] : mounts_)
      records.push_back(record);
    const bool headers = std::ranges::any_of(records, [](const MountRecord& record) {
      return !record.tuning.passthrough_request_headers.empty();
    });
    settings_changed_ |= headers != std::exchange(settings_.engines_see_headers, headers);
    next->router = std::make_shared<const Router>(std::move(records), engines_, *next->namespaces);
  }
  publish_policies(*next);
  if (devices_changed_) {
    auto rows = std::make_shared<std::vector<AuditDeviceConfig>>();
    for (const auto& [path, config] : devices_)
      rows->push_back(config.clone());
    if (started())
      add_declared_devices(*rows);
    next->audit = audit_registry_.build(*rows);
    next->audit_rows = std::move(rows);
  }
  if (quotas_changed_) {
    std::vector<QuotaSet::Rule> rules;
    for (const auto& [name, quota] : quotas_)
      rules.push_back(quota.rule);
    next->quotas = rules.empty() ? nullptr : std::make_shared<const QuotaSet>(std::move(rules), quota_config_);
    if (rates_told_)
      rates_told_(next->quotas != nullptr && next->quotas->any(QuotaKind::kRate));
  }
  if (jobs_changed_) {
    auto jobs = std::make_shared<std::vector<Job>>();
    for (const auto& [id, job] : jobs_)
      jobs->push_back(job);
    next->jobs = std::move(jobs);
  }
  if (std::exchange(members_changed_, false)) {
    auto members = std::make_shared<Members>();
    for (const auto& [number, member] : members_)
      members->push_back(member);
    if (members_told_ && started())
      members_told_(*members);
    next->members = std::move(members);
  }
  if (settings_changed_) {
    next->settings = std::make_shared<const ServerSettings>(settings_);
    if (settings_told_)
      settings_told_(settings_);
  }
  changed_ = mounts_changed_ = namespaces_changed_ = devices_changed_ = jobs_changed_ = settings_changed_ = false;
  quotas_changed_ = false;
  current_ = std::move(next);
  return current_;
}

std::string encode(const Job& job) {
  std::string out;
  ByteWriter(out).u8(1).u8(static_cast<std::uint8_t>(job.kind)).u32(job.mount.get()).bytes(job.token_hash).u64(
      static_cast<std::uint64_t>(job.at.time_since_epoch().count()))
      .u32(job.ns.get())
      .bytes(job.prefix)
      .u8(job.force ? 1 : 0);
  return out;
}

Result<Job> decode_job(std::string_view id, std::string_view plaintext) {
  ByteReader reader(plaintext);
  const std::uint8_t format = reader.u8();
  const std::uint8_t kind = reader.u8();
  Job job{std::string(id), static_cast<Job::Kind>(kind), MountId(reader.u32()), std::string(reader.bytes()),
          WallTime(Nanos(static_cast<std::int64_t>(reader.u64()))), NamespaceId(reader.u32()),
          std::string(reader.bytes()), reader.u8() != 0};
  COFFER_TRY(reader.finish().with_context("a job's record"));
  if (format != 1 || kind < 1 || (kind > 5 && job.kind != Job::Kind::kDeleteNamespace))
    return Status(Code::kDataLoss, "a job's record has an unknown form");
  return job;
}

std::string encode(const AuditDeviceConfig& config) {
  std::string out;
  ByteWriter writer(out);
  writer.u8(1)
      .u8(config.local ? 1 : 0)
      .bytes(config.path)
      .bytes(config.type)
      .bytes(config.uuid)
      .bytes(config.description);
  writer.bytes(config.salt.reveal_text()).varint(config.options.size());
  for (const auto& [name, value] : config.options)
    writer.bytes(name).bytes(value);
  return out;
}

Result<AuditDeviceConfig> decode_device(std::string_view plaintext) {
  ByteReader reader(plaintext);
  AuditDeviceConfig config;
  const std::uint8_t format = reader.u8();
  config.local = reader.u8() != 0;
  config.path = reader.bytes();
  config.type = reader.bytes();
  config.uuid = reader.bytes();
  config.description = reader.bytes();
  config.salt = SecretBytes::copy_of(reader.bytes());
  const std::uint64_t options = reader.varint();
  for (std::uint64_t i = 0; i < options && reader.ok(); ++i) {
    const std::string_view name = reader.bytes();
    config.options.emplace_back(name, reader.bytes());
  }
  COFFER_TRY(reader.finish().with_context("an audit device's record"));
  if (format != 1)
    return Status(Code::kDataLoss, "an audit device's record has an unknown form");
  return config;
}

}  // namespace coffer::core
