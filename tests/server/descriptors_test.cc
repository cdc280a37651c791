// What connections may take of the process's open files.
#include "server/descriptors.h"

#include <boost/test/unit_test.hpp>

#include <algorithm>

namespace coffer::server {
namespace {

constexpr ConnectionBounds kWanted{20'000, 4096, 16'384};

std::size_t taken(const ConnectionBounds& bounds) { return bounds.http + 2 * bounds.grpc + bounds.grpc_silent; }

}  // namespace

BOOST_AUTO_TEST_SUITE(descriptors)

BOOST_AUTO_TEST_CASE(connections_never_take_what_is_reserved) {
  for (std::size_t limit = 16; limit < 100'000; limit = limit * 9 / 8 + 1) {
    for (const ConnectionBounds& wanted : {kWanted, ConnectionBounds{20'000, 0, 0}, ConnectionBounds{10, 4096, 16'384},
                                           ConnectionBounds{20'000, 1, 1}}) {
      const ConnectionBounds bounds = bounded_connections(wanted, limit);
      BOOST_TEST_CONTEXT(limit << ": " << bounds.http << ", " << bounds.grpc << ", " << bounds.grpc_silent) {
        BOOST_TEST(taken(bounds) + std::min(kDescriptorsReserved, limit / 2) <= limit);
        BOOST_TEST(bounds.http >= 1u);
        BOOST_TEST((bounds.grpc >= 1u) == (wanted.grpc != 0));
        BOOST_TEST(bounds.http <= wanted.http);
        BOOST_TEST(bounds.grpc <= wanted.grpc);
        BOOST_TEST(bounds.grpc_silent <= wanted.grpc_silent);
        const bool whole = bounds.http == wanted.http && bounds.grpc == wanted.grpc;
        if (limit >= descriptors_wanted(wanted))
          BOOST_TEST(whole);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_small_limit_is_shared) {
  const ConnectionBounds bounds = bounded_connections(kWanted, 4096);
  BOOST_TEST(bounds.http == 1680u);
  BOOST_TEST(bounds.grpc == 840u);
  BOOST_TEST(bounds.grpc_silent == 480u);
  BOOST_TEST(bounded_connections({20'000, 0, 0}, 4096).http == 3840u);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::server
