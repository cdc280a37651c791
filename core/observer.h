// The port from the applier to what is derived from the state: keyring, mount table, policies, audit devices. The
// node's thread calls it for each committed batch, before anyone who waits for the batch is woken.
#pragma once

#include <memory>
#include <span>

#include "base/strong.h"
#include "store/backend.h"

namespace coffer::core {

class StateObserver {
 public:
  virtual ~StateObserver() = default;
  // Node's thread. `ops` are in the backend already (applied, not yet published). Cannot fail: what cannot be derived
  // (a record that does not open) makes the attachment say so, and requests are refused.
  virtual void on_apply(Index index, std::span<const store::Op> ops) = 0;
  // Node's thread. A snapshot took the place of everything: `state` is what there is now, not yet published. All that
  // was derived is derived anew from it; what cannot be makes the attachment say so, as above.
  virtual void on_replaced(const store::View& state) = 0;
  // Node's thread. Likewise, but what there is now may be another cluster's: keys and all that was derived are dropped.
  virtual void on_restored() = 0;
  // Node's thread, after a batch of on_apply calls: what Backend::publish() carries. Null keeps the last one.
  virtual std::shared_ptr<const store::Attachment> attachment() = 0;
};

}  // namespace coffer::core
