#include <algorithm>
#include <set>

#include "base/encoding.h"
#include "seal/barrier.h"
#include "seal/init.h"
#include "seal/shamir.h"
#include "seal/static_seal.h"
#include "seal/unseal.h"
#include "tests/crypto/fake_random.h"
#include "tests/seal/golden.h"

using namespace coffer;
using namespace coffer::seal;
using namespace coffer::testing;

namespace {

constexpr WallTime kNow{std::chrono::seconds(1700000000)};
constexpr char kSeedKey[] = "Z3M5bnR0MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY=";  // of the compose file in S4-110

std::unique_ptr<KeyWrapper> static_seal(std::string_view key = kSeedKey) {
  StaticSealOptions options;
  options.keys.push_back(SecretBytes::copy_of(key));
  return make_static_seal(options, read_key_reference).value();
}

Initialized init_shamir(unsigned shares, unsigned threshold, std::uint64_t seed = 1) {
  SeededRandom random(seed);
  return initialize({.secret = {shares, threshold}}, nullptr, nullptr, kNow, random).value();
}

UnsealCeremony ceremony_of(const Initialized& made) {
  return UnsealCeremony(SealConfig::decode(made.config_record).value(), made.keyring_record);
}

std::string message_of(const Status& status) { return status.message(); }

}  // namespace

BOOST_AUTO_TEST_SUITE(init)

BOOST_AUTO_TEST_CASE(shamir_init_gives_shares_of_33_bytes) {
  const Initialized made = init_shamir(5, 3);
  BOOST_TEST(made.shares.size() == 5u);
  for (const SecretBytes& share : made.shares) {
    BOOST_TEST(share.size() == 33u);
    BOOST_TEST(base64_encode(share.reveal_text()).size() == 44u);
  }
  BOOST_TEST(!made.recovery);
  const SealConfig config = SealConfig::decode(made.config_record).value();
  BOOST_TEST(config.kind == "shamir");
  BOOST_CHECK((config.counts == ShareCounts{5, 3}));
  BOOST_TEST(!config.automatic());
  // Nothing that is stored contains a key.
  for (const std::string* record : {&made.config_record, &made.keyring_record})
    BOOST_TEST(record->find(made.root_key.reveal_text()) == std::string::npos);
}

BOOST_AUTO_TEST_CASE(wrong_counts_are_refused_with_the_known_texts) {
  const auto wrapper = static_seal();
  SeededRandom random(1);
  const auto text = [&](InitRequest request, KeyWrapper* automatic) {
    const auto made = initialize(request, automatic, nullptr, kNow, random);
    BOOST_REQUIRE(made.code() == Code::kInvalid);
    return message_of(made.status());
  };
  BOOST_TEST(text({.secret = {0, 0}}, nullptr) == "invalid seal configuration: shares must be at least one");
  BOOST_TEST(text({.secret = {5, 0}}, nullptr) == "invalid seal configuration: threshold must be at least one");
  BOOST_TEST(text({.secret = {5, 1}}, nullptr) ==
             "invalid seal configuration: threshold must be greater than one for multiple shares");
  BOOST_TEST(text({.secret = {256, 3}}, nullptr) == "invalid seal configuration: shares must be less than 256");
  BOOST_TEST(text({.secret = {5, 256}}, nullptr) == "invalid seal configuration: threshold must be less than 256");
  BOOST_TEST(text({.secret = {2, 3}}, nullptr) == "invalid seal configuration: threshold cannot be larger than shares");
  BOOST_TEST(text({.secret = {5, 3}, .recovery = {5, 3}}, nullptr) ==
             "parameters recovery_shares,recovery_threshold not applicable to seal type shamir");
  BOOST_TEST(text({.secret = {5, 3}, .recovery = {0, 3}}, nullptr) ==
             "parameters recovery_threshold not applicable to seal type shamir");
  BOOST_TEST(text({.secret = {5, 3}, .recovery = {5, 3}}, wrapper.get()) ==
             "parameters secret_shares,secret_threshold not applicable to seal type static");
  BOOST_TEST(text({}, wrapper.get()) == "invalid recovery configuration: shares must be at least one");
  BOOST_TEST(text({.recovery = {2, 3}}, wrapper.get()) ==
             "invalid recovery configuration: threshold cannot be larger than shares");
}

BOOST_AUTO_TEST_CASE(an_automatic_seal_takes_either_family_of_counts) {
  const auto wrapper = static_seal();
  for (const bool as_secret : {true, false}) {
    SeededRandom random(2);
    const InitRequest request = as_secret ? InitRequest{.secret = {5, 3}} : InitRequest{.recovery = {5, 3}};
    const Initialized made = initialize(request, wrapper.get(), nullptr, kNow, random).value();
    BOOST_TEST(made.recovery);
    BOOST_TEST(made.asked_as_secret == as_secret);
    BOOST_TEST(made.shares.size() == 5u);

    const SealConfig config = SealConfig::decode(made.config_record).value();
    BOOST_TEST(config.automatic());
    const Unsealed open = unseal_automatically(config, made.keyring_record, *static_seal()).value();
    BOOST_TEST(open.root_key.equals(made.root_key));
    BOOST_TEST(verify_recovery_key(config, shamir_combine(std::span(made.shares).first(3)).value()).ok());
    const auto wrong = verify_recovery_key(config, shamir_combine(std::span(made.shares).first(2)).value());
    BOOST_TEST(wrong.message() == "recovery key verification failed");
  }
}

BOOST_AUTO_TEST_CASE(a_random_source_that_fails_at_any_draw_makes_nothing) {
  const auto wrapper = static_seal();
  for (KeyWrapper* automatic : {static_cast<KeyWrapper*>(nullptr), wrapper.get()}) {
    for (const auto how : {FailingRandom::How::kError, FailingRandom::How::kShortRead}) {
      FailingRandom whole(1 << 20, how);
      BOOST_REQUIRE(initialize({.secret = {5, 3}}, automatic, nullptr, kNow, whole).ok());
      for (int failing = 0; failing < whole.draws(); ++failing) {
        FailingRandom random(failing, how);
        BOOST_REQUIRE(!initialize({.secret = {5, 3}}, automatic, nullptr, kNow, random).ok());
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(unseal)

BOOST_AUTO_TEST_CASE(the_threshold_of_any_shares_unseals) {
  const Initialized made = init_shamir(5, 3);
  SeededRandom random(3);
  std::vector<int> chosen(5, 0);
  std::fill(chosen.begin() + 2, chosen.end(), 1);
  do {
    UnsealCeremony ceremony = ceremony_of(made);
    unsigned have = 0;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      if (chosen[i] == 0)
        continue;
      auto step = ceremony.submit(made.shares[i], random).value();
      ++have;
      BOOST_REQUIRE(step.has_value() == (have == 3));
      BOOST_REQUIRE(ceremony.progress().have == (have == 3 ? 0 : have));
      BOOST_REQUIRE(is_uuid(ceremony.progress().nonce) == (have != 3));
      if (step) {
        BOOST_REQUIRE(step->root_key.equals(made.root_key));
        BOOST_REQUIRE(step->keyring->derive("x").equals(made.keyring->derive("x")));
      }
    }
  } while (std::next_permutation(chosen.begin(), chosen.end()));
}

BOOST_AUTO_TEST_CASE(one_of_one_is_the_key_itself) {
  const Initialized made = init_shamir(1, 1);
  BOOST_TEST(made.shares.at(0).size() == 32u);
  SeededRandom random(4);
  BOOST_TEST(ceremony_of(made).submit(made.shares[0], random).value().has_value());
}

BOOST_AUTO_TEST_CASE(the_same_share_twice_does_not_advance) {
  const Initialized made = init_shamir(5, 3);
  SeededRandom random(5);
  UnsealCeremony ceremony = ceremony_of(made);
  BOOST_REQUIRE(ceremony.submit(made.shares[0], random).ok());
  const std::string nonce = ceremony.progress().nonce;
  for (int i = 0; i < 5; ++i)
    BOOST_REQUIRE(ceremony.submit(made.shares[0], random).ok());
  BOOST_TEST(ceremony.progress().have == 1u);
  BOOST_TEST(ceremony.progress().nonce == nonce);
  ceremony.reset();
  BOOST_TEST(ceremony.progress().have == 0u);
  BOOST_TEST(ceremony.progress().nonce == "");
  BOOST_REQUIRE(ceremony.submit(made.shares[1], random).ok());
  BOOST_TEST(ceremony.progress().nonce != nonce);
}

BOOST_AUTO_TEST_CASE(whatever_is_wrong_with_a_set_there_is_one_error_and_a_new_start) {
  const Initialized made = init_shamir(5, 3), other = init_shamir(5, 3, 99);
  SeededRandom random(6);
  SecretBytes flipped = made.shares[2].clone();
  flipped.reveal_mutable()[0] ^= 1;
  SecretBytes same_coordinate = made.shares[0].clone();
  same_coordinate.reveal_mutable()[5] ^= 1;
  SecretBytes zero_coordinate = made.shares[2].clone();
  zero_coordinate.reveal_mutable()[32] = 0;
  for (const SecretBytes* last : std::initializer_list<const SecretBytes*>{&flipped, &same_coordinate, &zero_coordinate,
                                                                           &other.shares[2]}) {
    UnsealCeremony ceremony = ceremony_of(made);
    BOOST_REQUIRE(ceremony.submit(made.shares[0], random).ok());
    BOOST_REQUIRE(ceremony.submit(made.shares[1], random).ok());
    const auto refused = ceremony.submit(*last, random);
    BOOST_CHECK(refused.code() == Code::kInvalid);
    BOOST_TEST(refused.status().message() == "Unseal failed, invalid key");
    BOOST_TEST(ceremony.progress().have == 0u);
    for (int i = 0; i < 2; ++i)
      BOOST_REQUIRE(!ceremony.submit(made.shares[static_cast<std::size_t>(i)], random).value());
    BOOST_TEST(ceremony.submit(made.shares[4], random).value().has_value());
  }
}

// Who has no share cannot keep those who have from unsealing.
BOOST_AUTO_TEST_CASE(a_wrong_share_does_not_undo_what_others_gave) {
  const Initialized made = init_shamir(5, 3), other = init_shamir(5, 3, 99);
  SeededRandom random(8);
  UnsealCeremony ceremony = ceremony_of(made);
  BOOST_REQUIRE(!ceremony.submit(made.shares[0], random).value());
  BOOST_TEST(!ceremony.submit(other.shares[0], random).value());
  BOOST_CHECK(ceremony.submit(made.shares[1], random).code() == Code::kInvalid);
  BOOST_TEST(!ceremony.submit(other.shares[1], random).value());
  const auto opened = ceremony.submit(made.shares[4], random);
  BOOST_REQUIRE(opened.ok() && opened->has_value());
  BOOST_TEST((*opened)->root_key.equals(made.root_key));
  BOOST_TEST(ceremony.progress().have == 0u);
  // What a reset drops is dropped.
  BOOST_REQUIRE(!ceremony.submit(made.shares[0], random).value());
  BOOST_REQUIRE(!ceremony.submit(other.shares[0], random).value());
  BOOST_CHECK(ceremony.submit(made.shares[1], random).code() == Code::kInvalid);
  ceremony.reset();
  BOOST_TEST(!ceremony.submit(made.shares[4], random).value());
}

BOOST_AUTO_TEST_CASE(shares_of_a_wrong_size_are_refused_by_name_and_change_nothing) {
  const Initialized made = init_shamir(5, 3);
  SeededRandom random(7);
  UnsealCeremony ceremony = ceremony_of(made);
  BOOST_REQUIRE(ceremony.submit(made.shares[0], random).ok());
  const auto text = [&](std::size_t size) {
    const auto refused = ceremony.submit(SecretBytes(size), random);
    BOOST_REQUIRE(refused.code() == Code::kInvalid);
    return message_of(refused.status());
  };
  BOOST_TEST(text(0) == "invalid key: key is shorter than minimum 16 bytes");
  BOOST_TEST(text(15) == "invalid key: key is shorter than minimum 16 bytes");
  BOOST_TEST(text(34) == "invalid key: key is longer than maximum 33 bytes");
  BOOST_TEST(text(32) == "invalid key: key has 32 bytes, a share of this seal has 33");
  BOOST_TEST(ceremony.progress().have == 1u);
}

BOOST_AUTO_TEST_CASE(shares_move_with_the_root_key_to_another_seal) {
  SeededRandom random(9);
  const Initialized made = init_shamir(5, 3);
  const auto automatic = static_seal();
  UnsealCeremony to_automatic(SealConfig::decode(made.config_record).value(), made.keyring_record, nullptr,
                              NextSeal{automatic.get()});
  BOOST_TEST(to_automatic.migrates());
  std::optional<Unsealed> opened;
  for (const std::size_t share : {0, 2, 4})
    opened = to_automatic.submit(made.shares[share], random).value();
  BOOST_REQUIRE(opened.has_value());
  SealConfig config = SealConfig::decode(opened->migrated).value();
  BOOST_TEST(config.kind == "static");
  BOOST_CHECK((config.counts == ShareCounts{5, 3}));
  BOOST_TEST(unwrap_root_key(config, *automatic)->equals(made.root_key));
  BOOST_TEST(verify_recovery_key(config, *shamir_combine(std::span(made.shares).first(3))).ok());

  UnsealCeremony to_shamir(config, made.keyring_record, automatic.get(), NextSeal{});
  for (const std::size_t share : {1, 2, 3})
    opened = to_shamir.submit(made.shares[share], random).value();
  BOOST_REQUIRE(opened.has_value());
  config = SealConfig::decode(opened->migrated).value();
  BOOST_TEST(config.kind == "shamir");
  UnsealCeremony after(config, made.keyring_record);
  for (const std::size_t share : {0, 1, 2})
    opened = after.submit(made.shares[share], random).value();
  BOOST_REQUIRE(opened.has_value());
  BOOST_TEST(opened->root_key.equals(made.root_key));
  BOOST_TEST(opened->migrated.empty());
}

BOOST_AUTO_TEST_CASE(share_texts_are_hex_or_base64) {
  const Initialized made = init_shamir(3, 2);
  const std::string bytes(made.shares[0].reveal_text());
  BOOST_TEST(parse_share(base64_encode(bytes)).value().equals(made.shares[0]));
  BOOST_TEST(parse_share(hex_encode(bytes)).value().equals(made.shares[0]));
  std::string upper = hex_encode(bytes);
  std::transform(upper.begin(), upper.end(), upper.begin(), [](char c) { return static_cast<char>(std::toupper(c)); });
  BOOST_TEST(parse_share(upper).value().equals(made.shares[0]));
  for (const std::string& bad : {std::string(), std::string("not a key!"), base64_encode(bytes) + "*",
                                 std::string(10000, 'a'), std::string("===="), std::string("\0\0\0\0", 4)}) {
    const auto refused = parse_share(bad);
    BOOST_CHECK(refused.code() == Code::kInvalid);
    BOOST_TEST(refused.status().message() == "'key' must be a valid hex or base64 string");
  }
}

BOOST_AUTO_TEST_CASE(a_failing_random_source_takes_no_first_share) {
  const Initialized made = init_shamir(3, 2);
  FailingRandom random(0, FailingRandom::How::kError);
  UnsealCeremony ceremony = ceremony_of(made);
  BOOST_TEST(!ceremony.submit(made.shares[0], random).ok());
  BOOST_TEST(ceremony.progress().have == 0u);
}

BOOST_AUTO_TEST_CASE(changed_numbers_in_the_stored_configuration_do_not_unseal) {
  const Initialized made = init_shamir(5, 3);
  SealConfig config = SealConfig::decode(made.config_record).value();
  config.counts.threshold = 2;
  const SealConfig lowered = SealConfig::decode(config.encode()).value();  // a proper record, checksum and all
  const auto wrapper = make_shamir_wrapper(shamir_combine(std::span(made.shares).first(3)).value());
  BOOST_TEST(unwrap_root_key(made.config, *wrapper).ok());
  BOOST_CHECK(unwrap_root_key(lowered, *wrapper).code() == Code::kDataLoss);
}

BOOST_AUTO_TEST_CASE(recovery_shares_unseal_a_node_with_an_automatic_seal) {
  SeededRandom random(10);
  const auto wrapper = static_seal();
  const Initialized made = initialize({.recovery = {3, 2}}, wrapper.get(), nullptr, kNow, random).value();
  const Initialized other = init_shamir(3, 2);
  UnsealCeremony ceremony(made.config, made.keyring_record, wrapper.get());
  BOOST_REQUIRE(ceremony.submit(made.shares[0], random).ok());
  const auto refused = ceremony.submit(other.shares[1], random);
  BOOST_TEST(refused.status().message() == "Unseal failed, invalid key");
  BOOST_REQUIRE(ceremony.submit(made.shares[0], random).ok());
  const auto opened = ceremony.submit(made.shares[2], random);
  BOOST_TEST(opened.value().value().root_key.equals(made.root_key));
  // The right shares are no use without the seal's key.
  const auto stranger = static_seal(std::string(32, 'x'));
  UnsealCeremony elsewhere(made.config, made.keyring_record, stranger.get());
  BOOST_REQUIRE(elsewhere.submit(made.shares[0], random).ok());
  BOOST_CHECK(elsewhere.submit(made.shares[2], random).code() == Code::kDenied);
}

BOOST_AUTO_TEST_CASE(another_kind_of_seal_takes_no_share) {
  SeededRandom random(11);
  const auto wrapper = static_seal();
  const Initialized shamir = init_shamir(3, 2);
  const Initialized automatic = initialize({.recovery = {3, 2}}, wrapper.get(), nullptr, kNow, random).value();
  UnsealCeremony a(shamir.config, shamir.keyring_record, wrapper.get()), b(automatic.config, automatic.keyring_record);
  BOOST_TEST(a.submit(shamir.shares[0], random).status().message() ==
             "the store was sealed by a seal of type shamir, the configured one is of type static");
  BOOST_TEST(b.submit(automatic.shares[0], random).status().message() ==
             "the store was sealed by a seal of type static, the configured one is of type shamir");
  BOOST_TEST(a.progress().have + b.progress().have == 0u);
}

BOOST_AUTO_TEST_CASE(rekeying_changes_the_wrap_and_nothing_else) {
  const Initialized made = init_shamir(5, 3);
  SeededRandom random(8);
  auto new_key = SecretBytes::copy_of(std::string(32, 'n'));
  const auto shares = make_shares(new_key, {3, 2}, random).value();
  const auto wrapper = make_shamir_wrapper(std::move(new_key));
  const SealConfig config = make_seal_config(*wrapper, {3, 2}, made.root_key, SecretBytes(), random).value();
  UnsealCeremony with_new(config, made.keyring_record), with_old(config, made.keyring_record);
  BOOST_REQUIRE(with_new.submit(shares[2], random).ok());
  BOOST_TEST(with_new.submit(shares[0], random).value().has_value());
  BOOST_REQUIRE(with_old.submit(made.shares[0], random).ok());
  BOOST_CHECK(with_old.submit(made.shares[1], random).code() == Code::kInvalid);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(seal_config)

BOOST_AUTO_TEST_CASE(the_layout_is_the_documented_one) {
  const auto golden = read_golden("seal_config");
  SeededRandom random(9);
  const SecretBytes root = SecretBytes::copy_of(golden.at("root_key"));
  const SecretBytes combined = SecretBytes::copy_of(golden.at("combined_key"));
  const SecretBytes recovery = SecretBytes::copy_of(golden.at("recovery_key"));
  const auto shamir = make_shamir_wrapper(combined.clone());
  BOOST_TEST(hex_of(make_seal_config(*shamir, {5, 3}, root, SecretBytes(), random)->encode()) ==
             hex_of(golden.at("record")));
  const auto automatic = static_seal(combined.reveal_text());
  BOOST_TEST(hex_of(make_seal_config(*automatic, {3, 2}, root, recovery, random)->encode()) ==
             hex_of(golden.at("automatic_record")));
  BOOST_TEST(unwrap_root_key(SealConfig::decode(golden.at("record")).value(), *shamir).value().equals(root));
  const SealConfig read = SealConfig::decode(golden.at("automatic_record")).value();
  BOOST_TEST(unwrap_root_key(read, *automatic).value().equals(root));
  BOOST_TEST(verify_recovery_key(read, recovery).ok());
}

BOOST_AUTO_TEST_CASE(a_damaged_record_is_refused) {
  const std::string record = init_shamir(5, 3).config_record;
  for (std::size_t bit = 0; bit < record.size() * 8; ++bit) {
    std::string bad = record;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    BOOST_REQUIRE(SealConfig::decode(bad).code() == Code::kDataLoss);
  }
  for (std::size_t size = 0; size < record.size(); ++size)
    BOOST_REQUIRE(SealConfig::decode(record.substr(0, size)).code() == Code::kDataLoss);
  BOOST_CHECK(SealConfig::decode(record + "x").code() == Code::kDataLoss);
}

BOOST_AUTO_TEST_CASE(another_kind_of_seal_is_named) {
  const Initialized made = init_shamir(5, 3);
  const auto wrapper = static_seal();
  const auto refused = unwrap_root_key(made.config, *wrapper);
  BOOST_CHECK(refused.code() == Code::kInvalid);
  BOOST_TEST(refused.status().message() ==
             "the store was sealed by a seal of type shamir, the configured one is of type static");
  BOOST_CHECK(verify_recovery_key(made.config, SecretBytes(32)).code() == Code::kInvalid);
}

BOOST_AUTO_TEST_SUITE_END()
