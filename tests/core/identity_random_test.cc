// Random operations on identity/, and after each of them nothing refers to what is not there (advisory E7).
// COFFER_IDENTITY says how many; scripts/long identity.
#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <random>

#include "tests/core/identity_fixture.h"
#include "tests/mutant_on.h"

using namespace coffer;
using namespace coffer::core;
using coffer::core::testing::Answer;
using coffer::core::testing::IdentityFixture;

namespace {

std::size_t wanted(std::size_t fallback) {
  const char* text = std::getenv("COFFER_IDENTITY");
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

// Few names and ids, so that operations meet.
class Operations {
 public:
  Operations(IdentityFixture& core, std::uint64_t seed) : core_(core), random_(seed) {
    accessors_ = {core.accessor("one"), core.accessor("two")};
  }

  void step() {
    switch (pick(14)) {
      case 0: return learn(core_.write("identity/entity", entity_body()), entities_);
      case 1: return done(core_.write("identity/entity/id/" + any(entities_), entity_body()));
      case 2: return done(core_.erase("identity/entity/id/" + any(entities_)));
      case 3: return learn(core_.write("identity/group", group_body(true)), groups_);
      case 4: return done(core_.write("identity/group/id/" + any(groups_), group_body(false)));
      case 5: return pick(3) == 0 ? done(core_.erase("identity/group/id/" + any(groups_))) : step();
      case 6: return learn(core_.write("identity/entity-alias", alias_body(entities_)), aliases_);
      case 7: return done(core_.write("identity/entity-alias/id/" + any(aliases_), alias_body(entities_)));
      case 8: return done(core_.erase("identity/entity-alias/id/" + any(aliases_)));
      case 9: return learn(core_.write("identity/group-alias", alias_body(groups_)), group_aliases_);
      case 10: return done(core_.write("identity/group-alias/id/" + any(group_aliases_), alias_body(groups_)));
      case 11: return done(core_.erase("identity/group-alias/id/" + any(group_aliases_)));
      case 12: return merge();
      default: return log_in();
    }
  }

 private:
  std::size_t pick(std::size_t below) { return std::uniform_int_distribution<std::size_t>(0, below - 1)(random_); }
  std::string name() { return "n" + std::to_string(pick(12)); }
  std::string any(const std::vector<std::string>& ids) {
    return ids.empty() || pick(20) == 0 ? std::string("00000000-0000-4000-8000-000000000000") : ids[pick(ids.size())];
  }
  std::string some(const std::vector<std::string>& ids) {
    std::string list = "[";
    for (std::size_t i = pick(4); i > 0; --i)
      list.append(list.size() > 1 ? ",\"" : "\"").append(any(ids)).append("\"");
    return list + "]";
  }
  std::string entity_body() {
    return R"({"name":")" + name() + R"(","metadata":{"k":")" + name() + R"("},"policies":["p"]})";
  }
  std::string group_body(bool typed) {
    std::string body = R"({"name":")" + name() + "\"";
    if (typed && pick(3) == 0)
      return body + R"(,"type":"external"})";
    if (pick(2) == 0)
      body += R"(,"member_entity_ids":)" + some(entities_);
    if (pick(2) == 0)
      body += R"(,"member_group_ids":)" + some(groups_);
    return body + "}";
  }
  std::string alias_body(const std::vector<std::string>& owners) {
    std::string body = R"({"name":")" + name() + R"(","mount_accessor":")" + accessors_[pick(2)] + "\"";
    if (pick(2) == 0)
      body += R"(,"canonical_id":")" + any(owners) + "\"";
    return body + "}";
  }
  void merge() {
    std::string body = R"({"from_entity_ids":)" + some(entities_) + R"(,"to_entity_id":")" + any(entities_) + "\"";
    if (pick(2) == 0)
      body += R"(,"conflicting_alias_ids_to_keep":[")" + any(aliases_) + R"("])";
    done(core_.write("identity/entity/merge", body + "}"));
  }
  void log_in() {
    const std::string body = R"({"groups":[")" + name() + R"(","n1"],"colour":")" + name() + R"("})";
    const std::string token = core_.log_in(name(), pick(2) == 0 ? "one" : "two", body);
    if (token.size() < 10)
      return;
    note(entities_, core_.entity_of(token));
  }
  void learn(const Answer& answer, std::vector<std::string>& ids) {
    done(answer);
    if (answer.status != 200)
      return;
    note(ids, answer.text("data|id"));
    if (&ids == &aliases_)
      note(entities_, answer.text("data|canonical_id"));
    if (&ids == &group_aliases_)
      note(groups_, answer.text("data|canonical_id"));
  }
  void note(std::vector<std::string>& ids, std::string id) {
    if (ids.size() < 24)
      ids.push_back(std::move(id));
    else
      ids[pick(ids.size())] = std::move(id);
  }
  void done(const Answer& answer) {
    BOOST_TEST((answer.status == 200 || answer.status == 204 || answer.status == 400), answer.body);
  }

  IdentityFixture& core_;
  std::mt19937_64 random_;
  std::vector<std::string> accessors_, entities_, groups_, aliases_, group_aliases_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(identity_random)

BOOST_AUTO_TEST_CASE(nothing_refers_to_what_is_not_there) {
  const std::size_t count = wanted(4000);
  std::size_t checks = 0;
  for (std::size_t at = 0; at < count;) {
    IdentityFixture core;
    Operations operations(core, at + 1);
    for (std::size_t i = 0; i < 2000 && at < count; ++i, ++at) {
      operations.step();
      if (i % 10 == 0) {
        ++checks;
        BOOST_TEST_REQUIRE(core.broken() == "", "after " << at << " operations: " << core.broken());
      }
    }
    BOOST_TEST_REQUIRE(core.broken() == "");
  }
  BOOST_TEST_MESSAGE(count << " random operations, " << checks << " checks");
}

// The checker sees what an operation leaves behind (advisory E7).
BOOST_AUTO_TEST_CASE(e7_what_is_left_behind_is_found) {
  const coffer::testing::ScopedMutant on(Mutant::kMembershipLeft);
  IdentityFixture core;
  const std::string entity = core.made("identity/entity", R"({"name":"e"})");
  core.made("identity/group", R"({"name":"g","member_entity_ids":")" + entity + R"("})");
  BOOST_TEST(core.broken() == "");
  BOOST_TEST(core.erase("identity/entity/id/" + entity).status == 204);
  BOOST_TEST(core.broken() != "");
}

BOOST_AUTO_TEST_SUITE_END()
