// Clients, the handlers of their requests, and the history of what they saw. A handler reads from a view, computes, and
// hands what it read and wants to write to its node's proposer, as an engine does.
#pragma once

#include <map>
#include <unordered_map>
#include <vector>

#include "core/proposer.h"
#include "tests/sim/history.h"
#include "tests/sim/world.h"

namespace coffer::sim {

class Clients {
 public:
  Clients(World& world, std::size_t count);

  void begin();
  // No new requests; those under way go on.
  void stop() noexcept { stopped_ = true; }
  bool idle() const noexcept { return open_ == 0; }
  std::uint64_t started() const noexcept { return started_; }
  std::uint64_t next_request() const noexcept { return next_id_; }
  // The first write that was begun after `from` and acknowledged; 0 while there is none.
  Time first_success_after(Time from) const noexcept { return begun_after_ == from ? first_success_ : 0; }
  void watch_success(Time from) {
    begun_after_ = from;
    first_success_ = 0;
  }
  // Empty when every object's history, in which each of `restores` is an operation on all of them, is linearizable.
  std::string check(const std::vector<RestoreCall>& restores);

  // From nodes.
  void answered(Node& node, const core::Proposer::Answer& answer);
  void read_confirmed(Node& node, std::uint64_t context, bool ok);
  core::Ticket removal_ticket(const std::string& lease);
  void removal_failed(Node& node, core::Ticket ticket);

 private:
  static constexpr std::size_t kRegisters = 6;
  static constexpr std::size_t kFolders = 2;
  static constexpr std::size_t kObjects = kRegisters + kFolders;
  static constexpr std::size_t kLease = kObjects;         // not in the histories
  static constexpr std::size_t kTransfer = kObjects + 1;  // between accounts, whose sum stays 0 in every view
  static constexpr std::size_t kAccounts = 5;

  static std::int64_t value_in(const testing::Records& records, std::size_t object);

  struct Request {
    std::uint64_t id = 0;
    std::size_t client = 0;
    std::size_t object = 0;
    Operation op;
    std::size_t slot = 0;
    std::uint64_t life = 0;
    unsigned attempts = 0;
    bool chained = false;     // its client runs beside the node and reads at once after a commit
    bool may_have_happened = false;
    Time begun = 0;
    int lease_step = 0;
    std::int64_t lease_end = 0;
  };
  struct Client {
    std::size_t leader_slot = 0;
    std::array<std::int64_t, kRegisters> last_seen{};
  };

  void next(std::size_t client, Time delay);
  void invoke(std::size_t client);
  void choose(Request& request);
  void ask(std::uint64_t id);
  void handle(std::uint64_t id);
  void handle_read(Node& node, Request& request);
  void handle_write(Node& node, Request& request, std::shared_ptr<const core::Speculation> speculation = nullptr);
  bool build(Node& node, Request& request, core::Proposal& proposal);
  void build_lease(Node& node, Request& request, core::Proposal& proposal);
  void create_user(Node& node, Request& request);
  void build_transfer(const store::View& view, core::Proposal& proposal);
  void audit(const store::View& view);
  std::int64_t read_object(const store::View& view, std::size_t object, core::Proposal* proposal);
  void refuse(std::uint64_t id, Time delay);
  void reply(std::uint64_t id);
  void read_at_once(Node& node, const Request& request);
  void finish(Request& request, bool answered);
  void time_out(std::uint64_t id);
  Request* find(std::uint64_t id);
  Time handler_time();

  World& world_;
  std::vector<Client> clients_;
  std::unordered_map<std::uint64_t, Request> requests_;
  std::array<std::vector<Operation>, kObjects> histories_;
  std::map<core::Ticket, std::string> removals_;
  std::uint64_t next_id_ = 1;
  std::uint64_t next_removal_ = 1;
  std::uint64_t started_ = 0;
  std::uint64_t open_ = 0;
  std::int64_t next_value_ = 1;
  bool stopped_ = false;
  Time begun_after_ = 0;
  Time first_success_ = 0;
};

}  // namespace coffer::sim
