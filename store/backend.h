// The port between the server and whatever holds its state: views to read from and committed batches to apply.
// Implementations: LMDB behind a multi-version overlay (`raft`, `file`), and the overlay alone (`inmem`).
//
// Threads: view() and everything on a View may be called from any thread (one View from one thread at a time); apply(),
// publish() and the flush calls belong to one thread, the applier.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/strong.h"

namespace coffer::store {

// One record to write; no value means delete. Keys are store keys as made by store/key.h; values are sealed bytes.
struct Op {
  std::string key;
  std::optional<std::string> value;
};

// What the applier publishes together with an index: derived state of the upper layers (keyring, mounts, policies).
// Immutable once published. The store only carries it.
class Attachment {
 public:
  virtual ~Attachment() = default;
};

// Walks keys in byte order. The views returned stay valid until the next call on the cursor.
class Cursor {
 public:
  virtual ~Cursor() = default;
  // Moves to the first live record whose key is >= `key`. False when there is none.
  virtual Result<bool> seek(std::string_view key) = 0;
  virtual Result<bool> next() = 0;
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
};

// The state exactly as of index(): later commits are invisible. Short-lived: never held over a wait, because it may
// pin an LMDB reader and an overlay generation.
class View {
 public:
  virtual ~View() = default;
  virtual Index index() const = 0;
  virtual const std::shared_ptr<const Attachment>& attachment() const = 0;
  // The record's bytes appended to `out` (which is cleared first), or false when there is none. kDataLoss when damaged.
  virtual Result<bool> get(std::string_view key, std::string& out) const = 0;
  virtual Result<std::unique_ptr<Cursor>> cursor() const = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;

  // Any thread. A view at the index that was published last.
  virtual Result<std::unique_ptr<View>> view() const = 0;
  // The attachment published last, without a view. Any thread.
  virtual std::shared_ptr<const Attachment> attachment() const = 0;

  // Applier thread. Makes `ops` part of the state at `index`, invisible to view() until publish(). Indexes only grow.
  // Cannot fail and cannot branch: all that could be refused was refused before the entry was proposed.
  virtual void apply(Index index, std::span<const Op> ops) = 0;
  // Applier thread. From here on view() sees everything up to the last applied index, with this attachment.
  virtual void publish(std::shared_ptr<const Attachment> attachment) = 0;

  // The highest index that survives a crash without the log (0 for a memory store). The log is cut only below it. Any
  // thread.
  virtual Index durable_index() const = 0;
  // The index applied last; after opening, the one found on disk. Applier thread.
  virtual Index applied_index() const = 0;
};

}  // namespace coffer::store
