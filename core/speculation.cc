#include "core/speculation.h"

#include <algorithm>

#include "core/txn.h"

namespace coffer::core {
namespace {

std::size_t size_of(const store::Op& op) { return op.key.size() + (op.value ? op.value->size() : 0); }

}  // namespace

std::shared_ptr<const Speculation> Speculation::after(const Proposal& proposal, Term term, Index index, Index published,
                                                      bool (*excluded)(std::string_view)) {
  std::vector<Record> records;
  std::size_t bytes = 0;
  const auto add = [&](Index at, const store::Op& op) {
    if (excluded != nullptr && excluded(op.key))
      return true;
    bytes += size_of(op);
    if (records.size() >= kRecordsMax || bytes > kBytesMax)
      return false;
    records.push_back({at, op});
    return true;
  };
  for (const store::Op& op : proposal.ops) {
    if (!add(index, op))
      return nullptr;
  }
  if (proposal.speculation != nullptr && proposal.speculation->term_ == term) {
    for (const Record& older : proposal.speculation->records_) {
      const bool replaced = std::any_of(proposal.ops.begin(), proposal.ops.end(),
                                        [&older](const store::Op& op) { return op.key == older.op.key; });
      if (!replaced && older.index > published && !add(older.index, older.op))
        return nullptr;
    }
  }
  return std::shared_ptr<const Speculation>(new Speculation(term, std::move(records)));
}

const Speculation::Record* Speculation::find(std::string_view key, Index view) const noexcept {
  const auto at =
      std::find_if(records_.begin(), records_.end(), [key](const Record& record) { return record.op.key == key; });
  return at == records_.end() || at->index <= view ? nullptr : &*at;
}

}  // namespace coffer::core
