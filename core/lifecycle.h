// From an empty store to a serving node and back: init, unseal, seal, and what is told to everybody about it
// (seal-status, health, leader). These paths need no token; they are answered here before the pipeline looks at
// anything else.
//
// The ceremonies are pure (seal/init.h, seal/unseal.h); this class keeps the one that is under way, writes what it made
// through the log, and starts or stops the derivation of state on the applier's thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "base/log.h"
#include "core/bootstrap.h"
#include "core/group.h"
#include "core/joiner.h"
#include "core/pipeline.h"
#include "core/published.h"
#include "core/restored.h"
#include "seal/init.h"
#include "seal/unseal.h"
#include "store/published.h"

namespace coffer::core {

// Runs `step` on the applier's thread between two batches, then publishes the deriver's attachment, then runs `then`.
// Both run once, or neither when the node has stopped. Any thread.
class ApplierPort {
 public:
  virtual ~ApplierPort() = default;
  virtual void on_applier(std::function<void()> step, std::function<void()> then) = 0;
};

class Owed;
class SealHealth;

class Lifecycle final : public LifecycleHandler {
 public:
  struct Info {
    std::string storage_type;   // "raft", "file", "inmemory"
    bool ha_enabled = false;
    std::string cluster_name;   // from the configuration; empty: made at init
    std::string api_address;
    std::string cluster_address;
    bool restore_uninitialized = true;  // decision D-2 is not forbidden
    BootstrapOptions first;     // what init writes beside the seal's records; its time is set then
  };
  // What a node needs that may share its storage with others; borrowed likewise.
  struct Cluster {
    Group& group;
    Member self;          // as this node calls itself
    PeerCall call;
    CallPool& threads;    // for `call`, which blocks
    bool serves_reads;    // while another node leads
    // Makes this node, which has nothing yet, the sole voter of a group of its own. `done` when it leads, on any
    // thread.
    std::function<void(std::function<void(const Status&)> done)> lead_alone;
    // Begins to talk to those members, with certificates that they take, and to take part. Any thread.
    std::function<void(const seal::Keyring& keyring, const LetIn& let_in)> meet;
  };
  // All borrowed; they outlive this. `automatic` is null for Shamir's seal, `former` unless a seal is given up: it
  // opens what it sealed so far, for people who move that to the other seal.
  struct Ports {
    const store::Backend& backend;
    Committer& committer;
    ApplierPort& applier;
    StateDeriver& deriver;
    seal::KeyWrapper* automatic = nullptr;
    RandomSource& random;
    const Clock& clock;
    Logger& logger;
    std::function<Index()> applied_index;      // any thread
    std::function<Index()> committed_index;    // any thread
    std::function<void(bool unsealed)> changed;  // applier's thread, after the state was published
    Cluster* cluster = nullptr;  // null: storage that no other node shares
    crypto::PgpEncryptor* pgp = nullptr;  // null: nothing is encrypted to keys
    SealHealth* health = nullptr;         // null: nobody asks how the seal does
    seal::KeyWrapper* former = nullptr;
    CallPool* threads = nullptr;          // for seals and PGP, which take their time; null: the caller's thread
  };

  Lifecycle(Info info, Ports ports);
  ~Lifecycle() override;

  // Applier's thread, when the node first serves: looks what the store holds, and unseals an automatic seal. kDataLoss,
  // with the record and what to do, when the seal's records are damaged or only some of them are there: the server must
  // not go on then.
  Status begin();
  // That a record of the store is, and what to do.
  static Status damaged(std::string_view record, std::string_view how);

  // Node's thread: another state was put in the place of this one's and published. Seals, and goes on with the seal
  // that is in it, as begin() does. The same failures.
  Status restored();
  // Any thread. Whether this node is being let into a cluster with keys that it holds already: what it is sent first
  // may be of before a restore, and that its state is then replaced is no news to it.
  bool is_entering() const;
  // Whether this server can open such a state with its seal. Any thread.
  Status may_restore(const RestoreScan& scan) const;

  // Any thread. sys/seal is not taken: it goes the pipeline's way, and the node is sealed when the answer that allows
  // it comes out.
  bool handle(std::unique_ptr<Exchange>& exchange) override;
  Status may_restore_uninitialized() const override;
  void restore_uninitialized(std::string path, const RestoreScan& scan, std::function<void(Status)> done) override;

  // Tries the targets in turn, every few seconds, until this node is let in, is initialized or stop() is called. Called
  // again, it goes on with the new ones.
  void keep_joining(std::vector<JoinTarget> targets);
  // The shell's timer: stores the seal's configuration as people moved it to another seal, once this node leads. Done
  // by another node, it is done.
  void tend_migration(const Services& services);

  // What waits for other nodes ends soon, and nothing new is begun. Any thread.
  void stop();

  // `done` runs when the node is sealed. Any thread.
  void seal(std::function<void()> done);

  bool initialized() const;
  bool sealed() const;

  // For dev mode: init with one share and unseal, without an exchange. `done` gets the root token and the share, or the
  // failure.
  struct DevKeys {
    std::string root_token;
    std::string unseal_key;
  };
  void init_dev(std::function<void(Result<DevKeys>)> done);

 private:
  struct Status_ {
    bool known = false;  // the store was looked at
    bool initialized = false;
    bool sealed = true;
    bool migrating = false;  // the store's seal is not the configured one, and there is what opens it
    std::string type;
    seal::ShareCounts counts;
    seal::CeremonyProgress progress;
    std::string cluster_name;
    std::string cluster_id;
    WallTime active_since{};
  };
  class InitCommit;
  class BehindAnswer;

  void publish(const Status_& status);
  // Under mutex_. As begin(); an empty store is none that is damaged.
  Status load_records(const store::View& view);
  void unseal_with(seal::Unsealed unsealed, std::function<void(const Status&)> done);

  seal::ShareCounts share_counts(const Status_& status) const;
  void answer_status(Exchange& exchange, const Status_& status) const;
  void answer_health(Exchange& exchange) const;
  Result<int> health_code(const json::Value& query, const Status_& status, bool leading) const;
  // Open, and answers reads while another node leads.
  bool serves_reads(const Status_& status, bool leading) const;
  void answer_leader(Exchange& exchange) const;
  void answer_backends(Exchange& exchange) const;
  void answer_init(Exchange& exchange, const seal::Initialized& made, std::string_view root_token) const;
  // The failed answer. What a damaged record or a failed dependency says goes to the log alone: anybody may ask here.
  void refuse(Exchange& exchange, std::string_view doing, const Status& status) const;
  void start_init(std::unique_ptr<Exchange> exchange);
  void begin_init(const seal::InitRequest& request, std::shared_ptr<Owed> owed);
  void carry_out_init(const seal::InitRequest& request, std::unique_ptr<Exchange> exchange);
  void end_init(Exchange& exchange, const Status& failure);
  bool asks_outside() const noexcept;
  bool is_slow(const seal::InitRequest& request) const noexcept;
  static Status too_many_calls();
  bool run_apart(std::function<void()> step) const;
  void seal_behind(std::shared_ptr<Owed> owed);
  void step_down_behind(std::shared_ptr<Owed> owed);

  // lifecycle_join.cc; what blocks runs on cluster->threads.
  struct PendingJoin {
    JoinTarget target;
    ClusterRecords records;
    Member self;
  };
  void start_join(std::unique_ptr<Exchange> exchange);
  Status join(const JoinTarget& target);
  void enter(std::shared_ptr<seal::Unsealed> keys, std::function<void(const Status&)> done);
  Status may_join() const;
  Status may_restore_here() const;
  Result<LetIn> ask_until_let_in(const PendingJoin& pending, const seal::Keyring& keyring);
  Status be_let_in(const PendingJoin& pending, const seal::Keyring& keyring);
  void try_targets();
  Result<bool> state_arrived() const;
  bool pause(Nanos time);
  // lifecycle_unseal.cc; a seal that may be away for a while is asked by a thread of its own.
  void keep_unsealing();
  void try_seal();
  Status unseal_once();
  void unseal_by_itself(seal::Unsealed unsealed);
  void start_unseal(std::unique_ptr<Exchange> exchange);
  void try_share(std::shared_ptr<const SecretBytes> share, std::unique_ptr<Exchange> exchange);
  void take_share(std::unique_lock<std::mutex> lock, std::unique_ptr<Exchange> exchange,
                  Result<std::optional<seal::Unsealed>> unsealed);
  void answer_unseal(std::unique_lock<std::mutex> lock, std::unique_ptr<Exchange> exchange, const Status& status) const;
  Status begin_ceremony();
  // lifecycle_migrate.cc
  // What people moved to another seal, until it is stored.
  struct Migration {
    std::string before;  // the seal's record that they had shares for
    std::string after;
    bool storing = false;
    bool anew = false;   // or that this node wrapped by the present key of the same seal
  };
  bool is_former_of_kind(std::string_view kind) const noexcept;
  bool is_to_migrate(const seal::SealConfig& config) const;
  bool may_be_of_former(const Status& opening);
  void tell_migration() const;
  Status check_migration(bool asked) const;
  void end_migration(const std::string& stored);
  void wrap_anew(const std::string& record, const SecretBytes& root_key);
  Result<std::unique_ptr<InitCommit>> make_init(const seal::InitRequest& request);
  void submit_init(std::unique_ptr<InitCommit> commit);
  void finish_init(std::unique_ptr<InitCommit> commit, CommitOutcome outcome, const Status& status);

  const Info info_;
  Ports ports_;
  mutable std::mutex mutex_;                          // guards what follows up to published_
  Status_ status_;
  std::string seal_record_;
  std::string keyring_record_;
  std::shared_ptr<seal::UnsealCeremony> ceremony_;    // sealed, and its people are at it
  bool trying_ = false;                               // the ceremony is with another thread, which asks the seal
  std::optional<Migration> migration_;
  bool foreign_ = false;                              // the configured seal does not open what one of its kind sealed
  bool busy_ = false;                                 // an init, unseal or join is being carried out
  std::optional<PendingJoin> pending_;                // joined, and not let in yet
  std::vector<JoinTarget> targets_;                   // of who keeps joining
  bool keeps_joining_ = false;
  bool stopping_ = false;
  bool keeps_unsealing_ = false;
  std::condition_variable stopped_;
  std::thread unsealer_;                              // while keeps_unsealing_, and until somebody joins it
  store::Published<Status_> published_;               // a copy of status_, for the hot paths
};

}  // namespace coffer::core
