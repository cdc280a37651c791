// Files that a command writes for its user: whole or not at all, and read by nobody else.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace coffer::cli {

// Puts a new file of this mode in the place of whatever stands there, a link too: a reader sees the old content or the
// new, and after a failure (kIo, in the system's words) the old. Two who do it at once do not disturb each other.
// Something that is no file (a terminal, a pipe, a device) is written to.
Status replace_file(const std::string& path, std::string_view content, mode_t mode = 0600);

// The same, piece by piece.
class NewFile {
 public:
  static Result<std::unique_ptr<NewFile>> begin(const std::string& path, mode_t mode = 0600);
  // What was not finished leaves nothing behind.
  ~NewFile();
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  Status write(std::string_view piece);
  // Whole and on stable storage, the file is in its place.
  Status finish();
  std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  NewFile(std::string path, std::string fresh, int fd)
      : path_(std::move(path)), fresh_(std::move(fresh)), fd_(fd) {}

  const std::string path_;
  std::string fresh_;  // empty: what is written to is no file
  int fd_;
  std::uint64_t bytes_ = 0;
};

}  // namespace coffer::cli
