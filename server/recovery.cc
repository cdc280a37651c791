#include "server/recovery.h"

#include <algorithm>

#include "actors/recovery.h"
#include "actors/snapshot_desk.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/rng.h"
#include "core/cluster.h"
#include "store/current.h"
#include "store/lmdb_state.h"
#include "store/state_backend.h"
#include "store/wal.h"

namespace coffer::server {
namespace {

constexpr std::size_t kNodeIdFileBytesMax = 256;
constexpr std::size_t kPeersFileBytesMax = 64u << 10;

// [{"id": "n1", "address": "10.0.0.1:8201", "non_voter": false}, …]. Addresses are in the state already.
Result<raft::Configuration> read_peers(Disk& disk, const std::string& path) {
  COFFER_ASSIGN(const std::string text, read_file(disk, path, kPeersFileBytesMax));
  COFFER_ASSIGN(const json::Document document, json::Document::parse(text));
  if (!document.root.is_array() || document.root.size() == 0)
    return Status(Code::kInvalid, "expected a list of objects with \"id\"");
  raft::Configuration out;
  for (const json::Value& one : document.root.elements()) {
    const json::Value* id = one.is_object() ? one.find("id") : nullptr;
    if (id == nullptr || !id->is_string() || id->as_string().empty())
      return Status(Code::kInvalid, "expected a list of objects with \"id\"");
    const json::Value* flag = one.find("non_voter");
    if (flag != nullptr && !flag->is_bool())
      return Status(Code::kInvalid, "non_voter must be true or false");
    const raft::NodeId number = core::member_number(std::string(id->as_string()));
    if (out.contains(number))
      return Status(Code::kInvalid, "a node is named twice");
    (flag != nullptr && flag->as_bool() ? out.learners : out.voters).push_back(number);
    std::ranges::sort(out.voters);
    std::ranges::sort(out.learners);
  }
  return out;
}

// A start would put the log's end where the snapshot's is, and take away what is added to it here.
Status check_no_installation(Disk& disk, const std::string& folder) {
  COFFER_ASSIGN(const bool interrupted, actors::SnapshotDesk::is_interrupted(disk, folder + "/spool"));
  if (!interrupted)
    return ok_status();
  return Status(Code::kUnavailable,
                "a snapshot was being installed when the node stopped: take raft/peers.json away if it is there, start "
                "the node once, stop it, and try again");
}

}  // namespace

Result<std::string> kept_node_id(Disk& disk, const std::string& folder, bool fresh) {
  const std::string name = "node-id";
  COFFER_ASSIGN(const bool kept, disk.exists(folder + "/" + name));
  if (kept) {
    COFFER_ASSIGN(std::string id, read_file(disk, folder + "/" + name, kNodeIdFileBytesMax));
    while (id.ends_with('\n'))
      id.pop_back();
    return id;
  }
  if (!fresh)
    return std::string("node");
  COFFER_ASSIGN(std::string id, random_uuid(system_random()));
  COFFER_TRY(replace_file(disk, folder, name, id + "\n"));
  return id;
}

Status take_peers_file(Disk& disk, const std::string& folder, const std::string& node_id, store::Log& log,
                       const store::Backend& backend, Logger& logger) {
  const std::string path = folder + "/raft/peers.json";
  COFFER_ASSIGN(const bool there, disk.exists(path));
  if (!there)
    return ok_status();
  const Result<raft::Configuration> to = read_peers(disk, path);
  COFFER_TRY(to.status().with_context(path));
  COFFER_TRY(check_no_installation(disk, folder).with_context(path));
  const Result<actors::GroupRecovery> plan =
      actors::plan_recovery(backend, log, core::member_number(node_id), *to);
  COFFER_TRY(plan.status().with_context(path));
  if (plan->from != *to)
    COFFER_TRY(actors::recover_group(log, backend, *plan, *to));
  COFFER_TRY(disk.remove(path));
  COFFER_TRY(disk.sync_folder(folder + "/raft"));
  logger.warn("raft", "the cluster's members were replaced by those of peers.json; the file is removed",
              {{"voters", to->voters.size()}, {"non_voters", to->learners.size()}});
  return ok_status();
}

Result<QuorumRecovery> recover_quorum(Disk& disk, const std::string& folder, std::string node_id, bool confirmed) {
  COFFER_ASSIGN(const bool there, disk.exists(folder + "/log"));
  if (!there)
    return Status(Code::kInvalid, folder + ": there is no data of a node");
  COFFER_ASSIGN(const std::unique_ptr<FolderLock> lock, disk.lock_folder(folder));
  COFFER_TRY(check_no_installation(disk, folder));
  COFFER_ASSIGN(const auto current, store::read_current(disk, folder));
  if (!current)
    return Status(Code::kInvalid, folder + ": there is no state of a node");
  store::WalOptions wal;
  wal.must_exist = true;
  COFFER_ASSIGN(const std::unique_ptr<store::Log> log, store::WriteAheadLog::open(disk, folder + "/log", wal));
  COFFER_ASSIGN(auto table, store::open_state(disk, folder, store::LmdbOptions{}, system_random()));
  const store::StateBackend backend(std::move(table), store::StateBackendOptions{});
  if (node_id.empty()) {
    COFFER_ASSIGN(node_id, kept_node_id(disk, folder, false));
  }
  const raft::NodeId self = core::member_number(node_id);
  raft::Configuration alone;
  alone.voters = {self};
  COFFER_ASSIGN(const actors::GroupRecovery plan, actors::plan_recovery(backend, *log, self, alone));
  if (plan.from == alone)
    return Status(Code::kInvalid, "this node is the only voter already: start it");
  QuorumRecovery out{folder,           node_id,           plan.from.voters.size(), plan.from.learners.size(),
                     plan.last.get(), plan.applied.get()};
  if (confirmed) {
    COFFER_TRY(actors::recover_group(*log, backend, plan, alone));
    out.done = true;
  }
  return out;
}

}  // namespace coffer::server
