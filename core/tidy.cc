#include "core/tidy.h"

#include <array>
#include <charconv>

#include "base/codec.h"
#include "base/limits.h"
#include "base/time_text.h"
#include "core/answers.h"
#include "core/jobs.h"
#include "core/layout.h"
#include "core/lease_store.h"
#include "core/token_store.h"

namespace coffer::core {
namespace {

constexpr std::size_t kPageRecordsMax = 128;
constexpr std::uint64_t kStepsBetweenReports = 64;
constexpr std::size_t kTimeDigits = 16;
constexpr std::size_t kMountDigits = 8;
constexpr std::string_view kJobId[] = {"", "tidy-leases", "tidy-tokens"};
constexpr std::string_view kSubject[] = {"", "leases", "tokens"};

std::size_t number(TidyKind kind) { return static_cast<std::size_t>(kind); }

store::StoreKey report_key(json::Arena& arena, TidyKind kind) {
  return layout::token_key(arena.copy(std::string(layout::kTidyPrefix).append(kSubject[number(kind)])));
}

// One step: the records of one page, each looked at by its part's check.
class Tidier {
 public:
  Tidier(TxnImpl& txn, const Published& published, json::Arena& arena, TidyReport& report)
      : txn_(txn), published_(published), arena_(arena), report_(report), leases_(txn, arena),
        tokens_(txn, published, arena) {}

  using Check = Status (Tidier::*)(std::string_view name);

  // `name` is what follows the part's prefix in `key`.
  Status look(Check check, const store::StoreKey& key, std::string_view name) {
    key_ = key;
    const TxnImpl::Savepoint before = txn_.savepoint();
    const TidyReport report = report_;
    const Status status = (this->*check)(name);
    if (status.code() != Code::kDataLoss)
      return status;
    txn_.rollback(before);
    report_ = report;
    ++report_.damaged;
    return ok_status();
  }

  Status lease(std::string_view key);
  Status lease_of_token(std::string_view name);
  Status bad_lease(std::string_view key);
  Status lease_due(std::string_view row);
  Status lease_by_id(std::string_view id);
  Status token(std::string_view hash);
  Status accessor(std::string_view name);
  Status child(std::string_view name);
  Status token_due(std::string_view row);
  Status token_by_id(std::string_view id);
  Status cubbyhole(std::string_view name);

 private:
  Status remove() {
    ++report_.removed;
    return txn_.erase(key_);
  }
  Status restore(const store::StoreKey& key, std::string_view value = {}) {
    COFFER_ASSIGN(const auto there, txn_.get(key));
    if (there)
      return ok_status();
    ++report_.restored;
    return txn_.put(key, value);
  }
  // A token that is there, or of which a job is taking the rest away.
  Result<bool> known(std::string_view hash) {
    if (published_.revoking(hash))
      return true;
    COFFER_ASSIGN(const auto token, tokens_.stored(hash));
    return token.has_value();
  }
  std::string_view text(std::string_view prefix, std::string_view name) {
    return arena_.copy(std::string(prefix).append(name));
  }

  TxnImpl& txn_;
  const Published& published_;
  json::Arena& arena_;
  TidyReport& report_;
  LeaseStore leases_;
  TokenStore tokens_;
  store::StoreKey key_{};  // of the record that is looked at
};

Status Tidier::lease(std::string_view key) {
  COFFER_ASSIGN(const auto lease, leases_.stored(key));
  if (!lease)
    return ok_status();
  if (!lease->token_hash.empty()) {
    COFFER_ASSIGN(const bool held, known(lease->token_hash));
    if (!held && lease->state != LeaseState::kRevoking) {
      ++report_.revoked;
      COFFER_TRY(leases_.end(*lease));
    } else if (held) {
      COFFER_TRY(restore(layout::token_key(
          text(layout::kLeaseTokenPrefix, std::string(lease->token_hash).append("/").append(key)))));
    }
  }
  COFFER_ASSIGN(const auto now, leases_.stored(key));
  for (const store::StoreKey& name : leases_.index_of(*now))
    COFFER_TRY(restore(name));
  return ok_status();
}

Status Tidier::lease_of_token(std::string_view name) {
  const std::size_t slash = name.find('/');
  if (slash == std::string_view::npos)
    return remove();
  COFFER_ASSIGN(const auto lease, leases_.stored(name.substr(slash + 1)));
  return lease && lease->token_hash == name.substr(0, slash) ? ok_status() : remove();
}

Status Tidier::bad_lease(std::string_view key) {
  COFFER_ASSIGN(const auto lease, leases_.stored(key));
  return lease && lease->state == LeaseState::kIrrevocable ? ok_status() : remove();
}

// The rows of tokens stand in the same order and are the other kind's.
bool is_lease_row(std::string_view row) {
  return row.size() == kTimeDigits + 1 + 1 + kMountDigits + kLeaseKeyText && row[kTimeDigits + 1] == 'l';
}

Status Tidier::lease_due(std::string_view row) {
  if (!is_lease_row(row))
    return ok_status();
  COFFER_ASSIGN(const auto lease, leases_.stored(row.substr(row.size() - kLeaseKeyText)));
  if (!lease)
    return remove();
  for (const store::StoreKey& key : leases_.index_of(*lease))
    if (key.rest == key_.rest)
      return ok_status();
  return remove();
}

std::string_view token_hash_of(std::string_view id) {
  const std::string_view tail = id.substr(id.rfind('/') + 1);
  return tail.size() == 1 + kTokenHashText && tail.front() == 'h' ? tail.substr(1) : std::string_view();
}

Status Tidier::lease_by_id(std::string_view id) {
  if (!token_hash_of(id).empty())
    return ok_status();
  COFFER_ASSIGN(const auto lease, leases_.find(key_.ns, id));
  return lease ? ok_status() : remove();
}

// A token lives no longer than the one that made it.
Status Tidier::token(std::string_view hash) {
  COFFER_ASSIGN(const auto token, tokens_.stored(hash));
  if (!token)
    return ok_status();
  const TokenRecord& record = token->record;
  if (!record.parent.empty()) {
    COFFER_ASSIGN(const bool above, known(record.parent));
    if (!above) {
      ++report_.revoked;
      return tokens_.revoke_tree(hash);
    }
  }
  COFFER_ASSIGN(const std::size_t restored, tokens_.restore_index(hash, record));
  report_.restored += restored;
  return ok_status();
}

Status Tidier::accessor(std::string_view name) {
  COFFER_ASSIGN(const auto plaintext, txn_.get(key_));
  if (!plaintext)
    return ok_status();
  ByteReader reader(*plaintext);
  const std::string_view hash = reader.bytes();
  COFFER_TRY(reader.status().with_context("an accessor's record"));
  COFFER_ASSIGN(const auto token, tokens_.stored(hash));
  const bool fits = token && published_.hasher->accessor(token->record.accessor).view() == name;
  return fits ? ok_status() : remove();
}

Status Tidier::child(std::string_view name) {
  const std::size_t slash = name.find('/');
  if (slash == std::string_view::npos)
    return remove();
  COFFER_ASSIGN(const auto token, tokens_.stored(name.substr(slash + 1)));
  return token && token->record.parent == name.substr(0, slash) ? ok_status() : remove();
}

Status Tidier::token_due(std::string_view row) {
  if (is_lease_row(row))
    return ok_status();
  if (row.size() != kTimeDigits + 1 + kTokenHashText)
    return remove();
  std::uint64_t nanos = 0;
  const auto [end, error] = std::from_chars(row.data(), row.data() + kTimeDigits, nanos, 16);
  COFFER_ASSIGN(const auto token, tokens_.stored(row.substr(kTimeDigits + 1)));
  const bool fits = token && error == std::errc() && end == row.data() + kTimeDigits &&
                    token->record.expires == WallTime{Nanos(static_cast<std::int64_t>(nanos))};
  return fits ? ok_status() : remove();
}

Status Tidier::token_by_id(std::string_view id) {
  const std::string_view hash = token_hash_of(id);
  if (hash.empty())
    return ok_status();
  COFFER_ASSIGN(const auto token, tokens_.stored(hash));
  const bool fits = token && token->record.ns == key_.ns && token_lease_id(token->record.path, hash) == id;
  return fits ? ok_status() : remove();
}

// Its owner's hash comes first in its name.
Status Tidier::cubbyhole(std::string_view name) {
  COFFER_ASSIGN(const bool owned, known(name.substr(0, kTokenHashText)));
  return owned ? ok_status() : remove();
}

struct Part {
  std::string_view prefix;
  Tidier::Check check;
  bool inner = false;      // every namespace has it
  MountId mount{0};
};

const std::array<Part, 5> kLeaseParts{{{layout::kLeasePrefix, &Tidier::lease},
                                       {layout::kLeaseTokenPrefix, &Tidier::lease_of_token},
                                       {layout::kLeaseBadPrefix, &Tidier::bad_lease},
                                       {layout::kExpiryPrefix, &Tidier::lease_due},
                                       {layout::kLeaseIdPrefix, &Tidier::lease_by_id, true}}};
const std::array<Part, 6> kTokenParts{{{layout::kTokenPrefix, &Tidier::token},
                                       {layout::kAccessorPrefix, &Tidier::accessor},
                                       {layout::kChildPrefix, &Tidier::child},
                                       {layout::kExpiryPrefix, &Tidier::token_due},
                                       {layout::kLeaseIdPrefix, &Tidier::token_by_id, true},
                                       {"", &Tidier::cubbyhole, false, kCubbyholeMountId}}};

std::span<const Part> parts_of(TidyKind kind) {
  return kind == TidyKind::kLeases ? std::span<const Part>(kLeaseParts) : std::span<const Part>(kTokenParts);
}

// The namespace after this one; nothing after the last.
std::optional<NamespaceId> next_namespace(const NamespaceTable& table, NamespaceId after) {
  std::optional<NamespaceId> next;
  for (const auto& [path, record] : table.all())
    if (record.id > after && (!next || record.id < *next))
      next = record.id;
  return next;
}

// To the next namespace of the part, or to the next part.
void advance(const Published& published, const Part& part, TidyPlace& place) {
  if (part.inner) {
    if (const auto next = next_namespace(*published.namespaces, place.ns)) {
      place.ns = *next;
      return;
    }
  }
  place.ns = layout::kRootNamespace;
  ++place.part;
}

Status look_at_page(TxnImpl& txn, const Published& published, json::Arena& arena, std::span<const Part> parts,
                    TidyPlace& place) {
  const Part& part = parts[place.part];
  const auto key = [&part, &place](std::string_view rest) {
    return store::StoreKey{store::KeyClass::kClusterLocal, place.ns, part.mount, rest};
  };
  COFFER_ASSIGN(TxnImpl::NamePage page, txn.names(key(part.prefix), place.at, kPageRecordsMax, false));
  Tidier tidier(txn, published, arena, place.report);
  for (const std::string_view name : page.names) {
    // The same page once more: what was mended is not found again.
    if (txn.ops() > limits::kEntryOpsMax / 4)
      return ok_status();
    COFFER_TRY(tidier.look(part.check, key(name), name.substr(part.prefix.size())));
  }
  place.report.looked_at += page.names.size();
  place.at = std::move(page.next);
  if (place.at.empty())
    advance(published, part, place);
  return ok_status();
}

TidyKind kind_of(const Job& job) { return job.prefix == kSubject[1] ? TidyKind::kLeases : TidyKind::kTokens; }

}  // namespace

std::string encode(const TidyReport& report) {
  std::string out;
  ByteWriter(out)
      .u8(1)
      .u8(report.finished ? 1 : 0)
      .u64(static_cast<std::uint64_t>(report.started.time_since_epoch().count()))
      .u64(static_cast<std::uint64_t>(report.ended.time_since_epoch().count()))
      .varint(report.looked_at)
      .varint(report.removed)
      .varint(report.restored)
      .varint(report.revoked)
      .varint(report.damaged);
  return out;
}

Result<TidyReport> decode_tidy(std::string_view plaintext) {
  ByteReader reader(plaintext);
  TidyReport report;
  const std::uint8_t format = reader.u8();
  report.finished = reader.u8() != 0;
  report.started = WallTime(Nanos(static_cast<std::int64_t>(reader.u64())));
  report.ended = WallTime(Nanos(static_cast<std::int64_t>(reader.u64())));
  for (std::uint64_t* count :
       {&report.looked_at, &report.removed, &report.restored, &report.revoked, &report.damaged})
    *count = reader.varint();
  COFFER_TRY(reader.finish().with_context("the report of a tidy operation"));
  if (format != 1)
    return Status(Code::kDataLoss, "the report of a tidy operation has an unknown form");
  return report;
}

Status start_tidy(CallContext& ctx, TidyKind kind) {
  if (!ctx.ns.is_root())
    return Status(Code::kInvalid, "operation only available in root namespace");
  Job job;
  job.id = kJobId[number(kind)];
  job.kind = Job::Kind::kTidy;
  job.at = ctx.now;
  job.prefix = kSubject[number(kind)];
  COFFER_ASSIGN(const auto running, ctx.txn.get(layout::core_key(std::string(layout::kJobPrefix) + job.id)));
  ctx.response.status = 202;
  if (running) {
    warn(ctx.response, ctx.arena, "Tidy operation already in progress.");
    return ok_status();
  }
  COFFER_TRY(ctx.txn.put(report_key(ctx.arena, kind), encode(TidyReport{.started = ctx.now})));
  COFFER_TRY(add_job(ctx.txn, job));
  warn(ctx.response, ctx.arena,
       "Tidy operation successfully started. Any information from the operation will be printed to Vault's server "
       "logs.");
  return ok_status();
}

Status show_tidy(CallContext& ctx, TidyKind kind) {
  if (!ctx.ns.is_root())
    return Status(Code::kInvalid, "operation only available in root namespace");
  COFFER_ASSIGN(const auto plaintext, ctx.txn.get(report_key(ctx.arena, kind)));
  if (!plaintext)
    return Status(Code::kNotFound, "");
  COFFER_ASSIGN(const TidyReport report, decode_tidy(*plaintext));
  const auto count = [](std::uint64_t value) { return static_cast<std::int64_t>(value); };
  ctx.response.data =
      json::ObjectBuilder(ctx.arena, 8)
          .add("damaged", count(report.damaged))
          .add("looked_at", count(report.looked_at))
          .add("removed", count(report.removed))
          .add("restored", count(report.restored))
          .add("revoked", count(report.revoked))
          .add("state", report.finished ? "finished" : "running")
          .add("time_finished", report.finished ? json::Value::string(ctx.arena, format_time(report.ended))
                                                : json::Value())
          .add("time_started", format_time(report.started))
          .build();
  return ok_status();
}

Result<bool> tidy_step(TxnImpl& txn, const Published& published, json::Arena& arena, const Job& job,
                       TidyPlace& place) {
  const TidyKind kind = kind_of(job);
  const std::span<const Part> parts = parts_of(kind);
  place.report.started = job.at;
  if (place.part < parts.size())
    COFFER_TRY(look_at_page(txn, published, arena, parts, place));
  const bool over = place.part == parts.size();
  if (over) {
    place.report.finished = true;
    place.report.ended = txn.now();
  }
  // Nothing is written only to say that nothing was found, but now and then.
  if (over || txn.writes() || ++place.steps % kStepsBetweenReports == 0)
    COFFER_TRY(txn.put(report_key(arena, kind), encode(place.report)));
  return over;
}

std::string tidy_summary(const Job& job, const TidyReport& report) {
  std::string out = "tidy of " + job.prefix + " finished:";
  const auto add = [&out](std::string_view name, std::uint64_t count) {
    out.append(" ").append(name).append("=").append(std::to_string(count));
  };
  add("looked_at", report.looked_at);
  add("removed", report.removed);
  add("restored", report.restored);
  add("revoked", report.revoked);
  add("damaged", report.damaged);
  return out;
}

}  // namespace coffer::core
