#include "seal/barrier.h"

#include <map>
#include <set>
#include <thread>

#include "tests/crypto/fake_random.h"
#include "tests/mutant_on.h"
#include "tests/seal/golden.h"

using namespace coffer;
using namespace coffer::seal;
using namespace coffer::testing;

namespace {

constexpr WallTime kNow{std::chrono::seconds(1700000000)};

std::shared_ptr<const Keyring> make_keyring(std::uint64_t seed = 1, KeyringId id = KeyringId(0)) {
  SeededRandom random(seed);
  return Keyring::create(id, kNow, random).value();
}

std::string seal_one(const Barrier& barrier, RandomSource& random, std::string_view path, std::string_view plaintext) {
  auto session = barrier.begin(random).value();
  std::string out;
  BOOST_REQUIRE(session.seal(path, plaintext, out).ok());
  return out;
}

Result<std::string> open_one(const Barrier& barrier, std::string_view path, std::string_view sealed) {
  Bytes out(Barrier::plaintext_size(sealed), 0x55);
  const Result<std::size_t> size = barrier.open(path, sealed, out);
  if (!size.ok()) {
    const bool nothing_left = out == Bytes(out.size(), 0) || out == Bytes(out.size(), 0x55);
    BOOST_REQUIRE(nothing_left);
    return size.status();
  }
  BOOST_REQUIRE(*size == out.size());
  return std::string(out.begin(), out.end());
}

std::string nonce_of(const std::string& sealed) { return sealed.substr(9, 24); }

}  // namespace

BOOST_AUTO_TEST_SUITE(barrier)

BOOST_AUTO_TEST_CASE(what_was_sealed_opens_for_all_sizes) {
  SeededRandom random(2);
  const auto barrier = Barrier::create(make_keyring());
  for (const std::size_t path_size : {0, 1, 60, 498, 499, 500, 4096}) {
    for (const std::size_t size : {0, 1, 15, 16, 17, 1000, 70000}) {
      const std::string path(path_size, 'a'), plaintext(size, 'p');
      const std::string sealed = seal_one(*barrier, random, path, plaintext);
      BOOST_REQUIRE(sealed.size() == size + kSealedOverheadBytes);
      BOOST_REQUIRE(open_one(*barrier, path, sealed).value() == plaintext);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_layout_is_the_documented_one) {
  const auto golden = read_golden("sealed_value");
  SeededRandom random(2);
  const auto barrier = Barrier::create(make_keyring());
  const std::string sealed = seal_one(*barrier, random, golden.at("path"), golden.at("plaintext"));
  BOOST_TEST(hex_of(sealed) == hex_of(golden.at("sealed")));
  BOOST_TEST(open_one(*barrier, golden.at("path"), golden.at("sealed")).value() == golden.at("plaintext"));
}

BOOST_AUTO_TEST_CASE(every_flipped_bit_and_every_cut_is_refused) {
  SeededRandom random(3);
  const auto barrier = Barrier::create(make_keyring());
  const std::string sealed = seal_one(*barrier, random, "path/a", "the quick brown fox");
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    std::string bad = sealed;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    const auto opened = open_one(*barrier, "path/a", bad);
    const bool term_field = bit / 8 >= 5 && bit / 8 < 9;
    BOOST_REQUIRE(opened.code() == (term_field ? Code::kUnavailable : Code::kDataLoss));
    BOOST_REQUIRE(opened.status().message().find("path/a") == std::string::npos);
  }
  for (std::size_t size = 0; size < sealed.size(); ++size)
    BOOST_REQUIRE(open_one(*barrier, "path/a", sealed.substr(0, size)).code() == Code::kDataLoss);
  BOOST_CHECK(open_one(*barrier, "path/a", sealed + "x").code() == Code::kDataLoss);
  BOOST_TEST(open_one(*barrier, "path/a", sealed).ok());
}

namespace {

bool other_paths_are_refused() {
  SeededRandom random(4);
  const auto barrier = Barrier::create(make_keyring());
  const std::string sealed = seal_one(*barrier, random, "path/a", "value");
  for (const char* path : {"", "path/b", "path/", "path/a/", "path/aa", "ath/a", "PATH/A"}) {
    if (open_one(*barrier, path, sealed).code() != Code::kDataLoss)
      return false;
  }
  return open_one(*barrier, "path/a", sealed).ok();
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_value_opens_at_its_own_path_only) {
  BOOST_TEST(other_paths_are_refused());
  const ScopedMutant on(Mutant::kSealedPathNotBound);
  BOOST_TEST(!other_paths_are_refused());
}

BOOST_AUTO_TEST_CASE(other_keyrings_and_other_keys_are_refused) {
  SeededRandom random(5);
  const auto barrier = Barrier::create(make_keyring(1));
  const std::string sealed = seal_one(*barrier, random, "p", "value");
  BOOST_CHECK(open_one(*Barrier::create(make_keyring(2)), "p", sealed).code() == Code::kDataLoss);
  // The same keys under another number, as if a namespace's record were moved to another one.
  BOOST_CHECK(open_one(*Barrier::create(make_keyring(1, KeyringId(9))), "p", sealed).code() == Code::kDataLoss);
}

BOOST_AUTO_TEST_CASE(rotation_keeps_old_values_readable_and_new_terms_are_waited_for) {
  SeededRandom random(6);
  const auto old_keyring = make_keyring();
  const auto new_keyring = old_keyring->rotated(kNow, random).value();
  const auto before = Barrier::create(old_keyring);
  const auto after = Barrier::create(new_keyring);
  const std::string old_value = seal_one(*before, random, "p", "old");
  const std::string new_value = seal_one(*after, random, "p", "new");
  BOOST_TEST(open_one(*after, "p", old_value).value() == "old");
  BOOST_TEST(open_one(*after, "p", new_value).value() == "new");
  BOOST_CHECK(open_one(*before, "p", new_value).code() == Code::kUnavailable);
  // A value relabelled with the other term does not open under it.
  std::string relabelled = old_value;
  relabelled[8] = 2;
  BOOST_CHECK(open_one(*after, "p", relabelled).code() == Code::kDataLoss);
}

BOOST_AUTO_TEST_CASE(a_prefix_serves_exactly_its_number_of_seals) {
  SeededRandom random(7);
  const auto barrier = Barrier::create(make_keyring(), {.seals_per_prefix = 100, .seals_per_block = 7});
  std::map<std::string, std::set<std::string>> counters;
  auto session = barrier->begin(random).value();
  std::string out;
  for (int i = 0; i < 1000; ++i) {
    BOOST_REQUIRE(session.seal("p", "v", out).ok());
    counters[nonce_of(out).substr(0, 12)].insert(nonce_of(out).substr(12, 6));
    BOOST_REQUIRE(open_one(*barrier, "p", out).ok());
  }
  BOOST_TEST(counters.size() == 10u);
  for (const auto& [prefix, used] : counters)
    BOOST_TEST(used.size() == 100u);
}

BOOST_AUTO_TEST_CASE(no_nonce_occurs_twice_among_many_threads) {
  const auto barrier = Barrier::create(make_keyring(), {.seals_per_prefix = 5000, .seals_per_block = 16});
  constexpr int kThreads = 24;  // more than there are lanes
  constexpr int kSeals = 2000;
  std::vector<std::vector<std::string>> nonces(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&barrier, &mine = nonces[static_cast<std::size_t>(t)], t] {
      SeededRandom random(static_cast<std::uint64_t>(t));
      std::string out;
      Bytes opened(1);
      for (int i = 0; i < kSeals; ++i) {
        auto session = barrier->begin(random).value();
        if (session.seal("p", "v", out).ok() && barrier->open("p", out, opened).ok() && opened[0] == 'v')
          mine.push_back(nonce_of(out));
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  std::set<std::string> seen;
  std::map<std::string, int> per_prefix;
  for (const auto& mine : nonces) {
    BOOST_REQUIRE(mine.size() == std::size_t{kSeals});
    for (const std::string& nonce : mine) {
      BOOST_REQUIRE(seen.insert(nonce.substr(0, 18)).second);  // unique even without the drawn bytes
      ++per_prefix[nonce.substr(0, 12)];
    }
  }
  for (const auto& [prefix, count] : per_prefix)
    BOOST_REQUIRE(count <= 5000);
  BOOST_TEST(barrier->keyring()->active_info().encryptions == std::uint64_t{kThreads} * kSeals);
}

BOOST_AUTO_TEST_CASE(a_cloned_machine_does_not_repeat_nonces) {
  // Both copies have the prefix and the counter in memory; only what is drawn afterwards differs.
  SeededRandom same_a(8), same_b(8), after_a(9), after_b(10);
  const auto a = Barrier::create(make_keyring()), b = Barrier::create(make_keyring());
  BOOST_REQUIRE(nonce_of(seal_one(*a, same_a, "p", "v")) == nonce_of(seal_one(*b, same_b, "p", "v")));
  const std::string from_a = nonce_of(seal_one(*a, after_a, "p", "v")),
                    from_b = nonce_of(seal_one(*b, after_b, "p", "v"));
  BOOST_TEST(from_a.substr(0, 18) == from_b.substr(0, 18));
  BOOST_TEST(from_a != from_b);
}

// Sealing a node means dropping the barrier: a view that still holds it goes on, and the keys go with the last one.
BOOST_AUTO_TEST_CASE(keys_live_as_long_as_their_last_holder) {
  SeededRandom random(12);
  std::weak_ptr<const Keyring> watched;
  {
    auto published = Barrier::create(make_keyring());
    watched = published->keyring();
    const std::string sealed = seal_one(*published, random, "p", "v");
    const std::shared_ptr<const Barrier> view = published;
    published.reset();
    BOOST_TEST(!watched.expired());
    BOOST_TEST(open_one(*view, "p", sealed).value() == "v");
  }
  BOOST_TEST(watched.expired());
}

BOOST_AUTO_TEST_CASE(values_of_more_starts_than_a_lane_remembers_open) {
  const auto keyring = make_keyring();
  std::vector<std::string> values;
  SeededRandom random(11);
  for (int start = 0; start < 50; ++start)
    values.push_back(seal_one(*Barrier::create(keyring), random, "p", std::to_string(start)));
  const auto reader = Barrier::create(keyring);
  for (int round = 0; round < 3; ++round) {
    for (std::size_t start = 0; start < values.size(); ++start)
      BOOST_REQUIRE(open_one(*reader, "p", values[start]).value() == std::to_string(start));
  }
}

namespace {

// Fails every draw from number n on, for all n that a transaction makes: each time begin or seal must fail and nothing
// come out.
bool random_failures_stop_sealing(FailingRandom::How how) {
  for (int failing = 0; failing < 2; ++failing) {
    const auto barrier = Barrier::create(make_keyring());
    FailingRandom random(failing, how);
    auto session = barrier->begin(random);
    if (!session.ok())
      continue;
    std::string out = "previous";
    if (session->seal("p", "value", out).ok() || !out.empty())
      return false;
  }
  FailingRandom enough(2, how);
  const auto barrier = Barrier::create(make_keyring());
  auto session = barrier->begin(enough);
  std::string out;
  return session.ok() && session->seal("p", "value", out).ok();
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_failing_random_source_fails_the_transaction) {
  BOOST_TEST(random_failures_stop_sealing(FailingRandom::How::kError));
  BOOST_TEST(random_failures_stop_sealing(FailingRandom::How::kShortRead));
  BOOST_TEST(random_failures_stop_sealing(FailingRandom::How::kZeros));
}

BOOST_AUTO_TEST_CASE(a_failing_random_source_is_noticed_by_its_mutants) {
  {
    const ScopedMutant on(Mutant::kRandomFailureIgnored);
    BOOST_TEST(!random_failures_stop_sealing(FailingRandom::How::kError));
    BOOST_TEST(!random_failures_stop_sealing(FailingRandom::How::kShortRead));
  }
  const ScopedMutant on(Mutant::kZeroNonceAccepted);
  BOOST_TEST(!random_failures_stop_sealing(FailingRandom::How::kZeros));
}

BOOST_AUTO_TEST_CASE(a_new_prefix_needs_the_random_source_too) {
  FailingRandom random(2, FailingRandom::How::kError);  // session bytes and the first prefix
  const auto barrier = Barrier::create(make_keyring(), {.seals_per_prefix = 3, .seals_per_block = 2});
  auto session = barrier->begin(random).value();
  std::string out;
  for (int i = 0; i < 3; ++i)
    BOOST_REQUIRE(session.seal("p", "v", out).ok());
  for (int i = 0; i < 3; ++i)
    BOOST_TEST(!session.seal("p", "v", out).ok());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(keyring)

BOOST_AUTO_TEST_CASE(stored_and_opened_again_it_is_the_same) {
  SeededRandom random(20);
  const SecretBytes root = SecretBytes::copy_of(std::string(32, 'r'));
  auto keyring = make_keyring();
  for (int i = 0; i < 3; ++i)
    keyring = keyring->rotated(kNow + std::chrono::seconds(i), random).value();
  const std::string value = seal_one(*Barrier::create(keyring), random, "p", "v");
  const std::string record = keyring->seal(root, random).value();
  const auto opened = Keyring::open(record, KeyringId(0), root).value();
  BOOST_TEST(opened->term_count() == 4u);
  BOOST_TEST(opened->active_info().term.get() == 4u);
  BOOST_TEST(opened->active_info().encryptions == 1u);
  BOOST_TEST((opened->active_info().installed == kNow + std::chrono::seconds(2)));
  BOOST_TEST(open_one(*Barrier::create(opened), "p", value).value() == "v");
  BOOST_TEST(opened->derive("a").equals(keyring->derive("a")));
  BOOST_TEST(!opened->derive("a").equals(keyring->derive("b")));
  BOOST_TEST(make_keyring()->derive("a").equals(keyring->derive("a")));  // stays through rotation
}

BOOST_AUTO_TEST_CASE(the_record_is_the_documented_one) {
  const auto golden = read_golden("keyring");
  SeededRandom random(21);
  const SecretBytes root = SecretBytes::copy_of(golden.at("root_key"));
  BOOST_TEST(hex_of(make_keyring()->seal(root, random).value()) == hex_of(golden.at("record")));
  BOOST_TEST(Keyring::open(golden.at("record"), KeyringId(0), root).ok());
}

BOOST_AUTO_TEST_CASE(a_damaged_record_or_a_wrong_root_key_is_refused) {
  SeededRandom random(22);
  const SecretBytes root = SecretBytes::copy_of(std::string(32, 'r'));
  const std::string record = make_keyring()->seal(root, random).value();
  for (std::size_t bit = 0; bit < record.size() * 8; ++bit) {
    std::string bad = record;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    BOOST_REQUIRE(Keyring::open(bad, KeyringId(0), root).code() == Code::kDataLoss);
  }
  for (std::size_t size = 0; size < record.size(); ++size)
    BOOST_REQUIRE(Keyring::open(record.substr(0, size), KeyringId(0), root).code() == Code::kDataLoss);
  BOOST_CHECK(Keyring::open(record, KeyringId(1), root).code() == Code::kDataLoss);
  BOOST_CHECK(Keyring::open(record, KeyringId(0), SecretBytes::copy_of(std::string(32, 's'))).code() ==
              Code::kDataLoss);
}

BOOST_AUTO_TEST_CASE(a_failing_random_source_makes_no_key) {
  for (int failing = 0; failing < 2; ++failing) {
    FailingRandom random(failing, FailingRandom::How::kError);
    BOOST_TEST(!Keyring::create(KeyringId(0), kNow, random).ok());
  }
  for (const auto how : {FailingRandom::How::kError, FailingRandom::How::kZeros}) {
    FailingRandom random(0, how);
    BOOST_TEST(!make_keyring()->rotated(kNow, random).ok());
    BOOST_TEST(!make_keyring()->seal(SecretBytes(32), random).ok());
  }
}

BOOST_AUTO_TEST_SUITE_END()
