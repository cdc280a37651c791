#include "seal/shamir.h"

#include <map>
#include <numeric>
#include <set>

#include "seal/gf256.h"
#include "tests/crypto/fake_random.h"
#include "tests/mutant_on.h"
#include "tests/seal/golden.h"

using namespace coffer;
using namespace coffer::seal;
using namespace coffer::testing;

namespace {

std::string text_of(const SecretBytes& secret) { return std::string(secret.reveal_text()); }

std::vector<SecretBytes> pick(const std::vector<SecretBytes>& shares, const std::vector<std::size_t>& which) {
  std::vector<SecretBytes> out;
  for (const std::size_t i : which)
    out.push_back(shares[i].clone());
  return out;
}

// Multiplication the slow, obvious way: as polynomials, then reduced.
std::uint8_t schoolbook(unsigned a, unsigned b) {
  unsigned product = 0;
  for (unsigned i = 0; i < 8; ++i) {
    if (b >> i & 1)
      product ^= a << i;
  }
  for (int bit = 15; bit >= 8; --bit) {
    if (product >> bit & 1)
      product ^= 0x11bu << (bit - 8);
  }
  return static_cast<std::uint8_t>(product);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(shamir)

BOOST_AUTO_TEST_CASE(field_arithmetic_is_right_for_all_operands) {
  for (unsigned a = 0; a < 256; ++a) {
    for (unsigned b = 0; b < 256; ++b) {
      const auto x = static_cast<std::uint8_t>(a), y = static_cast<std::uint8_t>(b);
      BOOST_REQUIRE(gf256::mul(x, y) == schoolbook(a, b));
    }
    const auto x = static_cast<std::uint8_t>(a);
    BOOST_REQUIRE(gf256::mul(x, gf256::inverse(x)) == (a == 0 ? 0 : 1));
  }
}

BOOST_AUTO_TEST_CASE(shares_of_the_other_implementation_combine) {
  std::map<std::string, std::vector<SecretBytes>> sets;
  const auto golden = read_golden("shamir_share");
  for (const auto& [field, value] : golden) {
    if (field.find(".share") != std::string::npos)
      sets[field.substr(0, 1)].push_back(SecretBytes::copy_of(value));
  }
  BOOST_REQUIRE(sets.size() == 6u);
  SeededRandom random(1);
  for (const auto& [name, shares] : sets) {
    const std::size_t threshold = static_cast<std::uint8_t>(golden.at(name + ".threshold")[0]);
    const std::string& secret = golden.at(name + ".secret");
    std::vector<std::size_t> order(shares.size());
    std::iota(order.begin(), order.end(), 0);
    for (int round = 0; round < 50; ++round) {
      for (std::size_t i = order.size(); i > 1; --i)
        std::swap(order[i - 1], order[random.next() % i]);
      const std::vector<std::size_t> subset(order.begin(), order.begin() + static_cast<long>(threshold));
      BOOST_REQUIRE(text_of(shamir_combine(pick(shares, subset)).value()) == secret);
      if (threshold > 2 && secret.size() > 8) {
        const std::vector<std::size_t> too_few(subset.begin(), subset.end() - 1);
        BOOST_REQUIRE(text_of(shamir_combine(pick(shares, too_few)).value()) != secret);
      }
    }
    BOOST_REQUIRE(text_of(shamir_combine(shares).value()) == secret);  // more than enough is fine
  }
}

BOOST_AUTO_TEST_CASE(any_threshold_of_shares_restores_the_secret) {
  SeededRandom random(2);
  for (int round = 0; round < 300; ++round) {
    const unsigned count = 2 + static_cast<unsigned>(random.next() % (round % 50 == 0 ? 254 : 12));
    const unsigned threshold = 2 + static_cast<unsigned>(random.next() % (count - 1));
    SecretBytes secret(1 + random.next() % 40);
    BOOST_REQUIRE(random.fill(secret.reveal_mutable()).ok());
    auto shares = shamir_split(secret, count, threshold, random).value();
    BOOST_REQUIRE(shares.size() == count);
    std::set<std::uint8_t> coordinates;
    for (const SecretBytes& share : shares) {
      BOOST_REQUIRE(share.size() == secret.size() + 1);
      BOOST_REQUIRE(share.reveal().back() != 0);
      BOOST_REQUIRE(coordinates.insert(share.reveal().back()).second);
    }
    for (std::size_t i = shares.size(); i > 1; --i)
      std::swap(shares[i - 1], shares[random.next() % i]);
    shares.erase(shares.begin() + threshold, shares.end());
    BOOST_REQUIRE(shamir_combine(shares).value().equals(secret));
  }
}

// Every coordinate must be equally likely at every place, the fixed points of the order included.
BOOST_AUTO_TEST_CASE(coordinates_come_in_a_uniform_order) {
  SeededRandom random(3);
  const SecretBytes secret(1);
  constexpr int kRounds = 255 * 100;
  std::vector<int> first(256, 0), second(256, 0);
  for (int round = 0; round < kRounds; ++round) {
    const auto shares = shamir_split(secret, 2, 2, random).value();
    ++first[shares[0].reveal().back()];
    ++second[shares[1].reveal().back()];
  }
  for (const auto& counts : {first, second}) {
    double chi_squared = 0;
    for (int x = 1; x <= 255; ++x)
      chi_squared +=
          (counts[static_cast<std::size_t>(x)] - 100.0) * (counts[static_cast<std::size_t>(x)] - 100.0) / 100.0;
    BOOST_TEST(chi_squared < 350.0);  // 254 degrees of freedom: mean 254, deviation 22.5
    BOOST_TEST(counts[0] == 0);
  }
}

BOOST_AUTO_TEST_CASE(bad_arguments_are_refused) {
  SeededRandom random(4);
  const SecretBytes secret = SecretBytes::copy_of("0123456789abcdef");
  for (const auto& [count, threshold] : std::vector<std::pair<unsigned, unsigned>>{
           {0, 0}, {1, 1}, {2, 1}, {1, 2}, {3, 4}, {256, 2}, {256, 256}, {5, 0}})
    BOOST_CHECK(shamir_split(secret, count, threshold, random).code() == Code::kInvalid);
  BOOST_CHECK(shamir_split(SecretBytes(), 2, 2, random).code() == Code::kInvalid);

  const auto shares = shamir_split(secret, 3, 2, random).value();
  BOOST_CHECK(shamir_combine({}).code() == Code::kInvalid);
  BOOST_CHECK(shamir_combine(pick(shares, {0})).code() == Code::kInvalid);
  BOOST_CHECK(shamir_combine(pick(shares, {1, 1})).code() == Code::kInvalid);
  auto cut = pick(shares, {0, 1});
  cut[1] = SecretBytes::copy_of(cut[1].reveal().first(10));
  BOOST_CHECK(shamir_combine(cut).code() == Code::kInvalid);
  auto zero = pick(shares, {0, 1});
  zero[1].reveal_mutable().back() = 0;
  BOOST_CHECK(shamir_combine(zero).code() == Code::kInvalid);
  std::vector<SecretBytes> short_ones;
  short_ones.push_back(SecretBytes::copy_of("\1"));
  short_ones.push_back(SecretBytes::copy_of("\2"));
  BOOST_CHECK(shamir_combine(short_ones).code() == Code::kInvalid);
}

BOOST_AUTO_TEST_CASE(a_failing_random_source_splits_nothing) {
  const SecretBytes secret = SecretBytes::copy_of("0123456789abcdef");
  FailingRandom whole(1 << 20, FailingRandom::How::kError);
  BOOST_REQUIRE(shamir_split(secret, 5, 3, whole).ok());
  for (int failing = 0; failing < whole.draws(); ++failing) {
    FailingRandom random(failing, FailingRandom::How::kError);
    BOOST_TEST(!shamir_split(secret, 5, 3, random).ok());
  }
}

// The planted table multiplication computes the same: only the constant-time run can tell it from the real one.
BOOST_AUTO_TEST_CASE(the_table_mutant_computes_the_same) {
  const ScopedMutant on(Mutant::kShamirTables);
  SeededRandom random(5);
  const SecretBytes secret = SecretBytes::copy_of("0123456789abcdef");
  auto shares = shamir_split(secret, 5, 3, random).value();
  shares.resize(3);
  BOOST_TEST(shamir_combine(shares).value().equals(secret));
}

BOOST_AUTO_TEST_SUITE_END()
