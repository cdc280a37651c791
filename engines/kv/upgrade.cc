// What a mount of version 2 does on its own: it purges deleted metadata when its time is over, and turns the secrets
// that version 1 left into first versions.
#include "base/secret.h"
#include "engines/kv/kv.h"
#include "engines/kv/secret.h"

namespace coffer::engines::kv {
namespace {

using core::HandlerContext;
using core::TendContext;
using core::Tended;

constexpr std::size_t kPurgesPerStep = 32;
constexpr std::size_t kPurgedRecordsPerStep = 1'000;
constexpr std::size_t kPurgeMemoryBytesMax = 4u << 20;
constexpr std::size_t kConversionsPerStep = 256;
constexpr std::size_t kConversionBytesPerStep = 256u << 10;

constexpr std::string_view kUpgrading =
    "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will "
    "resume service shortly.";

Status refuse(HandlerContext&) { return invalid(kUpgrading); }

// The first digits of a name are the time.
bool due(std::string_view name, WallTime now) {
  std::uint64_t time = 0;
  for (const char c : name.substr(0, 16))
    time = time << 4 | static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  return time <= static_cast<std::uint64_t>(now.time_since_epoch().count());
}

// A note of a purge may be stale: the secret was restored, written anew, or deleted again later.
Status purge_noted(TendContext& ctx, std::string_view note, std::size_t& records) {
  const std::string_view at = record_name(ctx.arena, kPurgePrefix, note);
  COFFER_ASSIGN(const auto stored, ctx.storage.get(at));
  if (!stored)
    return ok_status();
  COFFER_ASSIGN(const std::string_view path, decode_data(*stored));
  COFFER_TRY(ctx.storage.erase(at));
  COFFER_ASSIGN(const auto record, ctx.storage.get(record_name(ctx.arena, kTombstonePrefix, path)));
  if (!record)
    return ok_status();
  COFFER_ASSIGN(const Tombstone tombstone, decode_tombstone(*record));
  records += tombstone.head.older.size();
  return tombstone.purge_at <= ctx.now ? purge(ctx.storage, ctx.arena, path, tombstone) : ok_status();
}

// One purge is at most kVersionsMax records, so a step stops early behind a large one.
Result<Tended> purge_due(TendContext& ctx) {
  COFFER_ASSIGN(const core::ListPage page, ctx.storage.list(kPurgePrefix, {}, kPurgesPerStep));
  std::size_t records = 0;
  for (const std::string_view note : page.names) {
    if (!due(note, ctx.now))
      return Tended::kIdle;
    COFFER_TRY(purge_noted(ctx, note, records));
    if (records > kPurgedRecordsPerStep || ctx.arena.bytes_used() > kPurgeMemoryBytesMax)
      return Tended::kMore;
  }
  return page.more ? Tended::kMore : Tended::kIdle;
}

Status convert_one(TendContext& ctx, std::string_view path, std::string_view record) {
  COFFER_ASSIGN(const std::string_view data, decode_data(record));
  Head head;
  head.newest.version.number = 1;
  head.newest.version.created = ctx.now;
  head.newest.data = data;
  head.created = head.updated = ctx.now;
  head.oldest = 1;
  std::string text;
  encode(head, text);
  const Status status = ctx.storage.put(record_name(ctx.arena, kHeadPrefix, path), text);
  wipe(text.data(), text.size());
  return status;
}

Result<Tended> convert(TendContext& ctx) {
  std::vector<std::string_view> paths;
  bool more = false;
  COFFER_TRY(walk_tree(ctx.storage, ctx.arena, kUnversionedPrefix, {}, {}, kConversionsPerStep, paths, &more));
  if (paths.empty())
    return Tended::kUpgraded;
  std::size_t bytes = 0;
  for (const std::string_view path : paths) {
    const std::string_view at = record_name(ctx.arena, kUnversionedPrefix, path);
    COFFER_ASSIGN(const auto record, ctx.storage.get(at));
    if (!record)
      continue;
    bytes += record->size();
    if (bytes > kConversionBytesPerStep && bytes > record->size())
      break;
    COFFER_TRY(convert_one(ctx, path, *record));
    COFFER_TRY(ctx.storage.erase(at));
  }
  return Tended::kMore;
}

}  // namespace

Result<Tended> tend(TendContext& ctx) {
  if (!ctx.mount.option(core::kUpgradingOption).empty())
    return convert(ctx);
  return ctx.mount.option("version") == "2" ? purge_due(ctx) : Result<Tended>(Tended::kIdle);
}

core::PathSpec upgrading_spec() {
  using core::Effect;
  using core::Operation;
  core::PathSpec spec{
      .pattern = "*path?",
      .help = "The mount is becoming one of version 2; nothing can be read or written until it is.",
      .fields = {},
      .operations = {},
      .any_fields = true,
  };
  for (const Operation operation : {Operation::kRead, Operation::kWrite, Operation::kDelete, Operation::kList,
                                    Operation::kPatch, Operation::kScan})
    spec.operations.push_back({operation, Effect::kReads, refuse, "Refused until the upgrade is over."});
  return spec;
}

}  // namespace coffer::engines::kv
