#include "raft/entry.h"

#include <algorithm>

namespace coffer::raft {
namespace {

void put_u64(char* out, std::uint64_t value) {
  for (int i = 0; i < 8; ++i)
    out[i] = static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
}

std::uint64_t get_u64(const char* in) {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i)
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(in[i])) << (8 * i);
  return value;
}

void append_nodes(std::string& out, const std::vector<NodeId>& nodes) {
  out.push_back(static_cast<char>(nodes.size()));
  for (NodeId node : nodes) {
    out.append(8, '\0');
    put_u64(out.data() + out.size() - 8, node.get());
  }
}

// Takes one list from the front of `body`; false when it is malformed.
bool take_nodes(std::string_view& body, std::size_t count_max, std::vector<NodeId>& nodes) {
  if (body.empty())
    return false;
  const std::size_t count = static_cast<unsigned char>(body.front());
  body.remove_prefix(1);
  if (count > count_max || body.size() < count * 8)
    return false;
  for (std::size_t i = 0; i < count; ++i) {
    nodes.push_back(NodeId(get_u64(body.data())));
    body.remove_prefix(8);
    if (nodes.back() == kNobody || (i > 0 && nodes[i - 1] >= nodes[i]))
      return false;
  }
  return true;
}

}  // namespace

bool Configuration::is_voter(NodeId id) const noexcept {
  return std::find(voters.begin(), voters.end(), id) != voters.end();
}

bool Configuration::is_learner(NodeId id) const noexcept {
  return std::find(learners.begin(), learners.end(), id) != learners.end();
}

void stamp_entry_time(std::string& payload, WallTime time) {
  COFFER_CHECK(payload.size() >= kEntryHeaderBytes);
  put_u64(payload.data(), static_cast<std::uint64_t>(time.time_since_epoch().count()));
}

Result<WallTime> entry_time(const store::LogRecord& record) {
  COFFER_CHECK(record.payload != nullptr);
  if (record.payload->size() < kEntryHeaderBytes)
    return Status(Code::kDataLoss, "a log entry is shorter than its header");
  return WallTime(Nanos(static_cast<std::int64_t>(get_u64(record.payload->data()))));
}

std::string_view entry_body(const store::LogRecord& record) {
  COFFER_CHECK(record.payload != nullptr);
  std::string_view body = *record.payload;
  body.remove_prefix(std::min(body.size(), kEntryHeaderBytes));
  return body;
}

std::string encode_configuration(const Configuration& configuration) {
  COFFER_CHECK(configuration.voters.size() <= kVotersMax);
  COFFER_CHECK(configuration.learners.size() <= kLearnersMax);
  std::string out(kEntryHeaderBytes, '\0');
  append_nodes(out, configuration.voters);
  append_nodes(out, configuration.learners);
  return out;
}

Result<Configuration> decode_configuration(std::string_view body) {
  Configuration out;
  if (!take_nodes(body, kVotersMax, out.voters) || !take_nodes(body, kLearnersMax, out.learners) || !body.empty())
    return Status(Code::kDataLoss, "a configuration entry of the log is malformed");
  for (NodeId learner : out.learners) {
    if (out.is_voter(learner))
      return Status(Code::kDataLoss, "a configuration entry of the log names a node twice");
  }
  return out;
}

}  // namespace coffer::raft
