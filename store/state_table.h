// The port between the overlay and what keeps the state on disk: LMDB (store/lmdb_state.h), or a model in tests.
//
// Threads: acquire() and release() any; commit() and scrub_step() belong to one thread, the flusher's.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/strong.h"
#include "store/backend.h"

namespace coffer::store {

class Generation;

// One committed state; later commits are invisible to it. One thread at a time.
class StateReader {
 public:
  virtual ~StateReader() = default;
  virtual Index applied() const = 0;
  virtual Result<bool> get(std::string_view key, std::string& out) const = 0;
  // Lives no longer than the reader is held.
  virtual Result<std::unique_ptr<Cursor>> cursor() const = 0;
};

class StateTable {
 public:
  virtual ~StateTable() = default;

  // A reader of the newest committed state, to be handed back with release() soon: it keeps old pages from being used
  // again.
  virtual Result<StateReader*> acquire() = 0;
  virtual void release(StateReader* reader) noexcept = 0;

  // Makes the generation's newest versions and `applied` durable, both or neither. After a failure every later call
  // fails.
  virtual Status commit(const Generation& generation, Index applied) = 0;
  // Of the last commit. Any thread.
  virtual Index durable_index() const = 0;

  // Compares up to `records_max` more records with what was committed. True when a pass over all has ended; the next
  // call begins a new one. kDataLoss when something differs.
  virtual Result<bool> scrub_step(std::size_t records_max) = 0;
};

// Holds a reader and gives it back.
class ReaderHold {
 public:
  ReaderHold() = default;
  ReaderHold(StateTable& table, StateReader& reader) : table_(&table), reader_(&reader) {}
  ReaderHold(ReaderHold&& other) noexcept : table_(other.table_), reader_(std::exchange(other.reader_, nullptr)) {}
  ReaderHold& operator=(ReaderHold&& other) noexcept {
    reset();
    table_ = other.table_;
    reader_ = std::exchange(other.reader_, nullptr);
    return *this;
  }
  ~ReaderHold() { reset(); }
  const StateReader* operator->() const noexcept { return reader_; }

 private:
  void reset() noexcept {
    if (reader_ != nullptr)
      table_->release(std::exchange(reader_, nullptr));
  }
  StateTable* table_ = nullptr;
  StateReader* reader_ = nullptr;
};

}  // namespace coffer::store
