// Every actor of a node and every message that it accepts. Actors know each other by this page alone. Messages carry no
// data but numbers: what is handed over (requests, proposals, reports) waits in a bounded queue of the receiver's, and
// the message only wakes it, at most once until the queue is drained, so that CAF's mailboxes, which have no bound,
// never hold more than a few.
#pragma once

#include <caf/atom.hpp>
#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

namespace coffer::actors {

using wake_atom = caf::atom_constant<caf::atom("wake")>;  // the queue holds something
using tick_atom = caf::atom_constant<caf::atom("tick")>;  // the actor's own clock; it re-arms it itself
using stop_atom = caf::atom_constant<caf::atom("stop")>;  // finish what was accepted, then end; answered when done

// The Raft group's member: proposer, Raft core and applier (actors/node.h). Detached: it has a thread of its own, so a
// busy scheduler never delays a heartbeat.
using node_actor = caf::typed_actor<caf::reacts_to<wake_atom>,   // drain the queue of proposals and reports
                                    caf::reacts_to<tick_atom>,   // heartbeats, elections, ages of generations
                                    caf::reacts_to<stop_atom>>;

// Lease clock: revokes tokens and leases that are due (core/expiry_driver.h), a bounded number a tick.
using expiry_actor = caf::typed_actor<caf::reacts_to<tick_atom>,   // look what is due
                                      // something due earlier was added, or a revocation ended
                                      caf::reacts_to<wake_atom>,
                                      caf::reacts_to<stop_atom>>;

}  // namespace coffer::actors
