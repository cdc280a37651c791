#include "tests/sim/history.h"

#include <algorithm>
#include <sstream>
#include <unordered_set>
#include <utility>

namespace coffer::sim {
namespace {

using Kind = Operation::Kind;

// Whether `op` may happen in `state`, and the state after it. An operation without an answer explains itself in any
// state.
bool apply(const Operation& op, std::int64_t& state) {
  const bool open = op.returned == Operation::kNever;
  switch (op.kind) {
    case Kind::kRead:
    case Kind::kCount:
      return open || op.result == state;
    case Kind::kWrite:
    case Kind::kRestore:
      state = op.argument;
      return true;
    case Kind::kCas: {
      const bool swaps = state == op.expected;
      if (!open && op.result != (swaps ? op.expected : state))
        return false;
      if (swaps)
        state = op.argument;
      return true;
    }
    case Kind::kAdd:
      if (!open && op.result != state)
        return false;
      ++state;
      return true;
  }
  return false;
}

// Depth-first search over which operation comes next (Wing and Gong), with a memory of (set of done, state) that led
// nowhere (Lowe).
class Search {
 public:
  Search(const std::vector<Operation>& ops, std::uint64_t states_max)
      : ops_(ops), states_max_(states_max), done_((ops.size() + 63) / 64), left_(closed_count()) {}

  bool run() { return extend(0, 0); }
  std::uint64_t explored() const { return explored_; }

 private:
  std::size_t closed_count() const {
    return static_cast<std::size_t>(
        std::count_if(ops_.begin(), ops_.end(), [](const Operation& op) { return op.returned != Operation::kNever; }));
  }
  bool is_done(std::size_t i) const { return (done_[i / 64] >> (i % 64) & 1) != 0; }
  void flip(std::size_t i) { done_[i / 64] ^= std::uint64_t{1} << (i % 64); }

  // All before `first` are done.
  bool extend(std::size_t first, std::int64_t state) {
    if (left_ == 0)
      return true;
    if (++explored_ > states_max_)
      return false;
    while (first < ops_.size() && is_done(first))
      ++first;
    // nothing invoked after the first return among the open ones may come next
    std::uint64_t horizon = Operation::kNever;
    bool same_add_tried = false;
    for (std::size_t i = first; i < ops_.size() && ops_[i].invoked < horizon; ++i) {
      if (is_done(i))
        continue;
      const Operation& op = ops_[i];
      horizon = std::min(horizon, op.returned);
      const bool open = op.returned == Operation::kNever;
      // Open additions cannot be told apart: the earliest stands for all.
      if (open && op.kind == Kind::kAdd && std::exchange(same_add_tried, true))
        continue;
      std::int64_t next = state;
      if (!apply(op, next) || (open && next == state))
        continue;
      flip(i);
      if (remember(next)) {
        left_ -= open ? 0 : 1;
        if (extend(first, next))
          return true;
        left_ += open ? 0 : 1;
      }
      flip(i);
    }
    return false;
  }

  bool remember(std::int64_t state) {
    std::uint64_t h = static_cast<std::uint64_t>(state) * 0x9e3779b97f4a7c15u;
    std::uint64_t g = ~h;
    for (std::uint64_t word : done_) {
      h = (h ^ word) * 0xbf58476d1ce4e5b9u;
      h ^= h >> 29;
      g = (g + word) * 0x94d049bb133111ebu;
      g ^= g >> 32;
    }
    return seen_.insert(h ^ (g << 1)).second;
  }

  const std::vector<Operation>& ops_;
  const std::uint64_t states_max_;
  std::vector<std::uint64_t> done_;
  std::size_t left_;
  std::uint64_t explored_ = 0;
  std::unordered_set<std::uint64_t> seen_;
};

// An open write or swap whose value nobody ever saw changes nothing that an answer could show: without it the search is
// shorter.
void drop_unseen(std::vector<Operation>& history) {
  std::unordered_set<std::int64_t> seen;
  for (const Operation& op : history) {
    if (op.kind == Kind::kRead || op.kind == Kind::kCas)
      seen.insert(op.result);
    if (op.kind == Kind::kCas)
      seen.insert(op.expected);
  }
  std::erase_if(history, [&seen](const Operation& op) {
    if (op.returned != Operation::kNever)
      return false;
    const bool changes = op.kind == Kind::kWrite || op.kind == Kind::kCas;
    return op.kind == Kind::kRead || op.kind == Kind::kCount || (changes && !seen.contains(op.argument));
  });
}

}  // namespace

bool linearizable(std::vector<Operation> history, std::uint64_t states_max, std::uint64_t* explored) {
  drop_unseen(history);
  std::sort(history.begin(), history.end(),
            [](const Operation& a, const Operation& b) { return a.invoked < b.invoked; });
  Search search(history, states_max);
  const bool ok = search.run();
  if (explored != nullptr)
    *explored = search.explored();
  return ok;
}

std::string describe(const std::vector<Operation>& history) {
  static constexpr const char* kNames[] = {"read", "write", "cas", "add", "count", "restore"};
  std::ostringstream out;
  for (const Operation& op : history) {
    out << "  [" << op.invoked << ", ";
    if (op.returned == Operation::kNever)
      out << "?";
    else
      out << op.returned;
    out << "] " << kNames[static_cast<int>(op.kind)] << " arg=" << op.argument << " expected=" << op.expected
        << " result=" << op.result << "\n";
  }
  return out.str();
}

}  // namespace coffer::sim
