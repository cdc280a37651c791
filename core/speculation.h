// What was proposed and is not committed yet, for a handler that runs on it.
//
// Writers of one record would otherwise commit one after the other: each must see what the one before it wrote. A
// transaction that ran on a speculation may be proposed behind the entries that it read, since a log that holds it
// holds them, and it is acknowledged only when it is committed. What ran on a speculation and writes nothing tells
// nobody: it runs again once what it read is committed.
//
// A speculation holds the records of the contended key's last entry, and of those before it that were not published
// yet. It says nothing of other records: they are read from the view. Immutable; any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/strong.h"
#include "store/backend.h"

namespace coffer::core {

struct Proposal;

class Speculation {
 public:
  struct Record {
    Index index;
    store::Op op;
  };
  // Whose records would be copied beyond these bounds runs again after the commit instead.
  static constexpr std::size_t kRecordsMax = 64;
  static constexpr std::size_t kBytesMax = 32u << 10;  // of keys and sealed values

  // What `proposal` leaves, appended at `index` in `term`; with what it ran on itself, above `published`. Null beyond a
  // bound. A record whose key `excluded` takes (null: none) is left out: what is derived from it would not match.
  static std::shared_ptr<const Speculation> after(const Proposal& proposal, Term term, Index index, Index published,
                                                  bool (*excluded)(std::string_view));

  // The leadership that proposed it: another one's log may not hold it.
  Term term() const noexcept { return term_; }
  const std::vector<Record>& records() const noexcept { return records_; }
  // The record, if it is newer than a view at `view`.
  const Record* find(std::string_view key, Index view) const noexcept;

 private:
  Speculation(Term term, std::vector<Record> records) : term_(term), records_(std::move(records)) {}

  Term term_;
  std::vector<Record> records_;  // few; no key twice
};

}  // namespace coffer::core
