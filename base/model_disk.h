// A disk in memory for tests and the simulator. It remembers what was synced and what was not, and at a power cut it
// keeps, drops, tears or misplaces each unsynced write, and keeps or drops each unsynced change of a folder, as its
// seed says. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/disk.h"

namespace coffer {

class ModelDisk final : public Disk {
 public:
  explicit ModelDisk(std::uint64_t seed) : random_(seed) {}
  ~ModelDisk() override;

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Status make_folder(const std::string& path) override;
  Status sync_folder(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Result<std::vector<std::string>> list(const std::string& folder) override;
  Result<bool> exists(const std::string& path) override;
  Result<std::unique_ptr<FolderLock>> lock_folder(const std::string& folder) override;
  Result<std::uint64_t> free_bytes(const std::string& folder) override;

  // What may happen to an unsynced write at a cut, beside being kept or dropped; each in 1/1000.
  struct CutFaults {
    std::uint32_t torn_permille = 300;       // some of its sectors only
    std::uint32_t misdirected_permille = 0;  // somewhere else in the same file
  };
  struct CutReport {
    std::uint64_t kept = 0;
    std::uint64_t dropped = 0;
    std::uint64_t torn = 0;
    std::uint64_t misdirected = 0;
  };
  // From here on, every file that was open fails, and new opens see what survived. Ends power_off.
  CutReport power_cut(const CutFaults& faults);
  // The n-th change from now (1 is the next one) and all after it fail, as when the power goes in its midst.
  void power_off_after(std::uint64_t changes) { changes_left_ = changes; }
  bool power_is_off() const noexcept { return off_; }

  // Every sync from now on fails, and what it was to make durable stays unsynced, marked clean as real systems do.
  void fail_syncs(bool on) { fail_syncs_ = on; }
  // Space left; writes that would need more fail.
  void set_free_bytes(std::uint64_t bytes) { free_bytes_ = bytes; }
  // Damage below everybody's notice. False when there is no such byte.
  bool flip_bit(const std::string& path, std::uint64_t offset, unsigned bit);

  std::uint64_t changes() const noexcept { return changes_; }
  std::uint64_t syncs() const noexcept { return syncs_; }

 private:
  class ModelFile;
  friend class ModelFile;
  struct Write {
    std::uint64_t offset;
    std::string bytes;
    bool truncates;  // sets the length to `offset` instead
  };
  struct Inode {
    std::string current;
    std::string durable;
    std::vector<Write> unsynced;
  };
  struct FolderChange {
    std::string from;  // empty: `to` is created as `inode`
    std::string to;    // empty: `from` is removed
    std::shared_ptr<Inode> inode;
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  std::uint64_t random();
  bool chance(std::uint32_t permille) { return random() % 1000 < permille; }
  Status change(std::string_view what, const std::string& path);
  Status space_for(Inode& inode, std::uint64_t size, const std::string& path);
  static void put(std::string& content, const Write& write);
  static void apply(Names& names, const FolderChange& change);
  void cut_inode(Inode& inode, const CutFaults& faults, CutReport& report);
  void cut_write(Inode& inode, const Write& write, const CutFaults& faults, CutReport& report);

  std::uint64_t random_;
  Names names_;
  Names durable_names_;
  std::vector<FolderChange> unsynced_changes_;
  std::map<std::string, bool> locks_;
  std::uint64_t life_ = 0;  // grows at each cut: older files are dead
  std::uint64_t changes_ = 0;
  std::uint64_t syncs_ = 0;
  std::uint64_t changes_left_ = 0;  // 0: no cut is planned
  bool off_ = false;
  bool fail_syncs_ = false;
  std::uint64_t free_bytes_ = std::uint64_t{1} << 40;
};

}  // namespace coffer
