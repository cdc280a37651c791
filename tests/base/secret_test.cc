// What must not be possible with a secret is refused by the compiler (advisory A24).
#include "base/secret.h"

#include <boost/test/unit_test.hpp>

#include <concepts>
#include <iterator>
#include <ostream>
#include <string>
#include <type_traits>

namespace coffer {
namespace {

template <typename T>
concept Printed = requires(std::ostream& out, const T& value) { out << value; };
template <typename T>
concept Compared = requires(const T& a, const T& b) { a == b; };
template <typename T>
concept Iterated = requires(T& value) { std::begin(value); };

static_assert(!Compared<SecretBytes>, "a comparison that ends early tells how far it came");
static_assert(!Printed<SecretBytes> && !Iterated<SecretBytes>);
static_assert(!std::is_copy_constructible_v<SecretBytes> && !std::is_copy_assignable_v<SecretBytes>);
static_assert(!std::is_convertible_v<SecretBytes, std::string>);
static_assert(!std::is_convertible_v<SecretBytes, std::string_view>);

}  // namespace

BOOST_AUTO_TEST_SUITE(secrets)

BOOST_AUTO_TEST_CASE(a24_secrets_have_no_careless_operation) {
  const SecretBytes a = SecretBytes::copy_of(std::string_view("one"));
  BOOST_TEST(a.equals(a.clone()));
  for (const std::string_view other : {"", "o", "onE", "One", "ones"})
    BOOST_TEST(!a.equals(SecretBytes::copy_of(other)));
  SecretBytes from = a.clone();
  const SecretBytes to = std::move(from);
  BOOST_TEST(from.empty());
  BOOST_TEST(to.equals(a));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer
