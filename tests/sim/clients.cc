#include "tests/sim/clients.h"

#include <algorithm>

#include "base/check.h"
#include "base/mutant.h"
#include "tests/sim/node.h"

namespace coffer::sim {
namespace {

using Kind = Operation::Kind;

constexpr Time kTimeOut = 2 * kSecond;
constexpr Time kIssueDeadline = 1 * kSecond;     // for the outside call
constexpr Time kClockBound = 2 * kSecond;        // how far a later leader's time may be off
constexpr unsigned kAttemptsMax = 6;

std::string register_key(std::size_t object, char half) { return "register/" + std::to_string(object) + "/" + half; }
std::string folder_key(std::size_t object) { return "folder/" + std::to_string(object) + "/"; }

std::string account_key(std::size_t account) { return "account/" + std::to_string(account); }

// The number that stands at a key, 0 for none; what is read for a proposal, from its speculation first.
std::int64_t read_number(const store::View& view, std::string key, core::Proposal* proposal) {
  if (proposal != nullptr && proposal->speculation != nullptr) {
    if (const core::Speculation::Record* record = proposal->speculation->find(key, view.index())) {
      proposal->speculative_reads.push_back({std::move(key), record->index});
      return record->op.value ? std::stoll(*record->op.value) : 0;
    }
  }
  std::string value;
  const Result<bool> found = view.get(key, value);
  COFFER_CHECK(found.ok());
  if (proposal != nullptr)
    proposal->read_keys.push_back(std::move(key));
  return *found ? std::stoll(value) : 0;
}

bool is_read(Kind kind) { return kind == Kind::kRead || kind == Kind::kCount; }

}  // namespace

Clients::Clients(World& world, std::size_t count) : world_(world), clients_(count) {}

void Clients::begin() {
  for (std::size_t client = 0; client < clients_.size(); ++client)
    next(client, world_.rng().between(0, 200 * kMs));
}

void Clients::next(std::size_t client, Time delay) {
  world_.after(delay, [this, client] {
    if (!stopped_)
      invoke(client);
  });
}

void Clients::choose(Request& request) {
  Rng& rng = world_.rng();
  const std::uint64_t die = rng.below(100);
  if (die < 4) {
    request.object = kLease;
    request.op.kind = Kind::kWrite;
    return;
  }
  if (die < 10) {
    request.object = kTransfer;
    request.op.kind = Kind::kWrite;
    return;
  }
  if (die < 28) {
    request.object = kRegisters + static_cast<std::size_t>(rng.below(kFolders));
    request.op.kind = rng.chance(6'000) ? Kind::kAdd : Kind::kCount;
    return;
  }
  // Half of it on one register.
  request.object = rng.chance(5'000) ? 0 : static_cast<std::size_t>(rng.below(kRegisters));
  if (die < 55) {
    request.op.kind = Kind::kRead;
  } else if (die < 78) {
    request.op.kind = Kind::kCas;
    request.op.expected = clients_[request.client].last_seen[request.object];
  } else {
    request.op.kind = Kind::kWrite;
  }
  if (request.op.kind != Kind::kRead)
    request.op.argument = next_value_++;
}

void Clients::invoke(std::size_t client) {
  const std::uint64_t id = next_id_++;
  Request& request = requests_[id];
  request.id = id;
  request.client = client;
  choose(request);
  request.begun = world_.now();
  request.op.invoked = world_.tick_order();
  request.chained = !is_read(request.op.kind) && request.object < kObjects && world_.rng().chance(2'000);
  ++started_;
  ++open_;
  ++world_.report().operations;
  world_.after(kTimeOut, [this, id] { time_out(id); });
  ask(id);
}

Clients::Request* Clients::find(std::uint64_t id) {
  const auto it = requests_.find(id);
  return it == requests_.end() ? nullptr : &it->second;
}

// Sends the request to where its client believes the leader to be.
void Clients::ask(std::uint64_t id) {
  Request& request = *find(id);
  Client& client = clients_[request.client];
  if (request.attempts++ > 0 || world_.rng().chance(1'000))
    client.leader_slot = world_.random_slot();
  request.slot = client.leader_slot;
  if (world_.rng().chance(50))
    return;  // lost on the way; the client times out
  world_.after(world_.rng().between(100 * kUs, 2 * kMs), [this, id] { handle(id); });
}

Time Clients::handler_time() {
  Rng& rng = world_.rng();
  const std::uint64_t die = rng.below(1'000);
  if (die < 6)
    return rng.between(500 * kMs, 1'900 * kMs);
  if (die < 30)
    return rng.between(5 * kMs, 200 * kMs);
  return rng.between(50 * kUs, kMs);
}

void Clients::handle(std::uint64_t id) {
  Request* request = find(id);
  if (request == nullptr)
    return;
  Node* node = world_.node_at(request->slot);
  if (!node->up()) {
    refuse(id, 50 * kMs);
    return;
  }
  if (node->paused()) {
    node->later(0, [this, id] { handle(id); });
    return;
  }
  request->life = node->life();
  if (is_read(request->op.kind))
    handle_read(*node, *request);
  else if (node->serving())
    handle_write(*node, *request);
  else
    refuse(id, 20 * kMs);
}

void Clients::handle_read(Node& node, Request& request) {
  const std::uint64_t id = request.id;
  if (node.core().lease().held() || node.serving()) {
    // The view first, then the lease: whoever else could lead by now was not elected before the view was taken.
    const std::unique_ptr<store::View> view = node.view();
    audit(*view);
    request.op.result = read_object(*view, request.object, nullptr);
    node.later(handler_time(), [this, id, &node] {
      if (find(id) == nullptr)
        return;
      if (node.lease_valid())
        reply(id);
      else if (!node.read_index(id))
        refuse(id, 20 * kMs);
    });
    return;
  }
  if (!world_.rng().chance(3'000) || !node.read_index(id))
    refuse(id, 20 * kMs);
}

void Clients::read_confirmed(Node& node, std::uint64_t context, bool ok) {
  Request* request = find(context);
  if (request == nullptr || request->life != node.life() || world_.node_at(request->slot) != &node)
    return;
  if (!ok) {
    refuse(context, 20 * kMs);
    return;
  }
  const std::unique_ptr<store::View> view = node.view();
  request = find(context);
  if (request == nullptr)
    return;
  request->op.result = read_object(*view, request->object, nullptr);
  reply(context);
}

// The object's value, and what it was read from.
std::int64_t Clients::read_object(const store::View& view, std::size_t object, core::Proposal* proposal) {
  if (object < kRegisters) {
    std::int64_t halves[2] = {0, 0};
    for (int half = 0; half < 2; ++half)
      halves[half] = read_number(view, register_key(object, half == 0 ? 'a' : 'b'), proposal);
    if (halves[0] != halves[1])
      world_.fail("a view shows half of a transaction");
    return halves[0];
  }
  core::KeyRange range{folder_key(object), folder_key(object)};
  range.last.back() = '0';
  std::int64_t count = 0;
  Result<std::unique_ptr<store::Cursor>> cursor = view.cursor();
  COFFER_CHECK(cursor.ok());
  for (Result<bool> more = (*cursor)->seek(range.first); *more && (*cursor)->key() < range.last;
       more = (*cursor)->next())
    ++count;
  if (proposal != nullptr)
    proposal->read_ranges.push_back(std::move(range));
  return count;
}

void Clients::handle_write(Node& node, Request& request, std::shared_ptr<const core::Speculation> speculation) {
  const std::uint64_t id = request.id;
  ++world_.report().runs;
  core::Proposal proposal;
  proposal.term = node.core().term();
  proposal.may_speculate = true;
  proposal.speculation = std::move(speculation);
  if (!build(node, request, proposal))
    return;
  node.later(handler_time(), [this, id, &node, proposal = std::move(proposal)] {
    Request* request = find(id);
    if (request == nullptr) {
      node.abandon(id);
      return;
    }
    request->may_have_happened = !proposal.ops.empty();
    world_.report().speculative_runs += proposal.speculative_reads.empty() ? 0 : 1;
    node.submit(id, proposal);
  });
}

// False when the handler has ended without anything to write.
bool Clients::build(Node& node, Request& request, core::Proposal& proposal) {
  const std::unique_ptr<store::View> view = node.view();
  const std::uint64_t id = request.id;
  proposal.view = view->index();
  proposal.read_keys.push_back(std::string(kPolicyKey));
  if (request.object == kLease) {
    build_lease(node, request, proposal);
    return true;
  }
  if (request.object == kTransfer) {
    build_transfer(*view, proposal);
    return true;
  }
  if (request.op.kind == Kind::kAdd) {
    request.op.result = read_object(*view, request.object, &proposal);
    proposal.ops.push_back({folder_key(request.object) + std::to_string(id), "x"});
    return true;
  }
  if (request.op.kind == Kind::kCas) {
    request.op.result = read_object(*view, request.object, &proposal);
    if (request.op.result != request.op.expected) {
      if (!proposal.speculative_reads.empty() && !mutant(Mutant::kSpeculationAnswered))
        return true;
      node.abandon(id);
      // It only read: as good as any read from a view.
      if (node.lease_valid())
        reply(id);
      else
        refuse(id, 20 * kMs);
      return false;
    }
  }
  for (char half : {'a', 'b'})
    proposal.ops.push_back({register_key(request.object, half), std::to_string(request.op.argument)});
  if (world_.rng().chance(100))
    proposal.ops.push_back({std::string(kPolicyKey), std::to_string(id)});
  return true;
}

void Clients::audit(const store::View& view) {
  std::int64_t sum = 0;
  for (std::size_t account = 0; account < kAccounts; ++account)
    sum += read_number(view, account_key(account), nullptr);
  if (sum != 0)
    world_.fail("a view mixes two states: the accounts do not add up");
}

void Clients::build_transfer(const store::View& view, core::Proposal& proposal) {
  audit(view);
  const auto from = static_cast<std::size_t>(world_.rng().below(kAccounts));
  const std::size_t to = (from + 1 + static_cast<std::size_t>(world_.rng().below(kAccounts - 1))) % kAccounts;
  const std::int64_t amount = world_.rng().between(1, 100);
  for (const auto& [account, change] : {std::pair(from, -amount), std::pair(to, amount)}) {
    const std::int64_t balance = read_number(view, account_key(account), &proposal);
    proposal.ops.push_back({account_key(account), std::to_string(balance + change)});
  }
}

// An intent first, then the outside call, then the lease proper.
void Clients::build_lease(Node& node, Request& request, core::Proposal& proposal) {
  const std::string key = "lease/" + std::to_string(request.id);
  const std::int64_t now = node.cluster_now().time_since_epoch().count();
  if (request.lease_step == 0) {
    request.lease_end = now + kIssueDeadline;
    proposal.ops.push_back({key, "P" + std::to_string(request.lease_end + kClockBound)});
  } else {
    proposal.read_keys.push_back(key);
    proposal.ops.push_back({key, "A" + std::to_string(now + world_.rng().between(kSecond, 8 * kSecond))});
  }
}

void Clients::create_user(Node& node, Request& request) {
  const std::int64_t left = request.lease_end - node.cluster_now().time_since_epoch().count();
  // Made only within the deadline and while this node's lease holds.
  if (left <= 100 * kMs || !node.lease_valid()) {
    refuse(request.id, 20 * kMs);
    return;
  }
  const std::uint64_t id = request.id;
  const Time delay = world_.rng().between(kMs, std::min<Time>(left / 2, 400 * kMs));
  // Once sent it happens, whatever becomes of the node.
  world_.after(delay, [this, id] {
    if (!world_.database().down)
      world_.database().create("lease/" + std::to_string(id));
  });
  node.later(delay + kMs, [this, id, &node] {
    Request* request = find(id);
    if (request == nullptr || !node.serving())
      return;
    request->lease_step = 1;
    handle_write(node, *request);
  });
}

void Clients::answered(Node& node, const core::Proposer::Answer& answer) {
  Request* request = find(answer.ticket);
  if (request == nullptr) {
    if (answer.outcome == core::CommitOutcome::kConflict)
      node.abandon(answer.ticket);
    return;
  }
  switch (answer.outcome) {
    case core::CommitOutcome::kCommitted:
      if (request->object == kLease && request->lease_step == 0) {
        request->may_have_happened = false;
        create_user(node, *request);
      } else {
        if (request->object == kLease)
          ++world_.report().leases;
        reply(answer.ticket);
      }
      return;
    case core::CommitOutcome::kConflict:
      request->may_have_happened = false;
      // On its way back to the connection's thread.
      node.later(handler_time() / 4, [this, &node, id = answer.ticket, speculation = answer.speculation] {
        Request* again = find(id);
        if (again == nullptr)
          node.abandon(id);
        else if (node.serving())
          handle_write(node, *again, speculation);
        else
          refuse(id, 20 * kMs);
      });
      return;
    case core::CommitOutcome::kRefused:
      request->may_have_happened = false;
      refuse(answer.ticket, 20 * kMs);
      return;
    case core::CommitOutcome::kOutcomeUnknown:
      return;  // the client times out
  }
}

// The request surely had no effect. Its client tries elsewhere.
void Clients::refuse(std::uint64_t id, Time delay) {
  Request* request = find(id);
  if (request == nullptr || request->op.returned != Operation::kNever)
    return;
  if (request->attempts >= kAttemptsMax || request->object == kLease) {
    world_.after(delay, [this, id] {
      if (Request* refused = find(id); refused != nullptr)
        finish(*refused, false);
    });
    return;
  }
  world_.after(delay + world_.rng().between(0, 30 * kMs), [this, id] {
    if (find(id) != nullptr)
      ask(id);
  });
}

void Clients::reply(std::uint64_t id) {
  Request& request = *find(id);
  request.may_have_happened = true;
  if (request.chained) {
    finish(request, true);
    return;
  }
  if (world_.rng().chance(50))
    return;  // the answer is lost
  world_.after(world_.rng().between(100 * kUs, 2 * kMs), [this, id] {
    if (Request* answered = find(id); answered != nullptr)
      finish(*answered, true);
  });
}

// A client of the same machine: whoever was told of the commit must see it in the next view.
void Clients::read_at_once(Node& node, const Request& request) {
  Operation read;
  read.kind = request.object < kRegisters ? Kind::kRead : Kind::kCount;
  read.invoked = world_.tick_order();
  const std::unique_ptr<store::View> view = node.view();
  read.result = read_object(*view, request.object, nullptr);
  if (!node.lease_valid())
    return;
  read.returned = world_.tick_order();
  histories_[request.object].push_back(read);
  ++world_.report().checked;
}

void Clients::finish(Request& request, bool answered) {
  if (answered) {
    request.op.returned = world_.tick_order();
    ++world_.report().acknowledged;
    Client& client = clients_[request.client];
    client.leader_slot = request.slot;
    if (request.object < kRegisters) {
      const bool wrote = request.op.kind == Kind::kWrite ||
                         (request.op.kind == Kind::kCas && request.op.result == request.op.expected);
      client.last_seen[request.object] = wrote ? request.op.argument : request.op.result;
    }
    if (!is_read(request.op.kind) && first_success_ == 0 && begun_after_ != 0 && request.begun >= begun_after_)
      first_success_ = world_.now();
  }
  // What may have happened stays in the history with an open end; a read without an answer says nothing.
  const bool maybe = !answered && request.may_have_happened && !is_read(request.op.kind);
  if (request.object < kObjects && (answered || maybe)) {
    histories_[request.object].push_back(request.op);
    ++world_.report().checked;
  }
  const Request done = request;
  requests_.erase(done.id);
  --open_;
  next(done.client, world_.rng().between(0, 450 * kMs));
  if (done.chained && answered)
    read_at_once(*world_.node_at(done.slot), done);
}

void Clients::time_out(std::uint64_t id) {
  if (Request* request = find(id); request != nullptr)
    finish(*request, false);
}

core::Ticket Clients::removal_ticket(const std::string& lease) {
  const core::Ticket ticket = kSystemTicket | next_removal_++;
  removals_[ticket] = lease;
  return ticket;
}

void Clients::removal_failed(Node& node, core::Ticket ticket) {
  const auto it = removals_.find(ticket);
  if (it == removals_.end())
    return;
  node.expiry().failed(it->second, node.cluster_now());
  removals_.erase(it);
}

// The object's value in a saved state.
std::int64_t Clients::value_in(const testing::Records& records, std::size_t object) {
  if (object < kRegisters) {
    const auto found = records.find(register_key(object, 'a'));
    return found == records.end() ? 0 : std::stoll(found->second);
  }
  const std::string prefix = folder_key(object);
  return std::ranges::count_if(records, [&](const auto& record) { return record.first.starts_with(prefix); });
}

std::string Clients::check(const std::vector<RestoreCall>& restores) {
  for (std::size_t object = 0; object < kObjects; ++object) {
    for (const RestoreCall& call : restores) {
      Operation op;
      op.kind = Kind::kRestore;
      op.argument = value_in(*world_.saved(call.stream), object);
      op.invoked = call.invoked;
      op.returned = call.returned;
      histories_[object].push_back(op);
    }
    if (!linearizable(histories_[object]))
      return "the history of object " + std::to_string(object) + " is not linearizable\n" +
             describe(histories_[object]);
  }
  return std::string();
}

}  // namespace coffer::sim
