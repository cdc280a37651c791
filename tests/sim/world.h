// One simulated cluster: nodes, network, disks, clocks, clients, an outside database and whatever goes wrong with them.
// Everything follows from the seed; one thread; a run can be repeated exactly.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "raft/core.h"
#include "tests/sim/history.h"
#include "tests/sim/outside.h"
#include "tests/sim/raft_checker.h"
#include "tests/sim/rng.h"
#include "tests/store/records_reader.h"

namespace coffer::sim {

using Time = std::int64_t;  // nanoseconds since the beginning
inline constexpr Time kUs = 1'000;
inline constexpr Time kMs = 1'000'000;
inline constexpr Time kSecond = 1'000'000'000;

enum class Fault : std::uint8_t {
  kLoss,
  kDelay,
  kDuplicate,
  kReorder,
  kPartition,
  kOneWayPartition,
  kIsolation,
  kBridge,
  kCrash,
  kPowerCut,
  kTornWrite,
  kMisdirectedWrite,
  kSlowSync,
  kSyncError,
  kPause,
  kClockJump,
  kClockDrift,
  kMembership,
  kTransfer,
  kDiskLoss,
  kDatabaseDown,
  kSnapshot,
  kRestore,
  kCount
};
const char* fault_name(Fault fault);

struct SimOptions {
  Time length = 60 * kSecond;
  Time length_max = 240 * kSecond;     // when operations are slow to come
  std::uint64_t operations_min = 1'000;
  bool real_log = false;  // the write-ahead log on a model disk in place of the log in memory; the seed decides too
  bool verbose = false;
};

struct SimReport {
  std::uint64_t seed = 0;
  std::string failure;  // empty: all is well
  std::uint64_t trace = 0;
  Time simulated = 0;
  std::uint64_t events = 0;
  std::uint64_t operations = 0;      // of clients
  std::uint64_t acknowledged = 0;
  std::uint64_t checked = 0;         // in histories
  std::uint64_t runs = 0;            // of handlers
  std::uint64_t speculative_runs = 0;  // of them, on what was not committed
  std::uint64_t elections = 0;
  std::uint64_t crashes = 0;
  std::uint64_t leases = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t restores = 0;        // that took effect
  std::uint64_t changes = 0;         // of membership
  Time recovery = 0;                 // from the end of all faults to the first write that succeeded
  bool real_log = false;
  std::array<std::uint64_t, static_cast<std::size_t>(Fault::kCount)> faults{};
};

SimReport run_seed(std::uint64_t seed, const SimOptions& options);

// What an operator asked for: the state that was saved under a number in the place of all. Without an answer it may
// have happened or not, but wholly; what was committed says which.
struct RestoreCall {
  enum class End : std::uint8_t { kDone, kRefused, kUnknown };
  std::uint64_t stream = 0;
  std::uint64_t invoked = 0;  // as in histories
  std::uint64_t returned = Operation::kNever;
  std::optional<End> end = {};
  Index index = {};  // of its entry; 0: none
  Term term = {};
};

class Node;
class Clients;

class World {
 public:
  static constexpr std::size_t kSlots = 16;

  World(std::uint64_t seed, const SimOptions& options);
  ~World();
  SimReport run();

  // For nodes and clients.
  Time now() const noexcept { return now_; }
  Rng& rng() noexcept { return rng_; }
  const SimOptions& options() const noexcept { return options_; }
  RaftChecker& checker() noexcept { return checker_; }
  Database& database() noexcept { return database_; }
  Clients& clients() noexcept { return *clients_; }
  SimReport& report() noexcept { return report_; }
  bool healing() const noexcept { return healing_; }
  std::uint64_t tick_order() noexcept { return ++order_; }  // the position of an event in the whole history
  void after(Time delay, std::function<void()> what);
  void send(const raft::Message& sent);
  // A snapshot's bytes under way with a message; the receiver takes them by number.
  std::uint64_t stash(std::shared_ptr<const void> bytes);
  std::shared_ptr<const void> stashed(std::uint64_t number) const { return stash_.at(number - 1); }
  void fault(Fault kind) { ++report_.faults[static_cast<std::size_t>(kind)]; }
  void fail(const std::string& what);
  bool failed() const noexcept { return !report_.failure.empty(); }
  void trace(std::uint64_t what);
  void elected(const Node& node);
  void node_stopped(Node& node, const Status& status);
  Node* node_at(std::size_t slot) { return slots_[slot].get(); }
  Node* node_of(raft::NodeId id);
  Node* leader();
  std::size_t random_slot();

  // Restores.
  using Records = std::shared_ptr<const testing::Records>;
  const Records& saved(std::uint64_t stream) const { return saved_.at(stream - 1); }
  void restore_proposed(std::size_t call, Index index, Term term);
  void restore_ended(std::size_t call, RestoreCall::End end);
  // A node has put the stream in the place of its state.
  void replaced(Index index, std::uint64_t stream);
  // Those that took effect; a call that was answered otherwise fails the run.
  std::vector<RestoreCall> restores();

 private:
  struct Event {
    Time at;
    std::uint64_t order;
    std::uint32_t slot;  // into functions_
    bool operator>(const Event& other) const noexcept { return at != other.at ? at > other.at : order > other.order; }
  };
  // How likely things go wrong in this seed, of 10,000.
  struct Profile {
    unsigned loss, duplicate, reorder;
    Time delay_min, delay_max, slow_max;
    Time nemesis_min, nemesis_max;
    unsigned drift;  // tenths of a percent
    std::uint32_t enabled;  // bit per Fault that the nemesis may use
    Time log_kept;
  };

  void draw_profile();
  void start_nodes();
  void step();
  void nemesis();
  void strike(Fault kind);
  void strike_network(Fault kind);
  void strike_process(Fault kind);
  void strike_cluster(Fault kind);
  void heal_network();
  void start_healing();
  std::string described(const Node& node) const;
  std::string behind(const Node& lead, const Node& node) const;
  std::string roll_call();
  bool converged(std::string* why);
  void check_recovery();
  void finish();
  void change_members(Node& lead);
  void strike_restore();
  void save_state();
  void begin_restore();
  bool is_orphan(const std::string& user) const;
  std::size_t users_left() const;
  Node* add_node();
  bool may_lose_disk();
  void replace_disk(Node& node);
  void retire_removed();
  raft::Message over_the_wire(const raft::Message& message);
  void deliver(raft::Message message);

  const SimOptions options_;
  Rng rng_;
  Profile profile_{};
  Time now_ = 0;
  std::uint64_t order_ = 0;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<std::function<void()>> functions_;
  std::vector<std::uint32_t> free_functions_;

  RaftChecker checker_;
  Database database_;
  std::array<std::unique_ptr<Node>, kSlots> slots_;
  std::size_t used_slots_ = 0;
  std::uint64_t next_id_ = 1;
  std::unique_ptr<Clients> clients_;
  std::array<std::array<bool, kSlots>, kSlots> blocked_{};
  std::vector<std::shared_ptr<const void>> stash_;
  std::vector<Records> saved_;
  std::vector<RestoreCall> calls_;
  // Of each restore that took effect: what it put in place, and the first request that began after it.
  struct Replaced {
    Records records;
    std::uint64_t next_request;
  };
  std::map<Index, Replaced> replaced_;
  std::string wire_;  // of the message that is being sent
  SimReport report_;
  bool healing_ = false;
  Time healed_at_ = 0;
  bool done_ = false;
};

}  // namespace coffer::sim
