#include "server/certificate_keeper.h"

#include <utility>

#include "core/call.h"
#include "core/jobs.h"
#include "core/layout.h"
#include "core/return_targets.h"

namespace coffer::server {
namespace {

constexpr std::chrono::seconds kRenewalPause{1};  // after an attempt
constexpr std::chrono::milliseconds kQuestionPause{300};
constexpr std::chrono::seconds kQuestionTimeMax{2};
constexpr std::chrono::seconds kLiveContactMax{10};  // heard longer ago: away, and nobody waits for it
constexpr std::chrono::seconds kReturnPause{5};

// One task of a kind at a time. Whoever holds this carries it out, or never will: it is let go also when that throws,
// or when nobody has room for it.
class Turn {
 public:
  // Null: another one is under way.
  static std::shared_ptr<Turn> take(std::atomic<bool>& taken) {
    return taken.exchange(true) ? nullptr : std::make_shared<Turn>(taken);
  }
  explicit Turn(std::atomic<bool>& taken) : taken_(taken) {}
  ~Turn() { taken_ = false; }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  std::atomic<bool>& taken_;
};

}  // namespace

CertificateKeeper::CertificateKeeper(Options options, ClusterHub& hub, core::CallPool& threads, Logger& logger)
    : options_(std::move(options)), hub_(hub), threads_(threads), logger_(logger) {}

void CertificateKeeper::attach(actors::Node& node, const core::Services& services) {
  node_ = &node;
  services_ = &services;
}

core::CertificatePlan CertificateKeeper::plan(const core::Published* published) {
  const core::CertificatePlan stored =
      published == nullptr ? core::CertificatePlan() : published->settings->certificates;
  const std::lock_guard lock(mutex_);
  if (told_ && (told_->seen_step == stored.step() || stored.step() < told_->plan.step()))
    return told_->plan;
  told_.reset();
  return stored;
}

void CertificateKeeper::tell(const core::CertificatePlan& plan, const core::Published* published) {
  const std::uint64_t seen = published == nullptr ? 0 : published->settings->certificates.step();
  const std::lock_guard lock(mutex_);
  told_ = Told{plan, seen};
}

void CertificateKeeper::forget() {
  const std::lock_guard lock(mutex_);
  told_.reset();
  steps_.clear();
}

std::string CertificateKeeper::step() const {
  const auto own = own_step();
  return own ? core::encode(*own) : std::string();
}

std::optional<core::CertificateStep> CertificateKeeper::own_step() const {
  const auto shown = hub_.shown();
  if (!shown || shown->plan.step() > kept_step_.load())
    return std::nullopt;
  return core::CertificateStep{shown->plan.step(), shown->settled};
}

void CertificateKeeper::tick(const std::shared_ptr<const store::Attachment>& attachment,
                             const core::Published& published, bool is_out_of_touch, BootTime now) {
  board_.put(hub_.shown());
  keep(published);
  renew(attachment, published, now);
  if (node_->is_leader())
    lead(published, now);
  else
    forget_steps();
  if (is_out_of_touch)
    ask_back(attachment, published, now);
}

void CertificateKeeper::keep(const core::Published& published) {
  const std::uint64_t step = published.settings->certificates.step();
  if (kept_step_.load() == step)
    return;
  if (std::exchange(seen_step_, step) != step || seen_at_ == Index(0)) {
    const auto view = services_->backend.view();
    seen_at_ = view.ok() ? (*view)->index() : Index(0);
  }
  if (seen_at_ == Index(0))
    return;
  if (services_->backend.durable_index() >= seen_at_)
    kept_step_ = step;
  else
    node_->flush_state();
}

void CertificateKeeper::renew(const std::shared_ptr<const store::Attachment>& attachment,
                              const core::Published& published, BootTime now) {
  const core::CertificatePlan wanted = plan(&published);
  if (now < next_renewal_ || !hub_.is_renewal_due(wanted))
    return;
  std::shared_ptr<Turn> turn = Turn::take(renewing_);
  if (turn == nullptr)
    return;
  next_renewal_ = now + kRenewalPause;
  static_cast<void>(threads_.submit([this, attachment, &published, wanted, turn = std::move(turn)] {
    if (const Status status = hub_.renew(*published.barrier->keyring(), wanted); !status.ok())
      warn("this node's certificate could not be renewed: " + status.message());
    else
      logger_.info("cluster", "this node has a new certificate",
                   {{"generation", std::to_string(wanted.shown())}, {"phase", core::phase_name(wanted.phase)}});
  }));
}

void CertificateKeeper::lead(const core::Published& published, BootTime now) {
  const core::CertificatePlan& current = published.settings->certificates;
  const bool steady = current.phase == core::CertificatePlan::Phase::kSteady;
  const core::GroupStatus group = node_->group_status();
  if (!group.serving || (steady && group.peers.empty()))
    return;
  keep_steps(group.configuration);
  std::vector<std::optional<core::CertificateStep>> alive{own_step()};
  const bool asks = !steady && now >= next_question_;
  if (asks)
    next_question_ = now + kQuestionPause;
  for (const core::GroupPeer& peer : group.peers) {
    if (peer.last_contact > kLiveContactMax)
      continue;
    alive.push_back(said_by(peer.id));
    if (asks)
      ask_step(peer.id);
  }
  if (const auto next = core::due_plan(current, alive, node_->cluster_now()))
    store(current, *next);
}

void CertificateKeeper::keep_steps(const raft::Configuration& group) {
  const std::lock_guard lock(mutex_);
  std::erase_if(steps_, [&](const auto& said) { return !group.contains(said.first); });
}

// What was said to an earlier leadership may hold no more.
void CertificateKeeper::forget_steps() {
  const std::lock_guard lock(mutex_);
  steps_.clear();
}

std::optional<core::CertificateStep> CertificateKeeper::said_by(raft::NodeId member) const {
  const std::lock_guard lock(mutex_);
  const auto said = steps_.find(member);
  return said == steps_.end() ? std::nullopt : std::optional(said->second);
}

void CertificateKeeper::ask_step(raft::NodeId member) {
  hub_.forward(member, std::string(kQuestion), kQuestionTimeMax,
               [this, member](core::ClusterLink::Fate fate, const std::string& reply) {
                 const auto said = core::decode_certificate_step(reply);
                 if (fate != core::ClusterLink::Fate::kAnswered || !said.ok())
                   return;
                 const std::lock_guard lock(mutex_);
                 if (steps_.size() < core::kMembersMax || steps_.contains(member))
                   steps_[member] = *said;
               });
}

// Whoever changed the plan meanwhile was first.
void CertificateKeeper::store(const core::CertificatePlan& now, const core::CertificatePlan& next) {
  std::shared_ptr<Turn> turn = Turn::take(storing_);
  if (turn == nullptr)
    return;
  core::SystemTask::start(
      *services_,
      [now, next](core::TxnImpl& txn, const core::Published&, json::Arena& arena) {
        const store::StoreKey key = core::layout::core_key(
            arena.copy(std::string(core::layout::kConfigPrefix).append(core::kCertificatesRecord)));
        core::CertificatePlan stored;
        COFFER_ASSIGN(const auto record, txn.get(key));
        if (record) {
          COFFER_ASSIGN(stored, core::decode_certificate_plan(*record));
        }
        return stored == now ? txn.put(key, core::encode(next)) : ok_status();
      },
      [this, next, turn = std::move(turn)](const Status& status) {
        if (!status.ok())
          warn("the plan of certificates could not be stored: " + status.message());
        else
          logger_.info("cluster", "the cluster's certificates go on",
                       {{"generation", std::to_string(next.generation)}, {"phase", core::phase_name(next.phase)}});
      });
}

// Who slept while the authority changed is not taken by anybody, and takes nobody: it asks over the API.
void CertificateKeeper::ask_back(const std::shared_ptr<const store::Attachment>& attachment,
                                 const core::Published& published, BootTime now) {
  if (now < next_return_ || published.members->size() < 2)
    return;
  std::shared_ptr<Turn> turn = Turn::take(returning_);
  if (turn == nullptr)
    return;
  next_return_ = now + kReturnPause;
  logger_.log(LogLevel::kDebug, "cluster", "hears of no leader, asks the others which certificates they have");
  static_cast<void>(threads_.submit([this, attachment, &published, turn = std::move(turn)] {
    Status status;
    for (const core::JoinTarget& target :
         core::return_targets(options_.targets, *published.members, options_.self.number))
      if (status = ask_back_at(target, published); status.ok())
        break;
    if (!status.ok())
      warn("hears of no leader, and nobody says which certificates the cluster has: " + status.message());
  }));
}

// Fails as well when it was told nothing new.
Status CertificateKeeper::ask_back_at(const core::JoinTarget& target, const core::Published& published) {
  COFFER_ASSIGN(const core::CertificateNews news,
                core::ask_for_news(options_.call, target, *published.barrier->keyring(), options_.self.id,
                                   services_->random));
  hub_.invite(news.members);
  if (!core::is_newer(news, plan(&published)))
    return Status(Code::kUnavailable, target.url + ": knows of none but this node's own");
  tell(news.plan, &published);
  return ok_status();
}

// Each once until another one comes.
void CertificateKeeper::warn(const std::string& about) {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(last_warning_, about) == about)
      return;
  }
  logger_.warn("cluster", about);
}

}  // namespace coffer::server
