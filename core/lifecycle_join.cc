// How a node that has nothing becomes part of a cluster, and how one that leads hands over.
#include <algorithm>
#include <utility>

#include "core/layout.h"
#include "core/lifecycle.h"
#include "core/owed.h"
#include "seal/unseal.h"

namespace coffer::core {
namespace {

constexpr Nanos kRetryPause = std::chrono::seconds(2);
constexpr Nanos kLetInPauseMin = std::chrono::milliseconds(250);  // then twice as long each time
constexpr Nanos kLetInTimeMax = std::chrono::seconds(20);
constexpr std::size_t kTargetsMax = 16;
constexpr Nanos kStatePause = std::chrono::milliseconds(20);
constexpr Nanos kStateTimeMax = std::chrono::seconds(60);

bool flag(const json::Value& body, std::string_view name) {
  const json::Value* value = body.find(name);
  return value != nullptr && value->is_bool() && value->as_bool();
}

Result<JoinTarget> target_of(const json::Value& body) {
  JoinTarget target;
  target.url = body.string_or("leader_api_addr", "");
  target.ca_pem = body.string_or("leader_ca_cert", "");
  target.client_cert_pem = body.string_or("leader_client_cert", "");
  target.client_key_pem = body.string_or("leader_client_key", "");
  target.server_name = body.string_or("leader_tls_servername", "");
  if (!std::string(body.string_or("auto_join", "")).empty() || target.url.starts_with("provider="))
    return Status(Code::kInvalid, "auto_join: looking nodes up at a cloud is not supported; give leader_api_addr");
  if (!target.url.starts_with("https://") && !target.url.starts_with("http://"))
    return Status(Code::kInvalid, "leader_api_addr must be the URL of a node's API, such as https://node-a:8200");
  while (target.url.ends_with('/'))
    target.url.pop_back();
  target.non_voter = flag(body, "non_voter");
  return target;
}

void answer_joined(Exchange& exchange) {
  exchange.response.bare = true;
  exchange.response.data = json::ObjectBuilder(exchange.arena, 1).add("joined", true).build();
}

}  // namespace

void Lifecycle::step_down_behind(std::shared_ptr<Owed> owed) {
  if (ports_.cluster == nullptr)
    return respond(owed->take());
  ports_.cluster->group.transfer_leadership(raft::kNobody, [this, owed](const Status& status) {
    if (!status.ok())
      refuse(**owed, "step down", status);
    else
      ports_.logger.info("core", "stepped down from active operation");
    respond(owed->take());
  });
}

void Lifecycle::start_join(std::unique_ptr<Exchange> exchange) {
  if (exchange->request.operation != Operation::kWrite)
    return respond_failed(std::move(exchange), Status(Code::kUnsupported, "unsupported operation"));
  if (ports_.cluster == nullptr)
    return respond_failed(std::move(exchange), Status(Code::kInvalid, "raft storage is not in use"));
  const Result<JoinTarget> target = target_of(exchange->request.data);
  if (!target.ok())
    return respond_failed(std::move(exchange), target.status());
  if (flag(exchange->request.data, "retry")) {
    keep_joining({*target});
    answer_joined(*exchange);
    return respond(std::move(exchange));
  }
  auto owed = std::make_shared<Owed>(std::move(exchange));
  const bool taken = ports_.cluster->threads.submit([this, target = *target, owed] {
    if (const Status status = join(target); !status.ok())
      refuse(**owed, "join the cluster", status);
    else
      answer_joined(**owed);
    respond(owed->take());
  });
  if (!taken)
    respond_failed(owed->take(), Status(Code::kExhausted, "too many calls to other systems wait"));
}

// A node joins with nothing, or goes on with the cluster that it began to join.
Status Lifecycle::may_join() const {
  if (!status_.known)
    return Status(Code::kUnavailable, "the store is not ready yet");
  if (busy_)
    return Status(Code::kUnavailable, "an initialization, unseal or join is already in progress");
  if (status_.initialized && !pending_)
    return Status(Code::kInvalid, "this node is already initialized: a node with data of its own joins no cluster");
  const std::vector<raft::NodeId>& voters = ports_.cluster->group.group_status().configuration.voters;
  if (voters.size() == 1 && voters.front() == ports_.cluster->self.number)
    return Status(Code::kInvalid, "this node has begun a cluster of its own: initialize it, or clear its data folder");
  return ok_status();
}

// What the cluster's seal needs is fetched; who is let in is decided when this node has opened it.
Status Lifecycle::join(const JoinTarget& target) {
  Member self = ports_.cluster->self;
  self.non_voter = target.non_voter;
  {
    const std::lock_guard lock(mutex_);
    COFFER_TRY(may_join());
  }
  // Nothing is held meanwhile: the other node may take its time.
  COFFER_ASSIGN(const ClusterRecords asked, ask_for_records(ports_.cluster->call, target, self));
  const ClusterRecords* records = &asked;
  const bool fits = records->seal.automatic() == (ports_.automatic != nullptr) &&
                    (ports_.automatic == nullptr || records->seal.kind == ports_.automatic->kind());
  if (!fits)
    return Status(Code::kInvalid, "the cluster is sealed by \"" + records->seal.kind +
                                      "\": configure the same seal for this node");
  {
    const std::lock_guard lock(mutex_);
    COFFER_TRY(may_join());
    if (pending_ && pending_->records.cluster_id != records->cluster_id)
      return Status(Code::kInvalid, "this node is joining another cluster: start it anew to change that");
    if (pending_) {  // shares that were given stay
      pending_->target = target;
      pending_->self = self;
    } else {
      pending_ = PendingJoin{target, *records, self};
    }
    status_.initialized = true;
    status_.type = records->seal.kind;
    status_.counts = records->seal.counts;
    status_.cluster_name = records->cluster_name;
    status_.cluster_id = records->cluster_id;
    busy_ = ports_.automatic != nullptr;
    publish(status_);
  }
  ports_.logger.info("core", "joining a cluster", {{"leader_api_addr", target.url}});
  if (ports_.automatic == nullptr)
    return ok_status();
  Result<seal::Unsealed> keys = seal::unseal_automatically(records->seal, records->keyring, *ports_.automatic);
  if (!keys.ok()) {
    const std::lock_guard lock(mutex_);
    busy_ = false;
    return keys.status();
  }
  enter(std::make_shared<seal::Unsealed>(std::move(*keys)), [](const Status&) {});
  return ok_status();
}

// busy_ is set; it is let go with `done`.
void Lifecycle::enter(std::shared_ptr<seal::Unsealed> keys, std::function<void(const Status&)> done) {
  PendingJoin pending;
  {
    const std::lock_guard lock(mutex_);
    pending = *pending_;
  }
  const auto give_up = [this, done](const Status& status) {
    {
      const std::lock_guard lock(mutex_);
      busy_ = false;
      ceremony_.reset();
      status_.progress = {};
      publish(status_);
    }
    ports_.logger.error("core", "was not let into the cluster: " + status.message());
    done(status);
  };
  const bool taken = ports_.cluster->threads.submit([this, pending = std::move(pending), keys, done, give_up] {
    if (const Status status = be_let_in(pending, *keys->keyring); !status.ok())
      return give_up(status);
    {
      const std::lock_guard lock(mutex_);
      pending_.reset();
    }
    unseal_with(std::move(*keys), [this, done](const Status& status) {
      if (!status.ok())
        ports_.changed(false);  // a state of other keys came meanwhile: the connections are of these
      done(status);
    });
  });
  if (!taken)
    give_up(Status(Code::kExhausted, "too many calls to other systems wait"));
}

bool Lifecycle::is_entering() const {
  const std::lock_guard lock(mutex_);
  return pending_ && busy_;
}

Result<LetIn> Lifecycle::ask_until_let_in(const PendingJoin& pending, const seal::Keyring& keyring) {
  const PeerCall& call = ports_.cluster->call;
  Nanos pause_time = kLetInPauseMin;
  for (Nanos waited{0};; waited += pause_time, pause_time = std::min(2 * pause_time, kRetryPause)) {
    Result<ClusterRecords> records = ask_for_records(call, pending.target, pending.self);
    if (records.ok() && records->cluster_id != pending.records.cluster_id)
      return Status(Code::kInvalid, pending.target.url + ": belongs to another cluster by now");
    Result<LetIn> let_in = records.ok() ? ask_to_be_let_in(call, pending.target, keyring, *records, pending.self,
                                                           ports_.random)
                                        : records.status();
    // An election, or another node that is just being let in.
    if (let_in.ok() || let_in.code() != Code::kUnavailable || waited >= kLetInTimeMax)
      return let_in;
    ports_.logger.info("core", "is not let into the cluster yet, and asks again: " + let_in.status().message());
    if (!pause(pause_time))
      return Status(Code::kUnavailable, "the server is stopping");
  }
}

Status Lifecycle::be_let_in(const PendingJoin& pending, const seal::Keyring& keyring) {
  COFFER_ASSIGN(const LetIn let_in, ask_until_let_in(pending, keyring));
  ports_.cluster->meet(keyring, let_in);
  for (Nanos waited{0}; waited < kStateTimeMax; waited += kStatePause) {
    COFFER_ASSIGN(const bool arrived, state_arrived());
    if (arrived)
      return ok_status();
    if (!pause(kStatePause))
      return Status(Code::kUnavailable, "the server is stopping");
  }
  return Status(Code::kUnavailable, "the cluster's state did not arrive: is this node's cluster address reachable?");
}

// As far as the leader says that it is committed.
Result<bool> Lifecycle::state_arrived() const {
  const GroupStatus group = ports_.cluster->group.group_status();
  if (group.leader == raft::kNobody || group.applied < group.committed)
    return false;
  COFFER_ASSIGN(const std::unique_ptr<store::View> view, ports_.backend.view());
  std::string record;
  return view->get(store::make_key(store::KeyClass::kShared, layout::kRootNamespace, layout::kSystemMount,
                                   layout::kKeyring),
                   record);
}

// False: the server stops.
bool Lifecycle::pause(Nanos time) {
  std::unique_lock lock(mutex_);
  return !stopped_.wait_for(lock, time, [this] { return stopping_; });
}

void Lifecycle::keep_joining(std::vector<JoinTarget> targets) {
  {
    const std::lock_guard lock(mutex_);
    targets.resize(std::min(targets.size(), kTargetsMax));
    targets_ = std::move(targets);
    if (std::exchange(keeps_joining_, true))
      return;  // whoever tries already goes on with these
  }
  const bool taken = ports_.cluster->threads.submit([this] {
    try_targets();
    const std::lock_guard lock(mutex_);
    keeps_joining_ = false;
  });
  if (taken)
    return;
  ports_.logger.error("core", "cannot join: too many calls to other systems wait");
  const std::lock_guard lock(mutex_);
  keeps_joining_ = false;
}

void Lifecycle::try_targets() {
  std::string last;
  do {
    std::vector<JoinTarget> targets;
    {
      const std::lock_guard lock(mutex_);
      targets = targets_;
    }
    for (const JoinTarget& target : targets) {
      {
        const std::lock_guard lock(mutex_);
        if (stopping_ || (status_.initialized && !(pending_ && ports_.automatic != nullptr)))
          return;
      }
      const Status status = join(target);
      if (status.ok() && ports_.automatic == nullptr)
        return;
      if (!status.ok() && std::exchange(last, status.message()) != status.message())
        ports_.logger.warn("core", "could not join yet: " + status.message());
    }
  } while (pause(kRetryPause));
}

}  // namespace coffer::core
