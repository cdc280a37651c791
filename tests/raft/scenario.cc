#include "tests/raft/scenario.h"

#include <algorithm>

#include "base/check.h"
#include "raft/entry.h"

namespace coffer::testing {
namespace {

using raft::Core;
using raft::Message;
using raft::MessageKind;
using raft::NodeId;

constexpr const char* kKinds[] = {"pre-vote", "pre-vote-reply", "vote",       "vote-reply",
                                  "append",   "append-reply",   "heartbeat",  "heartbeat-reply",
                                  "snapshot", "timeout-now",    "read-index", "read-index-reply"};
constexpr const char* kRoles[] = {"follower", "pre-candidate", "candidate", "leader"};

const char* name_of(MessageKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

std::string list_of(const std::vector<NodeId>& nodes) {
  std::string out;
  for (NodeId node : nodes)
    out += (out.empty() ? "" : ",") + std::to_string(node.get());
  return out;
}

std::string show(const raft::Configuration& c) {
  return "voters " + list_of(c.voters) + (c.learners.empty() ? "" : " learners " + list_of(c.learners));
}

std::string show(const store::LogRecord& record) {
  std::string out = std::to_string(record.index.get()) + "/" + std::to_string(record.term.get());
  switch (static_cast<raft::EntryKind>(record.kind)) {
    case raft::EntryKind::kEmpty:
      return out + " (empty)";
    case raft::EntryKind::kData:
      return out + " " + std::string(raft::entry_body(record));
    case raft::EntryKind::kConfiguration:
      return out + " (" + show(raft::decode_configuration(raft::entry_body(record)).value()) + ")";
  }
  return out;
}

}  // namespace

std::string Scenario::run(const std::string& line) {
  out_.str("");
  std::istringstream in(line);
  Words words;
  for (std::string word; in >> word;)
    words.push_back(word);
  COFFER_CHECK(!words.empty());
  if (!run_time(words) && !run_network(words) && !run_client(words) && !run_process(words))
    out_ << "unknown command\n";
  if (!checker_.failure().empty() && !broken_) {
    broken_ = true;
    out_ << "BROKEN: " << checker_.failure() << "\n";
  }
  return out_.str();
}

Scenario::Member& Scenario::member(const std::string& id) {
  const auto it = members_.find(std::stoull(id));
  COFFER_CHECK(it != members_.end());
  return it->second;
}

void Scenario::start(Member& m) {
  raft::Options options;
  options.id = NodeId(m.id);
  options.random_seed = m.id + (m.lives << 32);
  options.append_bytes_max = 64;
  options.inflight_messages_max = 2;
  Core::Start start{m.applied, m.applied_configuration, WallTime(), m.joining};
  Result<std::unique_ptr<Core>> core = Core::start(options, m.clock, m.log, std::move(start));
  if (!core.ok()) {
    out_ << m.id << " does not start: " << core.status().message() << "\n";
    return;
  }
  m.core = std::move(core).value();
  m.unsynced.clear();
  checker_.restarted(*m.core, m.joining || m.lives != 0);
  perform(m);
}

void Scenario::perform(Member& m) {
  raft::Ready ready = m.core->take_ready();
  checker_.stepped(*m.core, ready);
  if (!ready.failure.ok())
    out_ << m.id << " stops: " << ready.failure.message() << "\n";
  if (ready.install) {
    out_ << m.id << " installs a snapshot as of " << ready.install->index.get() << "\n";
    m.applied = ready.install->index;
    m.applied_term = ready.install->term;
    m.applied_configuration = ready.install->configuration;
    m.state = {"(snapshot)"};
    COFFER_CHECK(m.log.reset_to(ready.install->index, ready.install->term).ok());
  }
  if (ready.truncate_from) {
    out_ << m.id << " cuts its log from " << ready.truncate_from->get() << "\n";
    COFFER_CHECK(m.log.truncate_from(*ready.truncate_from).ok());
  }
  COFFER_CHECK(m.log.append(ready.append).ok());
  if (ready.hard_state)
    COFFER_CHECK(m.log.save_hard_state(*ready.hard_state).ok());
  if (ready.persist != 0)
    m.unsynced.push_back(ready.persist);
  if (ready.leadership)
    out_ << m.id << " is " << kRoles[static_cast<int>(ready.leadership->role)] << " in term "
         << ready.leadership->term.get()
         << (ready.leadership->leader == raft::kNobody ? ""
                                                       : ", led by " + std::to_string(ready.leadership->leader.get()))
         << "\n";
  for (Message& message : ready.send) {
    if (!quiet_)
      print(message);
    wire_.push_back(std::move(message));
  }
  for (NodeId peer : ready.snapshots)
    out_ << m.id << " wants to send a snapshot to " << peer.get() << "\n";
  for (const raft::ReadResult& read : ready.reads)
    out_ << m.id << " read " << read.context
         << (read.ok ? " may be served from " + std::to_string(read.index.get()) : " failed") << "\n";
  apply(m, ready);
}

void Scenario::apply(Member& m, const raft::Ready& ready) {
  if (ready.apply.empty())
    return;
  out_ << m.id << " applies";
  for (const store::LogRecord& record : ready.apply) {
    out_ << " [" << show(record) << "]";
    m.state.emplace_back(raft::entry_body(record));
    if (record.kind == static_cast<std::uint8_t>(raft::EntryKind::kConfiguration))
      m.applied_configuration = raft::decode_configuration(raft::entry_body(record)).value();
    m.applied = record.index;
    m.applied_term = record.term;
  }
  out_ << "\n";
  m.core->applied(ready.apply.back().index);
  perform(m);
}

void Scenario::sync(Member& m) {
  if (m.core == nullptr || m.unsynced.empty())
    return;
  COFFER_CHECK(m.log.sync().ok());
  const std::uint64_t number = m.unsynced.back();
  m.unsynced.clear();
  m.core->persisted(number);
  perform(m);
}

bool Scenario::cut_off(std::uint64_t from, std::uint64_t to) const {
  const auto has = [this](std::uint64_t id) {
    return std::find(isolated_.begin(), isolated_.end(), id) != isolated_.end();
  };
  return has(from) != has(to);
}

// `route` is "all", "A->B", "A->*" or "*->B".
std::size_t Scenario::deliver(const std::string& route, const std::string& kind, bool drop) {
  std::deque<Message> now;
  now.swap(wire_);
  std::size_t count = 0;
  for (Message& message : now) {
    const std::string from = std::to_string(message.from.get());
    const std::string to = std::to_string(message.to.get());
    const bool chosen = (route == "all" || route == from + "->" + to || route == from + "->*" || route == "*->" + to) &&
                        (kind.empty() || kind == name_of(message.kind));
    if (!chosen) {
      wire_.push_back(std::move(message));
      continue;
    }
    ++count;
    const auto it = members_.find(message.to.get());
    if (drop || it == members_.end() || it->second.core == nullptr || cut_off(message.from.get(), message.to.get()))
      continue;
    it->second.core->step(std::move(message));
    perform(it->second);
  }
  return count;
}

void Scenario::print(const Message& m) {
  out_ << m.from.get() << "->" << m.to.get() << " " << name_of(m.kind) << " term " << m.term.get();
  switch (m.kind) {
    case MessageKind::kPreVote:
    case MessageKind::kVote:
      out_ << " log " << m.index.get() << "/" << m.log_term.get() << (m.force ? " forced" : "");
      break;
    case MessageKind::kPreVoteReply:
    case MessageKind::kVoteReply:
      out_ << (m.reject ? " refused" : " granted");
      break;
    case MessageKind::kAppend:
      out_ << " after " << m.index.get() << "/" << m.log_term.get() << " commit " << m.commit.get();
      for (const store::LogRecord& record : m.entries)
        out_ << " [" << show(record) << "]";
      break;
    case MessageKind::kAppendReply:
      out_ << (m.reject ? " refused after " : " has ") << m.index.get();
      if (m.reject)
        out_ << ", try " << m.hint.get() << "/" << m.hint_term.get();
      break;
    case MessageKind::kHeartbeat:
      out_ << " round " << m.round << " commit " << m.commit.get();
      break;
    case MessageKind::kHeartbeatReply:
      out_ << " round " << m.round;
      break;
    case MessageKind::kReadIndexReply:
      out_ << " read " << m.context << (m.reject ? " refused" : " index " + std::to_string(m.index.get()));
      break;
    default:
      break;
  }
  out_ << (m.catching_up ? " catching up" : "")
       << (m.catch_up_to != Index(0) ? " until " + std::to_string(m.catch_up_to.get()) : "") << "\n";
}

void Scenario::status(Member& m) {
  if (m.core == nullptr) {
    out_ << m.id << " is down\n";
    return;
  }
  const Core& core = *m.core;
  out_ << m.id << " " << kRoles[static_cast<int>(core.role())] << " term " << core.term().get() << " leader "
       << core.leader().get() << " last " << core.last_index().get() << " synced " << core.synced_index().get()
       << " commit " << core.commit_index().get() << " applied " << core.applied_index().get()
       << (core.serving() ? " serving" : "") << (core.lease().valid(m.clock.boot_now()) ? " lease" : "")
       << (core.may_vote() ? "" : " may-not-vote") << " " << show(core.configuration()) << "\n";
}

void Scenario::print_log(Member& m) {
  out_ << m.id << " log:";
  if (m.log.first_index() <= m.log.last_index()) {
    const std::vector<store::LogRecord> records = m.log.read(m.log.first_index(), m.log.last_index(), SIZE_MAX).value();
    for (const store::LogRecord& record : records)
      out_ << " [" << show(record) << "]";
  }
  out_ << "\n";
}

void Scenario::make_cluster(const Words& words) {
  raft::Configuration configuration;
  for (std::uint64_t id = 1; id <= std::stoull(words[1]); ++id)
    configuration.voters.push_back(NodeId(id));
  for (NodeId id : configuration.voters) {
    Member& m = members_[id.get()];
    m.id = id.get();
    m.initial = m.applied_configuration = configuration;
    start(m);
    sync(m);
  }
}

void Scenario::settle() {
  const bool quiet = std::exchange(quiet_, true);
  for (int round = 0; round < 100; ++round) {
    bool any = !wire_.empty();
    for (auto& [id, m] : members_) {
      any = any || (m.core != nullptr && !m.unsynced.empty());
      sync(m);
    }
    deliver("all", "", false);
    if (!any)
      break;
  }
  quiet_ = quiet;
}

bool Scenario::run_time(const Words& words) {
  if (words[0] == "advance") {
    for (auto& [id, m] : members_)
      m.clock.advance(std::chrono::milliseconds(std::stoll(words[1])));
  } else if (words[0] == "tick") {
    for (auto& [id, m] : members_) {
      if ((words[1] == "all" || words[1] == std::to_string(id)) && m.core != nullptr) {
        m.core->tick();
        perform(m);
      }
    }
  } else if (words[0] == "timeout") {
    // Long enough for any election timeout; only the one node notices.
    for (auto& [id, m] : members_)
      m.clock.advance(std::chrono::milliseconds(1'100));
    member(words[1]).core->tick();
    perform(member(words[1]));
  } else if (words[0] == "elect") {
    run_time({"timeout", words[1]});
    settle();
  } else if (words[0] == "live") {
    // The leader does its duty; nobody else ticks.
    for (long long passed = 0; passed < std::stoll(words[2]); passed += 100) {
      run_time({"advance", "100"});
      run_time({"tick", words[1]});
      settle();
    }
  } else if (words[0] == "wall") {
    member(words[1]).clock.jump_wall(std::chrono::seconds(std::stoll(words[2])));
  } else if (words[0] == "time") {
    const auto since = member(words[1]).core->cluster_time() - ManualClock().wall_now();
    out_ << words[1] << " cluster time +" << std::chrono::duration_cast<std::chrono::milliseconds>(since).count()
         << " ms\n";
  } else {
    return false;
  }
  return true;
}

bool Scenario::run_network(const Words& words) {
  const std::string kind = words.size() > 2 ? words[2] : "";
  if (words[0] == "deliver") {
    if (deliver(words[1], kind, false) == 0)
      out_ << "nothing to deliver\n";
  } else if (words[0] == "drop") {
    out_ << "dropped " << deliver(words[1], kind, true) << "\n";
  } else if (words[0] == "repeat") {
    for (const Message& message : std::deque<Message>(wire_))
      wire_.push_back(message);
  } else if (words[0] == "isolate") {
    isolated_.push_back(std::stoull(words[1]));
  } else if (words[0] == "heal") {
    isolated_.clear();
  } else if (words[0] == "settle") {
    settle();
  } else if (words[0] == "quiet") {
    quiet_ = words[1] == "on";
  } else {
    return false;
  }
  return true;
}

void Scenario::change(const Words& words) {
  Member& m = member(words[1]);
  raft::Change change;
  change.node = NodeId(std::stoull(words[3]));
  change.kind = words[2] == "add-learner" ? raft::Change::Kind::kAddLearner
                : words[2] == "promote"   ? raft::Change::Kind::kPromote
                : words[2] == "demote"    ? raft::Change::Kind::kDemote
                                          : raft::Change::Kind::kRemove;
  const Result<Index> index = m.core->propose_change(m.core->term(), change);
  if (!index.ok())
    out_ << "refused: " << index.status().message() << "\n";
  perform(m);
}

bool Scenario::run_client(const Words& words) {
  if (words[0] == "propose") {
    Member& m = member(words[1]);
    const Term term = words.size() > 3 ? Term(std::stoull(words[3])) : m.core->term();
    const Result<Index> index = m.core->propose(term, std::string(raft::kEntryHeaderBytes, '\0') + words[2]);
    if (!index.ok())
      out_ << "refused: " << index.status().message() << "\n";
    perform(m);
  } else if (words[0] == "change") {
    change(words);
  } else if (words[0] == "transfer") {
    Member& m = member(words[1]);
    if (const Status status = m.core->transfer_leadership(NodeId(words.size() > 2 ? std::stoull(words[2]) : 0));
        !status.ok())
      out_ << "refused: " << status.message() << "\n";
    perform(m);
  } else if (words[0] == "read") {
    Member& m = member(words[1]);
    if (const Status status = m.core->read_index(std::stoull(words[2])); !status.ok())
      out_ << "refused: " << status.message() << "\n";
    perform(m);
  } else if (words[0] == "status") {
    for (auto& [id, m] : members_) {
      if (words.size() == 1 || words[1] == std::to_string(id))
        status(m);
    }
  } else if (words[0] == "log") {
    print_log(member(words[1]));
  } else {
    return false;
  }
  return true;
}

void Scenario::send_snapshot(const Words& words) {
  Member& m = member(words[1]);
  Message message;
  message.kind = MessageKind::kSnapshot;
  message.from = NodeId(m.id);
  message.to = NodeId(std::stoull(words[2]));
  message.term = m.core->term();
  message.time = m.core->cluster_time();
  message.snapshot = std::make_shared<const raft::SnapshotMeta>(m.core->snapshot_meta().value());
  wire_.push_back(std::move(message));
  m.core->snapshot_done(NodeId(std::stoull(words[2])));
  perform(m);
}

bool Scenario::run_process(const Words& words) {
  if (words[0] == "cluster") {
    make_cluster(words);
  } else if (words[0] == "join") {
    Member& m = members_[std::stoull(words[1])];
    m.id = std::stoull(words[1]);
    m.joining = true;
    start(m);
    sync(m);
  } else if (words[0] == "sync") {
    for (auto& [id, m] : members_) {
      if (words[1] == "all" || words[1] == std::to_string(id))
        sync(m);
    }
  } else if (words[0] == "crash") {
    Member& m = member(words[1]);
    m.core.reset();
    m.log.crash(0);
    // The state is kept as far as the log reaches: it never ran ahead of it.
    m.applied = std::min(m.applied, m.log.last_index());
  } else if (words[0] == "restart") {
    start(member(words[1]));
  } else if (words[0] == "wipe") {
    Member& m = member(words[1]);
    m.core.reset();
    m.log.wipe();
    m.applied = Index(0);
    m.applied_configuration = raft::Configuration();
    m.joining = true;
  } else if (words[0] == "image") {
    Member& m = member(words[1]);
    COFFER_CHECK(m.core == nullptr);
    m.image = m.log;
    m.image_applied = m.applied;
  } else if (words[0] == "roll-back") {
    Member& m = member(words[1]);
    m.core.reset();
    m.log = m.image;
    m.applied = m.image_applied;
    ++m.lives;
  } else if (words[0] == "cut") {
    COFFER_CHECK(member(words[1]).log.cut_below(Index(std::stoull(words[2]))).ok());
  } else if (words[0] == "snapshot") {
    send_snapshot(words);
  } else {
    return false;
  }
  return true;
}

}  // namespace coffer::testing
