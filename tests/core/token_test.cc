// Tokens: creation, look-up, renewal, revocation, expiry.
#include <boost/test/unit_test.hpp>

#include "core/expiry_driver.h"
#include "core/layout.h"
#include "core/token_store.h"
#include "core/token_ttl.h"
#include "tests/core/core_fixture.h"
#include "tests/mutant_on.h"

using namespace coffer;
using namespace coffer::core;
using namespace std::chrono_literals;
using coffer::core::testing::Answer;
using coffer::core::testing::CoreFixture;
using coffer::testing::ScopedMutant;

namespace {

std::string quoted(std::string_view name, std::string_view value) {
  return "{\"" + std::string(name) + "\":\"" + std::string(value) + "\"}";
}

std::size_t token_records(CoreFixture& core) { return core.records(store::KeyClass::kClusterLocal, MountId(0)); }

// A policy that lets its holder make tokens, and one that adds sudo.
void write_policies(CoreFixture& core) {
  const auto put = [&core](std::string_view name, std::string_view capabilities) {
    const Answer written =
        core.write("sys/policies/acl/" + std::string(name),
                   R"({"policy":"path \"auth/token/*\" { capabilities = [)" + std::string(capabilities) + R"(] }"})");
    BOOST_TEST_REQUIRE(written.status == 204);
  };
  put("maker", R"(\"create\", \"update\", \"list\")");
  put("sudoer", R"(\"create\", \"update\", \"list\", \"sudo\")");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tokens)

BOOST_FIXTURE_TEST_CASE(has_the_form_that_clients_expect, CoreFixture) {
  const Answer made = write("auth/token/create", R"({"policies":["default"],"ttl":"24h","meta":{"a":"b"}})");
  BOOST_TEST(made.status == 200);
  BOOST_TEST(made.text("auth|client_token").starts_with("hvs.CAES"));
  BOOST_TEST(made.text("auth|policies") == R"(["default"])");
  BOOST_TEST(made.text("auth|lease_duration") == "86400");
  BOOST_TEST(made.text("auth|renewable") == "true");
  BOOST_TEST(made.text("auth|metadata|a") == "b");
  const Answer root = write("auth/token/create");
  BOOST_TEST(root.text("auth|client_token").size() == 28u);
  BOOST_TEST(!root.text("auth|client_token").starts_with("hvs.CAES"));
  BOOST_TEST(root.text("auth|lease_duration") == "0");
}

BOOST_FIXTURE_TEST_CASE(is_looked_up, CoreFixture) {
  const std::string mine = token(R"(["default"])", R"(,"ttl":"24h","display_name":"a b!")");
  const Answer self = read("auth/token/lookup-self", mine);
  BOOST_TEST(self.status == 200);
  BOOST_TEST(self.text("data|id") == mine);
  BOOST_TEST(self.text("data|ttl") == "86400");
  BOOST_TEST(self.text("data|type") == "service");
  BOOST_TEST(self.text("data|display_name") == "token-a-b");
  BOOST_TEST(self.at("data|expire_time").is_string());
  const std::string accessor = self.text("data|accessor");
  const Answer by_accessor = write("auth/token/lookup-accessor", quoted("accessor", accessor));
  BOOST_TEST(by_accessor.text("data|accessor") == accessor);
  BOOST_TEST(by_accessor.text("data|id") == "");
  BOOST_TEST(write("auth/token/lookup", quoted("token", mine)).text("data|accessor") == accessor);
  BOOST_TEST(read("auth/token/lookup-self").text("data|expire_time") == "null");
  BOOST_TEST(write("auth/token/lookup", R"({"token":"nope"})").status == 403);
  BOOST_TEST(write("auth/token/lookup", R"({"token":"nope"})").text("errors|0") == "bad token");
  BOOST_TEST(write("auth/token/lookup-accessor", R"({"accessor":"nope"})").text("errors|0") ==
             "1 error occurred:\n\t* invalid accessor\n\n");
  const Answer accessors = list("auth/token/accessors");
  BOOST_TEST(accessors.at("data|keys").size() == 2u);
}

BOOST_FIXTURE_TEST_CASE(is_stored_by_keyed_hash_only, CoreFixture) {
  const std::string mine = token(R"(["default"])");
  auto view = backend.view();
  auto cursor = (*view)->cursor();
  Result<bool> more = (*cursor)->seek("");
  while (more.ok() && *more) {
    BOOST_TEST((*cursor)->key().find(mine) == std::string_view::npos);
    BOOST_TEST((*cursor)->value().find(mine.substr(4)) == std::string_view::npos);
    more = (*cursor)->next();
  }
}

BOOST_FIXTURE_TEST_CASE(revocation_takes_the_tree_and_leaves_nothing, CoreFixture) {
  write_policies(*this);
  const std::size_t before = token_records(*this);
  const std::string parent = token(R"(["maker","default"])");
  const std::string child = token(R"(["maker","default"])", "", parent);
  const std::string grandchild = token(R"(["default"])", "", child);
  BOOST_TEST(write("cubbyhole/note", R"({"a":"b"})", grandchild).status == 204);
  BOOST_TEST(records(store::KeyClass::kClusterLocal, kCubbyholeMountId) == 1u);
  BOOST_TEST(write("auth/token/revoke", quoted("token", parent)).status == 204);
  for (const std::string& gone : {parent, child, grandchild})
    BOOST_TEST(read("auth/token/lookup-self", gone).status == 403);
  BOOST_TEST(token_records(*this) == before);
  BOOST_TEST(records(store::KeyClass::kClusterLocal, kCubbyholeMountId) == 0u);
  BOOST_TEST(write("auth/token/revoke", R"({"token":"nope"})").status == 204);
  BOOST_TEST(write("auth/token/revoke").status == 400);
  BOOST_TEST(write("auth/token/revoke-accessor", R"({"accessor":"nope"})").text("warnings|0") ==
             "No token found with this accessor");
}

BOOST_FIXTURE_TEST_CASE(revoke_orphan_keeps_the_children, CoreFixture) {
  write_policies(*this);
  const std::string parent = token(R"(["maker","default"])");
  const std::string child = token(R"(["default"])", "", parent);
  BOOST_TEST(write("auth/token/revoke-orphan", quoted("token", parent)).status == 204);
  BOOST_TEST(read("auth/token/lookup-self", parent).status == 403);
  BOOST_TEST(read("auth/token/lookup-self", child).text("data|orphan") == "true");
  BOOST_TEST(write("auth/token/revoke-orphan", R"({"token":"nope"})").text("errors|0") == "token to revoke not found");
}

BOOST_FIXTURE_TEST_CASE(an_orphaning_revocation_leaves_nothing_of_a_large_cubbyhole, CoreFixture) {
  write_policies(*this);
  const std::size_t before = records(store::KeyClass::kClusterLocal, kCubbyholeMountId);
  const std::string parent = token(R"(["maker","default"])");
  const std::string child = token(R"(["default"])", "", parent);
  for (std::size_t i = 0; i < limits::kJobStepKeysMax + 20; ++i)
    BOOST_TEST_REQUIRE(write("cubbyhole/" + std::to_string(i), R"({"a":"b"})", parent).status == 204);
  BOOST_TEST(write("auth/token/revoke-orphan", quoted("token", parent)).status == 204);
  BOOST_TEST(read("auth/token/lookup-self", parent).status == 403);
  JobRunner jobs(services);
  while (jobs.tick()) {
  }
  BOOST_TEST(records(store::KeyClass::kClusterLocal, kCubbyholeMountId) == before);
  BOOST_TEST(read("auth/token/lookup-self", child).status == 200);
}

BOOST_FIXTURE_TEST_CASE(a_large_tree_is_invalid_at_once_and_goes_by_a_job, CoreFixture) {
  write_policies(*this);
  const std::size_t before = token_records(*this);
  const std::string parent = token(R"(["maker","default"])");
  const std::string middle = token(R"(["maker","default"])", "", parent);
  std::string last;
  for (std::size_t i = 0; i < limits::kTokenTreeEntryMax + 20; ++i)
    last = token(R"(["default"])", "", middle);
  BOOST_TEST(write("auth/token/revoke", quoted("token", parent)).status == 204);
  BOOST_TEST(read("auth/token/lookup-self", parent).status == 403);
  BOOST_TEST(read("auth/token/lookup-self", middle).status == 403);
  BOOST_TEST(read("auth/token/lookup-self", last).status == 403);
  BOOST_TEST(token_records(*this) > before);
  JobRunner jobs(services);
  int steps = 0;
  while (jobs.tick())
    ++steps;
  BOOST_TEST(steps >= 2);
  BOOST_TEST(token_records(*this) == before);
}

BOOST_FIXTURE_TEST_CASE(d11_a_child_has_no_more_than_its_parent, CoreFixture) {
  write_policies(*this);
  const auto attempt = [this] {
    const std::string maker = token(R"(["maker"])", R"(,"no_default_policy":true)");
    const Answer more = write("auth/token/create", R"({"policies":["other"]})", maker);
    const Answer same = write("auth/token/create", "{}", maker);
    return more.status == 400 && more.text("errors|0") == "child policies must be subset of parent" &&
           same.text("auth|policies") == R"(["maker"])";
  };
  BOOST_TEST(attempt());
  ScopedMutant off(Mutant::kChildPoliciesUnchecked);
  BOOST_TEST(!attempt());
}

BOOST_FIXTURE_TEST_CASE(sudo_decides_what_may_be_chosen, CoreFixture) {
  write_policies(*this);
  const std::string maker = token(R"(["maker","default"])");
  const std::string sudoer = token(R"(["sudoer","default"])");
  const auto error = [this](std::string_view body, std::string_view as) {
    const Answer answer = write("auth/token/create", body, as);
    return answer.status == 400 ? answer.text("errors|0") : std::to_string(answer.status);
  };
  BOOST_TEST(error(R"({"no_parent":true})", maker) == "root or sudo privileges required to create orphan token");
  BOOST_TEST(error(R"({"id":"zzz"})", maker) == "root or sudo privileges required to specify token id");
  BOOST_TEST(error(R"({"period":"1h"})", maker) == "root or sudo privileges required to create periodic token");
  BOOST_TEST(error(R"({"policies":["root"]})", sudoer) ==
             "root tokens may not be created without parent token being root");
  BOOST_TEST(error(R"({"policies":["anything"],"period":"1h","id":"mine"})", sudoer) == "200");
  BOOST_TEST(error(R"({"id":"mine"})", sudoer) == "cannot create a token with a duplicate ID");
  BOOST_TEST(error(R"({"id":"a.b"})", "root") == "custom token ID cannot have a '.' in the value");
  BOOST_TEST(error(R"({"id":"s.b"})", "root") == "custom token ID cannot have the 's.' prefix");
  BOOST_TEST(error(R"({"num_uses":-1})", "root") == "number of uses cannot be negative");
  BOOST_TEST(error(R"({"type":"nope"})", "root") == "invalid 'token_type' value");
  BOOST_TEST(error(R"({"policies":["response-wrapping"]})", "root") == "cannot assign policy \"response-wrapping\"");
  BOOST_TEST(write("auth/token/create-orphan", "{}", maker).text("auth|orphan") == "true");
  BOOST_TEST(list("auth/token/accessors", maker).status == 403);
  BOOST_TEST(list("auth/token/accessors", sudoer).status == 200);
}

BOOST_FIXTURE_TEST_CASE(h7_errors_do_not_tell_what_was_sent, CoreFixture) {
  const std::string canary = "canary-5f1c9a";
  const auto leaks = [&] {
    bool leaked = false;
    for (const std::string field :
         {"ttl", "num_uses", "renewable", "meta", "policies", "period", "explicit_max_ttl", "type"}) {
      for (const std::string& value :
           {"\"" + canary + "\"", "{\"" + canary + "\":\"" + canary + "\"}", "[{\"a\":\"" + canary + "\"}]"}) {
        const Answer answer = write("auth/token/create", "{\"" + field + "\":" + value + "}");
        if (answer.status == 400)
          leaked |= answer.text("errors").find(canary) != std::string::npos;
      }
    }
    return leaked;
  };
  BOOST_TEST(!leaks());
  ScopedMutant on(Mutant::kErrorEchoesValue);
  BOOST_TEST(leaks());
}

BOOST_FIXTURE_TEST_CASE(an_expired_token_is_refused_when_read, CoreFixture) {
  const std::string mine = token(R"(["default"])", R"(,"ttl":"10s")");
  advance(9s);
  BOOST_TEST(read("auth/token/lookup-self", mine).text("data|ttl") == "1");
  advance(1s);
  BOOST_TEST(read("auth/token/lookup-self", mine).status == 403);
  ScopedMutant off(Mutant::kExpiredTokenAccepted);
  BOOST_TEST(read("auth/token/lookup-self", mine).status == 200);
}

BOOST_FIXTURE_TEST_CASE(expiry_cleans_up_in_order, CoreFixture) {
  const std::size_t before = token_records(*this);
  for (int i = 0; i < 300; ++i)
    token(R"(["default"])", R"(,"ttl":")" + std::to_string(10 + i % 3) + R"(s")");
  const std::string renewed = token(R"(["default"])", R"(,"ttl":"10s")");
  BOOST_TEST(write("auth/token/renew-self", R"({"increment":"1h"})", renewed).status == 200);
  ExpiryDriver driver(services);
  BOOST_TEST(driver.tick().has_value());
  BOOST_TEST(token_records(*this) == before + 5 * 301);
  advance(20s);
  for (int i = 0; i < 10; ++i)
    driver.tick();
  BOOST_TEST(token_records(*this) == before + 5);
  BOOST_TEST(read("auth/token/lookup-self", renewed).status == 200);
}

BOOST_FIXTURE_TEST_CASE(accessors_are_paged_and_a_cut_is_told, CoreFixture) {
  for (int i = 0; i < 2500; ++i)
    token(R"(["default"])");
  const Answer whole = list("auth/token/accessors");
  BOOST_TEST(whole.at("data|keys").size() == 2501u);
  BOOST_TEST(whole.at("warnings").size() == 0u);
  std::string after;
  std::vector<std::string> paged;
  for (bool more = true; more;) {
    const Answer page = request(Operation::kList, "auth/token/accessors", R"({"limit":1000,"after":")" + after + "\"}");
    BOOST_TEST_REQUIRE(page.status == 200);
    for (const json::Value& key : page.at("data|keys").elements())
      paged.emplace_back(key.as_string());
    more = page.at("warnings").size() == 1u;
    BOOST_TEST(more == (paged.size() < 2501u));
    after = paged.back();
  }
  BOOST_TEST_REQUIRE(paged.size() == 2501u);
  for (std::size_t i = 0; i < paged.size(); ++i)
    BOOST_TEST_REQUIRE(paged[i] == whole.at("data|keys").elements()[i].as_string());
  BOOST_TEST(request(Operation::kList, "auth/token/accessors", R"({"after":")" + after + "\"}").status == 404);
  BOOST_TEST(request(Operation::kList, "auth/token/accessors", R"({"limit":"x"})").status == 400);
  // Memory is that of the answer, not that of the records.
  const auto view = backend.view();
  BOOST_TEST_REQUIRE(view.ok());
  const Published* published = published_in((*view)->attachment());
  json::Arena arena;
  TxnImpl::Buffers buffers;
  TxnImpl txn(**view, *published->barrier, arena, committer.now, buffers);
  const auto few = TokenStore(txn, *published, arena).accessors(layout::kRootNamespace, {}, 10);
  BOOST_TEST(few->texts.size() == 10u);
  BOOST_TEST(few->more);
  BOOST_TEST(arena.bytes_used() < 1024u);
}

// Rows that were not written by a server as it should be.
void put_expiry_row(CoreFixture& core, std::string_view name) {
  const store::StoreKey key = layout::token_key("");
  const store::Op op{store::make_key(key.cls, key.ns, key.mount, "token/expiry/" + std::string(name)),
                     std::string("canary")};
  core.committer.apply({&op, 1});
}

BOOST_FIXTURE_TEST_CASE(a_damaged_expiry_row_is_named_once_and_holds_up_no_other, CoreFixture) {
  const std::size_t before = token_records(*this);
  for (int i = 0; i < 5; ++i)
    token(R"(["default"])", R"(,"ttl":"10s")");
  put_expiry_row(*this, "0000\n not a time");
  put_expiry_row(*this, "0000000000000001/" + std::string(64, 'a'));  // of no token, and its value does not open
  std::vector<std::string> lines;
  ExpiryDriver driver(services, [&lines](std::string_view line) { lines.emplace_back(line); });
  advance(20s);
  for (int i = 0; i < 20; ++i)
    driver.tick();
  BOOST_TEST(token_records(*this) == before + 2);
  BOOST_TEST_REQUIRE(lines.size() == 2u);
  BOOST_TEST(lines[0] ==
             "the record token/expiry/0000\\x0a\\x20not\\x20a\\x20time has no time in its name and is passed over");
  BOOST_TEST(lines[1].find("token/expiry/0000000000000001/aaaa") != std::string::npos);
  for (const std::string& line : lines)
    BOOST_TEST(line.find("canary") == std::string::npos);
  // The second one is tried again, with pauses, and then given up.
  for (int i = 0; i < 20; ++i) {
    advance(10min);
    driver.tick();
  }
  BOOST_TEST(driver.irrevocable_count() == 1u);
  BOOST_TEST(lines.size() == 2u);
}

BOOST_FIXTURE_TEST_CASE(a_node_that_takes_no_writes_costs_an_expired_token_no_try, CoreFixture) {
  const std::size_t before = token_records(*this);
  token(R"(["default"])", R"(,"ttl":"10s")");
  ExpiryDriver driver(services);
  advance(20s);
  for (const Code code : {Code::kUnavailable, Code::kExhausted, Code::kOutcomeUnknown})
    for (int i = 0; i < 10; ++i) {
      committer.forced.push_back({CommitOutcome::kRefused, Status(code, "not now")});
      driver.tick();
      BOOST_TEST_REQUIRE(committer.forced.empty());
      advance(10s);
    }
  BOOST_TEST(driver.irrevocable_count() == 0u);
  driver.tick();
  BOOST_TEST(token_records(*this) == before);
}

// Another backend's state; counts the records that cursors pass.
class CountingBackend final : public store::Backend {
 public:
  explicit CountingBackend(store::Backend& inner) : inner_(inner) {}
  Result<std::unique_ptr<store::View>> view() const override {
    COFFER_ASSIGN(std::unique_ptr<store::View> inner, inner_.view());
    return std::unique_ptr<store::View>(new CountingView(std::move(inner), passed));
  }
  std::shared_ptr<const store::Attachment> attachment() const override { return inner_.attachment(); }
  void apply(Index index, std::span<const store::Op> ops) override { inner_.apply(index, ops); }
  void publish(std::shared_ptr<const store::Attachment> attachment) override { inner_.publish(std::move(attachment)); }
  Index durable_index() const override { return inner_.durable_index(); }
  Index applied_index() const override { return inner_.applied_index(); }

  mutable std::size_t passed = 0;

 private:
  class CountingCursor final : public store::Cursor {
   public:
    CountingCursor(std::unique_ptr<store::Cursor> inner, std::size_t& passed)
        : inner_(std::move(inner)), passed_(passed) {}
    Result<bool> seek(std::string_view key) override { return inner_->seek(key); }
    Result<bool> next() override {
      ++passed_;
      return inner_->next();
    }
    std::string_view key() const override { return inner_->key(); }
    std::string_view value() const override { return inner_->value(); }

   private:
    std::unique_ptr<store::Cursor> inner_;
    std::size_t& passed_;
  };
  class CountingView final : public store::View {
   public:
    CountingView(std::unique_ptr<store::View> inner, std::size_t& passed) : inner_(std::move(inner)), passed_(passed) {}
    Index index() const override { return inner_->index(); }
    const std::shared_ptr<const store::Attachment>& attachment() const override { return inner_->attachment(); }
    Result<bool> get(std::string_view key, std::string& out) const override { return inner_->get(key, out); }
    Result<std::unique_ptr<store::Cursor>> cursor() const override {
      COFFER_ASSIGN(std::unique_ptr<store::Cursor> inner, inner_->cursor());
      return std::unique_ptr<store::Cursor>(new CountingCursor(std::move(inner), passed_));
    }

   private:
    std::unique_ptr<store::View> inner_;
    std::size_t& passed_;
  };

  store::Backend& inner_;
};

BOOST_FIXTURE_TEST_CASE(expiry_reads_and_remembers_no_more_while_writes_are_refused, CoreFixture) {
  const std::size_t before = token_records(*this);
  for (int i = 0; i < 1000; ++i)
    token(R"(["default"])", R"(,"ttl":"10s")");
  CountingBackend counted(backend);
  const Services watched{counted, committer, engines, audit, random};
  ExpiryDriver driver(watched);
  advance(20s);
  for (int pause = 0; pause < 12; ++pause) {
    // The tick after a pause finds out that nothing has changed. It reads what one entry holds, however often it did.
    committer.forced.push_back({CommitOutcome::kRefused, Status(Code::kUnavailable, "the disk is almost full")});
    counted.passed = 0;
    driver.tick();
    BOOST_TEST_REQUIRE(committer.forced.empty());
    BOOST_TEST(counted.passed > 0u);
    BOOST_TEST(counted.passed <= 2 * limits::kExpiryBatchTokensMax);
    counted.passed = 0;
    const WallTime resumes = committer.now + 10s;
    for (int i = 0; i < 99; ++i) {
      advance(100ms);
      BOOST_TEST((driver.tick() == std::optional(resumes)));
    }
    BOOST_TEST(counted.passed == 0u);
    advance(100ms);
  }
  for (int i = 0; i < 10; ++i)
    driver.tick();
  BOOST_TEST(token_records(*this) == before);
  BOOST_TEST(driver.irrevocable_count() == 0u);
}

BOOST_FIXTURE_TEST_CASE(g3_a_token_and_its_expiry_are_one_entry, CoreFixture) {
  const auto together = [this] {
    committer.keep = true;
    committer.accepted.clear();
    token(R"(["default"])", R"(,"ttl":"1h")");
    const Proposal& entry = committer.accepted.back();
    bool record = false, expiry = false;
    for (const store::Op& op : entry.ops) {
      record |= op.key.find("token/id/") != std::string::npos;
      expiry |= op.key.find("token/expiry/") != std::string::npos;
    }
    return committer.accepted.size() == 1 && record && expiry;
  };
  BOOST_TEST(together());
  ScopedMutant off(Mutant::kTokenWithoutExpiryRecord);
  BOOST_TEST(!together());
}

BOOST_FIXTURE_TEST_CASE(renewal_keeps_to_the_maximum, CoreFixture) {
  const std::string mine = token(R"(["default"])", R"(,"ttl":"1h","explicit_max_ttl":"2h")");
  advance(59min);
  BOOST_TEST(write("auth/token/renew-self", R"({"increment":"1h"})", mine).text("auth|lease_duration") == "3600");
  advance(59min);
  const Answer capped = write("auth/token/renew-self", R"({"increment":"1h"})", mine);
  BOOST_TEST(capped.text("auth|lease_duration") == "120");
  BOOST_TEST(capped.at("warnings").size() == 1u);
  advance(2min);
  BOOST_TEST(write("auth/token/renew-self", "{}", mine).status == 403);
  BOOST_TEST(write("auth/token/renew-self").text("errors|0") == "lease is not renewable");
  BOOST_TEST(write("auth/token/renew", R"({"token":"nope"})").text("errors|0") == "token not found");
  const std::string periodic = token(R"(["default"])", R"(,"period":"1h")");
  for (int i = 0; i < 2000; ++i) {
    advance(59min);
    BOOST_TEST_REQUIRE(write("auth/token/renew-self", "{}", periodic).status == 200);
  }
}

BOOST_AUTO_TEST_CASE(g1_no_edge_makes_a_token_immortal) {
  const auto holds = [] {
    const WallTime created{std::chrono::hours(24 * 365 * 50)};
    for (const Nanos max : {Nanos(1), Nanos(1ms), Nanos(999ms), Nanos(1s), Nanos(1h)})
      for (const Nanos age : {Nanos(0), max - Nanos(1), max, max + Nanos(1), Nanos(max - 500ms)})
        for (const Nanos wish : {Nanos(0), Nanos(1), Nanos(1s), Nanos(24h), kTtlMax, Nanos::max()}) {
          if (age < Nanos(0))
            continue;
          TtlRequest request{created + age, created};
          request.requested = wish;
          request.default_ttl = 1h;
          request.max_ttl = max;
          const Result<TtlGrant> grant = grant_ttl(request);
          if (!grant.ok())
            continue;
          if (!grant->expires || *grant->expires > created + max || *grant->expires <= request.now)
            return false;
        }
    return true;
  };
  BOOST_TEST(holds());
  {
    ScopedMutant on(Mutant::kZeroTtlMeansForever);
    BOOST_TEST(!holds());
  }
  ScopedMutant on(Mutant::kRenewBeyondMaximum);
  BOOST_TEST(!holds());
}

// A periodic token lives as long as it is renewed, each time for its period.
BOOST_AUTO_TEST_CASE(g9_a_period_outlives_the_maximum) {
  const auto holds = [] {
    const WallTime created{std::chrono::hours(24 * 365 * 50)};
    for (const auto age : {0h, 1h, 24h, 24h * 30, 24h * 365, 24h * 3650}) {
      TtlRequest request{created + age, created};
      request.requested = 1min;
      request.period = 2h;
      request.default_ttl = 1h;
      request.max_ttl = 24h * 32;
      const Result<TtlGrant> grant = grant_ttl(request);
      if (!grant.ok() || grant->ttl != Nanos(2h) || grant->expires != request.now + Nanos(2h))
        return false;
    }
    return true;
  };
  BOOST_TEST(holds());
  const ScopedMutant on(Mutant::kPeriodCapped);
  BOOST_TEST(!holds());
}

BOOST_FIXTURE_TEST_CASE(c5_numbers_outside_their_range_are_refused, CoreFixture) {
  for (const std::string field : {"ttl", "explicit_max_ttl", "period", "num_uses"})
    for (const std::string value : {"-9223372036854775808", "-1", "9223372036854775808", "1e9", "\"NaN\"", "1.5"}) {
      const Answer answer = write("auth/token/create", "{\"" + field + "\":" + value + "}");
      BOOST_TEST(answer.status == 400, field << " = " << value << " gives " << answer.status);
    }
  BOOST_TEST(write("auth/token/create", R"({"policies":["default"],)"
                                        R"("ttl":9223372036})").text("auth|lease_duration") == "2764800");
}

BOOST_FIXTURE_TEST_CASE(uses_are_counted, CoreFixture) {
  const std::string twice = token(R"(["default"])", R"(,"num_uses":2)");
  BOOST_TEST(read("auth/token/lookup-self", twice).text("data|num_uses") == "2");
  // A refused request is a use as well.
  BOOST_TEST(read("secret/data/x", twice).status == 403);
  BOOST_TEST(read("auth/token/lookup-self", twice).status == 403);
  const std::string once = token(R"(["root"])", R"(,"num_uses":1)");
  BOOST_TEST(write("auth/token/create", "{}", once).text("errors|0") ==
             "restricted use token cannot generate child tokens");
  BOOST_TEST(write("auth/token/create", "{}", once).status == 403);
}

BOOST_FIXTURE_TEST_CASE(warns_of_what_is_not_there_or_too_long, CoreFixture) {
  const Answer missing = write("auth/token/create", R"({"policies":["a"]})");
  BOOST_TEST(missing.text("warnings|0") == "Policy \"a\" does not exist");
  const Answer capped = write("auth/token/create", R"({"policies":["default"],"ttl":"900000h"})");
  BOOST_TEST(capped.text("warnings|0") ==
             "TTL of \"900000h\" exceeded the effective max_ttl of \"768h\"; TTL value is capped accordingly");
  BOOST_TEST(capped.text("auth|lease_duration") == "2764800");
}

BOOST_AUTO_TEST_SUITE_END()
