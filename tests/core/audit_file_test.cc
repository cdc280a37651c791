#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/audit_file.h"
#include "core/audit_gzip.h"
#include "tests/mutant_on.h"

namespace coffer {
namespace {

namespace fs = std::filesystem;
using core::AuditOptions;
using testing::ScopedMutant;

struct Folder {
  Folder() {
    char name[] = "/tmp/coffer-audit-XXXXXX";
    root = ::mkdtemp(name);
    forbidden = {(root / "data").string(), (root / "plugins").string(), (root / "not-there").string(), ""};
    fs::create_directories(root / "data" / "deep");
    fs::create_directories(root / "plugins");
    fs::create_directories(root / "logs");
  }
  ~Folder() { fs::remove_all(root); }

  Result<core::OpenedAuditFile> open(const fs::path& path, std::uint32_t mode = 0600) {
    AuditOptions options;
    options.file_path = path.string();
    options.mode = mode;
    return core::posix_audit_files()->open(options, forbidden);
  }
  bool opens(const fs::path& path) { return open(path).ok(); }
  void put(const fs::path& path, const std::string& text, mode_t mode = 0600) {
    std::ofstream(path) << text;
    ::chmod(path.c_str(), mode);
  }
  static mode_t mode_of(const fs::path& path) {
    struct stat about {};
    ::stat(path.c_str(), &about);
    return about.st_mode & 07777;
  }

  fs::path root;
  std::vector<std::string> forbidden;
};

BOOST_FIXTURE_TEST_SUITE(audit_file, Folder)

BOOST_AUTO_TEST_CASE(a_new_file_has_its_mode_whatever_the_umask) {
  const mode_t before = ::umask(0777);
  auto opened = open(root / "logs" / "a.log");
  auto shared = open(root / "logs" / "b.log", 0640);
  ::umask(before);
  BOOST_REQUIRE(opened.ok());
  BOOST_REQUIRE(shared.ok());
  BOOST_TEST(opened->created);
  BOOST_TEST(mode_of(root / "logs" / "a.log") == 0600u);
  BOOST_TEST(mode_of(root / "logs" / "b.log") == 0640u);
}

BOOST_AUTO_TEST_CASE(lines_are_appended_to_a_file_of_ours) {
  const std::string ours = R"({"time":"2026-11-22T02:40:30Z","type":"request"})" "\n";
  put(root / "logs" / "a.log", ours, 0644);
  auto opened = open(root / "logs" / "a.log");
  BOOST_REQUIRE(opened.ok());
  BOOST_TEST(!opened->created);
  BOOST_TEST(*opened->file->write("x\n") == 2u);
  BOOST_TEST(opened->file->sync().ok());
  BOOST_TEST(fs::file_size(root / "logs" / "a.log") == ours.size() + 2);
  BOOST_TEST(mode_of(root / "logs" / "a.log") == 0600u);
  BOOST_TEST(open(root / "logs" / "a.log", 0).ok());
  BOOST_TEST(mode_of(root / "logs" / "a.log") == 0600u);
}

BOOST_AUTO_TEST_CASE(a_rotated_file_keeps_its_lines_and_only_so_many_stay) {
  const std::string ours = R"({"time":"2026-11-22T02:40:30Z","type":"request"})" "\n";
  const auto files = core::posix_audit_files();
  AuditOptions options;
  options.file_path = (root / "logs" / "a.log").string();
  options.rotate_files_max = 2;
  put(root / "logs" / "a.log.not-ours", "x");
  put(root / "logs" / "a.log.20260101T000000.000", "#!/bin/sh\n");  // has our name and is not ours
  for (int i = 0; i < 4; ++i) {
    auto opened = files->open(options, forbidden);
    BOOST_REQUIRE(opened.ok());
    BOOST_TEST(*opened->file->write(ours) == ours.size());
    BOOST_TEST(opened->file->size() == ours.size());
    BOOST_TEST(opened->file->last_line() + "\n" == ours);
    BOOST_TEST(!opened->file->replaced());
    BOOST_TEST(files->rotate(options, forbidden, WallTime(std::chrono::seconds(1795315230 + i))).ok());
    BOOST_TEST(opened->file->replaced());
  }
  BOOST_TEST(!fs::exists(root / "logs" / "a.log"));
  BOOST_TEST(!fs::exists(root / "logs" / "a.log.20261122T024030.000"));
  BOOST_TEST(!fs::exists(root / "logs" / "a.log.20261122T024031.000"));
  BOOST_TEST(fs::exists(root / "logs" / "a.log.20261122T024032.000"));
  BOOST_TEST(fs::exists(root / "logs" / "a.log.20261122T024033.000"));
  BOOST_TEST(fs::exists(root / "logs" / "a.log.not-ours"));
  BOOST_TEST(fs::exists(root / "logs" / "a.log.20260101T000000.000"));
  // Nothing is replaced.
  put(root / "logs" / "a.log", ours);
  BOOST_TEST(!files->rotate(options, forbidden, WallTime(std::chrono::seconds(1795315233))).ok());
}

BOOST_AUTO_TEST_CASE(missing_folders_are_made) {
  BOOST_TEST(opens(root / "new" / "er" / "a.log"));
  BOOST_TEST(mode_of(root / "new") == 0700u);
}

BOOST_AUTO_TEST_CASE(an_empty_file_and_one_that_a_full_disk_cut_short_are_ours) {
  put(root / "logs" / "a.log", "");
  put(root / "logs" / "b.log", R"({"ti)");
  BOOST_TEST(opens(root / "logs" / "a.log"));
  BOOST_TEST(opens(root / "logs" / "b.log"));
}

BOOST_AUTO_TEST_CASE(a_relative_path_starts_at_the_working_directory) {
  const fs::path before = fs::current_path();
  fs::current_path(root / "logs");
  BOOST_TEST(opens("rel.log"));
  BOOST_TEST(opens("./sub/rel.log"));
  fs::current_path(root / "data" / "deep");
  BOOST_TEST(!opens("rel.log"));
  fs::current_path(before);
  BOOST_TEST(fs::exists(root / "logs" / "sub" / "rel.log"));
}

// Advisory I1: nothing that the path names may become a program, or touch what the server lives on.
void check_i1_refusals(Folder& f, bool refused) {
  f.put(f.root / "logs" / "foreign", "#!/bin/sh\n");
  f.put(f.root / "logs" / "runs", "", 0700);
  f.put(f.root / "logs" / "names", "");
  fs::create_hard_link(f.root / "logs" / "names", f.root / "plugins" / "names");
  fs::create_directory_symlink(f.root / "data", f.root / "logs" / "link-to-data");
  for (const char* path : {"data/a.log", "data/deep/a.log", "plugins/run", "logs/link-to-data/a.log", "logs/foreign",
                           "logs/runs", "logs/names", "data/made/a.log", "not-there/a.log"})
    BOOST_TEST(!f.opens(f.root / path) == refused, path);
  BOOST_TEST(fs::exists(f.root / "data" / "made") != refused);
}

BOOST_AUTO_TEST_CASE(i1_files_in_forbidden_places_or_of_others_are_refused) {
  check_i1_refusals(*this, true);
  put(root / "logs" / "target", "");
  fs::create_symlink(root / "logs" / "target", root / "logs" / "link");
  fs::create_symlink(root / "plugins" / "new", root / "logs" / "dangling");
  BOOST_TEST(open(root / "logs" / "link").status().message() == "file_path: must not be a symbolic link");
  BOOST_TEST(!opens(root / "logs" / "dangling"));
  BOOST_TEST(!fs::exists(root / "plugins" / "new"));
  BOOST_TEST(!opens(root / "logs"));
  BOOST_TEST(::mkfifo((root / "logs" / "fifo").c_str(), 0600) == 0);
  BOOST_TEST(!opens(root / "logs" / "fifo"));
  for (const char* path : {"/proc/self/oom_score_adj", "/dev/null", "/sys/kernel/a.log", "/dev/shm/a.log"})
    BOOST_TEST(!opens(path), path);
}

// Standard output as a pipe, for as long as this lives.
class PipeAsStdout {
 public:
  PipeAsStdout() : before_(::dup(STDOUT_FILENO)) {
    BOOST_REQUIRE(::pipe(ends_) == 0);
    ::dup2(ends_[1], STDOUT_FILENO);
  }
  ~PipeAsStdout() {
    ::dup2(before_, STDOUT_FILENO);
    for (const int fd : {before_, ends_[0], ends_[1]})
      ::close(fd);
  }
  void fill() {
    const int flags = ::fcntl(ends_[1], F_GETFL);
    ::fcntl(ends_[1], F_SETFL, flags | O_NONBLOCK);
    const std::string bytes(4096, 'x');
    while (::write(ends_[1], bytes.data(), bytes.size()) > 0) {
    }
    ::fcntl(ends_[1], F_SETFL, flags);
  }

 private:
  int before_;
  int ends_[2];
};

BOOST_AUTO_TEST_CASE(a_full_standard_output_is_known_to_be_full) {
  AuditOptions options;
  options.target = core::AuditTarget::kStdout;
  bool empty = false;
  bool full = true;
  {
    PipeAsStdout out;
    const auto opened = core::posix_audit_files()->open(options, forbidden);
    empty = opened.ok() && opened->file->ready();
    out.fill();
    full = opened.ok() && !opened->file->ready();
  }
  BOOST_TEST(empty);
  BOOST_TEST(full);
}

BOOST_AUTO_TEST_CASE(i1_mutant_is_found) {
  const ScopedMutant on(Mutant::kAuditFileAnywhere);
  check_i1_refusals(*this, false);
}

BOOST_AUTO_TEST_CASE(errors_do_not_name_the_path) {
  for (const char* path : {"data/canary", "logs/canary/canary"}) {
    put(root / "logs" / "canary", "x");
    BOOST_TEST(open(root / path).status().message().find("canary") == std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(discard_takes_everything) {
  AuditOptions options;
  options.target = core::AuditTarget::kDiscard;
  auto opened = core::posix_audit_files()->open(options, {});
  BOOST_REQUIRE(opened.ok());
  BOOST_TEST(*opened->file->write("abc") == 3u);
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_an_error) {
  // /dev/full is what ENOSPC looks like to write(2); only the mutant lets a device be opened at all.
  const ScopedMutant on(Mutant::kAuditFileAnywhere);
  auto full = open("/dev/full", 0);
  BOOST_REQUIRE(full.ok());
  auto written = full->file->write("abc");
  BOOST_REQUIRE(!written.ok());
  BOOST_TEST((written.code() == Code::kIo));
  BOOST_TEST(written.status().message().find("No space left") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_file_put_aside_is_compressed_whole_or_stays) {
  const fs::path folder = root / "logs";
  const std::string text = std::string(core::kAuditLineHead) + std::string(300'000, 'x') + "\n";
  std::ofstream(folder / "a") << text;
  fs::permissions(folder / "a", fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read);
  std::ofstream(folder / "a.gz.part") << "left by a crash";
  const core::Descriptor at(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::atomic<bool> stop{true};
  BOOST_TEST(!core::gzip_file(at.get(), "a", stop).ok());
  BOOST_TEST(fs::exists(folder / "a"));
  BOOST_TEST(!fs::exists(folder / "a.gz"));
  stop = false;
  BOOST_TEST(core::gzip_file(at.get(), "a", stop).ok());
  BOOST_TEST(!fs::exists(folder / "a"));
  BOOST_TEST(!fs::exists(folder / "a.gz.part"));
  BOOST_TEST(fs::file_size(folder / "a.gz") < 10'000u);
  BOOST_TEST(((fs::status(folder / "a.gz").permissions() & fs::perms::group_read) != fs::perms::none));
  const core::Descriptor packed(::openat(at.get(), "a.gz", O_RDONLY | O_CLOEXEC));
  BOOST_TEST(core::is_gzip_of(packed.get(), core::kAuditLineHead));
  BOOST_TEST(!core::is_gzip_of(packed.get(), "{\"other"));
  const gzFile back = ::gzopen((folder / "a.gz").c_str(), "rb");
  std::string read(text.size() + 1, '\0');
  read.resize(static_cast<std::size_t>(::gzread(back, read.data(), static_cast<unsigned>(read.size()))));
  ::gzclose(back);
  BOOST_TEST((read == text));
  // Nothing is replaced.
  std::ofstream(folder / "a") << text;
  BOOST_TEST(!core::gzip_file(at.get(), "a", stop).ok());
  BOOST_TEST(fs::exists(folder / "a"));
}

BOOST_AUTO_TEST_CASE(whether_a_file_ends_inside_of_a_line) {
  Folder folder;
  const fs::path path = folder.root / "logs" / "a";
  auto made = folder.open(path);
  BOOST_REQUIRE(made.ok());
  BOOST_TEST(!made->file->ends_in_part());
  BOOST_TEST(made->file->write("{\"time\":\"now\"}\n").ok());
  BOOST_TEST(!folder.open(path)->file->ends_in_part());
  BOOST_TEST(made->file->write("{\"time\":\"no").ok());
  BOOST_TEST(folder.open(path)->file->ends_in_part());
  BOOST_TEST(folder.open(path)->file->is_at((folder.root / "logs" / "." / "a").string()));
  BOOST_TEST(!folder.open(path)->file->is_at((folder.root / "logs" / "b").string()));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer
