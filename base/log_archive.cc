#include "base/log_archive.h"

#include <fcntl.h>
#include <stdio.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/error_text.h"

namespace coffer {
namespace {

namespace fs = std::filesystem;

// Whether `name` is `stem`, '-', digits, `extension`.
bool is_archive(std::string_view name, std::string_view stem, std::string_view extension) {
  if (name.size() <= stem.size() + 1 + extension.size() || !name.starts_with(stem) || name[stem.size()] != '-' ||
      !name.ends_with(extension))
    return false;
  name.remove_prefix(stem.size() + 1);
  name.remove_suffix(extension.size());
  return std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
}

void prune(const fs::path& file, std::size_t keep) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  std::vector<std::string> archives;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::string name = at->path().filename().string();
    if (is_archive(name, file.stem().string(), file.extension().string()))
      archives.push_back(std::move(name));
  }
  // Numbers of nanoseconds have one length for centuries: their order as text is that of time.
  std::ranges::sort(archives);
  for (std::size_t i = 0; i + keep < archives.size(); ++i)
    fs::remove(folder / archives[i], error);
}

}  // namespace

Status archive_log(const std::string& file, std::int64_t nanos, int archives_max) {
  const fs::path path(file);
  fs::path aside = path;
  aside.replace_filename(path.stem().string() + "-" + std::to_string(nanos) + path.extension().string());
  if (::renameat2(AT_FDCWD, path.c_str(), AT_FDCWD, aside.c_str(), RENAME_NOREPLACE) != 0)
    return Status(Code::kIo, "renaming the log file: " + std::string(error_text(errno)));
  if (archives_max != 0)
    prune(path, archives_max < 0 ? 0 : static_cast<std::size_t>(archives_max));
  return ok_status();
}

std::size_t file_bytes(const std::string& file) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(file, error);
  return error ? 0 : static_cast<std::size_t>(size);
}

}  // namespace coffer
