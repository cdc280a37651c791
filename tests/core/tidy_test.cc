// Tidying: what is planted broken is found and mended, what is whole is left alone.
#include <boost/test/unit_test.hpp>

#include "core/expiry_driver.h"
#include "core/irrevocable_sweep.h"
#include "core/layout.h"
#include "core/lease_store.h"
#include "core/tidy.h"
#include "core/token_store.h"
#include "tests/core/core_fixture.h"
#include "tests/core/fake_outside.h"

namespace coffer::core::testing {
namespace {

using namespace std::chrono_literals;

struct TidyFixture : CoreFixture {
  TidyFixture() : engine(make_fake_engine(outside)) {
    engines.add(*engine, MountTable::kSecret, true);
    services.calls = &pool;
    BOOST_REQUIRE_EQUAL(write("sys/mounts/fake", R"({"type":"fake"})").status, 204);
  }
  // Changes the state as damage would.
  void plant(SystemTask::Work work) {
    SystemTask::start(services, std::move(work), [](const Status& status) { BOOST_REQUIRE(status.ok()); });
  }
  void plant_record(std::string_view rest) {
    plant([rest](TxnImpl& txn, const Published&, json::Arena&) { return txn.put(layout::token_key(rest), {}); });
  }
  Answer tidy(const std::string& path) {
    JobRunner jobs(services);
    BOOST_TEST(write(path).status == 202);
    for (int i = 0; i < 10'000 && jobs.tick(); ++i) {
    }
    Answer found = read(path);
    BOOST_TEST(found.text("data|state") == "finished");
    return found;
  }
  std::size_t count(std::string_view prefix, MountId mount = MountId(0)) {
    return records(store::KeyClass::kClusterLocal, mount, prefix);
  }

  FakeOutside outside;
  ManualPool pool;
  std::unique_ptr<Engine> engine;
};

std::string hash_of(char digit) { return std::string(kTokenHashText, digit); }

BOOST_FIXTURE_TEST_SUITE(tidying, TidyFixture)

BOOST_AUTO_TEST_CASE(what_is_whole_stays) {
  const std::string parent = token(R"(["default"])");
  for (int i = 0; i < 300; ++i)
    token(R"(["default"])", R"(,"ttl":"1h")");
  for (int i = 0; i < 300; ++i)
    BOOST_REQUIRE_EQUAL(request(Operation::kRead, "fake/inside/a", R"({"ttl":"1h"})").status, 200);
  const std::size_t before = count("");
  BOOST_TEST(read("sys/leases/tidy").status == 404);
  for (const char* path : {"sys/leases/tidy", "auth/token/tidy"}) {
    const Answer found = tidy(path);
    for (const char* what : {"data|removed", "data|restored", "data|revoked", "data|damaged"})
      BOOST_TEST(found.text(what) == "0", path << " " << what);
    BOOST_TEST(std::stoi(found.text("data|looked_at")) > 600);
  }
  BOOST_TEST(count("") == before + 2);  // the two reports
}

BOOST_AUTO_TEST_CASE(indexes_of_leases_that_name_nothing_go) {
  BOOST_REQUIRE_EQUAL(request(Operation::kRead, "fake/inside/a", R"({"ttl":"1h"})").status, 200);
  const std::size_t before = count("");
  const std::string key(kLeaseKeyText, 'x');
  plant_record("lease/bad/" + key);
  plant_record("lease/token/" + hash_of('0') + "/" + key);
  plant_record("lease/token/nonsense");
  plant_record("lease/id/fake/inside/a/" + key);
  plant_record("token/expiry/7fffffffffffff00/l00000010" + key);
  const Answer found = tidy("sys/leases/tidy");
  BOOST_TEST(found.text("data|removed") == "5");
  BOOST_TEST(found.text("data|restored") == "0");
  BOOST_TEST(count("") == before + 1);
}

BOOST_AUTO_TEST_CASE(indexes_of_leases_that_are_missing_come_back) {
  const std::string holder = token(R"(["root"])", R"(,"ttl":"2h")");
  const Answer made = request(Operation::kRead, "fake/inside/a", R"({"ttl":"1h"})", holder);
  BOOST_REQUIRE_EQUAL(made.status, 200);
  const std::size_t before = count("");
  plant([&made](TxnImpl& txn, const Published&, json::Arena& arena) -> Status {
    LeaseStore leases(txn, arena);
    COFFER_ASSIGN(const auto lease, leases.find(NamespaceId(0), made.lease_id));
    for (const store::StoreKey& key : leases.index_of(*lease))
      COFFER_TRY(txn.erase(key));
    return txn.erase(layout::token_key("lease/token/" + std::string(lease->token_hash) + "/" +
                                       std::string(lease->key())));
  });
  BOOST_TEST(count("") == before - 3);
  BOOST_TEST(tidy("sys/leases/tidy").text("data|restored") == "3");
  BOOST_TEST(count("") == before + 1);
  // It expires as it would have.
  advance(1h);
  ExpiryDriver driver(services);
  for (int i = 0; i < 10; ++i)
    driver.tick();
  BOOST_TEST(count("lease/rec/") == 0);
}

BOOST_AUTO_TEST_CASE(a_lease_whose_token_is_gone_ends) {
  const std::string holder = token(R"(["root"])", R"(,"ttl":"2h")");
  const Answer made = request(Operation::kRead, "fake/creds/a", R"({"ttl":"1h"})", holder);
  BOOST_REQUIRE_EQUAL(made.status, 200);
  BOOST_TEST(outside.users.size() == 1);
  plant([&holder](TxnImpl& txn, const Published& published, json::Arena&) {
    return txn.erase(layout::token_key("token/id/" + std::string(published.hasher->token(holder).view())));
  });
  BOOST_TEST(tidy("sys/leases/tidy").text("data|revoked") == "1");
  ExpiryDriver driver(services);
  for (int i = 0; i < 10; ++i) {
    driver.tick();
    pool.run_all();
  }
  BOOST_TEST(outside.users.empty());
}

BOOST_AUTO_TEST_CASE(what_is_left_of_tokens_goes) {
  const std::string whole = token(R"(["default"])", R"(,"ttl":"1h")");
  BOOST_TEST(write("cubbyhole/mine", R"({"a":1})", whole).status == 204);
  const std::size_t before = count("") + count("", kCubbyholeMountId);
  plant_record("token/child/" + hash_of('1') + "/" + hash_of('2'));
  plant_record("token/expiry/7fffffffffffff00/" + hash_of('2'));
  plant_record("token/expiry/7fffffffffffff00/short");
  plant_record("lease/id/auth/token/create/h" + hash_of('2'));
  plant([](TxnImpl& txn, const Published&, json::Arena&) -> Status {
    COFFER_TRY(txn.put({store::KeyClass::kClusterLocal, layout::kRootNamespace, kCubbyholeMountId,
                        hash_of('3') + "/secret"}, "x"));
    return txn.put(layout::token_key("token/accessor/" + hash_of('4')),
                   std::string("\x28") + hash_of('5') + std::string("\x01") + "a");
  });
  const Answer found = tidy("auth/token/tidy");
  BOOST_TEST(found.text("data|removed") == "6");
  BOOST_TEST(count("") + count("", kCubbyholeMountId) == before + 1);
  BOOST_TEST(read("cubbyhole/mine", whole).status == 200);
}

BOOST_AUTO_TEST_CASE(a_token_without_its_parent_goes_with_what_is_below) {
  const std::string parent = token(R"(["root"])", R"(,"ttl":"2h")");
  const std::string child = token(R"(["root"])", R"(,"ttl":"1h")", parent);
  const std::string below = token(R"(["default"])", R"(,"ttl":"1h")", child);
  plant([&parent](TxnImpl& txn, const Published& published, json::Arena&) {
    return txn.erase(layout::token_key("token/id/" + std::string(published.hasher->token(parent).view())));
  });
  BOOST_TEST(read("auth/token/lookup-self", below).status == 200);
  BOOST_TEST(tidy("auth/token/tidy").text("data|revoked") == "1");
  BOOST_TEST(read("auth/token/lookup-self", child).status == 403);
  BOOST_TEST(read("auth/token/lookup-self", below).status == 403);
  BOOST_TEST(count("token/child/") == 0);
}

BOOST_AUTO_TEST_CASE(missing_indexes_of_a_token_come_back) {
  const std::string made = token(R"(["default"])", R"(,"ttl":"1h")");
  const std::size_t before = count("");
  plant([&made](TxnImpl& txn, const Published& published, json::Arena& arena) -> Status {
    TokenStore tokens(txn, published, arena);
    COFFER_ASSIGN(const auto token, tokens.live_by_text(made));
    const std::string accessor(published.hasher->accessor(token->record.accessor).view());
    return txn.erase(layout::token_key("token/accessor/" + accessor));
  });
  BOOST_TEST(tidy("auth/token/tidy").text("data|restored") == "1");
  BOOST_TEST(count("") == before + 1);
}

BOOST_AUTO_TEST_CASE(damaged_records_are_counted_and_left) {
  plant_record("lease/rec/" + std::string(kLeaseKeyText, 'y'));
  plant_record("token/id/" + hash_of('6'));
  BOOST_TEST(tidy("sys/leases/tidy").text("data|damaged") == "1");
  BOOST_TEST(tidy("auth/token/tidy").text("data|damaged") == "1");
  BOOST_TEST(count("lease/rec/") == 1);
}

BOOST_AUTO_TEST_CASE(one_run_at_a_time_and_only_from_the_root) {
  BOOST_TEST(write("sys/namespaces/a").status == 200);
  BOOST_TEST(request(Operation::kWrite, "sys/leases/tidy", "{}", "root", {}, "a").status == 400);
  BOOST_TEST(write("sys/leases/tidy").status == 202);
  BOOST_TEST(read("sys/leases/tidy").text("data|state") == "running");
  BOOST_TEST(write("sys/leases/tidy").text("warnings|0") == "Tidy operation already in progress.");
  BOOST_TEST(write("sys/leases/tidy", "{}", token(R"(["default"])")).status == 403);
}

BOOST_AUTO_TEST_CASE(an_index_of_a_namespace) {
  BOOST_TEST(write("sys/namespaces/a").status == 200);
  const Answer made = request(Operation::kWrite, "auth/token/create", R"({"ttl":"1h"})", "root", {}, "a");
  BOOST_REQUIRE_EQUAL(made.status, 200);
  plant([](TxnImpl& txn, const Published&, json::Arena&) {
    return txn.put({store::KeyClass::kClusterLocal, NamespaceId(1), layout::kSystemMount,
                    "lease/id/auth/token/create/h" + hash_of('7')}, {});
  });
  BOOST_TEST(tidy("auth/token/tidy").text("data|removed") == "1");
  BOOST_TEST(request(Operation::kList, "sys/leases/lookup/auth/token/create", {}, "root", {}, "a")
                 .at("data|keys").size() == 1);
}

BOOST_AUTO_TEST_CASE(an_irrevocable_lease_goes_after_the_configured_time) {
  outside.fate = [] { return FakeOutside::Fate::kWorks; };
  const Answer made = request(Operation::kRead, "fake/creds/a", R"({"ttl":"1h"})");
  BOOST_REQUIRE_EQUAL(made.status, 200);
  outside.fate = [] { return FakeOutside::Fate::kFails; };
  ExpiryDriver driver(services);
  for (int i = 0; i < 40; ++i) {
    advance(1h);
    driver.tick();
    pool.run_all();
    driver.tick();
  }
  BOOST_TEST(count("lease/bad/") == 1);
  IrrevocableSweep sweep(services);
  BOOST_TEST(!sweep.tick(clock.boot_now()));  // never, unless it is configured
  deriver->set_config({.remove_irrevocable_lease_after = 48h});
  BOOST_TEST(write("sys/policies/acl/x", R"({"policy":"path \"x\" { capabilities = [\"read\"] }"})").status == 204);
  BOOST_TEST(sweep.tick(clock.boot_now()));
  BOOST_TEST(!sweep.tick(clock.boot_now()));  // once a minute
  BOOST_TEST(count("lease/bad/") == 1);
  advance(48h);
  BOOST_TEST(sweep.tick(clock.boot_now()));
  BOOST_TEST(count("lease/bad/") == 0);
  BOOST_TEST(count("lease/rec/") == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::core::testing
