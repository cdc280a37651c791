#include "core/snapshot_keeper.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "core/contained.h"
#include "core/jobs.h"
#include "core/layout.h"

namespace coffer::core {
namespace {

constexpr Nanos kLookInterval = std::chrono::seconds(1);
constexpr std::string_view kPartial = ".partial";
constexpr std::size_t kErrorBytesMax = 512;

store::StoreKey record_key(json::Arena& arena, std::string_view prefix, std::string_view name) {
  return layout::token_key(arena.copy(std::string(prefix).append(name)));
}

// A folder below one that is there.
Result<std::string> make_folders(Disk& disk, std::string folder, std::string_view below) {
  while (!below.empty()) {
    const std::size_t slash = std::min(below.find('/'), below.size());
    const std::string parent = folder;
    folder.append("/").append(below.substr(0, slash));
    below.remove_prefix(std::min(slash + 1, below.size()));
    COFFER_ASSIGN(const bool there, disk.exists(folder));
    if (there)
      continue;
    COFFER_TRY(disk.make_folder(folder));
    COFFER_TRY(disk.sync_folder(parent));
  }
  return folder;
}

// Files of the plan that stay when one more is added, and what they take.
Result<std::uint64_t> kept_bytes(Disk& disk, const std::string& folder, const SnapshotPlan& plan,
                                 std::vector<std::string> names) {
  SnapshotPlan one_less = plan;
  one_less.retain = plan.retain - 1;
  const std::vector<std::string> go = superseded_snapshots(one_less, names);
  std::uint64_t bytes = 0;
  for (const std::string& name : names) {
    if (!is_snapshot_file(plan, name) || std::ranges::find(go, name) != go.end())
      continue;
    COFFER_ASSIGN(const auto file, disk.open(folder + "/" + name, OpenMode::kRead));
    COFFER_ASSIGN(const std::uint64_t size, file->size());
    bytes += size;
  }
  return bytes;
}

}  // namespace

Result<std::optional<SnapshotPlan>> stored_snapshot_plan(TxnImpl& txn, std::string_view name) {
  const std::string rest = std::string(kSnapshotPlanPrefix).append(name);
  COFFER_ASSIGN(const auto record, txn.get(layout::token_key(rest)));
  if (!record)
    return std::optional<SnapshotPlan>();
  COFFER_ASSIGN(SnapshotPlan plan, decode_snapshot_plan(*record));
  return std::optional<SnapshotPlan>(std::move(plan));
}

Result<SnapshotPlanStatus> stored_snapshot_status(TxnImpl& txn, std::string_view name) {
  const std::string rest = std::string(kSnapshotStatusPrefix).append(name);
  COFFER_ASSIGN(const auto record, txn.get(layout::token_key(rest)));
  return record ? decode_snapshot_plan_status(*record) : Result<SnapshotPlanStatus>(SnapshotPlanStatus());
}

void SnapshotKeeper::tick(BootTime now) {
  if (now < due_ || busy_ || stopping_ || !services_.committer.is_leader() || !services_.committer.lease_valid())
    return;
  due_ = now + kLookInterval;
  busy_ = true;
  if (!thread_.submit([this] {
        const Status looked = contained([this] {
          look();
          return ok_status();
        });
        busy_ = false;
        if (!looked.ok() && services_.log != nullptr)
          services_.log->error("snapshot", "automated snapshots were not looked after: " + looked.message());
      }))
    busy_ = false;
}

void SnapshotKeeper::stop() {
  stopping_ = true;
  thread_.stop();
  runners_.stop();
}

void SnapshotKeeper::look() {
  Result<std::vector<Planned>> planned = contained([this] { return due(); });
  if (!planned.ok()) {
    if (planned.code() != Code::kSealed && services_.log != nullptr)
      services_.log->warn("snapshot", "automated snapshots cannot be looked up: " + planned.status().message());
    return;
  }
  for (Planned& one : *planned) {
    const std::string name = one.plan.name;
    {
      const std::lock_guard lock(mutex_);
      running_.insert(name);
    }
    const auto held = std::make_shared<Planned>(std::move(one));
    const bool taken = runners_.submit([this, held] {
      static_cast<void>(contained([this, &held] {
        if (!stopping_ && services_.committer.lease_valid())
          run(*held);
        return ok_status();
      }));
      ended(held->plan.name);
    });
    if (!taken)
      ended(name);
  }
}

void SnapshotKeeper::ended(const std::string& name) {
  const std::lock_guard lock(mutex_);
  running_.erase(name);
}

Result<std::vector<SnapshotKeeper::Planned>> SnapshotKeeper::due() {
  std::vector<Planned> out;
  COFFER_ASSIGN(const auto view, services_.backend.view());
  const Published* published = published_in(view->attachment());
  if (published == nullptr || published->sealed || !published->damage.ok())
    return Status(Code::kSealed, "the node is sealed");
  json::Arena arena;
  TxnImpl::Buffers buffers;
  const WallTime now = services_.committer.cluster_now();
  TxnImpl txn(*view, *published->barrier, arena, now, buffers);
  COFFER_ASSIGN(const ListPage page, txn.list(layout::token_key(kSnapshotPlanPrefix), {}, kSnapshotPlansMax));
  const std::lock_guard lock(mutex_);
  std::erase_if(last_start_, [&](const auto& ran) {
    return std::ranges::find(page.names, ran.first) == page.names.end();
  });
  for (const std::string_view name : page.names) {
    COFFER_ASSIGN(auto plan, stored_snapshot_plan(txn, name));
    COFFER_ASSIGN(SnapshotPlanStatus status, stored_snapshot_status(txn, name));
    if (const auto ran = last_start_.find(std::string(name)); ran != last_start_.end())
      status.last_start = std::max(status.last_start, ran->second);
    if (plan && !running_.contains(std::string(name)) && next_snapshot(*plan, status, now) <= now)
      out.push_back({std::move(*plan), std::move(status)});
  }
  return out;
}

void SnapshotKeeper::run(Planned& planned) {
  SnapshotPlanStatus& status = planned.status;
  status.last_start = services_.committer.cluster_now();
  {
    const std::lock_guard lock(mutex_);
    last_start_[planned.plan.name] = status.last_start;
  }
  const Result<std::string> url = contained([&] { return save(planned.plan); });
  status.last_end = services_.committer.cluster_now();
  if (url.ok()) {
    status.consecutive_errors = 0;
    status.last_error.clear();
    status.last_url = *url;
    status.last_success = status.last_end;
  } else {
    ++status.consecutive_errors;
    status.last_error = url.status().message().substr(0, kErrorBytesMax);
  }
  if (services_.log != nullptr) {
    if (url.ok())
      services_.log->info("snapshot", "automated snapshot \"" + planned.plan.name + "\" is kept at " + *url);
    else
      services_.log->error("snapshot",
                           "automated snapshot \"" + planned.plan.name + "\" failed: " + url.status().message());
  }
  note(planned.plan, status);
}

// Where it is kept.
Result<std::string> SnapshotKeeper::save(const SnapshotPlan& plan) {
  if (plan.store == SnapshotPlan::Store::kLocal && services_.snapshots->automated.empty())
    return Status(Code::kInvalid, "no snapshot_folder is configured on this node");
  COFFER_ASSIGN(const auto archive, source());
  const std::string name = snapshot_file_name(plan, services_.committer.cluster_now());
  return plan.store == SnapshotPlan::Store::kLocal ? keep_local(plan, *archive, name) : keep_s3(plan, *archive, name);
}

Result<std::unique_ptr<ArchiveSource>> SnapshotKeeper::source() {
  std::shared_ptr<const SumsSeal> seal;
  store::ArchiveMeta meta;
  {
    COFFER_ASSIGN(const auto view, services_.backend.view());
    const Published* published = published_in(view->attachment());
    if (published == nullptr || published->sealed)
      return Status(Code::kSealed, "the node is sealed");
    seal = std::make_shared<const SumsSeal>(*published->barrier->keyring());
    COFFER_ASSIGN(meta, archive_meta(*view, *services_.snapshots, services_.committer.cluster_now()));
  }
  COFFER_ASSIGN(SavedState saved,
                save_and_wait(*services_.snapshots, *services_.group, limits::kSnapshotSaveTimeMax));
  return ArchiveSource::open(services_.snapshots->disk, std::move(saved), std::move(meta), std::move(seal));
}

Result<bool> SnapshotKeeper::next_piece(ArchiveSource& source, std::string& out) const {
  if (stopping_)
    return Status(Code::kUnavailable, "the node is stopping");
  return source.next(out);
}

Result<std::string> SnapshotKeeper::keep_local(const SnapshotPlan& plan, ArchiveSource& source,
                                               const std::string& name) {
  Disk& disk = services_.snapshots->disk;
  COFFER_TRY(disk.make_folder(services_.snapshots->automated).with_context("snapshot_folder"));
  COFFER_ASSIGN(const std::string folder, make_folders(disk, services_.snapshots->automated, plan.path_prefix));
  SpoolFile partial(disk, folder + "/" + name + std::string(kPartial));
  COFFER_ASSIGN(const auto file, disk.open(partial.path(), OpenMode::kCreateOrEmpty));
  std::uint64_t bytes = 0;
  std::string piece;
  for (bool more = true; more; piece.clear()) {
    COFFER_ASSIGN(more, next_piece(source, piece));
    COFFER_TRY(file->write_at(bytes, piece));
    bytes += piece.size();
  }
  COFFER_TRY(file->sync_data());
  COFFER_ASSIGN(std::vector<std::string> names, disk.list(folder));
  if (plan.local_max_space > 0) {
    COFFER_ASSIGN(const std::uint64_t kept, kept_bytes(disk, folder, plan, names));
    if (bytes > plan.local_max_space || kept > plan.local_max_space - bytes)
      return Status(Code::kTooLarge, "there is not enough room left in local_max_space");
  }
  COFFER_TRY(disk.rename(partial.path(), folder + "/" + name));
  static_cast<void>(partial.release());
  names.push_back(name);
  for (const std::string& old : superseded_snapshots(plan, names))
    COFFER_TRY(disk.remove(folder + "/" + old));
  for (const std::string& left : names)  // of a process that was killed
    if (left.ends_with(kPartial) && left != name + std::string(kPartial) &&
        is_snapshot_file(plan, left.substr(0, left.size() - kPartial.size())))
      COFFER_TRY(disk.remove(folder + "/" + left));
  COFFER_TRY(disk.sync_folder(folder));
  return "file://" + folder + "/" + name;
}

Result<std::string> SnapshotKeeper::keep_s3(const SnapshotPlan& plan, ArchiveSource& source, const std::string& name) {
  if (!call_)
    return Status(Code::kUnavailable, "this server calls no other system");
  S3Bucket bucket(plan.s3, call_, clock_, [this] { return stopping_.load(); });
  const std::string folder = plan.path_prefix.empty() ? "" : plan.path_prefix + "/";
  COFFER_TRY(bucket.put(folder + name, [&](std::string& out) { return next_piece(source, out); }));
  COFFER_ASSIGN(std::vector<std::string> keys, bucket.list(folder + plan.file_prefix));
  for (std::string& key : keys)
    key = key.starts_with(folder) ? key.substr(folder.size()) : std::string();
  for (const std::string& old : superseded_snapshots(plan, std::move(keys)))
    COFFER_TRY(bucket.remove(folder + old));
  return bucket.url_of(folder + name);
}

// A plan that was deleted meanwhile gets no status.
void SnapshotKeeper::note(const SnapshotPlan& plan, const SnapshotPlanStatus& status) {
  Logger* const log = services_.log;
  SystemTask::start(
      services_,
      [name = plan.name, status](TxnImpl& txn, const Published&, json::Arena& arena) -> Status {
        COFFER_ASSIGN(const auto now, stored_snapshot_plan(txn, name));
        return now ? txn.put(record_key(arena, kSnapshotStatusPrefix, name), arena.copy(encode(status))) : ok_status();
      },
      [log](const Status& done) {
        if (!done.ok() && log != nullptr)
          log->warn("snapshot", "the status of an automated snapshot was not stored: " + done.message());
      });
}

}  // namespace coffer::core
