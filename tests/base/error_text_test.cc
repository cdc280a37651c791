#include "base/error_text.h"

#include <boost/test/unit_test.hpp>

#include <cerrno>

namespace coffer {

BOOST_AUTO_TEST_SUITE(error_text_suite)

BOOST_AUTO_TEST_CASE(says_what_the_system_says) {
  BOOST_TEST(error_text(ENOENT) == "No such file or directory");
  BOOST_TEST(lower_error_text(ENOENT) == "no such file or directory");
  BOOST_TEST(!error_text(1 << 20).empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer
