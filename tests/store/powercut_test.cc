// Power cuts on the model disk: a node that logs, applies, flushes and cuts its log, stopped at a random change, again
// and again. After each the log must hold all that was acknowledged, and log and state together must make the very
// state that the entries describe.
//
// COFFER_CUTS sets how many (99,000 take about 15 s of an idle core); COFFER_SEED where they begin.
#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <map>
#include <random>

#include "base/codec.h"
#include "base/model_disk.h"
#include "store/key.h"
#include "store/state_backend.h"
#include "store/wal.h"
#include "tests/mutant_on.h"
#include "tests/store/model_state.h"

namespace coffer::store {
namespace {

constexpr const char* kLog = "/data/log";
constexpr const char* kState = "/data";
constexpr std::uint64_t kCutsPerDisk = 100;
constexpr std::uint64_t kChangesMax = 60;  // between two cuts
constexpr std::uint64_t kMisdirectedCuts = 4000;
#ifdef COFFER_DEBUG_CHECKS
constexpr std::uint64_t kCutsByDefault = 5000;  // sanitizers make each several times slower
#else
constexpr std::uint64_t kCutsByDefault = 40000;
#endif

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

using Model = std::map<std::string, std::string>;

std::vector<Op> random_ops(std::mt19937_64& random) {
  std::vector<Op> ops;
  for (std::uint64_t i = 1 + random() % 3; i > 0; --i) {
    std::string key = make_key(KeyClass::kShared, NamespaceId(0), MountId(1), std::to_string(random() % 12));
    if (random() % 4 == 0)
      ops.push_back({std::move(key), std::nullopt});
    else
      ops.push_back({std::move(key), std::to_string(random()) + std::string(random() % 700, 'v')});
  }
  return ops;
}

std::string encode(const std::vector<Op>& ops) {
  std::string bytes;
  ByteWriter out(bytes);
  out.varint(ops.size());
  for (const Op& op : ops)
    out.bytes(op.key).u8(op.value ? 1 : 0).bytes(op.value.value_or(""));
  return bytes;
}

std::vector<Op> decode(std::string_view bytes) {
  ByteReader in(bytes);
  std::vector<Op> ops(in.varint());
  for (Op& op : ops) {
    op.key = in.bytes();
    const bool has_value = in.u8() == 1;
    const std::string_view value = in.bytes();
    if (has_value)
      op.value = value;
  }
  BOOST_REQUIRE(in.finish().ok());
  return ops;
}

// What the node was told and told others; it survives every cut.
struct Oracle {
  std::vector<std::string> proposed;  // entry i at [i-1]
  Index acknowledged;
  HardState promised;

  Model state_at(Index index) {
    // Acknowledged entries do not change any more: their state is kept and moved on.
    for (; settled_index < std::min(index, acknowledged); settled_index = settled_index.next())
      apply(settled, proposed[settled_index.get()]);
    Model model = settled;
    for (std::uint64_t i = settled_index.get(); i < index.get(); ++i)
      apply(model, proposed[i]);
    return model;
  }

 private:
  static void apply(Model& model, const std::string& entry) {
    for (Op& op : decode(entry)) {
      if (op.value)
        model[op.key] = std::move(*op.value);
      else
        model.erase(op.key);
    }
  }
  Model settled;
  Index settled_index;
};

struct Outcome {
  std::uint64_t cuts = 0;
  std::uint64_t refused = 0;
  std::uint64_t end_lost = 0;
  std::string broken;  // the first promise that was, with its seed
};

class CutRun {
 public:
  CutRun(std::uint64_t seed, const ModelDisk::CutFaults& faults)
      : seed_(seed), faults_(faults), random_(seed), disk_(seed * 2 + 1) {}

  // Empty when all promises were kept; `refused_` tells whether the store stopped because of damage.
  std::string run(std::uint64_t cuts) {
    for (std::uint64_t i = 0; i < cuts && broken_.empty() && !refused_ && !end_lost_; ++i) {
      disk_.power_off_after(1 + random_() % kChangesMax);
      const Status end = live();
      if (end.code() == Code::kDataLoss) {
        refused_ = true;
        if (faults_.misdirected_permille == 0)
          break_promise("refused: " + end.message());
      }
      ++cuts_done;
      misdirected_ = disk_.power_cut(faults_).misdirected > 0;
    }
    return broken_;
  }

  bool refused_ = false;
  bool end_lost_ = false;
  std::uint64_t cuts_done = 0;

 private:
  void break_promise(const std::string& what) {
    if (broken_.empty())
      broken_ = "seed " + std::to_string(seed_) + ", cut " + std::to_string(cuts_done) + ": " + what;
  }

  Status live() {
    COFFER_ASSIGN(const auto log, WriteAheadLog::open(disk_, kLog, {.segment_bytes = 24u << 10}));
    COFFER_ASSIGN(auto table, testing::ModelState::open(disk_, kState));
    StateBackend backend(std::move(table), {.generation_keys_max = 8});
    COFFER_TRY(recover(*log, backend));
    while (broken_.empty() && !end_lost_)
      COFFER_TRY(work(*log, backend));
    return ok_status();
  }

  Status recover(WriteAheadLog& log, StateBackend& backend) {
    const Index last = log.last_index();
    // A misdirected write that destroyed the last frames looks like a crash that tore them (docs/formats/log.md).
    if (misdirected_ && last < oracle_.acknowledged) {
      end_lost_ = true;
      return ok_status();
    }
    if (last < oracle_.acknowledged)
      break_promise("the log lost acknowledged entries");
    if (log.hard_state().term < oracle_.promised.term)
      break_promise("the log lost a promised term");
    if (log.first_index() > backend.durable_index().next())
      break_promise("the log was cut above the state");
    if (last.get() > oracle_.proposed.size() || backend.durable_index() > last)
      break_promise("the log holds what nobody wrote, or less than the state");
    if (!broken_.empty())
      return ok_status();
    oracle_.proposed.resize(last.get());  // what is gone was never acknowledged; others may take its place
    for (Index at = backend.durable_index().next(); at <= last; at = at.next()) {
      COFFER_ASSIGN(const auto records, log.read(at, at, 1));
      if (*records.front().payload != oracle_.proposed[at.get() - 1])
        break_promise("an entry has other bytes");
      backend.apply(at, decode(*records.front().payload));
    }
    backend.publish(nullptr);
    return compare(backend);
  }

  Status compare(StateBackend& backend) {
    COFFER_ASSIGN(const auto view, backend.view());
    COFFER_ASSIGN(const auto cursor, view->cursor());
    Model found;
    COFFER_ASSIGN(bool more, cursor->seek({}));
    while (more) {
      found.emplace(cursor->key(), cursor->value());
      COFFER_ASSIGN(more, cursor->next());
    }
    if (found != oracle_.state_at(view->index()))
      break_promise("the state differs from the entries");
    return ok_status();
  }

  Status work(WriteAheadLog& log, StateBackend& backend) {
    const Index before = log.last_index();
    for (std::uint64_t i = 1 + random_() % 3; i > 0; --i) {
      oracle_.proposed.push_back(encode(random_ops(random_)));
      const auto payload = std::make_shared<const std::string>(oracle_.proposed.back());
      COFFER_TRY(log.append(std::vector<LogRecord>{{log.last_index().next(), Term(term_), 0, payload}}));
    }
    HardState hard{Term(term_), 1, oracle_.acknowledged, 1};
    if (random_() % 4 == 0) {
      hard.term = Term(++term_);
      COFFER_TRY(log.save_hard_state(hard));
    } else {
      hard = log.hard_state();
    }
    COFFER_TRY(log.sync());
    oracle_.acknowledged = log.last_index();
    oracle_.promised = hard;
    for (Index at = before.next(); at <= log.last_index(); at = at.next())
      backend.apply(at, decode(oracle_.proposed[at.get() - 1]));
    backend.publish(nullptr);
    if (random_() % 3 == 0)
      backend.freeze();
    COFFER_TRY(backend.flush_step().status());
    return random_() % 4 == 0 ? log.cut_below(backend.durable_index()) : ok_status();
  }

  const std::uint64_t seed_;
  const ModelDisk::CutFaults faults_;
  std::mt19937_64 random_;
  ModelDisk disk_;
  Oracle oracle_;
  std::uint64_t term_ = 1;
  bool misdirected_ = false;
  std::string broken_;
};

Outcome cut_power(std::uint64_t cuts, const ModelDisk::CutFaults& faults) {
  Outcome outcome;
  for (std::uint64_t seed = number_from_environment("COFFER_SEED", 1); outcome.cuts < cuts && outcome.broken.empty();
       ++seed) {
    CutRun run(seed, faults);
    outcome.broken = run.run(std::min(kCutsPerDisk, cuts - outcome.cuts));
    outcome.cuts += run.cuts_done;
    outcome.refused += run.refused_ ? 1 : 0;
    outcome.end_lost += run.end_lost_ ? 1 : 0;
  }
  return outcome;
}

BOOST_AUTO_TEST_SUITE(store_powercut)

BOOST_AUTO_TEST_CASE(no_acknowledged_entry_is_lost_to_power_cuts) {
  const std::uint64_t cuts = number_from_environment("COFFER_CUTS", kCutsByDefault);
  const Outcome outcome = cut_power(cuts, {});
  BOOST_TEST_MESSAGE("power cuts on the model store: " << outcome.cuts);
  BOOST_TEST(outcome.cuts == cuts);
  BOOST_TEST(outcome.broken == "");
}

// With unsynced writes that land elsewhere in the file, damage must at least be refused.
BOOST_AUTO_TEST_CASE(misdirected_writes_are_refused_and_never_believed) {
  const Outcome outcome = cut_power(kMisdirectedCuts, {.misdirected_permille = 100});
  BOOST_TEST_MESSAGE("power cuts with misdirected writes: " << outcome.cuts << ", refused " << outcome.refused
                                                            << ", end of the log lost " << outcome.end_lost);
  BOOST_TEST(outcome.refused > 0u);
  BOOST_TEST(outcome.end_lost < outcome.cuts / 100);
  BOOST_TEST(outcome.broken == "");
}

BOOST_AUTO_TEST_CASE(a_skipped_sync_is_found) {
  const testing::ScopedMutant mutant(Mutant::kSkipLogSync);
  BOOST_TEST(cut_power(1000, {}).broken != "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::store
