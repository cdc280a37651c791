// Memory of request bodies: what is charged, what stays, what is given back.
#include "http/body.h"

#include <boost/test/unit_test.hpp>

#include <string>

#include "base/limits.h"

namespace coffer::http {
namespace {

constexpr std::size_t kSmall = limits::kSmallBodyBytesMax;

std::string text(std::size_t size, std::size_t from = 0) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    out[i] = static_cast<char>('a' + (from + i) / 7 % 26);
  return out;
}

void clean(BodyBudget& budget) {
  for (int i = 0; i < 10'000 && budget.dirty(); ++i)
    budget.clean_some();
  BOOST_TEST(!budget.dirty());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(body)

BOOST_AUTO_TEST_CASE(a_body_is_what_was_appended) {
  for (const std::size_t size : {std::size_t{1}, kSmall - 1, kSmall, kSmall + 1, 3 * kSmall, std::size_t{5} << 20}) {
    for (const bool expected : {false, true}) {
      BodyBudget budget(1u << 20, 16u << 20);
      {
        BodyBuffer buffer(budget);
        buffer.set_owner(BodyBudget::Who::kKnown);
        if (expected)
          buffer.set_expected(size);
        for (std::size_t at = 0; at < size; at += 10'000)
          BOOST_REQUIRE(buffer.append(text(std::min<std::size_t>(10'000, size - at), at)));
        BOOST_TEST((buffer.view() == text(size)));
        BOOST_TEST(budget.held() >= size);
        if (expected)
          BOOST_TEST(budget.held() == size);
      }
      clean(budget);
      BOOST_TEST(budget.held() == 0u);
    }
  }
}

BOOST_AUTO_TEST_CASE(what_is_beyond_the_allowance_changes_nothing) {
  BodyBudget budget(kSmall, 4 * kSmall);
  BodyBuffer large(budget);
  large.set_owner(BodyBudget::Who::kKnown);
  BOOST_TEST(large.append(text(3 * kSmall)));
  const std::size_t held = budget.held();
  BOOST_TEST(!large.append(text(3 * kSmall)));
  BOOST_TEST(budget.held() == held);
  BOOST_TEST((large.view() == text(3 * kSmall)));
  BodyBuffer small(budget);
  small.set_owner(BodyBudget::Who::kKnown);
  BOOST_TEST(small.append(text(kSmall)));
  BOOST_TEST(!small.append("x"));  // it would become a large one
  BOOST_TEST((small.view() == text(kSmall)));
}

BOOST_AUTO_TEST_CASE(a_large_body_counts_until_it_is_wiped) {
  BodyBudget budget(kSmall, 4u << 20);
  BodyBuffer first(budget);
  first.set_owner(BodyBudget::Who::kKnown);
  first.set_expected(4u << 20);
  BOOST_TEST(first.append(text(4u << 20)));
  first.clear();
  BOOST_TEST(budget.dirty());
  BOOST_TEST(budget.held() == 4u << 20);
  BodyBuffer second(budget);
  second.set_owner(BodyBudget::Who::kKnown);
  BOOST_TEST(!second.append(text(2 * kSmall)));
  budget.clean_some();
  BOOST_TEST(budget.held() < 4u << 20);
  BOOST_TEST(budget.held() > 3u << 20);
  BOOST_TEST(second.append(text(2 * kSmall)));
  clean(budget);
  BOOST_TEST((second.view() == text(2 * kSmall)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::http
