// What the pipeline keeps of a request between its stages. One owner at a time: whoever holds the exchange.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/audit_broker.h"
#include "core/commit.h"
#include "core/login.h"
#include "core/outside.h"
#include "core/request.h"
#include "core/token_record.h"
#include "core/tracing.h"
#include "core/txn_impl.h"

namespace coffer::core {

// How far a read at a node that does not lead has come (core/standby_reader.h).
enum class StandbyRead : std::uint8_t {
  kNone,         // it is none
  kConfirmed,    // a view taken now shows all that was acknowledged before it came
  kUnconfirmed,  // no leader said so in time
};

class PipelineState {
 public:
  enum class Stage : std::uint8_t {
    kRunning,
    kRequestAudit,   // a write: its request line is on the way, then the proposal goes out
    kCommit,
    kOutside,        // a call to a system outside is under way; the next run concludes it
    kLastAudit,      // nothing but the answer follows
  };

  Stage stage = Stage::kRunning;
  unsigned runs = 0;
  bool request_audited = false;
  bool committed = false;
  bool keyring_awaited = false;
  TxnImpl::Buffers buffers;
  Proposal proposal;
  std::shared_ptr<const Speculation> speculation;  // for the next run, and no other
  AuditFacts facts;                        // views into the arena
  std::shared_ptr<AuditSet> audit;         // set while lines are to be written
  std::vector<AuditLine> response_lines;   // prepared; they wait for the commit
  std::vector<std::size_t> request_bytes;  // of each line's text that is the request's
  std::vector<std::string> handed_out;     // hashes of tokens to revoke if the answer is withheld
  std::unique_ptr<PreparedWork> work;      // what the handler needs and no run may do itself
  unsigned works = 0;                      // how often work was performed
  bool work_refused = false;               // the server stops: it was not performed, and will not be
  std::vector<std::string> leases_out;     // and keys of leases
  std::optional<OutsideWork> outside;      // what follows the first commit
  std::optional<Status> called;            // what became of it; set: the next run concludes
  bool lease_awaited = false;              // after the call, once
  bool calls_next = false;                 // it follows the request's line at once
  Response answered;                       // as the call left it
  std::unique_ptr<Exchange> login;         // the login that a request comes with, while its thread has to go on with it
  std::string approved;                    // hash of the wrapping token behind which the request waited
  bool logged_in = false;                  // by that login: nothing that outlives the request may be made
  std::shared_ptr<const TokenHasher> hasher;  // of the view that a write ran on
  Term term;                               // of the leadership that committed the intent
  // What a rate quota said of the request: once, at the door or in the first run.
  struct Rate {
    bool asked = false;
    bool refused = false;
    std::vector<std::pair<std::string_view, std::string_view>> headers;  // of the answer; texts in the arena
  };
  Rate rate;
  StageTimes times;
  std::uint32_t route_slot = UINT32_MAX;   // of the mount, for metrics; UINT32_MAX: none
  WallTime now{};
  WallTime deadline = WallTime::max();     // in cluster time
  // Between nodes (core/forwarder.h).
  bool forwarded = false;   // by another node to this one: it goes no further
  bool bounced = false;     // the answer is that this node does not lead, and nothing was done
  bool stays = false;       // its client wants to be told who leads rather than be forwarded
  bool comes_back = false;  // it waited for a leader, and this node is it: it begins here
  bool waited = false;      // and once is enough: if this node does not lead after all, it is not tried again at once
  bool local = false;       // each node answers it for itself, whoever leads
  bool begun = false;       // a run has looked at it: it is not handed to another node any more
  StandbyRead read = StandbyRead::kNone;
  std::uint64_t client_mark = 0;  // of a client that this node has not seen before: the node that leads counts it; or 0

  void reset() {
    stage = Stage::kRunning;
    runs = 0;
    request_audited = committed = keyring_awaited = false;
    buffers.writes.clear();
    buffers.reads.clear();
    buffers.ranges.clear();
    buffers.changes.clear();
    proposal = Proposal();
    speculation.reset();
    times = StageTimes();
    route_slot = UINT32_MAX;
    facts = AuditFacts();
    audit.reset();
    response_lines.clear();
    request_bytes.clear();
    handed_out.clear();
    work.reset();
    works = 0;
    work_refused = false;
    leases_out.clear();
    outside.reset();
    called.reset();
    calls_next = false;
    answered = Response();
    rate = Rate();
    login.reset();
    logged_in = false;
    approved.clear();
    hasher.reset();
    deadline = WallTime::max();
    forwarded = bounced = stays = comes_back = waited = local = begun = false;
    read = StandbyRead::kNone;
    client_mark = 0;
  }
};

inline Proposal& proposal_of(Exchange& exchange) { return exchange.pipeline->proposal; }

}  // namespace coffer::core
