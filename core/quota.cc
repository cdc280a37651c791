#include "core/quota.h"

#include <algorithm>

#include "base/codec.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "core/cidr.h"
#include "core/token_params.h"

namespace coffer::core {
namespace {

constexpr std::string_view kAlwaysExempt[] = {"sys/generate-recovery-token/attempt",
                                              "sys/generate-recovery-token/update",
                                              "sys/generate-root/attempt",
                                              "sys/generate-root/update",
                                              "sys/health",
                                              "sys/seal-status",
                                              "sys/unseal"};

// Higher is more specific.
std::size_t weight(const QuotaRecord& record) {
  const bool exact = !record.path.empty() && record.path.back() != '/' && record.path.back() != '*';
  return (exact ? std::size_t{1} << 20 : 0) + record.path.size() * 2 + (record.role.empty() ? 0 : 1);
}

bool covered_by_any(const std::vector<std::string>& paths, std::string_view path) {
  return std::ranges::any_of(paths, [path](const std::string& one) { return !one.empty() && quota_covers(one, path); });
}

}  // namespace

std::string encode(const QuotaRecord& record) {
  std::string out;
  ByteWriter writer(out);
  writer.u8(1).u8(static_cast<std::uint8_t>(record.kind)).u8(record.inheritable ? 1 : 0);
  writer.u8(static_cast<std::uint8_t>(record.group)).bytes(record.name).bytes(record.path);
  writer.bytes(record.ns).bytes(record.role);
  writer.varint(record.rate_thousandths).varint(record.secondary_thousandths);
  writer.varint(static_cast<std::uint64_t>(record.interval.count()));
  writer.varint(static_cast<std::uint64_t>(record.block_interval.count()));
  writer.varint(record.max_leases);
  return out;
}

Result<QuotaRecord> decode_quota(std::string_view plaintext) {
  ByteReader reader(plaintext);
  QuotaRecord record;
  const std::uint8_t format = reader.u8();
  const std::uint8_t kind = reader.u8();
  record.inheritable = reader.u8() != 0;
  const std::uint8_t group = reader.u8();
  record.name = reader.bytes();
  record.path = reader.bytes();
  record.ns = reader.bytes();
  record.role = reader.bytes();
  record.rate_thousandths = reader.varint();
  record.secondary_thousandths = reader.varint();
  record.interval = Nanos(static_cast<std::int64_t>(reader.varint()));
  record.block_interval = Nanos(static_cast<std::int64_t>(reader.varint()));
  record.max_leases = reader.varint();
  COFFER_TRY(reader.finish().with_context("a quota's record"));
  if (format != 1 || kind < 1 || kind > 2 || group < 1 || group > 4 || record.interval <= Nanos(0))
    return Status(Code::kDataLoss, "a quota's record has an unknown form");
  record.kind = static_cast<QuotaKind>(kind);
  record.group = static_cast<QuotaGroup>(group);
  return record;
}

std::string encode(const QuotaConfig& config) {
  std::string out;
  ByteWriter writer(out);
  writer.u8(1).u8(config.audit_logging ? 1 : 0).u8(config.response_headers ? 1 : 0);
  encode_texts(config.exempt_paths, writer);
  encode_texts(config.absolute_exempt_paths, writer);
  return out;
}

Result<QuotaConfig> decode_quota_config(std::string_view plaintext) {
  ByteReader reader(plaintext);
  QuotaConfig config;
  const std::uint8_t format = reader.u8();
  config.audit_logging = reader.u8() != 0;
  config.response_headers = reader.u8() != 0;
  config.exempt_paths = decode_texts(reader);
  config.absolute_exempt_paths = decode_texts(reader);
  COFFER_TRY(reader.finish().with_context("the configuration of quotas"));
  if (format != 1)
    return Status(Code::kDataLoss, "the configuration of quotas has an unknown form");
  return config;
}

RateCounter::Taken RateCounter::take(std::string_view client, const QuotaRecord& rule, std::uint64_t thousandths,
                                     WallTime now) {
  const std::int64_t at = now.time_since_epoch().count();
  const std::int64_t length = rule.interval.count();
  Taken out;
  // A rate below one is one request in so many intervals.
  const std::int64_t span =
      thousandths >= 1000
          ? length
          : length * static_cast<std::int64_t>((999 + thousandths) / std::max<std::uint64_t>(1, thousandths));
  out.limit = std::max<std::uint64_t>(1, thousandths / 1000);
  const std::lock_guard lock(mutex_);
  if (clients_.size() >= limits::kQuotaClientsMax && !clients_.contains(std::string(client)))
    std::erase_if(clients_, [&](const auto& entry) {
      return entry.second.number != at / span && entry.second.blocked_until <= now;
    });
  // Too many at once: they share one place rather than memory without end.
  Window& window = clients_[clients_.size() >= limits::kQuotaClientsMax ? std::string() : std::string(client)];
  if (window.blocked_until > now) {
    out.allowed = false;
    out.reset = window.blocked_until - now;
    return out;
  }
  if (window.number != at / span) {
    window.number = at / span;
    window.taken = 0;
  }
  out.reset = Nanos((at / span + 1) * span - at);
  if (window.taken >= out.limit) {
    out.allowed = false;
    if (rule.block_interval > Nanos(0)) {
      window.blocked_until = now + rule.block_interval;
      out.reset = rule.block_interval;
    }
    return out;
  }
  ++window.taken;
  out.remaining = out.limit - window.taken;
  return out;
}

QuotaSet::QuotaSet(std::vector<Rule> rules, QuotaConfig config) : rules_(std::move(rules)), config_(std::move(config)) {
  std::stable_sort(rules_.begin(), rules_.end(),
                   [](const Rule& a, const Rule& b) { return weight(a.record) > weight(b.record); });
  for (const Rule& rule : rules_) {
    const bool rate = rule.record.kind == QuotaKind::kRate;
    (rate ? any_rate_ : any_leases_) = true;
    (rate ? rate_by_role_ : leases_by_role_) |= !rule.record.role.empty();
  }
}

const QuotaSet::Rule* QuotaSet::find(QuotaKind kind, std::string_view ns, std::string_view path,
                                     std::string_view role) const {
  for (const Rule& rule : rules_)
    if (rule.record.kind == kind && (rule.record.role.empty() || rule.record.role == role) &&
        quota_covers(rule.record, ns, path))
      return &rule;
  return nullptr;
}

const QuotaSet::Rule* QuotaSet::named(QuotaKind kind, std::string_view name) const {
  for (const Rule& rule : rules_)
    if (rule.record.kind == kind && rule.record.name == name)
      return &rule;
  return nullptr;
}

std::optional<RateCounter::Taken> QuotaSet::take(std::string_view ns, std::string_view path,
                                                 std::string_view role,
                                                 const std::function<std::string_view()>& entity,
                                                 std::string_view address, WallTime now) const {
  const Rule* rule = any_rate_ ? find(QuotaKind::kRate, ns, path, role) : nullptr;
  if (rule == nullptr || exempt(path))
    return std::nullopt;
  const QuotaRecord& record = rule->record;
  const std::string_view who = by_entity(record) ? entity() : std::string_view();
  if (!who.empty())
    return rule->rate->take(who, record, record.rate_thousandths, now);
  const bool together = record.group == QuotaGroup::kNone || record.group == QuotaGroup::kEntityThenNone;
  const bool second = by_entity(record) && record.secondary_thousandths > 0;
  return rule->rate->take(together ? std::string() : site_of(address), record,
                          second ? record.secondary_thousandths : record.rate_thousandths, now);
}

bool QuotaSet::exempt(std::string_view path) const {
  if (std::ranges::find(kAlwaysExempt, path) != std::end(kAlwaysExempt))
    return true;
  if (mutant(Mutant::kQuotaExemptionsLost))
    return false;
  return covered_by_any(config_.exempt_paths, path) || covered_by_any(config_.absolute_exempt_paths, path);
}

bool quota_covers(const QuotaRecord& record, std::string_view ns, std::string_view path) {
  if (record.of_namespace())
    return record.inheritable ? ns.starts_with(record.ns) : ns == record.ns;
  return ns == record.ns && quota_covers(record.path, path);
}

bool quota_covers(std::string_view quota_path, std::string_view path) {
  if (quota_path.empty())
    return true;
  if (quota_path.back() == '*')
    return path.starts_with(quota_path.substr(0, quota_path.size() - 1));
  if (quota_path.back() == '/')
    return path.starts_with(quota_path) || path == quota_path.substr(0, quota_path.size() - 1);
  return path == quota_path;
}

}  // namespace coffer::core
