#include <boost/test/unit_test.hpp>

#include "engines/cubbyhole/cubbyhole.h"
#include "tests/engines/engine_fixture.h"

namespace coffer {
namespace {

using testing::Answer;
using testing::EngineMount;

BOOST_AUTO_TEST_SUITE(cubbyhole)

BOOST_AUTO_TEST_CASE(a_token_has_its_own) {
  EngineMount mount(engines::make_cubbyhole_engine(), "cubbyhole/");
  BOOST_TEST(mount.write("x", R"({"foo":"bar","n":1.10})").status == 204);
  BOOST_TEST(mount.write("f/y", R"({"a":1})").status == 204);
  BOOST_TEST(mount.read("x").data == R"({"foo":"bar","n":1.10})");
  BOOST_TEST(mount.list("").data == R"({"keys":["f/","x"]})");
  BOOST_TEST(mount.list("f").data == R"({"keys":["y"]})");
  BOOST_TEST(mount.write("x", R"({"b":2})").update);
  BOOST_TEST(mount.read("x").data == R"({"b":2})");

  mount.token_key = "token-2";
  BOOST_TEST(mount.read("x").status == 404);
  BOOST_TEST(mount.list("").status == 404);
  BOOST_TEST(!mount.write("x", R"({"other":1})").update);
  BOOST_TEST(mount.erase("x").status == 204);

  mount.token_key = "token-1";
  BOOST_TEST(mount.read("x").data == R"({"b":2})");
  BOOST_TEST(mount.erase("x").status == 204);
  BOOST_TEST(mount.erase("x").status == 204);
  BOOST_TEST(mount.read("x").status == 404);
}

BOOST_AUTO_TEST_CASE(names_that_look_like_other_tokens_stay_inside) {
  EngineMount mount(engines::make_cubbyhole_engine(), "cubbyhole/");
  mount.token_key = "token-1";
  mount.write("x", R"({"a":1})");
  mount.token_key = "token";
  for (const char* path : {"-1/x", "../token-1/x", "1/x"})
    BOOST_TEST(mount.read(path).status == 404);
}

BOOST_AUTO_TEST_CASE(bad_requests) {
  EngineMount mount(engines::make_cubbyhole_engine(), "cubbyhole/");
  BOOST_TEST(mount.write("x", "{}").error == "missing data fields");
  BOOST_TEST(mount.write("", R"({"a":1})").error == "cannot write to a path ending in '/'");
  BOOST_TEST(mount.write("f/", R"({"a":1})").error == "cannot write to a path ending in '/'");
  BOOST_TEST(mount.read("").status == 404);
  BOOST_TEST(mount.patch("x", R"({"a":1})").status == 405);
  mount.token_key.clear();
  BOOST_TEST(mount.read("x").status == 403);
  BOOST_TEST(mount.write("x", R"({"a":1})").status == 403);
  BOOST_TEST(mount.list("").status == 403);
  BOOST_TEST(mount.erase("x").status == 403);
  BOOST_TEST(mount.records.empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer
