// Nonces over very many seals, starts, restores and forks: each (prefix, counter) once in a process, and each whole
// nonce once among copies of one memory. COFFER_NONCES sets the number of seals (scripts/long nonces).
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <set>
#include <thread>

#include "seal/barrier.h"

using namespace coffer;
using namespace coffer::seal;

namespace {

constexpr WallTime kNow{std::chrono::seconds(1700000000)};
constexpr std::size_t kNonceAt = 9, kPrefixBytes = 12, kNonceBytes = 24;
constexpr std::size_t kThreads = 2, kLives = 16;
constexpr std::size_t kSealsOfASession = 16;
constexpr std::size_t kBlocksLeftMax = 64 * 1024;  // counters that lanes took and did not use
using Nonce = std::array<char, kNonceBytes>;

std::uint64_t seals_wished() {
  const char* text = std::getenv("COFFER_NONCES");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : std::uint64_t{1} << 20;
}

std::uint64_t counter_of(std::string_view sealed) {
  std::uint64_t out = 0;
  for (const char c : sealed.substr(kNonceAt + kPrefixBytes, 6))
    out = out << 8 | static_cast<std::uint8_t>(c);
  return out;
}

// One barrier's seals: which counters were used, and under which prefix.
struct Used {
  explicit Used(std::uint64_t seals) : bits((seals + kBlocksLeftMax) / 64 + 1) {}
  std::vector<std::atomic<std::uint64_t>> bits;
  std::atomic<std::uint64_t> twice{0}, other_prefix{0};
};

void seal_many(const Barrier& barrier, std::uint64_t seals, std::string_view prefix, Used& used) {
  std::string out;
  for (std::uint64_t done = 0; done < seals;) {
    auto session = barrier.begin(system_random()).value();
    for (std::size_t i = 0; i < kSealsOfASession && done < seals; ++i, ++done) {
      if (!session.seal("p", "v", out).ok())
        std::abort();
      const std::uint64_t counter = counter_of(out);
      if (out.compare(kNonceAt, kPrefixBytes, prefix) != 0 || counter / 64 >= used.bits.size())
        ++used.other_prefix;
      else if ((used.bits[counter / 64].fetch_or(std::uint64_t{1} << (counter % 64)) >> (counter % 64) & 1) != 0)
        ++used.twice;
    }
  }
}

std::string prefix_of(const Barrier& barrier, Used& used) {
  std::string out;
  auto session = barrier.begin(system_random()).value();
  BOOST_REQUIRE(session.seal("p", "v", out).ok());
  const std::uint64_t counter = counter_of(out);
  used.bits.at(counter / 64) |= std::uint64_t{1} << (counter % 64);
  return out.substr(kNonceAt, kPrefixBytes);
}

void draw(const Barrier& barrier, Nonce* to, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) {
    auto session = barrier.begin(system_random());
    if (!session.ok() || !session->seal("p", "v", out).ok())
      std::abort();
    std::copy_n(out.begin() + kNonceAt, kNonceBytes, to[i].begin());
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(nonces)

BOOST_AUTO_TEST_CASE(never_twice_over_many_seals_and_lives) {
  SecretBytes root_key(32);
  const auto keyring = Keyring::create(KeyringId(0), kNow, system_random()).value();
  const std::string record = keyring->seal(root_key, system_random()).value();
  const std::uint64_t all = seals_wished();
  std::set<std::string> prefixes;
  for (std::size_t life = 0; life < kLives; ++life) {
    // A start, or a restore: the same keys from the same record.
    const auto barrier = Barrier::create(Keyring::open(record, KeyringId(0), root_key).value());
    const std::uint64_t seals = all / kLives;
    Used used(seals);
    const std::string prefix = prefix_of(*barrier, used);
    BOOST_REQUIRE(prefixes.insert(prefix).second);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < kThreads; ++t)
      threads.emplace_back([&] { seal_many(*barrier, seals / kThreads, prefix, used); });
    for (std::thread& thread : threads)
      thread.join();
    BOOST_TEST(used.twice == 0u);
    BOOST_TEST(used.other_prefix == 0u);
  }
  BOOST_TEST_MESSAGE(all << " seals in " << kLives << " lives, nonce checks: each once");
}

// fork() gives two processes the same memory, as a resumed or cloned machine has it: prefix and counters repeat, and
// what the kernel draws for each transaction does not.
BOOST_AUTO_TEST_CASE(never_twice_among_copies_of_one_memory) {
  constexpr std::size_t kEach = 1 << 16, kCopies = 4;
  const auto barrier = Barrier::create(Keyring::create(KeyringId(0), kNow, system_random()).value());
  Nonce first;
  draw(*barrier, &first, 1);
  void* const shared = ::mmap(nullptr, sizeof(Nonce) * kEach * kCopies, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  BOOST_REQUIRE(shared != MAP_FAILED);
  auto* const nonces = static_cast<Nonce*>(shared);
  for (std::size_t copy = 0; copy < kCopies; ++copy) {
    const pid_t child = ::fork();
    BOOST_REQUIRE(child >= 0);
    if (child == 0) {
      draw(*barrier, nonces + copy * kEach, kEach);
      ::_exit(0);
    }
    int status = -1;
    BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
    BOOST_REQUIRE(status == 0);
  }
  std::vector<Nonce> sorted(nonces, nonces + kEach * kCopies);
  ::munmap(shared, sizeof(Nonce) * kEach * kCopies);
  // They are copies: the part that memory holds is the same in all.
  BOOST_TEST(std::equal(sorted[0].begin(), sorted[0].begin() + 18, sorted[kEach].begin()));
  std::sort(sorted.begin(), sorted.end());
  BOOST_TEST((std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end()));
}

BOOST_AUTO_TEST_SUITE_END()
