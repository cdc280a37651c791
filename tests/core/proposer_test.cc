#include "core/proposer.h"

#include <boost/test/unit_test.hpp>

#include <map>

#include "tests/mutant_on.h"

namespace coffer::core {
namespace {

using coffer::testing::ScopedMutant;
using Verdict = Proposer::Verdict;

constexpr Nanos kMs{1'000'000};

// A proposer with its log: what was appended is applied and published by hand.
struct Bench {
  explicit Bench(const Proposer::Options& options = {}) : proposer(options) { proposer.lead(Term(1), Index(1)); }

  Proposal read_write(std::string key, Index view) const {
    Proposal p;
    p.term = Term(1);
    p.view = view;
    p.read_keys = {key};
    p.ops = {{std::move(key), "v"}};
    return p;
  }

  Verdict submit(const Proposal& proposal, Ticket ticket) {
    const Verdict verdict = proposer.judge(proposal, ticket, now, now + 1000 * kMs);
    if (verdict == Verdict::kAccepted)
      proposer.proposed(kept.emplace_back(proposal), ticket, last = last.next(), now + 1000 * kMs);
    return verdict;
  }

  // Applies and publishes all that was appended.
  Proposer::Answers commit() {
    while (applied < last)
      proposer.applied(applied = applied.next(), Term(1));
    return proposer.published(now);
  }

  // The same, run on what is proposed.
  Proposal speculative(const std::string& key, Index view, std::shared_ptr<const Speculation> on) const {
    Proposal p = read_write(key, view);
    p.may_speculate = true;
    p.speculation = std::move(on);
    if (const Speculation::Record* record = p.speculation ? p.speculation->find(key, view) : nullptr) {
      p.read_keys.clear();
      p.speculative_reads = {{key, record->index}};
    }
    return p;
  }

  Proposer proposer;
  std::deque<Proposal> kept;  // each stays where it is until it is answered
  Index last{1};
  Index applied{1};
  BootTime now{kMs};
};

std::size_t count(const Proposer::Answers& answers, CommitOutcome outcome) {
  return static_cast<std::size_t>(
      std::count_if(answers.begin(), answers.end(), [outcome](const auto& a) { return a.outcome == outcome; }));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(proposer)

BOOST_AUTO_TEST_CASE(takes_what_does_not_meet) {
  Bench b;
  BOOST_CHECK(b.submit(b.read_write("a", Index(1)), 1) == Verdict::kAccepted);
  BOOST_CHECK(b.submit(b.read_write("b", Index(1)), 2) == Verdict::kAccepted);
  const auto answers = b.commit();
  BOOST_REQUIRE_EQUAL(answers.size(), 2u);
  BOOST_CHECK(answers[1].outcome == CommitOutcome::kCommitted);
  BOOST_CHECK(answers[1].index == Index(3));
  BOOST_CHECK(b.proposer.idle());
}

BOOST_AUTO_TEST_CASE(answers_wait_for_the_view) {
  Bench b;
  BOOST_CHECK(b.submit(b.read_write("a", Index(1)), 1) == Verdict::kAccepted);
  b.proposer.applied(Index(2), Term(1));
  BOOST_CHECK(b.proposer.expire(b.now).empty());
  BOOST_CHECK_EQUAL(b.proposer.published(b.now).size(), 1u);
}

BOOST_AUTO_TEST_CASE(loser_runs_again_after_the_winner_is_visible) {
  Bench b;
  BOOST_CHECK(b.submit(b.read_write("a", Index(1)), 1) == Verdict::kAccepted);
  BOOST_CHECK(b.submit(b.read_write("a", Index(1)), 2) == Verdict::kQueued);
  BOOST_CHECK(b.proposer.expire(b.now).empty());
  const auto answers = b.commit();
  BOOST_REQUIRE_EQUAL(answers.size(), 2u);
  BOOST_CHECK(answers[1].outcome == CommitOutcome::kConflict);
  BOOST_CHECK_EQUAL(answers[1].ticket, 2u);
  BOOST_CHECK(b.submit(b.read_write("a", Index(2)), 2) == Verdict::kAccepted);
}

BOOST_AUTO_TEST_CASE(newcomers_queue_behind) {
  Bench b;
  BOOST_CHECK(b.submit(b.read_write("a", Index(1)), 1) == Verdict::kAccepted);
  BOOST_CHECK(b.submit(b.read_write("a", Index(1)), 2) == Verdict::kQueued);
  BOOST_CHECK_EQUAL(count(b.commit(), CommitOutcome::kConflict), 1u);
  // Its view is fresh, but 2 was told to run first.
  BOOST_CHECK(b.submit(b.read_write("a", Index(2)), 3) == Verdict::kQueued);
  // Who only reads the key may pass.
  Proposal reader = b.read_write("other", Index(2));
  reader.read_keys.push_back("a");
  BOOST_CHECK(b.submit(reader, 4) == Verdict::kAccepted);
  BOOST_CHECK(b.submit(b.read_write("a", Index(2)), 2) == Verdict::kAccepted);
  const auto answers = b.commit();
  BOOST_CHECK_EQUAL(count(answers, CommitOutcome::kCommitted), 2u);
  BOOST_CHECK_EQUAL(count(answers, CommitOutcome::kConflict), 1u);
}

BOOST_AUTO_TEST_CASE(readers_of_a_contended_key_go_on_together) {
  Bench b;
  BOOST_CHECK(b.submit(b.read_write("policy", Index(1)), 1) == Verdict::kAccepted);
  for (Ticket t = 2; t < 50; ++t) {
    Proposal p = b.read_write("k" + std::to_string(t), Index(1));
    p.read_keys.push_back("policy");
    BOOST_CHECK(b.submit(p, t) == Verdict::kQueued);
  }
  BOOST_CHECK_EQUAL(count(b.commit(), CommitOutcome::kConflict), 48u);
}

BOOST_AUTO_TEST_CASE(one_that_does_not_come_back_does_not_block_the_key) {
  Bench b;
  BOOST_CHECK(b.submit(b.read_write("a", Index(1)), 1) == Verdict::kAccepted);
  for (Ticket t = 2; t < 5; ++t)
    BOOST_CHECK(b.submit(b.read_write("a", Index(1)), t) == Verdict::kQueued);
  BOOST_CHECK_EQUAL(count(b.commit(), CommitOutcome::kConflict), 1u);
  BOOST_CHECK_EQUAL(count(b.proposer.abandoned(2, b.now), CommitOutcome::kConflict), 1u);
  BOOST_CHECK(b.proposer.expire(b.now + 4 * kMs).empty());
  BOOST_CHECK_EQUAL(count(b.proposer.expire(b.now + 6 * kMs), CommitOutcome::kConflict), 1u);
}

BOOST_AUTO_TEST_CASE(listed_ranges_are_part_of_what_was_read) {
  const auto run = [] {
    Bench b;
    BOOST_CHECK(b.submit(b.read_write("dir/x", Index(1)), 1) == Verdict::kAccepted);
    Proposal lister;
    lister.term = Term(1);
    lister.view = Index(1);
    lister.read_ranges = {{"dir/", "dir0"}};
    lister.ops = {{"count", "0"}};
    return b.submit(lister, 2);
  };
  BOOST_CHECK(run() == Verdict::kQueued);
  ScopedMutant mutant(Mutant::kListedRangeNotInReadSet);
  BOOST_CHECK(run() == Verdict::kAccepted);
}

BOOST_AUTO_TEST_CASE(other_terms_and_old_views_are_refused) {
  const auto run = [](Term term, Index view) {
    Bench b;
    b.proposer.step_down();
    b.proposer.lead(Term(3), Index(9));
    b.last = b.applied = Index(9);
    Proposal p = b.read_write("a", view);
    p.term = term;
    return b.submit(p, 1);
  };
  BOOST_CHECK(run(Term(3), Index(9)) == Verdict::kAccepted);
  BOOST_CHECK(run(Term(1), Index(9)) == Verdict::kWrongTerm);
  BOOST_CHECK(run(Term(3), Index(8)) == Verdict::kRunAgain);
  ScopedMutant mutant(Mutant::kOldTermProposal);
  BOOST_CHECK(run(Term(1), Index(2)) == Verdict::kAccepted);
}

BOOST_AUTO_TEST_CASE(three_ways_to_end) {
  Bench b;
  for (Ticket t = 1; t <= 3; ++t)
    BOOST_CHECK(b.submit(b.read_write("k" + std::to_string(t), Index(1)), t) == Verdict::kAccepted);
  BOOST_CHECK(b.submit(b.read_write("k1", Index(1)), 4) == Verdict::kQueued);
  const auto refused = b.proposer.step_down();
  BOOST_REQUIRE_EQUAL(refused.size(), 1u);
  BOOST_CHECK_EQUAL(refused[0].ticket, 4u);
  b.proposer.applied(Index(2), Term(1));
  b.proposer.applied(Index(3), Term(2));
  const auto answers = b.proposer.published(b.now);
  BOOST_REQUIRE_EQUAL(answers.size(), 2u);
  BOOST_CHECK(answers[0].outcome == CommitOutcome::kCommitted);
  BOOST_CHECK(answers[1].outcome == CommitOutcome::kRefused);
  BOOST_CHECK(b.proposer.expire(b.now + 999 * kMs).empty());
  const auto late = b.proposer.expire(b.now + 1000 * kMs);
  BOOST_REQUIRE_EQUAL(late.size(), 1u);
  BOOST_CHECK(late[0].outcome == CommitOutcome::kOutcomeUnknown);
  BOOST_CHECK(b.submit(b.read_write("k9", Index(3)), 5) == Verdict::kWrongTerm);
}

BOOST_AUTO_TEST_CASE(mark_rises_when_keys_are_forgotten) {
  Proposer::Options options;
  options.keys_max = 100;
  Bench b(options);
  for (Ticket t = 1; t <= 300; ++t) {
    BOOST_CHECK(b.submit(b.read_write("k" + std::to_string(t), b.applied), t) == Verdict::kAccepted);
    b.commit();
  }
  BOOST_CHECK(b.proposer.mark() > Index(190));
  BOOST_CHECK(b.submit(b.read_write("k1", Index(100)), 1000) == Verdict::kRunAgain);
  BOOST_CHECK(b.submit(b.read_write("k299", Index(298)), 1001) == Verdict::kQueued);
}

BOOST_AUTO_TEST_CASE(bounds_hold) {
  Proposer::Options options;
  options.proposed_max = 2;
  options.queued_max = 1;
  Bench b(options);
  BOOST_CHECK(b.submit(b.read_write("a", Index(1)), 1) == Verdict::kAccepted);
  BOOST_CHECK(b.submit(b.read_write("a", Index(1)), 2) == Verdict::kQueued);
  BOOST_CHECK(b.submit(b.read_write("a", Index(1)), 3) == Verdict::kFull);
  BOOST_CHECK(b.submit(b.read_write("b", Index(1)), 4) == Verdict::kAccepted);
  BOOST_CHECK(b.submit(b.read_write("c", Index(1)), 5) == Verdict::kFull);
}

BOOST_AUTO_TEST_CASE(what_is_due_already_is_late_whatever_else_is_true) {
  Proposer::Options options;
  options.proposed_max = 1;
  Bench b(options);
  const auto judge = [&b](BootTime deadline) {
    return b.proposer.judge(b.read_write("b", Index(1)), 2, b.now, deadline);
  };
  BOOST_CHECK(judge(b.now) == Verdict::kLate);
  BOOST_CHECK(judge(b.now + Nanos(1)) == Verdict::kAccepted);
  BOOST_CHECK(b.submit(b.read_write("a", Index(1)), 1) == Verdict::kAccepted);
  BOOST_CHECK(judge(b.now) == Verdict::kLate);
  BOOST_CHECK(judge(b.now + Nanos(1)) == Verdict::kFull);
}

// 32 clients on one key, each begins its next write when the last one is acknowledged; a batch of entries commits at a
// time.
BOOST_AUTO_TEST_CASE(hot_key_costs_few_runs) {
  Bench b;
  std::uint64_t runs = 0;
  std::uint64_t done = 0;
  const auto run = [&](Ticket t) {
    ++runs;
    const Verdict verdict = b.submit(b.read_write("hot", b.applied), t);
    BOOST_CHECK(verdict == Verdict::kAccepted || verdict == Verdict::kQueued);
  };
  for (Ticket t = 1; t <= 32; ++t)
    run(t);
  while (done < 10'000) {
    const auto answers = b.commit();
    for (const auto& answer : answers) {
      if (answer.outcome == CommitOutcome::kCommitted)
        ++done;
      run(answer.ticket);
    }
    b.now += kMs;
    BOOST_REQUIRE(!answers.empty());
  }
  BOOST_TEST_MESSAGE("runs a success: " << static_cast<double>(runs) / static_cast<double>(done));
  BOOST_CHECK_LE(runs, 3 * done);
}

// The same clients, who may run on what is proposed: the 32 that wait share a commit.
BOOST_AUTO_TEST_CASE(those_who_write_one_key_share_commits) {
  Bench b;
  for (Ticket t = 1; t <= 32; ++t)
    b.submit(b.speculative("hot", Index(1), nullptr), t);
  BOOST_TEST(b.proposer.pending() == 1u);
  std::size_t runs = 0;
  for (auto answers = b.proposer.expire(b.now); !answers.empty(); answers = b.proposer.expire(b.now)) {
    BOOST_REQUIRE(answers.size() == 1u);
    BOOST_REQUIRE(answers[0].outcome == CommitOutcome::kConflict);
    BOOST_REQUIRE(answers[0].speculation != nullptr);
    BOOST_TEST(answers[0].speculation->records().size() == 1u);
    BOOST_TEST((answers[0].speculation->find("hot", Index(1))->index == b.last));
    BOOST_TEST(answers[0].speculation->find("hot", b.last) == nullptr);
    const Proposal again = b.speculative("hot", Index(1), answers[0].speculation);
    BOOST_REQUIRE(b.submit(again, answers[0].ticket) == Verdict::kAccepted);
    ++runs;
  }
  BOOST_TEST(runs == 31u);
  BOOST_TEST(b.proposer.pending() == 32u);
  BOOST_TEST(count(b.commit(), CommitOutcome::kCommitted) == 32u);
  BOOST_TEST(b.proposer.idle());
}

// What was read from a speculation is judged by the entry that it was read from.
BOOST_AUTO_TEST_CASE(a_speculation_that_is_overtaken_loses) {
  Bench b;
  BOOST_CHECK(b.submit(b.speculative("a", Index(1), nullptr), 1) == Verdict::kAccepted);
  BOOST_CHECK(b.submit(b.speculative("a", Index(1), nullptr), 2) == Verdict::kQueued);
  const auto told = b.proposer.expire(b.now);
  BOOST_REQUIRE_EQUAL(told.size(), 1u);
  Proposal blind;  // it has read nothing
  blind.term = Term(1);
  blind.view = Index(1);
  blind.ops = {{"a", "w"}};
  BOOST_CHECK(b.submit(blind, 3) == Verdict::kAccepted);
  BOOST_CHECK(b.submit(b.speculative("a", Index(1), told[0].speculation), 2) == Verdict::kQueued);
  // The second time it waits for the commit.
  BOOST_CHECK(b.proposer.expire(b.now).empty());
  const auto answers = b.commit();
  BOOST_CHECK_EQUAL(count(answers, CommitOutcome::kCommitted), 2u);
  BOOST_CHECK_EQUAL(count(answers, CommitOutcome::kConflict), 1u);
  BOOST_CHECK(answers.back().speculation == nullptr);
}

BOOST_AUTO_TEST_CASE(who_has_nothing_to_write_waits_for_what_it_read) {
  Bench b;
  BOOST_CHECK(b.submit(b.speculative("a", Index(1), nullptr), 1) == Verdict::kAccepted);
  BOOST_CHECK(b.submit(b.speculative("a", Index(1), nullptr), 2) == Verdict::kQueued);
  BOOST_CHECK(b.submit(b.speculative("a", Index(1), nullptr), 3) == Verdict::kQueued);
  auto told = b.proposer.expire(b.now);
  BOOST_REQUIRE_EQUAL(told.size(), 1u);
  Proposal nothing = b.speculative("a", Index(1), told[0].speculation);
  nothing.ops.clear();
  BOOST_CHECK(b.submit(nothing, 2) == Verdict::kQueued);
  // It holds the key no longer.
  told = b.proposer.expire(b.now);
  BOOST_REQUIRE_EQUAL(told.size(), 1u);
  BOOST_CHECK_EQUAL(told[0].ticket, 3u);
  BOOST_CHECK(b.submit(b.speculative("a", Index(1), told[0].speculation), 3) == Verdict::kAccepted);
  b.proposer.applied(Index(2), Term(1));
  const auto answers = b.proposer.published(b.now);
  BOOST_CHECK_EQUAL(count(answers, CommitOutcome::kCommitted), 1u);
  BOOST_CHECK_EQUAL(count(answers, CommitOutcome::kConflict), 1u);
  BOOST_CHECK_EQUAL(b.proposer.queued(), 0u);
  // Told of nothing when leadership ends meanwhile.
  Bench c;
  BOOST_CHECK(c.submit(c.speculative("a", Index(1), nullptr), 1) == Verdict::kAccepted);
  BOOST_CHECK(c.submit(nothing, 2) == Verdict::kQueued);
  BOOST_CHECK_EQUAL(count(c.proposer.step_down(), CommitOutcome::kRefused), 1u);
  // And refused when it is due.
  Bench d;
  BOOST_CHECK(d.submit(d.speculative("a", Index(1), nullptr), 1) == Verdict::kAccepted);
  BOOST_CHECK(d.submit(nothing, 2) == Verdict::kQueued);
  BOOST_CHECK_EQUAL(count(d.proposer.expire(d.now + 1000 * kMs), CommitOutcome::kRefused), 1u);
}

BOOST_AUTO_TEST_CASE(speculations_end_with_the_leadership) {
  const auto run = [] {
    Bench b;
    BOOST_CHECK(b.submit(b.speculative("a", Index(1), nullptr), 1) == Verdict::kAccepted);
    BOOST_CHECK(b.submit(b.speculative("a", Index(1), nullptr), 2) == Verdict::kQueued);
    const auto told = b.proposer.expire(b.now);
    b.proposer.step_down();
    // What it ran on was cut from the log.
    b.proposer.lead(Term(3), Index(1));
    b.last = Index(2);
    Proposal p = b.speculative("a", Index(1), told.at(0).speculation);
    p.term = Term(3);
    return b.submit(p, 2);
  };
  BOOST_CHECK(run() == Verdict::kRunAgain);
  ScopedMutant mutant(Mutant::kSpeculationOfOldTerm);
  BOOST_CHECK(run() == Verdict::kAccepted);
}

BOOST_AUTO_TEST_CASE(not_everything_is_read_from_a_speculation) {
  const auto told = [](Proposal first, const Proposal& second) {
    Proposer::Options options;
    options.never_speculative = [](std::string_view key) { return key.starts_with("policy"); };
    Bench b(options);
    BOOST_CHECK(b.submit(first, 1) == Verdict::kAccepted);
    BOOST_CHECK(b.submit(second, 2) == Verdict::kQueued);
    const auto answers = b.proposer.expire(b.now);
    return answers.empty() ? nullptr : answers[0].speculation;
  };
  const Bench b;
  const Proposal plain = b.speculative("a", Index(1), nullptr);
  BOOST_TEST((told(plain, plain) != nullptr));
  // Who cannot.
  BOOST_TEST((told(plain, b.read_write("a", Index(1))) == nullptr));
  // What must be as of the view.
  Proposal both = plain;
  both.ops.push_back({"policy/x", "v"});
  BOOST_TEST(told(both, plain)->records().size() == 1u);
  BOOST_TEST((told(both, b.speculative("policy/x", Index(1), nullptr)) == nullptr));
  // Lists.
  Proposal lister = plain;
  lister.read_keys.clear();
  lister.read_ranges = {{"", "b"}};
  BOOST_TEST((told(plain, lister) == nullptr));
  // What is large.
  Proposal large = plain;
  large.ops[0].value = std::string(Speculation::kBytesMax, 'x');
  BOOST_TEST((told(large, plain) == nullptr));
  Proposal many = plain;
  for (std::size_t i = 0; i < Speculation::kRecordsMax; ++i)
    many.ops.push_back({"k" + std::to_string(i), "v"});
  BOOST_TEST((told(many, plain) == nullptr));
  many.ops.pop_back();
  BOOST_TEST((told(many, plain) != nullptr));
  // And not while too many are under way.
  Proposer::Options options;
  options.speculating_max = 2;
  Bench few(options);
  BOOST_CHECK(few.submit(plain, 1) == Verdict::kAccepted);
  BOOST_CHECK(few.submit(plain, 2) == Verdict::kQueued);
  BOOST_CHECK(few.submit(few.read_write("b", Index(1)), 3) == Verdict::kAccepted);
  BOOST_TEST(few.proposer.expire(few.now).empty());
}

// A speculation goes on where the one before it ended, less what is published.
BOOST_AUTO_TEST_CASE(speculations_carry_what_is_not_published) {
  const Bench b;
  Proposal first = b.read_write("a", Index(1));
  first.ops.push_back({"only first", std::nullopt});
  Proposal second = b.read_write("a", Index(1));
  second.speculation = Speculation::after(first, Term(1), Index(2), Index(1), nullptr);
  const auto both = Speculation::after(second, Term(1), Index(3), Index(1), nullptr);
  BOOST_TEST(both->records().size() == 2u);
  BOOST_TEST((both->find("a", Index(1))->index == Index(3)));
  BOOST_TEST((both->find("only first", Index(1))->index == Index(2)));
  BOOST_TEST(!both->find("only first", Index(1))->op.value);
  BOOST_TEST(both->find("only first", Index(2)) == nullptr);
  BOOST_TEST(both->find("other", Index(1)) == nullptr);
  BOOST_TEST(Speculation::after(second, Term(1), Index(3), Index(2), nullptr)->records().size() == 1u);
  BOOST_TEST(Speculation::after(second, Term(2), Index(3), Index(1), nullptr)->records().size() == 1u);
}

// The index against a plain map, with evictions and ranges.
BOOST_AUTO_TEST_CASE(index_equals_a_map) {
  RecentKeys keys(500, 42);
  std::map<std::string, std::uint64_t> model;
  std::uint64_t state = 7;
  const auto draw = [&state](std::uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
  };
  for (std::uint64_t i = 1; i <= 20'000; ++i) {
    std::vector<store::Op> ops;
    for (std::uint64_t n = 0; n <= draw(3); ++n)
      ops.push_back({"key/" + std::to_string(draw(2'000)), "v"});
    keys.note(Index(i), ops);
    for (const store::Op& op : ops)
      model[op.key] = i;
    keys.trim(Index(i - std::min<std::uint64_t>(i, 10)));
    const std::string probe = "key/" + std::to_string(draw(2'000));
    const auto it = model.find(probe);
    const std::uint64_t expected = it == model.end() || Index(it->second) <= keys.mark() ? 0 : it->second;
    BOOST_REQUIRE_EQUAL(keys.last(keys.hash(probe)).get(), expected);
    const KeyRange range{"key/1", "key/12"};
    const Index view(i - std::min<std::uint64_t>(i, 50));
    std::uint64_t best = 0;
    for (auto m = model.lower_bound(range.first); m != model.end() && m->first < range.last; ++m)
      best = std::max(best, m->second);
    const auto hit = keys.last_in(range, std::max(view, keys.mark()));
    if (best > std::max(view, keys.mark()).get())
      BOOST_REQUIRE(hit && hit->index.get() == best);
    else
      BOOST_REQUIRE(!hit);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::core
