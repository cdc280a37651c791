#include "seal/rekey.h"

#include <boost/test/unit_test.hpp>

#include "base/encoding.h"
#include "seal/init.h"
#include "seal/shamir.h"
#include "seal/static_seal.h"
#include "tests/crypto/fake_random.h"
#include "tests/mutant_on.h"

using namespace coffer;
using namespace coffer::seal;
using namespace coffer::testing;

namespace {

constexpr WallTime kNow{std::chrono::seconds(1700000000)};

std::unique_ptr<KeyWrapper> static_seal() {
  StaticSealOptions options;
  options.keys.push_back(SecretBytes::copy_of("Z3M5bnR0MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY="));
  return make_static_seal(options, read_key_reference).value();
}

Initialized initialized(KeyWrapper* automatic = nullptr) {
  SeededRandom random(1);
  return initialize({.secret = {5, 3}}, automatic, nullptr, kNow, random).value();
}

SecretBytes combined(const std::vector<SecretBytes>& shares, std::size_t from, std::size_t count) {
  std::vector<SecretBytes> some;
  for (std::size_t i = from; i < from + count; ++i)
    some.push_back(shares[i].clone());
  return count == 1 ? std::move(some.front()) : shamir_combine(some).value();
}

Result<Rekeyed> made(const Initialized& old, const RekeyRequest& request, KeyWrapper* automatic = nullptr) {
  SeededRandom random(2);
  return make_new_shares(request, old.config_record, combined(old.shares, 1, 3), old.root_key, automatic, nullptr,
                         random);
}

// Whether these shares open the seal with this configuration.
bool opens(std::string_view record, const std::string& keyring, const std::vector<SecretBytes>& shares,
           KeyWrapper* automatic = nullptr) {
  SeededRandom random(3);
  UnsealCeremony ceremony(SealConfig::decode(record).value(), keyring, automatic);
  for (const SecretBytes& share : shares) {
    const auto unsealed = ceremony.submit(share, random);
    if (!unsealed.ok())
      return false;
    if (unsealed->has_value())
      return true;
  }
  return false;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(rekey_test)

BOOST_AUTO_TEST_CASE(s2_31_new_shares_open_the_seal_and_old_ones_do_not) {
  const Initialized old = initialized();
  for (const ShareCounts counts : {ShareCounts{5, 3}, ShareCounts{7, 4}, ShareCounts{1, 1}, ShareCounts{255, 255}}) {
    const Rekeyed next = made(old, {.counts = counts}).value();
    BOOST_TEST(next.shares.size() == counts.shares);
    BOOST_TEST((SealConfig::decode(next.record)->counts == counts));
    BOOST_TEST(opens(next.record, old.keyring_record, next.shares));
    BOOST_TEST(!opens(next.record, old.keyring_record, old.shares));
    BOOST_TEST(opens(next.before, old.keyring_record, old.shares));
  }
}

BOOST_AUTO_TEST_CASE(recovery_shares_of_an_automatic_seal) {
  const auto automatic = static_seal();
  const Initialized old = initialized(automatic.get());
  const Rekeyed next = made(old, {.recovery = true, .counts = {4, 2}}, automatic.get()).value();
  BOOST_TEST(opens(next.record, old.keyring_record, next.shares, automatic.get()));
  BOOST_TEST(!opens(next.record, old.keyring_record, old.shares, automatic.get()));
  BOOST_TEST(unseal_automatically(SealConfig::decode(next.record).value(), old.keyring_record, *automatic).ok());
}

BOOST_AUTO_TEST_CASE(shares_that_are_not_the_seals_make_nothing) {
  const Initialized old = initialized();
  SeededRandom random(9);
  const Initialized other = initialize({.secret = {5, 3}}, nullptr, nullptr, kNow, random).value();
  const auto attempt = [&] {
    return make_new_shares({.counts = {5, 3}}, old.config_record, combined(other.shares, 0, 3), old.root_key, nullptr,
                           nullptr, random);
  };
  BOOST_TEST((attempt().code() == Code::kInvalid));
  // Two where three are needed.
  BOOST_TEST((make_new_shares({.counts = {5, 3}}, old.config_record, combined(old.shares, 0, 2), old.root_key, nullptr,
                              nullptr, random)
                  .code() == Code::kInvalid));
  const ScopedMutant planted(Mutant::kRekeyByAnyShares);
  BOOST_TEST(attempt().ok());
}

BOOST_AUTO_TEST_CASE(s2_36_what_can_be_exchanged_depends_on_the_seal) {
  SeededRandom random(4);
  const auto automatic = static_seal();
  const SealConfig shamir = initialized().config;
  const SealConfig opened = initialized(automatic.get()).config;
  const auto refusal = [&](const RekeyRequest& request, const SealConfig& config) {
    return Rekey::begin(request, config, random).status().message();
  };
  BOOST_TEST(refusal({.recovery = true, .counts = {5, 3}}, shamir).starts_with("recovery rekeying not supported"));
  BOOST_TEST(refusal({.counts = {5, 3}}, opened).find("opens by itself") != std::string::npos);
  BOOST_TEST(Rekey::begin({.recovery = true, .counts = {5, 3}}, opened, random).ok());
  for (const ShareCounts counts : {ShareCounts{0, 0}, ShareCounts{3, 5}, ShareCounts{5, 1}, ShareCounts{256, 3}})
    BOOST_TEST(!refusal({.counts = counts}, shamir).empty());
}

BOOST_AUTO_TEST_CASE(shares_are_counted_once_and_new_ones_are_shown_in_their_own_attempt) {
  const Initialized old = initialized();
  SeededRandom random(5);
  Rekey rekey = Rekey::begin({.counts = {3, 2}, .verify = true}, old.config, random).value();
  BOOST_TEST(rekey.give(old.shares[0], random).ok());
  BOOST_TEST(rekey.give(old.shares[0], random).ok());
  BOOST_TEST(rekey.progress().have == 1u);  // S2-34
  BOOST_TEST((rekey.give(SecretBytes::copy_of("too short"), random).code() == Code::kInvalid));
  BOOST_TEST(rekey.give(old.shares[1], random).ok());
  BOOST_TEST(rekey.give(old.shares[4], random).ok());
  BOOST_REQUIRE(rekey.complete());
  BOOST_TEST(!rekey.verifies());
  Rekeyed next =
      make_new_shares(rekey.request(), old.config_record, rekey.combine().value(), old.root_key, nullptr, nullptr,
                      random)
          .value();
  std::vector<SecretBytes> shares = std::move(next.shares);
  next.shares.clear();
  BOOST_TEST(rekey.expect(std::move(next), random).ok());
  const std::string first = rekey.verification_nonce();
  BOOST_TEST(!rekey.show(shares[0], old.root_key, random)->has_value());
  // Shares of before are not the new ones.
  BOOST_TEST((rekey.show(old.shares[0], old.root_key, random).code() == Code::kInvalid));
  BOOST_TEST(rekey.verified().have == 0u);
  BOOST_TEST(rekey.verifies());
  BOOST_TEST(rekey.show_anew(random).ok());
  BOOST_TEST(rekey.verification_nonce() != first);
  BOOST_TEST(!rekey.show(shares[2], old.root_key, random)->has_value());
  const auto shown = rekey.show(shares[1], old.root_key, random);
  BOOST_REQUIRE((shown.ok() && shown->has_value()));
  BOOST_TEST(opens((*shown)->record, old.keyring_record, shares));
  BOOST_TEST(!rekey.verifies());
}

BOOST_AUTO_TEST_CASE(without_randomness_nothing_is_made) {
  const Initialized old = initialized();
  FailingRandom random(0, FailingRandom::How::kError);
  BOOST_TEST(!Rekey::begin({.counts = {5, 3}}, old.config, random).ok());
  BOOST_TEST(!make_new_shares({.counts = {5, 3}}, old.config_record, combined(old.shares, 0, 3), old.root_key, nullptr,
                              nullptr, random)
                  .ok());
}

BOOST_AUTO_TEST_SUITE_END()
