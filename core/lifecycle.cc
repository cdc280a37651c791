#include "core/lifecycle.h"

#include <utility>

#include "base/encoding.h"
#include "base/mutant.h"
#include "core/ceremony.h"
#include "core/group_record.h"
#include "core/layout.h"
#include "core/owed.h"
#include "seal/init.h"

namespace coffer::core {
namespace {

using layout::kClusterInfo;
using layout::kSealConfig;

constexpr std::size_t kClusterNameBytesMax = 256;

std::string clear_key(std::string_view rest) {
  return store::make_key(store::KeyClass::kClusterLocal, layout::kRootNamespace, layout::kSystemMount, rest);
}

std::string keyring_key() {
  return store::make_key(store::KeyClass::kShared, layout::kRootNamespace, layout::kSystemMount, layout::kKeyring);
}

Result<bool> read_record(const store::View& view, const std::string& key, std::string_view name, std::string& out) {
  Result<bool> found = view.get(key, out);
  if (found.code() == Code::kDataLoss)
    return Lifecycle::damaged(name, found.status().message());
  return found;
}

// The group's own record is there before init: Raft's first entry writes it.
Result<bool> holds_anything(const store::View& view) {
  COFFER_ASSIGN(const std::unique_ptr<store::Cursor> cursor, view.cursor());
  COFFER_ASSIGN(bool more, cursor->seek({}));
  if (more && cursor->key() == group_key()) {
    COFFER_ASSIGN(more, cursor->next());
  }
  return more;
}

// A share count of the body; absent is 0.
Result<unsigned> count_field(const json::Value& body, std::string_view name) {
  const json::Value* value = body.find(name);
  if (value == nullptr || value->is_null())
    return 0u;
  const Result<std::int64_t> number = value->as_int64();
  if (!number.ok() || *number < 0 || *number > 255)
    return Status(Code::kInvalid, std::string(name) + " must be a number from 0 to 255");
  return static_cast<unsigned>(*number);
}

// The public keys of a member of the body: a list of texts, or one text.
Result<std::vector<std::string>> key_fields(const json::Value& body, std::string_view name) {
  const json::Value* value = body.find(name);
  std::vector<std::string> out;
  if (value == nullptr || value->is_null() || (value->is_string() && value->as_string().empty()))
    return out;
  if (value->is_string()) {
    COFFER_ASSIGN(out.emplace_back(), pgp_key_of(value->as_string(), name));
    return out;
  }
  if (!value->is_array() || value->size() > crypto::kPgpKeysMax)
    return Status(Code::kInvalid, std::string(name) + " must be a list of at most " +
                                      std::to_string(crypto::kPgpKeysMax) + " public keys");
  for (const json::Value& item : value->elements()) {
    const std::string where = std::string(name) + ": key " + std::to_string(out.size() + 1);
    if (!item.is_string())
      return Status(Code::kInvalid, where + " is no text");
    COFFER_ASSIGN(out.emplace_back(), pgp_key_of(item.as_string(), where));
  }
  return out;
}

Result<seal::InitRequest> parse_init(const json::Value& body) {
  seal::InitRequest request;
  COFFER_ASSIGN(request.secret_keys, key_fields(body, "pgp_keys"));
  COFFER_ASSIGN(request.recovery_keys, key_fields(body, "recovery_pgp_keys"));
  COFFER_ASSIGN(std::vector<std::string> root, key_fields(body, "root_token_pgp_key"));
  if (root.size() > 1)
    return Status(Code::kInvalid, "root_token_pgp_key must be one key");
  if (!root.empty())
    request.root_token_key = std::move(root.front());
  COFFER_ASSIGN(request.secret.shares, count_field(body, "secret_shares"));
  COFFER_ASSIGN(request.secret.threshold, count_field(body, "secret_threshold"));
  COFFER_ASSIGN(request.recovery.shares, count_field(body, "recovery_shares"));
  COFFER_ASSIGN(request.recovery.threshold, count_field(body, "recovery_threshold"));
  return request;
}

}  // namespace

// An init under way: lives until its entry is committed, refused or lost sight of.
class Lifecycle::InitCommit final : public SystemCommit {
 public:
  explicit InitCommit(Lifecycle& owner) : owner(owner) {}
  ~InitCommit() override {
    if (exchange)
      respond_failed(std::move(exchange), Status(Code::kUnavailable, "the node has stopped"));
  }

  void done(CommitOutcome outcome, Index, Status status) override {
    owner.finish_init(std::unique_ptr<InitCommit>(this), outcome, status);
  }

  Lifecycle& owner;
  seal::Initialized made;
  SecretBytes root_token;  // as it is told
  std::string cluster_name;
  std::string cluster_id;
  Proposal proposal;
  bool unseal_after = false;
  std::unique_ptr<Exchange> exchange;              // either this…
  std::function<void(Result<DevKeys>)> dev_done;   // …or this
};

// Stands between the pipeline and the connection of one request: what it allows is done when its good answer comes out,
// before it goes on to the client.
class Lifecycle::BehindAnswer final : public Home {
 public:
  using Act = std::function<void(std::shared_ptr<Owed>)>;
  BehindAnswer(Home& home, Act act) : home_(home), act_(std::move(act)) {}

  void resume_later(std::unique_ptr<Exchange> exchange) override { home_.resume_later(std::move(exchange)); }

  void respond(std::unique_ptr<Exchange> exchange) override {
    const std::unique_ptr<BehindAnswer> self(this);
    exchange->home = &home_;
    if (exchange->response.has_errors())
      return home_.respond(std::move(exchange));
    act_(std::make_shared<Owed>(std::move(exchange)));
  }

 private:
  Home& home_;
  Act act_;
};

Status Lifecycle::damaged(std::string_view record, std::string_view how) {
  return Status(Code::kDataLoss,
                "the store is damaged: its record \"" + std::string(record) + "\": " + std::string(how) +
                    ". Keep the data folder for inquiry and restore a copy of it; nothing was changed");
}

Lifecycle::Lifecycle(Info info, Ports ports) : info_(std::move(info)), ports_(std::move(ports)) {
  status_.type = ports_.automatic != nullptr ? std::string(ports_.automatic->kind()) : std::string(seal::kShamirKind);
  publish(status_);
}

Lifecycle::~Lifecycle() { stop(); }

void Lifecycle::publish(const Status_& status) { published_.store(std::make_shared<const Status_>(status)); }

bool Lifecycle::initialized() const { return published_.load()->initialized; }
bool Lifecycle::sealed() const { return published_.load()->sealed; }

// Under mutex_. What was known stays as it is when something is wrong with a record.
Status Lifecycle::load_records(const store::View& view) {
  std::string config_record;
  std::string keyring_record;
  std::string cluster;
  COFFER_ASSIGN(const bool configured, read_record(view, clear_key(kSealConfig), kSealConfig, config_record));
  COFFER_ASSIGN(const bool keyed, read_record(view, keyring_key(), layout::kKeyring, keyring_record));
  COFFER_ASSIGN(const bool named, read_record(view, clear_key(kClusterInfo), kClusterInfo, cluster));
  if (!configured && !keyed && !named) {
    COFFER_ASSIGN(const bool used, holds_anything(view));
    if (used)
      return damaged(kSealConfig, "and all others of the seal are missing although the store is in use");
    status_.known = true;
    return Status();
  }
  // They were written as one entry and none of them is ever deleted.
  for (const auto& [found, name] :
       {std::pair(configured, kSealConfig), std::pair(keyed, layout::kKeyring), std::pair(named, kClusterInfo)})
    if (!found)
      return damaged(name, "is missing");
  const Result<seal::SealConfig> config = seal::SealConfig::decode(config_record);
  if (!config.ok())
    return damaged(kSealConfig, config.status().message());
  const std::size_t line = cluster.find('\n');
  if (line == std::string::npos)
    return damaged(kClusterInfo, "has no cluster's name and id in it");
  seal_record_ = std::move(config_record);
  keyring_record_ = std::move(keyring_record);
  status_.known = status_.initialized = true;
  status_.type = config->kind;
  status_.counts = config->counts;
  status_.migrating = is_to_migrate(*config);
  status_.cluster_name = cluster.substr(0, line);
  status_.cluster_id = cluster.substr(line + 1);
  return Status();
}

void Lifecycle::unseal_with(seal::Unsealed unsealed, std::function<void(const Status&)> done) {
  // Both closures need the outcome, and a std::function must be copyable.
  auto result = std::make_shared<Status>();
  auto keys = std::make_shared<seal::Unsealed>(std::move(unsealed));
  ports_.applier.on_applier(
      [this, result, keys] {
        Result<std::unique_ptr<store::View>> view = ports_.backend.view();
        *result = view.ok() ? ports_.deriver.start(**view, std::move(keys->root_key)) : view.status();
      },
      [this, result, done = std::move(done)] {
        {
          const std::lock_guard lock(mutex_);
          busy_ = false;
          ceremony_.reset();
          if (result->ok()) {
            status_.sealed = false;
            status_.progress = {};
            status_.active_since = ports_.clock.wall_now();
          } else {
            ports_.logger.error("core", "cannot read the state after unsealing: " + result->message());
          }
          publish(status_);
        }
        if (result->ok()) {
          ports_.logger.info("core", "vault is unsealed");
          ports_.changed(true);
        }
        done(*result);
      });
}

void Lifecycle::seal(std::function<void()> done) {
  ports_.applier.on_applier([this] { ports_.deriver.stop(); },
                            [this, done = std::move(done)] {
                              {
                                const std::lock_guard lock(mutex_);
                                status_.sealed = true;
                                status_.progress = {};
                                ceremony_.reset();
                                publish(status_);
                              }
                              ports_.logger.info("core", "vault is sealed");
                              ports_.changed(false);
                              done();
                            });
}

void Lifecycle::seal_behind(std::shared_ptr<Owed> owed) {
  seal([owed] { respond(owed->take()); });
}

bool Lifecycle::handle(std::unique_ptr<Exchange>& exchange) {
  const std::string_view path = exchange->request.path.view();
  if (!path.starts_with("sys/"))
    return false;
  const Operation operation = exchange->request.operation;
  const bool read = operation == Operation::kRead;
  const std::string_view name = path.substr(4);
  // A standby passes step-down on to the node that leads.
  const bool acts = name == "seal" || (name == "step-down" && ports_.committer.is_leader());
  if (acts && operation == Operation::kWrite) {
    const auto act = name == "seal" ? &Lifecycle::seal_behind : &Lifecycle::step_down_behind;
    // Deletes itself with the answer.
    exchange->home = std::make_unique<BehindAnswer>(*exchange->home, [this, act](std::shared_ptr<Owed> owed) {
                       (this->*act)(std::move(owed));
                     }).release();
    return false;
  }
  if (name == "storage/raft/join") {
    start_join(std::move(exchange));
    return true;
  }
  const bool ceremony = name == "init" || name == "unseal";
  if (!ceremony && name != "health" && name != "seal-status" && name != "seal-backend-status" && name != "leader")
    return false;
  if (name == "unseal" ? operation != Operation::kWrite
                       : !read && !(name == "init" && operation == Operation::kWrite)) {
    fail(*exchange, Status(Code::kUnsupported, "unsupported operation"));
  } else if (name == "health") {
    answer_health(*exchange);
  } else if (name == "seal-status") {
    answer_status(*exchange, *published_.load());
  } else if (name == "seal-backend-status") {
    answer_backends(*exchange);
  } else if (name == "leader") {
    answer_leader(*exchange);
  } else if (name == "unseal") {
    start_unseal(std::move(exchange));
    return true;
  } else if (!read) {
    start_init(std::move(exchange));
    return true;
  } else {
    exchange->response.bare = true;
    exchange->response.data = json::ObjectBuilder(exchange->arena).add("initialized", initialized()).build();
  }
  respond(std::move(exchange));
  return true;
}

Result<std::unique_ptr<Lifecycle::InitCommit>> Lifecycle::make_init(const seal::InitRequest& request) {
  if (!ports_.committer.is_leader())
    return Status(Code::kUnavailable, "this node does not lead yet");
  COFFER_ASSIGN(std::unique_ptr<store::View> view, ports_.backend.view());
  {
    // An earlier one whose outcome was called unknown may have taken effect after all; a second keyring would lock out
    // the first.
    const std::lock_guard lock(mutex_);
    COFFER_TRY(load_records(*view));
    if (status_.initialized) {
      publish(status_);
      return Status(Code::kInvalid, "Vault is already initialized");
    }
  }
  auto commit = std::make_unique<InitCommit>(*this);
  const WallTime now = ports_.committer.cluster_now();
  COFFER_ASSIGN(commit->made, seal::initialize(request, ports_.automatic, ports_.pgp, now, ports_.random));
  const std::shared_ptr<const seal::Barrier> barrier = seal::Barrier::create(commit->made.keyring);
  BootstrapOptions first = info_.first;
  first.now = now;
  COFFER_ASSIGN(Bootstrap bootstrap, bootstrap_ops(*barrier, commit->made.root_key, first, ports_.random));
  commit->root_token = std::move(bootstrap.root_token);
  if (!request.root_token_key.empty()) {
    std::vector<SecretBytes> text;
    text.push_back(std::move(commit->root_token));
    COFFER_ASSIGN(const auto told, ports_.pgp->encrypt({request.root_token_key}, text));
    commit->root_token = SecretBytes::copy_of(base64_encode(told.front().message));
  }
  std::vector<store::Op> ops = std::move(bootstrap.ops);
  COFFER_ASSIGN(commit->cluster_id, random_uuid(ports_.random));
  commit->cluster_name = info_.cluster_name.substr(0, kClusterNameBytesMax);
  if (commit->cluster_name.empty())
    commit->cluster_name = "vault-cluster-" + commit->cluster_id.substr(0, 8);
  ops.push_back({clear_key(kSealConfig), commit->made.config_record});
  ops.push_back({clear_key(kClusterInfo), commit->cluster_name + "\n" + commit->cluster_id});
  commit->proposal.term = ports_.committer.leader_term();
  commit->proposal.view = view->index();
  commit->proposal.key_term = commit->made.keyring->active_term();
  commit->proposal.read_keys = {clear_key(kSealConfig)};
  commit->proposal.ops = std::move(ops);
  commit->unseal_after = ports_.automatic != nullptr;
  return commit;
}

void Lifecycle::submit_init(std::unique_ptr<InitCommit> commit) {
  Proposal proposal = std::move(commit->proposal);
  InitCommit& reference = *commit.release();  // done() takes it back
  ports_.committer.submit_system(std::move(proposal), reference);
}

void Lifecycle::refuse(Exchange& exchange, std::string_view doing, const Status& status) const {
  if (status.code() != Code::kDataLoss && status.code() != Code::kInternal && status.code() != Code::kIo)
    return fail(exchange, status);
  ports_.logger.error("core", std::string("cannot ").append(doing).append(": ").append(status.message()));
  fail(exchange, 500, "internal error");
}

void Lifecycle::start_init(std::unique_ptr<Exchange> exchange) {
  Result<seal::InitRequest> request = parse_init(exchange->request.data);
  if (!request.ok())
    return respond_failed(std::move(exchange), request.status());
  std::unique_lock lock(mutex_);
  Status refused;
  if (status_.initialized)
    refused = Status(Code::kInvalid, "Vault is already initialized");
  else if (!status_.known)
    refused = Status(Code::kUnavailable, "the store is not ready yet");
  else if (busy_)
    refused = Status(Code::kUnavailable, "an initialization is already in progress");
  if (!refused.ok()) {
    lock.unlock();
    return respond_failed(std::move(exchange), refused);
  }
  busy_ = true;
  lock.unlock();
  auto owed = std::make_shared<Owed>(std::move(exchange));
  if (!is_slow(*request))
    return begin_init(*request, std::move(owed));
  if (!run_apart([this, request = std::move(*request), owed] { begin_init(request, owed); })) {
    end_init(**owed, too_many_calls());
    respond(owed->take());
  }
}

bool Lifecycle::asks_outside() const noexcept {
  return (ports_.automatic != nullptr && ports_.automatic->remote()) ||
         (ports_.former != nullptr && ports_.former->remote());
}

bool Lifecycle::is_slow(const seal::InitRequest& request) const noexcept {
  return asks_outside() || !request.secret_keys.empty() || !request.recovery_keys.empty() ||
         !request.root_token_key.empty();
}

Status Lifecycle::too_many_calls() { return Status(Code::kUnavailable, "too many calls to other systems wait"); }

// A thread that serves connections waits for nobody outside. False: too many wait already.
bool Lifecycle::run_apart(std::function<void()> step) const {
  if (ports_.threads != nullptr)
    return ports_.threads->submit(std::move(step));
  step();
  return true;
}

// The init that set busy_ came to nothing.
void Lifecycle::end_init(Exchange& exchange, const Status& failure) {
  {
    const std::lock_guard lock(mutex_);
    busy_ = false;
  }
  refuse(exchange, "initialize", failure);
}

// busy_ is set. May take as long as the seal does.
void Lifecycle::begin_init(const seal::InitRequest& request, std::shared_ptr<Owed> owed) {
  if (ports_.cluster == nullptr || ports_.committer.is_leader())
    return carry_out_init(request, owed->take());
  // Nobody leads a node that has not been told whether it begins a cluster or joins one. A group that is begun is begun
  // for good, so what is asked for must be possible.
  const auto tried = seal::initialize(request, ports_.automatic, ports_.pgp, ports_.clock.wall_now(), ports_.random);
  if (!tried.ok()) {
    end_init(**owed, tried.status());
    return respond(owed->take());
  }
  ports_.cluster->lead_alone([this, owed, request](const Status& status) {
    Status failure = status;
    if (status.ok()) {
      if (!is_slow(request))
        return carry_out_init(request, owed->take());
      if (run_apart([this, owed, request] { carry_out_init(request, owed->take()); }))
        return;
      failure = too_many_calls();
    }
    end_init(**owed, failure);
    respond(owed->take());
  });
}

// busy_ is set.
void Lifecycle::carry_out_init(const seal::InitRequest& request, std::unique_ptr<Exchange> exchange) {
  Result<std::unique_ptr<InitCommit>> commit = make_init(request);
  if (!commit.ok()) {
    end_init(*exchange, commit.status());
    return respond(std::move(exchange));
  }
  (*commit)->exchange = std::move(exchange);
  submit_init(std::move(commit).value());
}

void Lifecycle::init_dev(std::function<void(Result<DevKeys>)> done) {
  seal::InitRequest request;
  request.secret = {1, 1};
  Result<std::unique_ptr<InitCommit>> commit = make_init(request);
  if (!commit.ok())
    return done(commit.status());
  {
    const std::lock_guard lock(mutex_);
    busy_ = true;
  }
  (*commit)->unseal_after = true;
  (*commit)->dev_done = std::move(done);
  submit_init(std::move(commit).value());
}

void Lifecycle::finish_init(std::unique_ptr<InitCommit> commit, CommitOutcome outcome, const Status& status) {
  if (outcome != CommitOutcome::kCommitted) {
    {
      const std::lock_guard lock(mutex_);
      busy_ = false;
    }
    const Status failure = !status.ok() ? status : Status(Code::kUnavailable, "the initialization was not committed");
    if (commit->dev_done)
      return commit->dev_done(failure);
    refuse(*commit->exchange, "initialize", failure);
    return respond(std::move(commit->exchange));
  }
  {
    const std::lock_guard lock(mutex_);
    status_.initialized = true;
    status_.type = commit->made.config.kind;
    status_.counts = commit->made.config.counts;
    status_.cluster_name = commit->cluster_name;
    status_.cluster_id = commit->cluster_id;
    busy_ = commit->unseal_after;
    publish(status_);
  }
  const std::uint64_t shares = commit->made.config.counts.shares;
  ports_.logger.info("core", "security barrier initialized", {{"shares", shares}});
  auto shared = std::shared_ptr<InitCommit>(std::move(commit));
  const auto finish = [this, shared](const Status& result) {
    if (shared->dev_done) {
      const std::string_view share = shared->made.shares.front().reveal_text();
      shared->dev_done(
          result.ok() ? Result<DevKeys>(DevKeys{std::string(shared->root_token.reveal_text()), base64_encode(share)})
                      : Result<DevKeys>(result));
      return;
    }
    // What was made is told whatever comes after it: the store is initialized, and nobody else knows the keys.
    if (!result.ok())
      ports_.logger.error("core", "not unsealed after the initialization: " + result.message());
    if (mutant(Mutant::kInitKeysLost))
      refuse(*shared->exchange, "initialize", Status(Code::kInternal, "planted"));
    else
      answer_init(*shared->exchange, shared->made, shared->root_token.reveal_text());
    respond(std::move(shared->exchange));
  };
  if (!shared->unseal_after)
    return finish(Status());
  unseal_with({std::move(shared->made.root_key), shared->made.keyring, std::string()}, finish);
}

}  // namespace coffer::core
