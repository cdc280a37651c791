// One simulated server: the product's Raft core, proposer, overlay and expiry queue above a simulated disk, and the
// shell that performs what they ask for, as the node actor does.
#pragma once

#include <map>
#include <set>

#include "core/expiry.h"
#include "core/proposer.h"
#include "core/restoring.h"
#include "store/state_backend.h"
#include "tests/sim/log_disk.h"
#include "tests/sim/model_table.h"
#include "tests/sim/world.h"

namespace coffer::sim {

// A clock that runs a little fast or slow, and a wall clock that an operator may move.
class NodeClock final : public Clock {
 public:
  NodeClock(const Time& now, Time offset, Time drift_per_thousand)
      : now_(now), offset_(offset), drift_(drift_per_thousand) {}
  WallTime wall_now() const override { return WallTime(Nanos(1'700'000'000 * kSecond + now_ + wall_jump_)); }
  BootTime boot_now() const override { return BootTime(Nanos(offset_ + now_ + now_ / 1000 * drift_)); }
  void jump_wall(Time by) { wall_jump_ += by; }

 private:
  const Time& now_;
  Time offset_;
  Time drift_;
  Time wall_jump_ = 0;
};

// What every write depends on, as the product's do on policies and mounts: it is never read from a speculation.
inline constexpr std::string_view kPolicyKey = "policy/default";

// Tickets of the server's own proposals have this bit.
inline constexpr core::Ticket kSystemTicket = core::Ticket{1} << 63;

class Node final : public core::BatchEnd {
 public:
  Node(World& world, const Time& now, std::size_t slot, raft::NodeId id, raft::Configuration initial, Time drift);
  ~Node() override;

  std::size_t slot() const noexcept { return slot_; }
  raft::NodeId id() const noexcept { return id_; }
  bool up() const noexcept { return core_ != nullptr; }
  raft::Core& core() noexcept { return *core_; }
  const raft::Core& core() const noexcept { return *core_; }
  NodeClock& clock() noexcept { return clock_; }
  LogDisk& disk() noexcept { return disk_; }
  const LogDisk& disk() const noexcept { return disk_; }

  // Lives and deaths. start() does nothing for a node that is up, gone for good or waiting for its new disk.
  void start();
  void crash(LogDisk::Cut cut);
  // The disk is lost and replaced; the node stays away longer than any message of its former life is under way.
  void wipe();
  static constexpr Time kReplaceDisk = 10 * kSecond;
  // Removed from the cluster.
  void retire();
  bool retired() const noexcept { return retired_; }
  void pause(Time until) { paused_until_ = std::max(paused_until_, until); }
  void wake() { paused_until_ = 0; }
  bool paused() const noexcept;
  void slow_disk(Time sync_max, Time until);
  bool wiped() const noexcept { return wiped_; }
  Time wiped_at() const noexcept { return wiped_at_; }
  void caught_up() noexcept { wiped_ = false; }
  Time born() const noexcept { return born_; }
  std::uint64_t life() const noexcept { return life_; }

  void tick();
  void step(raft::Message message);

  // For handlers.
  std::unique_ptr<store::View> view();
  bool serving() const { return up() && proposer_->leading() && core_->serving(); }
  bool lease_valid() const { return core_->lease().valid(clock_.boot_now()); }
  WallTime cluster_now() { return core_->cluster_time(); }
  void submit(core::Ticket ticket, core::Proposal proposal);
  void abandon(core::Ticket ticket);
  // The answer goes to Clients::read_confirmed().
  bool read_index(std::uint64_t context);
  void poll();
  // Runs `what` after `delay`, unless this life has ended; a pause delays it.
  void later(Time delay, std::function<void()> what);
  core::Expiry& expiry() noexcept { return *expiry_; }
  void remove_lease(const std::string& id);

  // The end goes to World::restore_ended().
  void restore(std::size_t call, std::uint64_t stream);
  bool restoring() const noexcept { return restore_.has_value(); }
  // For reports: the replacements in its log, and the streams on its disk.
  std::string streams() const;

  void publish() override;
  void deliver(core::Proposer::Answers answers) override;

  const TableImage& image() const noexcept { return *image_; }

 private:
  struct WaitingRead {
    std::uint64_t context;
    Index index;
  };
  // The leader's, until its entry is applied or can be in no log any more.
  struct Restore {
    Restore(std::size_t number, std::uint64_t of, Term in, BootTime now)
        : call(number), stream(of), term(in), staging(now) {}
    std::size_t call;
    std::uint64_t stream;
    Term term;
    core::StreamStaging staging;
    Index index;  // of the entry; 0: not proposed
    BootTime deadline;
    bool told = false;
  };

  void open_backend();
  void perform(raft::Ready ready);
  void write_log(raft::Ready& ready);
  void install(const raft::Ready& ready);
  void begin_sync();
  void end_sync();
  void apply_pending();
  void follow_leases(std::span<const store::Op> ops);
  void load_leases();
  bool is_intent(const std::string& lease);
  void step_leases();
  void lead_if_ready();
  void run_ahead();
  void finish_reads();
  void send_snapshot(raft::NodeId to);
  // node_restore.cc
  void send_stream(raft::NodeId to, std::uint64_t stream);
  void stage(const raft::Message& message);
  void keep_stream(std::uint64_t stream);
  bool is_named(std::uint64_t stream) const;
  void move_restore();
  void propose_restore(BootTime now);
  void settle_restore(const store::LogRecord& record);
  void end_restore(RestoreCall::End end);
  void end_at_missing(raft::Message& message) const;
  void note_replacements(const std::vector<store::LogRecord>& appended);
  void find_streams();
  bool dies_at_switch();
  void replace_state(const store::LogRecord& record);
  void interlude();
  void flush();
  void describe(Index applied, TableImage& image) const;

  World& world_;
  const std::size_t slot_;
  const raft::NodeId id_;
  NodeClock clock_;
  const raft::Configuration initial_;
  const Time born_;

  // Durable.
  LogDisk disk_;
  std::shared_ptr<TableImage> image_;
  std::set<std::uint64_t> streams_;  // staged
  bool wiped_ = false;
  Time wiped_at_ = 0;
  bool joining_;
  bool retired_ = false;

  // One life.
  std::uint64_t life_ = 0;
  Time paused_until_ = 0;
  Time sync_max_ = 2 * kMs;
  Time slow_until_ = 0;
  std::unique_ptr<raft::Core> core_;
  std::unique_ptr<store::StateBackend> backend_;
  std::unique_ptr<core::Proposer> proposer_;
  std::map<core::Ticket, core::Proposal> proposals_;  // in the log, not answered
  std::unique_ptr<core::Expiry> expiry_;
  std::vector<std::pair<Index, raft::Configuration>> configurations_;  // applied ones, oldest first
  WallTime applied_time_;
  std::uint64_t persist_ = 0;     // handed to the log and not synced
  bool syncing_ = false;
  std::vector<store::LogRecord> to_apply_;
  bool apply_scheduled_ = false;
  bool in_interlude_ = false;
  bool polling_ = false;
  bool flushing_ = false;
  std::set<std::string> intents_seen_;  // revoked once in this leadership
  std::vector<WaitingRead> reads_;
  std::vector<std::pair<raft::NodeId, std::uint64_t>> snapshots_under_way_;
  std::optional<Restore> restore_;
  core::StreamOffers offers_;
  std::map<Index, std::uint64_t> replaced_;  // entries of the own log that are not applied, and their streams
  bool dying_ = false;                       // before the next event
};

// Entry bodies of the simulator: records, each with lengths before it.
std::string encode_ops(std::uint64_t ticket, std::span<const store::Op> ops);
std::uint64_t ticket_of(std::string_view body);
std::vector<store::Op> decode_ops(std::string_view body);

}  // namespace coffer::sim
