#include "core/lifecycle.h"

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <fstream>
#include <iterator>
#include <map>

#include "core/layout.h"
#include "seal/static_seal.h"
#include "store/memory_backend.h"
#include "tests/core/core_fixture.h"
#include "tests/mutant_on.h"

namespace coffer::core {
namespace {

using testing::CountingRandom;
using testing::FakeCommitter;

class Inline final : public ApplierPort {
 public:
  Inline(store::Backend& backend, StateDeriver& deriver) : backend_(backend), deriver_(deriver) {}
  void on_applier(std::function<void()> step, std::function<void()> then) override {
    step();
    backend_.publish(deriver_.attachment());
    then();
  }

 private:
  store::Backend& backend_;
  StateDeriver& deriver_;
};

AuditEnvironment audit_environment(const Clock& clock) {
  AuditEnvironment environment;
  environment.clock = &clock;
  return environment;
}

std::string clear_key(std::string_view rest) {
  return store::make_key(store::KeyClass::kClusterLocal, layout::kRootNamespace, layout::kSystemMount, rest);
}
const std::string kConfigKey = clear_key("seal/config");
const std::string kClusterKey = clear_key("seal/cluster");
const std::string kKeyringKey =
    store::make_key(store::KeyClass::kShared, layout::kRootNamespace, layout::kSystemMount, layout::kKeyring);

// A node that was never initialized, with a log that can be read.
struct Fixture : private Home {
  Fixture() {
    auto opened = Logger::open({LogLevel::kInfo, false, log_path});
    BOOST_REQUIRE(opened.ok());
    logger = std::move(*opened);
    BOOST_TEST(start().ok());
  }
  ~Fixture() { ::unlink(log_path.c_str()); }

  void resume_later(std::unique_ptr<Exchange>) override {}
  void respond(std::unique_ptr<Exchange> exchange) override { answered = std::move(exchange); }

  // A start of the server on what the store holds.
  Status start(seal::KeyWrapper* automatic = nullptr, seal::KeyWrapper* former = nullptr) {
    Lifecycle::Info info;
    info.storage_type = "inmemory";
    lifecycle = std::make_unique<Lifecycle>(
        info, Lifecycle::Ports{backend, committer, applier, deriver, automatic, random, clock, *logger,
                               [] { return Index(); }, [] { return Index(); }, [](bool) {}, nullptr, nullptr, nullptr,
                               former});
    return lifecycle->begin();
  }

  std::unique_ptr<Exchange> asked(std::string_view name) {
    auto exchange = std::make_unique<Exchange>();
    exchange->home = this;
    exchange->request.operation = Operation::kWrite;
    auto path = CanonicalPath::from_text(name);
    BOOST_REQUIRE(path.ok());
    exchange->request.path = std::move(*path);
    return exchange;
  }
  void ask(std::unique_ptr<Exchange> exchange) {
    answered.reset();
    BOOST_REQUIRE(lifecycle->handle(exchange));
    BOOST_REQUIRE(answered != nullptr);
  }
  void init() {
    auto exchange = asked("sys/init");
    exchange->request.data = json::ObjectBuilder(exchange->arena, 2)
                                 .add("secret_shares", std::int64_t{1})
                                 .add("secret_threshold", std::int64_t{1})
                                 .build();
    ask(std::move(exchange));
  }
  void unseal(std::string_view share) {
    auto exchange = asked("sys/unseal");
    exchange->request.data = json::ObjectBuilder(exchange->arena, 1).add("key", share).build();
    ask(std::move(exchange));
  }

  // What is said to it; empty if nothing is wrong.
  std::string migrate(std::string_view share) {
    auto exchange = asked("sys/unseal");
    exchange->request.data = json::ObjectBuilder(exchange->arena, 2).add("key", share).add("migrate", true).build();
    ask(std::move(exchange));
    return answered->response.has_errors() ? std::string(answered->response.errors[0]) : std::string();
  }
  // "shamir": and then whether the node waits for people to move it to another seal.
  std::pair<std::string, bool> seal_status() {
    auto exchange = asked("sys/seal-status");
    exchange->request.operation = Operation::kRead;
    ask(std::move(exchange));
    const json::Value& told = answered->response.data;
    return {std::string(told.string_or("type", "")), told.find("migration")->as_bool()};
  }

  std::optional<std::string> stored(const std::string& key) {
    std::string value;
    const auto view = backend.view();
    BOOST_REQUIRE(view.ok());
    const auto found = (*view)->get(key, value);
    BOOST_REQUIRE(found.ok());
    return *found ? std::optional(value) : std::nullopt;
  }
  void set(const std::string& key, std::optional<std::string> value) {
    const store::Op op{key, std::move(value)};
    committer.apply({&op, 1});
  }
  // Every record of the store.
  std::map<std::string, std::string> all() {
    std::map<std::string, std::string> out;
    const auto view = backend.view();
    BOOST_REQUIRE(view.ok());
    const auto cursor = (*view)->cursor();
    BOOST_REQUIRE(cursor.ok());
    for (Result<bool> more = (*cursor)->seek({}); more.ok() && *more; more = (*cursor)->next())
      out.emplace((*cursor)->key(), (*cursor)->value());
    return out;
  }
  std::string log() {
    logger.reset();
    std::ifstream in(log_path);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::string log_path = "/tmp/coffer-lifecycle-test-" + std::to_string(::getpid()) + ".log";
  ManualClock clock;
  CountingRandom random;
  store::MemoryBackend backend;
  EngineRegistry engines;
  AuditRegistry audit{audit_environment(clock)};
  StateDeriver deriver{engines, audit, SystemConfig{}};
  FakeCommitter committer{backend, deriver};
  Services services{backend, committer, engines, audit, random};
  Inline applier{backend, deriver};
  std::unique_ptr<Logger> logger;
  std::unique_ptr<Lifecycle> lifecycle;
  std::unique_ptr<Exchange> answered;
};

std::unique_ptr<seal::KeyWrapper> static_seal(char digit, std::string id = "test", char earlier = 0) {
  seal::StaticSealOptions options;
  options.current_key = SecretBytes::copy_of(std::string(64, digit));
  options.current_key_id = std::move(id);
  if (earlier != 0) {
    options.previous_key = SecretBytes::copy_of(std::string(64, earlier));
    options.previous_key_id = "test";
  }
  return *seal::make_static_seal(options, seal::read_key_reference);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(lifecycle)

BOOST_FIXTURE_TEST_CASE(what_failed_inside_an_init_is_logged_and_not_told, Fixture) {
  for (const Code code : {Code::kDataLoss, Code::kIo, Code::kInternal}) {
    committer.forced.push_back({CommitOutcome::kRefused, Status(code, "detail of the disk")});
    init();
    BOOST_TEST(answered->response.status == 500);
    BOOST_REQUIRE(answered->response.errors.size() == 1u);
    BOOST_TEST(answered->response.errors[0] == "internal error");
  }
  random.failing = true;
  init();
  BOOST_TEST(answered->response.errors[0] == "internal error");
  const std::string text = log();
  BOOST_TEST(text.find("cannot initialize: detail of the disk") != std::string::npos);
  BOOST_TEST(text.find("no randomness") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(why_an_init_was_refused_is_told, Fixture) {
  committer.leading = false;
  init();
  BOOST_TEST(answered->response.status == 503);
  BOOST_TEST(answered->response.errors[0] == "this node does not lead yet");
}

// Starts on the store as it is: must refuse and name the record, and no init may write over what is there.
void check_refuses_to_start(Fixture& f, const std::string& record) {
  const auto before = f.all();
  const Status begun = f.start();
  BOOST_TEST((begun.code() == Code::kDataLoss));
  BOOST_TEST(begun.message().find("\"" + record + "\"") != std::string::npos, begun.message());
  BOOST_TEST(begun.message().find("restore") != std::string::npos);
  f.init();
  BOOST_TEST(f.answered->response.status >= 500);
  BOOST_TEST((f.all() == before));
}

BOOST_FIXTURE_TEST_CASE(a_store_without_one_of_the_seals_records_is_refused, Fixture) {
  init();
  BOOST_TEST(!answered->response.has_errors());
  const std::pair<std::string, std::string> names[] = {
      {kConfigKey, "seal/config"}, {kKeyringKey, "core/keyring"}, {kClusterKey, "seal/cluster"}};
  for (unsigned missing = 1; missing < 8; ++missing) {
    std::vector<std::optional<std::string>> kept;
    for (unsigned i = 0; i < 3; ++i) {
      kept.push_back(stored(names[i].first));
      if ((missing >> i & 1) != 0)
        set(names[i].first, std::nullopt);
    }
    unsigned first = 0;
    while ((missing >> first & 1) == 0)
      ++first;
    BOOST_TEST_CONTEXT("missing " << missing)
      check_refuses_to_start(*this, names[first].second);
    for (unsigned i = 0; i < 3; ++i)
      set(names[i].first, kept[i]);
  }
  BOOST_TEST(start().ok());
  BOOST_TEST(lifecycle->initialized());
}

BOOST_FIXTURE_TEST_CASE(a_damaged_seal_configuration_or_cluster_name_is_refused, Fixture) {
  init();
  for (const auto& [key, name] : {std::pair(kConfigKey, "seal/config"), std::pair(kClusterKey, "seal/cluster")}) {
    const std::string whole = *stored(key);
    set(key, "not what was written");
    check_refuses_to_start(*this, name);
    set(key, whole);
  }
  std::string flipped = *stored(kConfigKey);
  flipped.back() ^= 1;
  set(kConfigKey, flipped);
  check_refuses_to_start(*this, "seal/config");
}

BOOST_FIXTURE_TEST_CASE(a_damaged_keyring_does_not_unseal_and_is_named_in_the_log, Fixture) {
  init();
  const json::Value* keys = answered->response.data.find("keys");
  BOOST_REQUIRE(keys != nullptr);
  const std::string share(keys->elements()[0].as_string());
  const std::string whole = *stored(kKeyringKey);
  std::string flipped = whole;
  flipped[flipped.size() / 2] ^= 1;
  set(kKeyringKey, flipped);
  // Nothing can open it yet, so the start cannot know.
  BOOST_TEST(start().ok());
  BOOST_TEST(lifecycle->initialized());
  unseal(share);
  BOOST_TEST(answered->response.status == 500);
  BOOST_TEST(answered->response.errors[0] == "internal error");
  BOOST_TEST(lifecycle->sealed());
  init();
  BOOST_TEST(answered->response.errors[0] == "Vault is already initialized");
  set(kKeyringKey, whole);
  unseal(share);
  BOOST_TEST(!lifecycle->sealed());
  const std::string text = log();
  BOOST_TEST(text.find("core/keyring") != std::string::npos);
  BOOST_TEST(text.find("restore") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_record_that_went_missing_after_the_start_stops_unseal_and_init, Fixture) {
  init();
  const std::string share(answered->response.data.find("keys")->elements()[0].as_string());
  BOOST_TEST(start().ok());
  set(kKeyringKey, std::nullopt);
  const auto before = all();
  unseal(share);
  BOOST_TEST(answered->response.status == 500);
  init();
  BOOST_TEST(answered->response.errors[0] == "Vault is already initialized");
  BOOST_TEST((all() == before));
}

BOOST_FIXTURE_TEST_CASE(a_damaged_keyring_under_an_automatic_seal_is_refused_at_the_start, Fixture) {
  const auto wrapper = static_seal('a');
  BOOST_TEST(start(wrapper.get()).ok());
  auto exchange = asked("sys/init");
  exchange->request.data = json::ObjectBuilder(exchange->arena, 2)
                               .add("recovery_shares", std::int64_t{1})
                               .add("recovery_threshold", std::int64_t{1})
                               .build();
  ask(std::move(exchange));
  BOOST_TEST(!lifecycle->sealed());
  BOOST_REQUIRE(stored(kKeyringKey).has_value());
  std::string flipped = *stored(kKeyringKey);
  flipped.back() ^= 1;
  set(kKeyringKey, flipped);
  const Status begun = start(wrapper.get());
  BOOST_TEST((begun.code() == Code::kDataLoss));
  BOOST_TEST(begun.message().find("core/keyring") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_seal_is_migrated_when_its_people_ask_for_it_and_the_node_leads, Fixture) {
  init();
  const std::string share(answered->response.data.find("keys")->elements()[0].as_string());
  const auto first = static_seal('a');
  const auto second = static_seal('b');
  const std::string shamirs = *stored(kConfigKey);
  BOOST_TEST(start(first.get()).ok());
  BOOST_TEST((seal_status() == std::pair(std::string("shamir"), true)));
  unseal(share);
  BOOST_TEST(answered->response.errors.at(0).starts_with("migrate option not provided"));
  BOOST_TEST(lifecycle->sealed());
  BOOST_TEST(migrate(share) == "");
  BOOST_TEST(!lifecycle->sealed());
  committer.leading = false;
  lifecycle->tend_migration(services);
  BOOST_TEST((*stored(kConfigKey) == shamirs));
  committer.leading = true;
  committer.forced.push_back({CommitOutcome::kRefused, Status(Code::kUnavailable, "leads no more")});
  lifecycle->tend_migration(services);
  BOOST_TEST((*stored(kConfigKey) == shamirs));
  lifecycle->tend_migration(services);
  BOOST_TEST((*stored(kConfigKey) != shamirs));
  BOOST_TEST(seal_status().second);
  lifecycle->tend_migration(services);
  BOOST_TEST((seal_status() == std::pair(std::string("static"), false)));
  BOOST_TEST(start(first.get()).ok());
  BOOST_TEST(!lifecycle->sealed());
  const std::string firsts = *stored(kConfigKey);
  // To another of its kind, which only the seal itself can tell from it.
  BOOST_TEST(start(second.get(), first.get()).ok());
  BOOST_TEST((seal_status() == std::pair(std::string("static"), true)));
  BOOST_TEST(migrate(share) == "");
  lifecycle->tend_migration(services);
  lifecycle->tend_migration(services);
  BOOST_TEST(!seal_status().second);
  BOOST_TEST(start(second.get(), first.get()).ok());
  BOOST_TEST(!lifecycle->sealed());
  BOOST_TEST(migrate(share) == "");  // unsealed: nothing to do
  // A restore may bring what the other one sealed, while people are awaited.
  const std::string seconds = *stored(kConfigKey);
  set(kConfigKey, firsts);
  BOOST_TEST(start(second.get(), first.get()).ok());
  BOOST_TEST(seal_status().second);
  set(kConfigKey, seconds);
  BOOST_TEST(lifecycle->restored().ok());
  BOOST_TEST(!seal_status().second);
  BOOST_TEST(!lifecycle->sealed());
  // And back to the people alone.
  BOOST_TEST(start(nullptr, second.get()).ok());
  BOOST_TEST(migrate(share) == "");
  lifecycle->tend_migration(services);
  lifecycle->tend_migration(services);
  BOOST_TEST((seal_status() == std::pair(std::string("shamir"), false)));
  BOOST_TEST(start(nullptr, second.get()).ok());
  BOOST_TEST(migrate(share).starts_with("can't perform a seal migration, no migration seal found"));
  unseal(share);
  BOOST_TEST(!lifecycle->sealed());
}

BOOST_FIXTURE_TEST_CASE(shares_that_were_exchanged_meanwhile_are_not_undone_by_a_migration, Fixture) {
  init();
  const std::string share(answered->response.data.find("keys")->elements()[0].as_string());
  const auto automatic = static_seal('a');
  BOOST_TEST(start(automatic.get()).ok());
  BOOST_TEST(migrate(share) == "");
  seal::SealConfig other = *seal::SealConfig::decode(*stored(kConfigKey));
  other.counts = {5, 3};
  // Between the look and the commit, and before the look.
  committer.before = [&](const Proposal&) { set(kConfigKey, other.encode()); };
  lifecycle->tend_migration(services);
  BOOST_TEST((*stored(kConfigKey) == other.encode()));
  lifecycle->tend_migration(services);
  BOOST_TEST((*stored(kConfigKey) == other.encode()));
  BOOST_TEST((seal_status() == std::pair(std::string("shamir"), true)));
  BOOST_TEST(log().find("the shares were exchanged before the seal was migrated") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(what_an_earlier_key_wrapped_is_wrapped_by_the_present_one, Fixture) {
  const auto old_key = static_seal('a');
  const auto new_key = static_seal('b', "later");
  const auto both = static_seal('b', "later", 'a');
  BOOST_TEST(start(old_key.get()).ok());
  auto exchange = asked("sys/init");
  exchange->request.data = json::ObjectBuilder(exchange->arena, 2)
                               .add("recovery_shares", std::int64_t{1})
                               .add("recovery_threshold", std::int64_t{1})
                               .build();
  ask(std::move(exchange));
  const std::string share(answered->response.data.find("recovery_keys")->elements()[0].as_string());
  const std::string before = *stored(kConfigKey);
  BOOST_TEST(start(old_key.get()).ok());
  lifecycle->tend_migration(services);
  BOOST_TEST((*stored(kConfigKey) == before));
  // No randomness: it is open all the same, and stays as it is.
  random.failing = true;
  BOOST_TEST(start(both.get()).ok());
  BOOST_TEST(!lifecycle->sealed());
  random.failing = false;
  lifecycle->tend_migration(services);
  BOOST_TEST((*stored(kConfigKey) == before));
  BOOST_TEST(start(both.get()).ok());
  BOOST_TEST((seal_status() == std::pair(std::string("static"), false)));
  lifecycle->tend_migration(services);
  lifecycle->tend_migration(services);
  BOOST_TEST((*stored(kConfigKey) != before));
  const std::string after = *stored(kConfigKey);
  deriver.stop();
  backend.publish(deriver.attachment());
  BOOST_TEST(start(new_key.get()).ok());
  BOOST_TEST(!lifecycle->sealed());
  lifecycle->tend_migration(services);
  BOOST_TEST((*stored(kConfigKey) == after));
  // The same people have the same recovery shares.
  const seal::SealConfig config = *seal::SealConfig::decode(after);
  BOOST_TEST(seal::verify_recovery_key(config, *seal::parse_share(share)).ok());
  BOOST_TEST(log().find("the root key is wrapped by the seal's present key") != std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(a_seal_that_was_dropped_without_a_word_is_no_migration, Fixture) {
  const auto automatic = static_seal('a');
  BOOST_TEST(start(automatic.get()).ok());
  auto exchange = asked("sys/init");
  exchange->request.data = json::ObjectBuilder(exchange->arena, 2)
                               .add("recovery_shares", std::int64_t{1})
                               .add("recovery_threshold", std::int64_t{1})
                               .build();
  ask(std::move(exchange));
  const std::string share(answered->response.data.find("recovery_keys")->elements()[0].as_string());
  BOOST_TEST(start().ok());
  BOOST_TEST((seal_status() == std::pair(std::string("static"), false)));
  BOOST_TEST(migrate(share).starts_with("can't perform a seal migration"));
  unseal(share);
  BOOST_TEST(answered->response.errors.at(0).starts_with("the store was sealed by a seal of type static"));
  BOOST_TEST(lifecycle->sealed());
}

// J9: the attempt of others ends by its nonce alone.
BOOST_FIXTURE_TEST_CASE(j9_a_reset_needs_the_nonce_of_the_attempt, Fixture) {
  auto exchange = asked("sys/init");
  exchange->request.data = json::ObjectBuilder(exchange->arena, 2)
                               .add("secret_shares", std::int64_t{3})
                               .add("secret_threshold", std::int64_t{2})
                               .build();
  ask(std::move(exchange));
  const std::string share(answered->response.data.find("keys")->elements()[0].as_string());
  const auto reset = [this](std::string_view nonce) {
    auto asking = asked("sys/unseal");
    json::ObjectBuilder body(asking->arena);
    body.add("reset", true);
    if (!nonce.empty())
      body.add("nonce", nonce);
    asking->request.data = body.build();
    ask(std::move(asking));
    return answered->response.has_errors() ? -1
                                           : static_cast<int>(*answered->response.data.find("progress")->as_int64());
  };
  BOOST_TEST(reset("") == 0);  // nothing to drop
  unseal(share);
  const std::string nonce(answered->response.data.string_or("nonce", ""));
  BOOST_TEST(!nonce.empty());
  BOOST_TEST(reset("") == -1);
  BOOST_TEST(answered->response.status == 400);
  BOOST_TEST(answered->response.errors[0].find(nonce) == std::string_view::npos);
  BOOST_TEST(reset("another") == -1);
  unseal(share);
  BOOST_TEST(*answered->response.data.find("progress")->as_int64() == 1);
  BOOST_TEST(reset(nonce) == 0);
  unseal(share);
  BOOST_TEST(answered->response.data.string_or("nonce", "") != nonce);
  const coffer::testing::ScopedMutant mutant(Mutant::kResetWithoutNonce);
  BOOST_TEST(reset("another") == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::core
