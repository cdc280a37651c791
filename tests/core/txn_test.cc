// One transaction's view of the store: own writes, lists, long names, what it read.
#include <boost/test/unit_test.hpp>

#include <map>
#include <set>

#include "core/layout.h"
#include "core/txn_impl.h"
#include "store/memory_backend.h"
#include "tests/core/core_fixture.h"
#include "tests/mutant_on.h"

using namespace coffer;
using namespace coffer::core;
using coffer::core::testing::CountingRandom;
using coffer::testing::ScopedMutant;

namespace {

struct Store {
  Store() {
    auto keyring = seal::Keyring::create(KeyringId(0), WallTime(), random);
    COFFER_CHECK(keyring.ok());
    barrier = seal::Barrier::create(*keyring);
    backend.publish(nullptr);
  }
  store::StoreKey key(std::string_view rest) { return {store::KeyClass::kShared, NamespaceId(0), MountId(7), rest}; }
  // A transaction on the newest state.
  TxnImpl& begin() {
    auto made = backend.view();
    COFFER_CHECK(made.ok());
    txn.reset();
    view = std::move(*made);
    arena.reset();
    txn.emplace(*view, *barrier, arena, WallTime(), buffers);
    return *txn;
  }
  Proposal commit() {
    auto proposal = txn->finish(Term(1), random);
    COFFER_CHECK(proposal.ok());
    index = index.next();
    backend.apply(index, proposal->ops);
    backend.publish(nullptr);
    return std::move(*proposal);
  }
  std::string listed(std::string_view folder, std::string_view after = {}, std::size_t limit = 0) {
    const auto page = txn->list(key(folder), after, limit);
    COFFER_CHECK(page.ok());
    std::string out;
    for (const std::string_view name : page->names)
      out.append(name.substr(0, 12)).append(" ");
    return out + (page->more ? "+" : "");
  }

  CountingRandom random;
  store::MemoryBackend backend;
  std::shared_ptr<const seal::Barrier> barrier;
  std::unique_ptr<store::View> view;
  json::Arena arena;
  TxnImpl::Buffers buffers;
  std::optional<TxnImpl> txn;
  Index index;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(txn)

BOOST_FIXTURE_TEST_CASE(reads_what_it_wrote, Store) {
  begin();
  BOOST_TEST(txn->put(key("a"), "1").ok());
  BOOST_TEST(**txn->get(key("a")) == "1");
  BOOST_TEST(txn->put(key("a"), "2").ok());
  BOOST_TEST(**txn->get(key("a")) == "2");
  BOOST_TEST(txn->ops() == 1u);
  BOOST_TEST(txn->erase(key("a")).ok());
  BOOST_TEST(!txn->get(key("a"))->has_value());
  BOOST_TEST(txn->put(key("b"), "3").ok());
  const Proposal proposal = commit();
  BOOST_TEST(proposal.ops.size() == 2u);
  BOOST_TEST((proposal.key_term == KeyTerm(1)));
  for (const store::Op& op : proposal.ops)
    if (op.value)
      BOOST_TEST(op.value->find('3') != 0u);
  begin();
  BOOST_TEST(**txn->get(key("b")) == "3");
  BOOST_TEST(!txn->get(key("a"))->has_value());
  BOOST_TEST(!txn->writes());
}

BOOST_FIXTURE_TEST_CASE(rolls_back_to_a_savepoint, Store) {
  begin();
  BOOST_TEST(txn->put(key("a"), "1").ok());
  const auto before = txn->savepoint();
  for (int i = 0; i < 40; ++i)
    BOOST_TEST(txn->put(key("b" + std::to_string(i)), "2").ok());
  BOOST_TEST(**txn->get(key("b30")) == "2");
  txn->rollback(before);
  BOOST_TEST(txn->ops() == 1u);
  BOOST_TEST(!txn->get(key("b30"))->has_value());
  BOOST_TEST(**txn->get(key("a")) == "1");
}

BOOST_FIXTURE_TEST_CASE(lists_names_and_folders, Store) {
  begin();
  for (const std::string_view name : {"f/a", "f/b/1", "f/b/2", "f/b", "f/c/x/y", "f/d", "g/z", "f-x"})
    BOOST_TEST(txn->put(key(name), "v").ok());
  commit();
  begin();
  BOOST_TEST(listed("f/") == "a b b/ c/ d ");
  BOOST_TEST(listed("") == "f-x f/ g/ ");
  BOOST_TEST(listed("f/", "", 2) == "a b +");
  BOOST_TEST(listed("f/", "b", 2) == "b/ c/ +");
  BOOST_TEST(listed("f/", "b/", 5) == "c/ d ");
  BOOST_TEST(listed("f/", "d") == "");
  BOOST_TEST(listed("none/") == "");
  // Own writes: a deleted folder's last record, a new name, a name in an old folder.
  BOOST_TEST(txn->erase(key("f/c/x/y")).ok());
  BOOST_TEST(txn->erase(key("f/a")).ok());
  BOOST_TEST(txn->put(key("f/aa"), "v").ok());
  BOOST_TEST(txn->put(key("f/b/3"), "v").ok());
  BOOST_TEST(listed("f/") == "aa b b/ d ");
  BOOST_TEST(listed("f/", "", 1) == "aa +");
}

BOOST_FIXTURE_TEST_CASE(long_names_are_kept_and_listed_in_order, Store) {
  const std::string deep(438, 'p');
  begin();
  std::set<std::string> names;
  for (int i = 0; i < 30; ++i) {
    const std::string name =
        deep + "/" + std::string(1, static_cast<char>('a' + i % 26)) + std::string(60, 'x') + std::to_string(i);
    names.insert(name.substr(deep.size() + 1));
    BOOST_TEST_REQUIRE(txn->put(key(name), name).ok());
  }
  BOOST_TEST(txn->put(key(deep + "/short"), "s").ok());
  names.insert("short");
  commit();
  begin();
  for (const std::string& name : names)
    if (name != "short")
      BOOST_TEST((**txn->get(key(deep + "/" + name)) == deep + "/" + name));
  const auto page = txn->list(key(deep + "/"), {}, 0);
  BOOST_TEST_REQUIRE(page.ok());
  BOOST_TEST(std::equal(names.begin(), names.end(), page->names.begin(), page->names.end()));
  // Paged, each name comes once.
  std::vector<std::string> paged;
  std::string after;
  for (bool more = true; more;) {
    const auto some = txn->list(key(deep + "/"), after, 7);
    BOOST_TEST_REQUIRE(some.ok());
    for (const std::string_view name : some->names)
      paged.emplace_back(name);
    more = some->more;
    after = paged.back();
  }
  BOOST_TEST(std::equal(names.begin(), names.end(), paged.begin(), paged.end()));
}

BOOST_FIXTURE_TEST_CASE(lists_as_a_map_would, Store) {
  std::map<std::string, int> oracle;
  std::map<std::string, int> committed;
  const auto names_below = [&](const std::map<std::string, int>& all, std::string_view folder) {
    std::set<std::string> shown;
    for (const auto& [name, value] : all)
      if (name.starts_with(folder)) {
        const std::string rest = name.substr(folder.size());
        const std::size_t slash = rest.find('/');
        if (!rest.empty())
          shown.insert(slash == std::string::npos ? rest : rest.substr(0, slash + 1));
      }
    return shown;
  };
  std::uint64_t seed = 42;
  const auto draw = [&](std::uint64_t below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % below;
  };
  const std::string parts[] = {"a", "b", "ab", "c", std::string(300, 'l')};
  for (int round = 0; round < 300; ++round) {
    begin();
    for (int i = 0; i < 6; ++i) {
      std::string name = parts[draw(5)];
      while (draw(2) == 0)
        name += "/" + parts[draw(5)];
      if (draw(3) == 0) {
        BOOST_TEST_REQUIRE(txn->erase(key(name)).ok());
        oracle.erase(name);
      } else {
        BOOST_TEST_REQUIRE(txn->put(key(name), "v").ok());
        oracle[name] = round;
      }
      const std::string folder = draw(2) == 0 ? "" : parts[draw(5)] + "/";
      const std::size_t limit = draw(4);
      const auto page = txn->list(key(folder), {}, limit);
      BOOST_TEST_REQUIRE(page.ok());
      std::set<std::string> want = names_below(oracle, folder);
      const bool more = limit > 0 && want.size() > limit;
      while (limit > 0 && want.size() > limit)
        want.erase(std::prev(want.end()));
      BOOST_TEST_REQUIRE(std::equal(want.begin(), want.end(), page->names.begin(), page->names.end()));
      BOOST_TEST_REQUIRE(page->more == more);
    }
    if (draw(2) == 0) {
      commit();
      committed = oracle;
    } else {
      oracle = committed;
    }
  }
}

BOOST_FIXTURE_TEST_CASE(what_was_listed_is_part_of_what_was_read, Store) {
  const auto covered = [this] {
    begin();
    BOOST_TEST(txn->get(key("x")).ok());
    BOOST_TEST(txn->list(key("f/"), {}, 0).ok());
    BOOST_TEST(txn->put(key("y"), "v").ok());
    const Proposal proposal = commit();
    BOOST_TEST(proposal.read_keys.size() == 1u);
    const std::string inside = store::make_key(store::KeyClass::kShared, NamespaceId(0), MountId(7), "f/new");
    return proposal.read_ranges.size() == 1 && proposal.read_ranges[0].first <= inside &&
           inside < proposal.read_ranges[0].last;
  };
  BOOST_TEST(covered());
  ScopedMutant on(Mutant::kListedRangeNotInReadSet);
  BOOST_TEST(!covered());
}

BOOST_FIXTURE_TEST_CASE(refuses_too_much_and_goes_on, Store) {
  begin();
  BOOST_TEST((txn->put(key("a"), std::string(limits::kEntryBytesMax, 'x')).code() == Code::kTooLarge));
  BOOST_TEST(txn->put(key("a"), std::string(limits::kEntryBytesMax / 2, 'x')).ok());
  BOOST_TEST(txn->put(key("a"), std::string(limits::kEntryBytesMax / 2 + 5, 'x')).ok());
  BOOST_TEST((txn->put(key("b"), std::string(limits::kEntryBytesMax / 2, 'x')).code() == Code::kTooLarge));
  for (std::size_t i = txn->ops(); i < limits::kEntryOpsMax; ++i)
    BOOST_TEST_REQUIRE(txn->erase(key("k" + std::to_string(i))).ok());
  BOOST_TEST((txn->erase(key("one more")).code() == Code::kTooLarge));
}

BOOST_FIXTURE_TEST_CASE(a_record_moved_to_another_place_is_refused, Store) {
  begin();
  BOOST_TEST(txn->put(key("a"), "secret").ok());
  const Proposal proposal = commit();
  const std::vector<store::Op> moved = {
      {store::make_key(store::KeyClass::kShared, NamespaceId(0), MountId(7), "b"), proposal.ops[0].value}};
  index = index.next();
  backend.apply(index, moved);
  backend.publish(nullptr);
  begin();
  BOOST_TEST((txn->get(key("b")).code() == Code::kDataLoss));
}

BOOST_AUTO_TEST_SUITE_END()
