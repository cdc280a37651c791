#include "hsm/client.h"

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <random>

#include "tests/hsm/soft_hsm.h"
#include "tests/mutant_on.h"

namespace coffer::hsm {
namespace {

using coffer::testing::ScopedMutant;
using testing::SoftHsm;

constexpr std::string_view kText = "a root key of thirty-two bytes!!";

// The values of the standard that an HSM is known to answer with.
struct Fault {
  const char* value;
  Why why;
};
constexpr Fault kFaults[] = {
    {"0xB3", Why::kSession}, {"0xB0", Why::kSession}, {"0x101", Why::kSession}, {"0xB1", Why::kSession},
    {"0x82", Why::kHandle}, {"0x60", Why::kHandle}, {"0x32", Why::kToken}, {"0xE0", Why::kToken},
    {"0x30", Why::kToken}, {"0xE1", Why::kToken}, {"0x5", Why::kLibrary}, {"0x190", Why::kLibrary},
    {"0x6", Why::kLibrary}, {"0x2", Why::kLibrary}, {"0xA0", Why::kPin}, {"0xA4", Why::kPin},
    {"0xA3", Why::kPin}, {"0x40", Why::kIntegrity}, {"0x31", Why::kToken}, {"0x3", Why::kToken},
    {"0x70", Why::kSetting}, {"0x63", Why::kSetting}, {"0x7", Why::kLibrary}, {"0x150", Why::kLibrary},
    {"0x100", Why::kLibrary}};
constexpr const char* kFunctions[] = {"C_GetFunctionList", "C_Initialize", "C_GetSlotList", "C_GetTokenInfo",
                                      "C_OpenSession", "C_Login", "C_FindObjectsInit", "C_FindObjects",
                                      "C_GetAttributeValue", "C_EncryptInit", "C_Encrypt", "C_DecryptInit",
                                      "C_Decrypt", "C_SignInit", "C_Sign", "C_GenerateRandom"};

struct Fixture {
  std::unique_ptr<Client> client(Settings settings) {
    ClientLimits limits;
    limits.call_time_max = std::chrono::milliseconds(1500);
    return std::make_unique<Client>(std::move(settings), token.environment(), clock, limits, COFFER_TEST_HELPER);
  }
  std::unique_ptr<Client> client() { return client(token.settings()); }
  std::unique_ptr<Client> faulty(std::uint64_t mechanism = 0) {
    Settings settings = token.settings();
    settings.library = COFFER_FAULTY_PKCS11;
    settings.mechanism = mechanism;
    settings.hmac_key.label = mechanism == kAesCbcPad ? "hmac" : "";
    return client(std::move(settings));
  }
  static SecretBytes text() { return SecretBytes::copy_of(kText); }
  // That the client is fine now: what was encrypted before decrypts, and what it encrypts does.
  void check_fine(Client& one, const Encrypted& before) {
    clock.advance(std::chrono::seconds(60));
    BOOST_REQUIRE_EQUAL(one.decrypt(before)->reveal_text(), kText);
    const Result<Encrypted> more = one.encrypt(text());
    BOOST_REQUIRE_MESSAGE(more.ok(), more.status().message());
    BOOST_REQUIRE_EQUAL(one.decrypt(*more)->reveal_text(), kText);
  }

  SoftHsm token;
  ManualClock clock;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(client_test, Fixture)

BOOST_AUTO_TEST_CASE(what_one_process_encrypts_another_decrypts) {
  for (const std::uint64_t mechanism : {kAesGcm, kAesCbcPad, kRsaOaep}) {
    Settings settings = token.settings();
    settings.mechanism = mechanism;
    settings.key.label = "key " + std::to_string(mechanism);
    settings.hmac_key.label = mechanism == kAesCbcPad ? "hmac" : "";
    Settings again = token.settings();
    again.key = settings.key;
    again.hmac_key = settings.hmac_key;
    again.generate_key = false;  // and the mechanism is found out
    const auto first = client(std::move(settings));
    const Result<Encrypted> made = first->encrypt(text());
    BOOST_REQUIRE_MESSAGE(made.ok(), made.status().message());
    BOOST_TEST(made->mechanism == mechanism);
    BOOST_TEST((made->text.find(kText) == std::string::npos));
    const auto second = client(std::move(again));
    BOOST_TEST(second->decrypt(*made)->reveal_text() == kText);
    BOOST_TEST(second->encrypt(text())->mechanism == mechanism);
    for (std::string Encrypted::* const part : {&Encrypted::iv, &Encrypted::text, &Encrypted::mac}) {
      Encrypted changed = *made;
      if ((changed.*part).empty())
        continue;
      (changed.*part).back() ^= 1;
      const Result<SecretBytes> opened = second->decrypt(changed);
      BOOST_TEST(!opened.ok());
    }
    Encrypted strange = *made;
    strange.key.label = "no such key";
    BOOST_TEST((second->decrypt(strange).code() == Code::kDenied));
  }
}

// No flipped bit of what AES-CBC made reaches the padding: whatever it is, the error is the same one.
BOOST_AUTO_TEST_CASE(j2_whatever_is_tampered_with_gives_one_error) {
  Settings settings = token.settings();
  settings.mechanism = kAesCbcPad;
  settings.hmac_key.label = "hmac";
  const auto one = client(std::move(settings));
  const Encrypted made = one->encrypt(text()).value();
  for (std::string Encrypted::* const part : {&Encrypted::iv, &Encrypted::text, &Encrypted::mac})
    for (std::size_t bit = 0; bit < 8 * (made.*part).size(); ++bit) {
      Encrypted changed = made;
      (changed.*part)[bit / 8] = static_cast<char>((changed.*part)[bit / 8] ^ (1 << bit % 8));
      const Status status = one->decrypt(changed).status();
      BOOST_REQUIRE((status.code() == Code::kDataLoss));
      BOOST_REQUIRE_EQUAL(status.message(), "HSM: the HMAC does not fit");
    }
  Encrypted bare = made;
  bare.mac.clear();
  BOOST_TEST((one->decrypt(bare).code() == Code::kDataLoss));
  bare.mechanism = 0x1082;  // AES-CBC without anything
  BOOST_TEST((one->decrypt(bare).code() == Code::kDataLoss));
}

BOOST_AUTO_TEST_CASE(what_an_earlier_key_encrypted_is_decrypted) {
  const Encrypted before = client()->encrypt(text()).value();
  Settings settings = token.settings();
  settings.key.label = "seal 2";
  const auto next = client(std::move(settings));
  BOOST_TEST(next->encrypt(text())->key.label == "seal 2");
  BOOST_TEST(next->decrypt(before)->reveal_text() == kText);
}

BOOST_AUTO_TEST_CASE(the_hsm_gives_random_bytes) {
  const auto one = client();
  BOOST_TEST(one->random(4096)->size() == 4096u);
  BOOST_TEST(!one->random(32)->equals(*one->random(32)));
  BOOST_TEST(!one->random(4097).ok());
  BOOST_TEST((one->encrypt(SecretBytes(1025)).code() == Code::kTooLarge));
}

BOOST_AUTO_TEST_CASE(settings_that_cannot_be_are_named) {
  const auto message = [this](auto change, bool generate = false) {
    Settings settings = token.settings();
    settings.generate_key = generate;
    change(settings);
    const auto status = client(std::move(settings))->encrypt(text()).status();
    BOOST_TEST(!status.ok());
    BOOST_TEST(status.message().find(testing::kPin) == std::string::npos);
    return status.message();
  };
  const auto has = [](const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; };
  BOOST_TEST(has(message([](Settings& s) { s.library = "/nonexistent.so"; }), "lib: "));
  BOOST_TEST(has(message([](Settings& s) { s.library = "relative.so"; }), "lib "));
  BOOST_TEST(has(message([](Settings& s) { s.library = "/usr/lib/x86_64-linux-gnu/libc.so.6"; }), "no PKCS#11 module"));
  BOOST_TEST(has(message([](Settings& s) { s.token_label = "other"; }), "token_label: there is no such token"));
  BOOST_TEST(has(message([](Settings& s) { s.slot = "x"; }), "slot must be a number"));
  BOOST_TEST(has(message([](Settings& s) { s.slot = "99"; s.token_label = ""; }), "slot: there is no such token"));
  BOOST_TEST(has(message([](Settings& s) { s.pin = SecretBytes(); }), "pin is missing"));
  BOOST_TEST(has(message([](Settings& s) { s.pin = SecretBytes::copy_of(std::string_view("0000")); }), "pin: C_Login"));
  BOOST_TEST(has(message([](Settings& s) { s.key.label = "nobody"; }), "key_label: the token has no key \"nobody\""));
  BOOST_TEST(has(message([](Settings& s) { s.mechanism = 0x1; }, true), "mechanism must be"));
  BOOST_TEST(has(message([](Settings& s) { s.mechanism = kAesCbcPad; }, true), "hmac_key_label is missing"));
  // Keys that guard nothing.
  token.tool("--keygen --key-type AES:32 --label weak");
  BOOST_TEST(has(message([](Settings& s) { s.key.label = "weak"; }), "CKA_"));
  token.tool("--keygen --key-type AES:32 --label twice --sensitive");
  token.tool("--keygen --key-type AES:32 --label twice --sensitive");
  BOOST_TEST(has(message([](Settings& s) { s.key.label = "twice"; }), "more than one key"));
}

// A token locks itself after a few wrong PINs.
BOOST_AUTO_TEST_CASE(a_wrong_pin_is_never_tried_again) {
  const auto tries = [this] {
    token.plant("C_Login", "0xA0", 100);
    const auto one = faulty();
    for (int i = 0; i < 5; ++i) {
      const Status status = one->encrypt(text()).status();
      BOOST_TEST((status.code() == Code::kInvalid));
      BOOST_TEST(status.message().find("pin: ") != std::string::npos);
      clock.advance(std::chrono::seconds(60));
    }
    return 100 - token.left();
  };
  BOOST_TEST(tries() == 1);
  const ScopedMutant planted(Mutant::kPinTriedAgain);
  BOOST_TEST(tries() == 5);
}

BOOST_AUTO_TEST_CASE(a_token_that_was_away_is_back) {
  const auto one = client();
  const Encrypted before = one->encrypt(text()).value();
  token.remove_token();
  const auto fresh = client();
  BOOST_TEST((fresh->decrypt(before).code() == Code::kUnavailable));
  // Not asked again at once.
  token.put_token_back();
  BOOST_TEST(fresh->decrypt(before).status().message().find("a moment ago") != std::string::npos);
  clock.advance(ClientLimits().pause_min);
  BOOST_TEST(fresh->decrypt(before)->reveal_text() == kText);
}

// After a restart a handle may name another key: what it would encrypt nobody could read.
BOOST_AUTO_TEST_CASE(another_key_of_the_same_name_is_not_used) {
  const auto one = faulty();
  one->encrypt(text()).value();
  token.tool("--delete-object --type secrkey --label seal");
  client()->encrypt(text()).value();  // makes another
  token.plant("C_EncryptInit", "crash");
  const Result<Encrypted> refused = one->encrypt(text());
  BOOST_TEST((refused.code() == Code::kInvalid));
  BOOST_TEST(refused.status().message().find("not the one") != std::string::npos);
  const ScopedMutant planted(Mutant::kHsmKeyNotChecked);
  clock.advance(std::chrono::seconds(60));
  BOOST_TEST(one->encrypt(text()).ok());
}

BOOST_AUTO_TEST_CASE(every_value_has_its_class) {
  BOOST_TEST(std::size(kFaults) == 25u);
  for (const Fault& fault : kFaults) {
    const std::uint64_t value = std::strtoull(fault.value, nullptr, 0);
    BOOST_TEST_CONTEXT(fault.value) {
      BOOST_TEST((why_of(value) == fault.why));
      BOOST_TEST(name_of(value).starts_with("CKR_"));
    }
  }
  BOOST_TEST((why_of(0x80000001) == Why::kLibrary));
  BOOST_TEST((why_of(0) == Why::kNone));
}

// A hang or a crash anywhere costs one request at most its time, and the next one is served.
BOOST_AUTO_TEST_CASE(a_module_that_crashes_or_hangs_is_started_anew) {
  const auto one = faulty();
  const Encrypted before = one->encrypt(text()).value();
  for (const char* function : {"C_EncryptInit", "C_Encrypt", "C_GenerateRandom"}) {
    token.plant(function, "crash");
    BOOST_TEST(one->encrypt(text()).ok());
    BOOST_TEST(token.left() == 0);
  }
  token.plant("C_Decrypt", "hang");
  BOOST_TEST(one->decrypt(before)->reveal_text() == kText);
  token.plant("C_Login", "crash");
  const auto fresh = faulty();
  BOOST_TEST((fresh->decrypt(before).code() == Code::kUnavailable));
  check_fine(*fresh, before);
}

// A sample of `scripts/long hsm`: faults at random, with two mechanisms. No request answers wrongly, none is lost that
// could be asked again, and after each the client is fine.
BOOST_AUTO_TEST_CASE(faults_anywhere) {
  const char* const wanted = std::getenv("COFFER_HSM_FAULTS");
  const unsigned long count = wanted == nullptr ? 120 : std::strtoul(wanted, nullptr, 10);
  std::mt19937_64 random(20'261'123);
  std::unique_ptr<Client> ones[] = {faulty(kAesGcm), nullptr};
  Settings settings = token.settings();
  settings.library = COFFER_FAULTY_PKCS11;
  settings.mechanism = kAesCbcPad;
  settings.key.label = "cbc";
  settings.hmac_key.label = "hmac";
  const auto make_second = [&] {
    Settings copy = token.settings();
    copy.library = settings.library;
    copy.mechanism = settings.mechanism;
    copy.key = settings.key;
    copy.hmac_key = settings.hmac_key;
    return client(std::move(copy));
  };
  ones[1] = make_second();
  const Encrypted before[] = {ones[0]->encrypt(text()).value(), ones[1]->encrypt(text()).value()};
  unsigned long met = 0, served = 0;
  for (unsigned long i = 0; i < count; ++i) {
    const std::size_t which = random() % 2;
    std::unique_ptr<Client>& one = ones[which];
    const Fault& fault = kFaults[random() % std::size(kFaults)];
    const bool crash = random() % 25 == 0;
    if (random() % 4 == 0)
      one = which == 0 ? faulty(kAesGcm) : make_second();  // a node that starts
    token.plant(random() % 3 == 0 ? "*" : kFunctions[random() % std::size(kFunctions)], crash ? "crash" : fault.value);
    const bool encrypts = random() % 2 == 0;
    Status status;
    if (encrypts) {
      const Result<Encrypted> made = one->encrypt(text());
      status = made.status();
      if (made.ok()) {
        token.plant("*", "0", 0);
        BOOST_REQUIRE_EQUAL(one->decrypt(*made)->reveal_text(), kText);
      }
    } else {
      const Result<SecretBytes> opened = one->decrypt(before[which]);
      status = opened.status();
      if (opened.ok())
        BOOST_REQUIRE_EQUAL(opened->reveal_text(), kText);
    }
    met += token.left() == 0 ? 1 : 0;
    served += status.ok() ? 1 : 0;
    token.plant("*", "0", 0);
    if (status.code() == Code::kInvalid)
      one = which == 0 ? faulty(kAesGcm) : make_second();  // who changes the PIN starts anew
    check_fine(*one, before[which]);
  }
  BOOST_TEST_MESSAGE(count << " faults planted, " << met << " met, " << served << " requests served all the same");
  BOOST_TEST(met > count / 2);
  BOOST_TEST(served > count / 3);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::hsm
