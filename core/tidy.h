// Looks through the records of leases, or of tokens, for what does not fit together, and mends it: an index that names
// nothing is removed, one that is missing is written, what has lost its owner is ended as it would have been with it.
// What is written together goes in one entry, so there is nothing to find but what damage or an older fault left.
//
// It runs as a job (core/jobs.h): a page of records a step, one entry a step, carried on by whoever leads. What cannot
// be opened is counted and left alone.
#pragma once

#include <string>
#include <string_view>

#include "core/call.h"

namespace coffer::core {

enum class TidyKind : std::uint8_t { kLeases = 1, kTokens = 2 };

// What a run has done so far; stored (docs/formats/lease.md), so that any node shows it.
struct TidyReport {
  bool finished = false;
  WallTime started{};
  WallTime ended{};
  std::uint64_t looked_at = 0;
  std::uint64_t removed = 0;   // index records that named nothing
  std::uint64_t restored = 0;  // index records that were missing
  std::uint64_t revoked = 0;   // leases and tokens whose owner is gone
  std::uint64_t damaged = 0;   // records that do not open
};

// How far a run has come.
struct TidyPlace {
  std::size_t part = 0;  // of the kind's table
  NamespaceId ns{0};     // within a part that every namespace has
  std::string at;        // position in it; empty: the first
  std::uint64_t steps = 0;
  TidyReport report;
};

std::string encode(const TidyReport& report);
// kDataLoss when it is no such record.
Result<TidyReport> decode_tidy(std::string_view plaintext);

// The handlers' part. Starts a run, or warns that one is under way; kInvalid outside of the root namespace.
Status start_tidy(CallContext& ctx, TidyKind kind);
// Answers with what the last run found; running ones too.
Status show_tidy(CallContext& ctx, TidyKind kind);

// The job's part: one page. True when the run is over; the job's own record is the caller's to erase then.
Result<bool> tidy_step(TxnImpl& txn, const Published& published, json::Arena& arena, const Job& job, TidyPlace& place);

// One line for the server's log.
std::string tidy_summary(const Job& job, const TidyReport& report);

}  // namespace coffer::core
