#include "raft/wire.h"

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <algorithm>
#include <functional>

#include "raft/entry.h"

namespace coffer::raft {
namespace {

store::LogRecord entry(std::uint64_t index, std::uint64_t term, EntryKind kind, std::size_t bytes) {
  return {Index(index), Term(term), static_cast<std::uint8_t>(kind),
          std::make_shared<const std::string>(bytes, static_cast<char>('a' + index % 26))};
}

Message append() {
  Message m;
  m.kind = MessageKind::kAppend;
  m.catching_up = true;
  m.from = NodeId(0xfedcba9876543210);
  m.to = NodeId(2);
  m.term = Term(9);
  m.index = Index(300);
  m.log_term = Term(4);
  m.commit = Index(299);
  m.hint = Index(1);
  m.hint_term = Term(2);
  m.catch_up_to = Index(1u << 20);
  m.round = 77;
  m.context = ~std::uint64_t{0};
  m.incarnation = 3;
  m.time = WallTime(Nanos(-5));
  m.entries = {entry(301, 4, EntryKind::kData, 8), entry(302, 9, EntryKind::kReplaced, 100),
               entry(303, 9, EntryKind::kEmpty, 70'000)};
  return m;
}

Message snapshot() {
  Message m = append();
  m.kind = MessageKind::kSnapshot;
  m.entries.clear();
  m.snapshot = std::make_shared<SnapshotMeta>(SnapshotMeta{
      Index(12), Term(3), {{NodeId(1), NodeId(2)}, {NodeId(7)}}, WallTime(Nanos(1'700'000'000'000'000'000))});
  return m;
}

std::string encoded(const Message& message) {
  std::string out;
  encode_message(message, out);
  return out;
}

void check_same(const Message& a, const Message& b) {
  BOOST_TEST((a.kind == b.kind && a.reject == b.reject && a.force == b.force && a.catching_up == b.catching_up));
  BOOST_TEST(a.staged == b.staged);
  BOOST_TEST((a.from == b.from && a.to == b.to && a.term == b.term && a.index == b.index));
  BOOST_TEST((a.log_term == b.log_term && a.commit == b.commit && a.hint == b.hint && a.hint_term == b.hint_term));
  BOOST_TEST((a.catch_up_to == b.catch_up_to && a.round == b.round && a.context == b.context));
  BOOST_TEST((a.incarnation == b.incarnation && a.time == b.time));
  BOOST_REQUIRE_EQUAL(a.entries.size(), b.entries.size());
  for (std::size_t i = 0; i < a.entries.size(); ++i) {
    BOOST_TEST((a.entries[i].index == b.entries[i].index && a.entries[i].term == b.entries[i].term));
    BOOST_TEST(a.entries[i].kind == b.entries[i].kind);
    BOOST_TEST(*a.entries[i].payload == *b.entries[i].payload);
  }
  BOOST_REQUIRE_EQUAL(a.snapshot != nullptr, b.snapshot != nullptr);
  if (a.snapshot != nullptr) {
    BOOST_TEST((a.snapshot->index == b.snapshot->index && a.snapshot->term == b.snapshot->term));
    BOOST_TEST((a.snapshot->configuration == b.snapshot->configuration && a.snapshot->time == b.snapshot->time));
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(wire)

BOOST_AUTO_TEST_CASE(messages_come_back) {
  for (const Message& m : {append(), snapshot()}) {
    const std::string bytes = encoded(m);
    BOOST_TEST(bytes.size() <= encoded_bytes_max(m));
    const Result<Message> back = decode_message(bytes);
    BOOST_REQUIRE_MESSAGE(back.ok(), back.status().message());
    check_same(m, *back);
  }
}

BOOST_AUTO_TEST_CASE(each_kind_and_flag_comes_back) {
  for (int kind = 0; kind <= static_cast<int>(MessageKind::kStaged); ++kind) {
    for (int flags = 0; flags < 8; ++flags) {
      Message m = static_cast<MessageKind>(kind) == MessageKind::kSnapshot ? snapshot() : append();
      m.kind = static_cast<MessageKind>(kind);
      if (m.kind != MessageKind::kAppend)
        m.entries.clear();
      m.reject = (flags & 1) != 0;
      m.force = (flags & 2) != 0;
      m.catching_up = (flags & 4) != 0;
      m.staged = (flags & 1) != 0 && m.kind == MessageKind::kSnapshot;
      const Result<Message> back = decode_message(encoded(m));
      BOOST_REQUIRE(back.ok());
      check_same(m, *back);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_largest_fields_fit_the_bound) {
  Message m = snapshot();
  const std::uint64_t most = ~std::uint64_t{0};
  m.term = m.log_term = m.hint_term = Term(most);
  m.index = m.commit = m.hint = m.catch_up_to = Index(most);
  m.round = m.context = m.incarnation = most;
  SnapshotMeta meta{Index(most), Term(most), {}, WallTime(Nanos(-1))};
  for (std::size_t i = 0; i < kVotersMax; ++i)
    meta.configuration.voters.push_back(NodeId(i + 1));
  for (std::size_t i = 0; i < kLearnersMax; ++i)
    meta.configuration.learners.push_back(NodeId(i + 100));
  m.snapshot = std::make_shared<SnapshotMeta>(meta);
  BOOST_TEST(encoded(m).size() <= encoded_bytes_max(m));
  BOOST_TEST(decode_message(encoded(m)).ok());
}

BOOST_AUTO_TEST_CASE(what_is_cut_or_longer_is_refused) {
  for (const Message& m : {append(), snapshot()}) {
    const std::string bytes = encoded(m);
    for (std::size_t cut = 0; cut < std::min<std::size_t>(bytes.size(), 400); ++cut)
      BOOST_TEST((decode_message(bytes.substr(0, cut)).code() == Code::kInvalid));
    BOOST_TEST((decode_message(bytes.substr(0, bytes.size() - 1)).code() == Code::kInvalid));
    BOOST_TEST((decode_message(bytes + "x").code() == Code::kInvalid));
  }
}

// Whatever byte is changed: refused, or a message with one form.
BOOST_AUTO_TEST_CASE(changed_bytes_are_refused_or_mean_one_message) {
  Message small = append();
  small.entries.back() = entry(303, 9, EntryKind::kEmpty, 8);
  int refused = 0;
  for (const Message& m : {small, snapshot()}) {
    const std::string good = encoded(m);
    for (std::size_t at = 0; at < good.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string bytes = good;
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
        const Result<Message> back = decode_message(bytes);
        if (back.ok())
          BOOST_TEST(encoded(*back) == bytes);
        else
          ++refused;
      }
    }
  }
  BOOST_TEST(refused > 100);
}

BOOST_AUTO_TEST_CASE(what_the_core_relies_on_is_checked) {
  struct Case {
    const char* why;
    std::function<void(Message&)> change;
  };
  const Case cases[] = {
      {"an entry of a later term than the message", [](Message& m) { m.term = Term(8); }},
      {"an entry of an earlier term than the one before", [](Message& m) { m.entries[1].term = Term(3); }},
      {"an entry below the log's term", [](Message& m) { m.log_term = Term(5); }},
      {"an unknown kind of entry", [](Message& m) { m.entries[0].kind = 9; }},
      {"a payload without its head",
       [](Message& m) { m.entries[0].payload = std::make_shared<const std::string>("1234567"); }},
      {"entries in a heartbeat", [](Message& m) { m.kind = MessageKind::kHeartbeat; }},
      {"indexes that wrap",
       [](Message& m) {
         m.index = Index(~std::uint64_t{0} - 1);
         for (std::size_t i = 0; i < m.entries.size(); ++i)
           m.entries[i].index = Index(m.index.get() + i + 1);
       }},
  };
  for (const Case& c : cases) {
    Message m = append();
    c.change(m);
    BOOST_TEST((decode_message(encoded(m)).code() == Code::kInvalid), c.why);
  }
}

BOOST_AUTO_TEST_CASE(claims_of_many_entries_cost_nothing) {
  Message m = append();
  m.entries.clear();
  std::string bytes = encoded(m);
  bytes.pop_back();  // the number of entries
  BOOST_TEST((decode_message(bytes + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").code() == Code::kInvalid));
  BOOST_TEST((decode_message(bytes + "\xff\xff\x03" + std::string(100, '\0')).code() == Code::kInvalid));
  BOOST_TEST((decode_message(std::string(kMessageBytesMax + 1, '\0')).code() == Code::kInvalid));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::raft
