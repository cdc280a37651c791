// Waits with a bound, within gRPC, that the wall clock does not lengthen.
//
// gRPC's timers (deadlines, pings, pauses before a connection) are kept on the monotonic clock, but its threads wait
// for the next one in absl::CondVar, which asks the kernel for a moment of the wall clock. When that is set back by an
// hour, the thread sleeps through the hour: no call times out, and no lost connection is made again. This replaces the
// function by which absl's threads wait, which absl keeps replaceable, by one that waits for a span: at most a second,
// after which it says that the time is over, even if it is not. gRPC's threads then look what is due, and wait again.
#pragma once

namespace coffer::rpc {

// Does nothing at run time: whoever calls it has the replacement linked in. Once it is, it holds for the whole process,
// from its start.
void wait_steadily();

}  // namespace coffer::rpc
