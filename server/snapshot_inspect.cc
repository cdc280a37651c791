#include "server/snapshot_inspect.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include "base/disk.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/time_text.h"
#include "core/layout.h"
#include "store/snapshot.h"

namespace coffer::server {
namespace {

constexpr std::size_t kNamesMax = 100'000;
constexpr std::string_view kOthers = "(others)";
constexpr std::size_t kColumnGap = 6;

// The state in an archive as a file that is read from its beginning to its end.
class StateInArchive final : public File {
 public:
  StateInArchive(std::unique_ptr<File> archive, store::ArchiveMeta& meta)
      : archive_(std::move(archive)), piece_(limits::kArchivePieceBytes, '\0'),
        reader_(
            [&meta](const store::ArchiveMeta& told) {
              meta = told;
              return ok_status();
            },
            [this](std::string_view piece) {
              held_ += piece;
              return ok_status();
            }) {}

  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> out) const override {
    COFFER_CHECK(offset >= held_at_);
    while (held_at_ + held_.size() < offset + out.size()) {
      COFFER_ASSIGN(const bool more, pull());
      if (!more)
        break;
    }
    const std::size_t skipped = static_cast<std::size_t>(std::min<std::uint64_t>(offset - held_at_, held_.size()));
    held_.erase(0, skipped);
    held_at_ += skipped;
    const std::size_t got = std::min(out.size(), held_.size());
    held_.copy(out.data(), got);
    return got;
  }

  // What follows the state.
  Status finish() {
    for (bool more = true; more;) {
      held_.clear();
      COFFER_ASSIGN(more, pull());
    }
    return reader_.finish();
  }

  Status write_at(std::uint64_t, std::string_view) override { return read_only(); }
  Status append(std::string_view) override { return read_only(); }
  Status preallocate(std::uint64_t) override { return read_only(); }
  Status truncate(std::uint64_t) override { return read_only(); }
  Status sync_data() override { return read_only(); }
  Result<std::uint64_t> size() const override { return archive_->size(); }

 private:
  static Status read_only() { return Status(Code::kInternal, "a snapshot is only read"); }

  Result<bool> pull() const {
    COFFER_ASSIGN(const std::size_t got, archive_->read_at(at_, piece_));
    at_ += got;
    COFFER_TRY(reader_.take(std::string_view(piece_).substr(0, got)));
    return got > 0;
  }

  const std::unique_ptr<File> archive_;
  mutable std::uint64_t at_ = 0;
  mutable std::string piece_;
  mutable store::ArchiveReader reader_;
  mutable std::string held_;             // of the state, from held_at_ on
  mutable std::uint64_t held_at_ = 0;
};

// A record's name as it can be read without keys: folders of mounts, then what the store knows it by.
std::string name_of(std::string_view key) {
  const Result<store::KeyHead> head = store::parse_key(key);
  if (!head.ok())
    return std::string(kOthers);
  std::string name;
  if (head->ns != core::layout::kRootNamespace) {
    name += "namespace/";
    core::layout::append_hex(name, head->ns.get(), 8);
    name += '/';
  }
  if (head->mount != core::layout::kSystemMount) {
    name += "mount/";
    core::layout::append_hex(name, head->mount.get(), 8);
    name += '/';
  }
  for (const char c : head->rest)
    name += c >= ' ' && c <= '~' ? c : '?';
  return name;
}

std::string first_segments(const std::string& name, std::size_t depth) {
  std::size_t end = 0;
  for (std::size_t i = 0; i < depth && end != std::string::npos; ++i)
    end = name.find('/', end + (i > 0 ? 1 : 0));
  return name.substr(0, end);
}

void count(SnapshotSummary& summary, const InspectOptions& options, std::string_view key, std::size_t bytes) {
  const std::string name = name_of(key);
  if (!name.starts_with(options.filter))
    return;
  ++summary.count;
  summary.bytes += bytes;
  std::string below = first_segments(name, options.depth);
  if (summary.names.size() >= kNamesMax && !summary.names.contains(below))
    below = kOthers;
  SnapshotSummary::Below& row = summary.names[below];
  ++row.count;
  row.bytes += bytes;
}

// The largest first.
std::vector<std::pair<std::string, SnapshotSummary::Below>> rows_of(const SnapshotSummary& summary) {
  std::vector<std::pair<std::string, SnapshotSummary::Below>> rows(summary.names.begin(), summary.names.end());
  std::ranges::stable_sort(rows, [](const auto& a, const auto& b) { return a.second.bytes > b.second.bytes; });
  return rows;
}

std::string size_text(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit)
    value /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  std::string out = text;
  if (out.ends_with(".0"))
    out.resize(out.size() - 2);
  return out + kUnits[unit];
}

using Cells = std::vector<std::string>;

std::string aligned(const std::vector<Cells>& rows) {
  std::vector<std::size_t> widths;
  for (const Cells& row : rows)
    for (std::size_t i = 0; i + 1 < row.size(); ++i) {
      widths.resize(std::max(widths.size(), i + 1));
      widths[i] = std::max(widths[i], row[i].size() + kColumnGap);
    }
  std::string out;
  for (const Cells& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i)
      out += i + 1 < row.size() ? row[i] + std::string(widths[i] - row[i].size(), ' ') : row[i];
    out += '\n';
  }
  return out;
}

}  // namespace

Result<SnapshotSummary> inspect_snapshot(const std::string& path, const InspectOptions& options) {
  SnapshotSummary summary;
  COFFER_ASSIGN(std::unique_ptr<File> file, posix_disk().open(path, OpenMode::kRead));
  auto state = std::make_unique<StateInArchive>(std::move(file), summary.meta);
  StateInArchive& archive = *state;
  COFFER_ASSIGN(const auto reader, store::SnapshotReader::open(std::move(state), path));
  for (;;) {
    COFFER_ASSIGN(const bool more, reader->next());
    if (!more)
      break;
    if (options.details)
      count(summary, options, reader->key(), reader->key().size() + reader->value().size());
  }
  COFFER_TRY(archive.finish());
  return summary;
}

std::string summary_text(const SnapshotSummary& summary, bool details) {
  const store::ArchiveMeta& meta = summary.meta;
  std::string out = aligned({{" ID", meta.id},
                             {" Size", std::to_string(meta.state_bytes)},
                             {" Index", std::to_string(meta.index.get())},
                             {" Term", std::to_string(meta.term.get())},
                             {" Version", std::to_string(meta.version)},
                             {" Created", format_time(meta.created)},
                             {" Server Version", meta.server_version},
                             {" Cluster Name", meta.cluster_name},
                             {" Cluster ID", meta.cluster_id}});
  if (!details)
    return out;
  std::vector<Cells> rows = {{" Key Name", "Count", "Size"}, {" ----", "----", "----"}};
  for (const auto& [name, below] : rows_of(summary))
    rows.push_back({" " + name, std::to_string(below.count), size_text(below.bytes)});
  rows.push_back({" ----", "----", "----"});
  rows.push_back({" Total Size", std::to_string(summary.count), size_text(summary.bytes)});
  return out + "\n" + aligned(rows);
}

std::string summary_json(const SnapshotSummary& summary, bool details) {
  json::Arena arena;
  const store::ArchiveMeta& meta = summary.meta;
  json::ObjectBuilder head(arena, 9);
  head.add("ID", meta.id)
      .add("Size", meta.state_bytes)
      .add("Index", meta.index.get())
      .add("Term", meta.term.get())
      .add("Version", meta.version)
      .add("Created", format_time(meta.created))
      .add("ServerVersion", meta.server_version)
      .add("ClusterName", meta.cluster_name)
      .add("ClusterID", meta.cluster_id);
  json::ObjectBuilder out(arena, 4);
  out.add("Meta", head.build());
  if (details) {
    json::ArrayBuilder rows(arena);
    for (const auto& [name, below] : rows_of(summary))
      rows.add(json::ObjectBuilder(arena, 3)
                   .add("Name", name)
                   .add("Count", below.count)
                   .add("Size", below.bytes)
                   .build());
    out.add("StatsKV", rows.build()).add("TotalCountKV", summary.count).add("TotalSizeKV", summary.bytes);
  }
  std::string text;
  json::write_pretty(out.build(), text);
  return text + "\n";
}

}  // namespace coffer::server
