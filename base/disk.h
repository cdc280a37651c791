// The disk as an argument: what the write-ahead log, CURRENT and snapshot spools need of a file system. posix_disk() is
// the real one; base/model_disk.h loses, tears and misplaces unsynced bytes for tests.
//
// Failures are kIo with the operation, the path and the operating system's words. After a failed write or sync nothing
// is known about the bytes concerned, and a sync must not be tried again on the same File. Files are 0600 and folders
// 0700, whatever the umask.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace coffer {

// One open file. Reads may run beside writes; writes and syncs come from one thread at a time.
class File {
 public:
  virtual ~File() = default;
  // Fills `out`; fewer bytes come back only at the end of the file.
  virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<char> out) const = 0;
  virtual Status write_at(std::uint64_t offset, std::string_view bytes) = 0;
  // At the current end.
  virtual Status append(std::string_view bytes) = 0;
  // Allocates zeros up to `size`, so that later writes within need neither space nor a new length.
  virtual Status preallocate(std::uint64_t size) = 0;
  virtual Status truncate(std::uint64_t size) = 0;
  // Content (and the length needed to read it) is on stable storage. The file's name is so only after
  // Disk::sync_folder.
  virtual Status sync_data() = 0;
  virtual Result<std::uint64_t> size() const = 0;
};

// Held until destroyed; released by the system when the process dies.
class FolderLock {
 public:
  virtual ~FolderLock() = default;
};

enum class OpenMode {
  kRead,          // must exist
  kReadWrite,     // must exist
  kCreateNew,     // must not exist
  kCreateOrEmpty, // created, or cut to nothing
};

// Any thread, for different files.
class Disk {
 public:
  virtual ~Disk() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  // Succeeds when the folder is there already; its parent must exist.
  virtual Status make_folder(const std::string& path) = 0;
  // Makes creations, renames and removals inside the folder durable.
  virtual Status sync_folder(const std::string& path) = 0;
  // Replaces `to`, atomically also across a crash.
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  virtual Status remove(const std::string& path) = 0;
  // Names (not paths) in byte order.
  virtual Result<std::vector<std::string>> list(const std::string& folder) = 0;
  virtual Result<bool> exists(const std::string& path) = 0;
  // kUnavailable when another process, or this one, holds it.
  virtual Result<std::unique_ptr<FolderLock>> lock_folder(const std::string& folder) = 0;
  // What an unprivileged writer may still use.
  virtual Result<std::uint64_t> free_bytes(const std::string& folder) = 0;
};

// Lives as long as the process.
Disk& posix_disk();

// The whole file; kTooLarge above `bytes_max`.
Result<std::string> read_file(Disk& disk, const std::string& path, std::size_t bytes_max);
// Replaces `folder`/`name` so that after a crash either the old or the new content is there, whole, and after success
// the new one.
Status replace_file(Disk& disk, const std::string& folder, const std::string& name, std::string_view bytes);

}  // namespace coffer
