#include <boost/test/unit_test.hpp>

#include <map>
#include <random>

#include "core/recent_keys.h"

namespace coffer::core {
namespace {

struct Model {
  std::map<std::uint64_t, std::vector<std::string>> notes;  // by index
  std::size_t keys = 0;
  std::uint64_t mark = 0;

  void trim(std::size_t keys_max, std::uint64_t limit) {
    while (keys > keys_max && !notes.empty() && notes.begin()->first <= limit) {
      mark = notes.begin()->first;
      keys -= notes.begin()->second.size();
      notes.erase(notes.begin());
    }
  }
  std::uint64_t last(const std::string& key) const {
    for (auto note = notes.rbegin(); note != notes.rend(); ++note) {
      if (std::find(note->second.begin(), note->second.end(), key) != note->second.end())
        return note->first;
    }
    return 0;
  }
  std::uint64_t last_in(const KeyRange& range, std::uint64_t view) const {
    for (auto note = notes.rbegin(); note != notes.rend() && note->first > view; ++note) {
      for (const std::string& key : note->second) {
        if (key >= range.first && (range.last.empty() || key < range.last))
          return note->first;
      }
    }
    return 0;
  }
};

BOOST_AUTO_TEST_SUITE(recent_keys)

// Many small notes and some large ones, so that notes end at, before and behind the ends of blocks, and the table
// grows.
BOOST_AUTO_TEST_CASE(it_answers_like_a_list_of_all_notes) {
  std::mt19937_64 random(7);
  const auto below = [&random](std::uint64_t n) { return random() % n; };
  const auto pick = [&] { return "key/" + std::to_string(below(400)) + std::string(below(20) == 0 ? 400 : 0, 'x'); };
  for (const std::size_t keys_max : {std::size_t{1}, std::size_t{64}, std::size_t{2000}}) {
    RecentKeys keys(keys_max, random());
    Model model;
    std::uint64_t index = 0;
    for (int step = 0; step < 6000; ++step) {
      index += 1 + below(3);
      std::vector<store::Op> ops(below(50) == 0 ? 200 : 1 + below(3));
      for (store::Op& op : ops) {
        op.key = pick();
        model.notes[index].push_back(op.key);
      }
      model.keys += ops.size();
      keys.note(Index(index), ops);
      if (below(4) == 0) {
        const std::uint64_t limit = index - std::min(index, below(100));
        keys.trim(Index(limit));
        model.trim(keys_max, limit);
        BOOST_REQUIRE(keys.mark().get() == model.mark);
      }
      const std::string key = pick();
      BOOST_REQUIRE(keys.last(keys.hash(key)).get() == model.last(key));
      const std::uint64_t view = std::max(model.mark, index - std::min(index, below(300)));
      const std::string first = pick();
      const KeyRange range{first, below(10) == 0 ? std::string() : first + "~"};
      const auto hit = keys.last_in(range, Index(view));
      BOOST_REQUIRE((hit ? hit->index.get() : 0) == model.last_in(range, view));
      if (hit)
        BOOST_REQUIRE(keys.last(hit->hash) >= hit->index);
      if (below(1500) == 0) {
        keys.reset(Index(index));
        model = Model{{}, 0, index};
        BOOST_REQUIRE(keys.last(keys.hash(key)) == Index(0));
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace coffer::core
