#include "store/current.h"

#include <charconv>
#include <cstdio>

#include "base/crc32c.h"

namespace coffer::store {
namespace {

constexpr std::string_view kCurrentName = "CURRENT";
constexpr std::string_view kFirstLine = "coffer-current 1\n";
constexpr std::size_t kCurrentBytesMax = 256;
constexpr std::uint64_t kFirstStateBytesMax = 64u << 10;  // a state without records is a few pages
constexpr std::string_view kPrefix = "state-";
constexpr std::string_view kSuffix = ".mdb";
constexpr std::string_view kLockSuffix = "-lock";

std::string checksum_line(std::string_view body) {
  char text[16];
  std::snprintf(text, sizeof text, "%08x\n", crc32c(body));
  return text;
}

Status damaged(const std::string& path) {
  return Status(Code::kDataLoss,
                path +
                    " is damaged: put back a backup of the whole data folder (docs/operations.md), or write the file "
                    "again with the name of the state file that was in use (see docs/formats/current.md)");
}

Status remove_state_file(Disk& disk, const std::string& folder, const std::string& name) {
  const std::string lock = folder + "/" + name + std::string(kLockSuffix);
  COFFER_ASSIGN(const bool locked, disk.exists(lock));
  if (locked)
    COFFER_TRY(disk.remove(lock));
  return disk.remove(folder + "/" + name);
}

// Without CURRENT only a state that was being made for the first time may be there, and that one is empty.
Status check_nothing_lost(Disk& disk, const std::string& folder, const LmdbOptions& options) {
  COFFER_ASSIGN(const auto names, disk.list(folder));
  for (const std::string& name : names) {
    if (!state_file_number(name))
      continue;
    const std::string path = folder + "/" + name;
    COFFER_ASSIGN(const auto file, disk.open(path, OpenMode::kRead));
    COFFER_ASSIGN(const std::uint64_t size, file->size());
    const auto state = LmdbState::open(path, options);
    if (size > kFirstStateBytesMax || (state.ok() && (*state)->durable_index() > Index(0)))
      return Status(Code::kDataLoss, folder + "/" + std::string(kCurrentName) + " is missing, but " + name +
                                         " holds data: write the file again with the name of the state file that was "
                                         "in use (see docs/formats/current.md), or put back a backup of the whole "
                                         "folder");
  }
  return ok_status();
}

}  // namespace

std::string state_file_name(std::uint64_t number) {
  char text[48];
  std::snprintf(text, sizeof text, "state-%06llu.mdb", static_cast<unsigned long long>(number));
  return text;
}

std::optional<std::uint64_t> state_file_number(const std::string& name) {
  if (name.size() <= kPrefix.size() + kSuffix.size() || !name.starts_with(kPrefix) || !name.ends_with(kSuffix))
    return std::nullopt;
  std::uint64_t number = 0;
  const char* begin = name.data() + kPrefix.size();
  const char* end = name.data() + name.size() - kSuffix.size();
  const auto [stop, error] = std::from_chars(begin, end, number);
  if (error != std::errc() || stop != end || state_file_name(number) != name)
    return std::nullopt;
  return number;
}

Result<std::string> next_state_file(Disk& disk, const std::string& folder) {
  COFFER_ASSIGN(const auto names, disk.list(folder));
  std::uint64_t highest = 0;
  for (const std::string& name : names)
    highest = std::max(highest, state_file_number(name).value_or(0));
  return state_file_name(highest + 1);
}

Result<std::optional<std::string>> read_current(Disk& disk, const std::string& folder) {
  const std::string path = folder + "/" + std::string(kCurrentName);
  COFFER_ASSIGN(const bool there, disk.exists(path));
  if (!there)
    return std::optional<std::string>();
  auto content = read_file(disk, path, kCurrentBytesMax);
  if (content.code() == Code::kTooLarge)
    return damaged(path);
  COFFER_TRY(content.status());
  const std::string& text = *content;
  const std::size_t name_end = text.find('\n', kFirstLine.size());
  if (!text.starts_with(kFirstLine) || name_end == std::string::npos)
    return damaged(path);
  const std::string body = text.substr(0, name_end + 1);
  const std::string name = text.substr(kFirstLine.size(), name_end - kFirstLine.size());
  if (text != body + checksum_line(body) || !state_file_number(name))
    return damaged(path);
  return std::optional<std::string>(name);
}

Status write_current(Disk& disk, const std::string& folder, const std::string& name) {
  COFFER_CHECK(state_file_number(name).has_value());
  const std::string body = std::string(kFirstLine) + name + "\n";
  return replace_file(disk, folder, std::string(kCurrentName), body + checksum_line(body));
}

Status remove_other_states(Disk& disk, const std::string& folder, const std::set<std::string>& keep) {
  COFFER_ASSIGN(const auto names, disk.list(folder));
  for (const std::string& name : names) {
    if (!keep.contains(name) && state_file_number(name))
      COFFER_TRY(remove_state_file(disk, folder, name));
  }
  return ok_status();
}

Result<std::unique_ptr<LmdbState>> open_state(Disk& disk, const std::string& folder, const LmdbOptions& options,
                                              RandomSource& random) {
  COFFER_ASSIGN(const auto current, read_current(disk, folder));
  if (current) {
    COFFER_ASSIGN(auto state, LmdbState::open(folder + "/" + *current, options));
    // Its rename may be in the page cache only; the others are needed until it is not.
    COFFER_TRY(disk.sync_folder(folder));
    COFFER_TRY(remove_other_states(disk, folder, {*current}));
    return state;
  }
  COFFER_TRY(check_nothing_lost(disk, folder, options));
  COFFER_TRY(remove_other_states(disk, folder, {}));
  const std::string name = state_file_name(1);
  COFFER_ASSIGN(auto state, LmdbState::create(folder + "/" + name, options, random));
  COFFER_TRY(disk.sync_folder(folder));
  COFFER_TRY(write_current(disk, folder, name));
  return state;
}

}  // namespace coffer::store
