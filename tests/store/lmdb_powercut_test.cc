// Power cuts on real LMDB: a process loads and commits with every write and sync of its file recorded
// (tests/store/preload). The file is then rebuilt as of random moments, with the writes that no sync had covered
// dropped, kept or torn, and opened again.
#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <sys/wait.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/disk.h"
#include "store/lmdb_state.h"
#include "tests/store/preload/workload.h"
#include "tests/store/temp_folder.h"

namespace coffer::store {
namespace {

constexpr std::uint64_t kSeed = 42;
constexpr std::uint64_t kCommits = 120;
constexpr std::size_t kSectorBytes = 512;

using Model = std::map<std::string, std::string>;

struct Event {
  char kind;
  std::uint64_t offset;
  std::string bytes;
};

std::vector<Event> record(const std::string& folder) {
  const std::string file = folder + "/recorded.mdb", trace = folder + "/trace";
  const pid_t child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    ::setenv("LD_PRELOAD", COFFER_RECORD_LIBRARY, 1);
    ::setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1);
    ::setenv("COFFER_RECORD_FILE", file.c_str(), 1);
    ::setenv("COFFER_RECORD_TRACE", trace.c_str(), 1);
    const std::string seed = std::to_string(kSeed), commits = std::to_string(kCommits);
    ::execl(COFFER_LMDB_WRITER, COFFER_LMDB_WRITER, file.c_str(), seed.c_str(), commits.c_str(), nullptr);
    ::_exit(127);
  }
  int status = 0;
  BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
  BOOST_REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  const auto content = read_file(posix_disk(), trace, std::size_t{1} << 30);
  BOOST_REQUIRE(content.ok());
  std::vector<Event> events;
  ByteReader in(*content);
  while (in.left() > 0) {
    Event event;
    event.kind = static_cast<char>(in.u8());
    in.raw(7);
    event.offset = in.u64();
    event.bytes = in.raw(in.u64());
    events.push_back(std::move(event));
  }
  BOOST_REQUIRE(in.finish().ok());
  return events;
}

void put(std::string& image, std::uint64_t offset, std::string_view bytes) {
  if (image.size() < offset + bytes.size())
    image.resize(offset + bytes.size());
  std::copy(bytes.begin(), bytes.end(), image.begin() + static_cast<std::ptrdiff_t>(offset));
}

// The file grown event by event; what is not synced yet is kept apart.
class Replay {
 public:
  explicit Replay(bool believe_syncs) : believe_syncs_(believe_syncs) {}

  void take(const Event& event) {
    switch (event.kind) {
      case 'w':
        unsynced_.push_back(&event);
        break;
      case 'd':
        believe_syncs_ ? put(durable_, event.offset, event.bytes) : unsynced_.push_back(&event);
        break;
      case 's':
        if (believe_syncs_)
          settle();
        break;
      case 't':
        BOOST_FAIL("LMDB is not expected to change the file's length");
        break;
      case 'm':
        marked = event.offset;
        break;
      default:
        BOOST_FAIL("unknown event");
    }
  }

  // `in_flight` is the event that the power failed in, if it is a write.
  std::string cut(const Event& in_flight, std::mt19937_64& random) const {
    std::string image = durable_;
    std::vector<const Event*> at_risk = unsynced_;
    if (in_flight.kind == 'w' || in_flight.kind == 'd')
      at_risk.push_back(&in_flight);
    const std::uint64_t mode = random() % 4;  // none, all, whole writes, single sectors
    for (const Event* write : at_risk) {
      if (mode == 1 || (mode == 2 && random() % 2 == 0))
        put(image, write->offset, write->bytes);
      if (mode != 3)
        continue;
      // Sectors end where the disk's do, which a write need not begin at.
      for (std::size_t at = 0; at < write->bytes.size();) {
        const std::size_t size = std::min(kSectorBytes - (write->offset + at) % kSectorBytes, write->bytes.size() - at);
        if (random() % 2 == 0)
          put(image, write->offset + at, std::string_view(write->bytes).substr(at, size));
        at += size;
      }
    }
    return image;
  }

  std::uint64_t marked = 0;  // acknowledged so far

 private:
  void settle() {
    for (const Event* write : unsynced_)
      put(durable_, write->offset, write->bytes);
    unsynced_.clear();
  }

  const bool believe_syncs_;
  std::string durable_;
  std::vector<const Event*> unsynced_;
};

std::vector<Model> states() {
  std::vector<Model> all{testing::workload_load(kSeed)};
  for (std::uint64_t commit = 1; commit <= kCommits; ++commit) {
    Model next = all.back();
    for (const Op& op : testing::workload_ops(kSeed, commit)) {
      if (op.value)
        next[op.key] = *op.value;
      else
        next.erase(op.key);
    }
    all.push_back(std::move(next));
  }
  return all;
}

// Empty when the image opens and holds a state that may be there.
std::string check(const std::string& path, const std::string& image, std::uint64_t acknowledged,
                  const std::vector<Model>& expected) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << image;
  const auto state = LmdbState::open(path, {});
  if (!state.ok())
    return state.status().message();
  const std::uint64_t found = (*state)->durable_index().get();
  if (found < acknowledged || found > acknowledged + 1)
    return "acknowledged " + std::to_string(acknowledged) + ", found " + std::to_string(found);
  auto pass = (*state)->scrub_step(1 << 20);
  if (!pass.ok() || !*pass)
    return pass.status().message();
  auto reader = (*state)->acquire();
  const ReaderHold hold(**state, **reader);
  const auto cursor = std::move(*hold->cursor());
  Model records;
  for (auto more = cursor->seek(""); more.ok() && *more; more = cursor->next())
    records.emplace(cursor->key(), cursor->value());
  return records == expected[found] ? "" : "commit " + std::to_string(found) + " holds other records";
}

std::uint64_t cuts_wanted() {
  const char* text = std::getenv("COFFER_LMDB_CUTS");
  return text == nullptr ? 1000 : std::strtoull(text, nullptr, 10);
}

BOOST_AUTO_TEST_SUITE(store_lmdb_powercut)

BOOST_AUTO_TEST_CASE(every_acknowledged_commit_survives) {
  const testing::TempFolder folder;
  const std::vector<Event> events = record(folder.path());
  const std::vector<Model> expected = states();
  std::size_t first = 0;
  while (events[first].kind != 'm')
    ++first;
  std::mt19937_64 random(1);
  // As many cuts at each event as needed for the number wanted, so that every kind of moment is met.
  const std::uint64_t moments = events.size() - first;
  const std::uint64_t wanted = cuts_wanted();
  std::uint64_t cuts = 0;
  Replay replay(true);
  for (std::size_t i = 0; i < events.size(); ++i) {
    const std::uint64_t due = i <= first ? 0 : (i - first + 1) * wanted / moments;
    for (; cuts < due; ++cuts) {
      const std::string broken =
          check(folder.path() + "/cut.mdb", replay.cut(events[i], random), replay.marked, expected);
      BOOST_REQUIRE_MESSAGE(broken.empty(), "event " << i << ": " << broken);
    }
    replay.take(events[i]);
  }
  BOOST_TEST_MESSAGE("power cuts on LMDB: " << cuts << " at " << moments << " moments");
  BOOST_TEST(cuts == wanted);
}

// The same, as if no sync had done anything: the checks above must then fail. In a process of its own, because LMDB may
// crash on what it finds.
BOOST_AUTO_TEST_CASE(syncs_that_do_nothing_are_found) {
  const testing::TempFolder folder;
  const std::vector<Event> events = record(folder.path());
  const std::vector<Model> expected = states();
  std::mt19937_64 random(2);
  Replay replay(false);
  for (std::size_t i = 0; i + 1 < events.size(); ++i)
    replay.take(events[i]);
  int found = 0;
  for (int i = 0; i < 10; ++i) {
    const std::string image = replay.cut(events.back(), random);
    const pid_t child = ::fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
      ::close(STDERR_FILENO);
      ::_exit(check(folder.path() + "/cut.mdb", image, replay.marked, expected).empty() ? 0 : 1);
    }
    int status = 0;
    BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
    found += status != 0 ? 1 : 0;
  }
  BOOST_TEST(found > 5);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::store
