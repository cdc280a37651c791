#include "seal/hsm_seal.h"

#include <boost/test/unit_test.hpp>

#include "seal/init.h"
#include "seal/unseal.h"
#include "tests/hsm/soft_hsm.h"

namespace coffer::seal {
namespace {

using hsm::testing::SoftHsm;

struct Fixture {
  std::unique_ptr<KeyWrapper> seal(const char* library = COFFER_FAULTY_PKCS11) {
    hsm::Settings settings = token.settings();
    settings.library = library;
    return make_hsm_seal(std::make_shared<hsm::Client>(std::move(settings), token.environment(), clock,
                                                       hsm::ClientLimits(), COFFER_TEST_HELPER));
  }

  SoftHsm token;
  ManualClock clock;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(hsm_seal_test, Fixture)

BOOST_AUTO_TEST_CASE(what_it_wraps_opens_in_its_context) {
  const auto first = seal();
  const SecretBytes key = SecretBytes::copy_of(std::string_view("a root key of thirty-two bytes!!"));
  const std::string wrapped = first->wrap(key, "here", system_random()).value();
  BOOST_TEST(first->automatic());
  BOOST_TEST(first->wrap(key, "here", system_random()).value() != wrapped);
  const auto second = seal(hsm::testing::kSoftHsm);
  BOOST_TEST(second->unwrap(wrapped, "here")->equals(key));
  BOOST_TEST((second->unwrap(wrapped, "there").code() == Code::kDataLoss));
  for (std::size_t at = 0; at < wrapped.size(); ++at) {
    std::string changed = wrapped;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    BOOST_TEST(!second->unwrap(changed, "here").ok());
    BOOST_TEST(!second->unwrap(wrapped.substr(0, at), "here").ok());
    clock.advance(std::chrono::seconds(60));
  }
}

BOOST_AUTO_TEST_CASE(h11_an_hsm_that_answers_wrongly_is_refused_and_nothing_of_it_told) {
  const auto one = seal();
  const Initialized made = initialize({.recovery = {1, 1}}, one.get(), nullptr, WallTime(), system_random()).value();
  BOOST_TEST(unseal_automatically(made.config, made.keyring_record, *one)->root_key.equals(made.root_key));
  token.plant("C_Decrypt", "0", 100);
  const auto refused = unseal_automatically(made.config, made.keyring_record, *one);
  BOOST_TEST(!refused.ok());
  BOOST_TEST(token.left() < 100);
  BOOST_TEST(refused.status().message() == "none of the given keys opens the wrapped key");
  // Nor is anything wrapped that would not open again.
  BOOST_TEST(!one->wrap(made.root_key, "here", system_random()).ok());
  token.plant("*", "0", 0);
  BOOST_TEST(unseal_automatically(made.config, made.keyring_record, *one).ok());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::seal
