#include "server/cluster_hub.h"

#include <utility>

#include "base/check.h"
#include "core/join.h"
#include "crypto/authority.h"
#include "rpc/cluster.h"

namespace coffer::server {
namespace {

WallTime expiry_of(WallTime issued) { return issued + std::chrono::hours(24) * core::kNodeCertificateDays; }

}  // namespace

ClusterHub::ClusterHub(Config config, const Clock& clock, Logger& logger)
    : config_(std::move(config)), clock_(clock), logger_(logger) {}

ClusterHub::~ClusterHub() { close(); }

void ClusterHub::attach(raft::Inbox& inbox, core::ForwardHandler& handler) {
  inbox_ = &inbox;
  handler_ = &handler;
}

std::shared_ptr<rpc::Cluster> ClusterHub::network() const {
  const std::lock_guard lock(mutex_);
  return network_;
}

// The own authority's certificate comes first.
Result<crypto::NodeCertificate> ClusterHub::issue(const seal::Keyring& keyring, const core::CertificatePlan& plan,
                                                  WallTime now) const {
  crypto::NodeCertificate out;
  std::string others;
  for (const std::uint64_t generation : plan.trusted()) {
    COFFER_ASSIGN(const crypto::Authority authority,
                  crypto::derive_authority(keyring.derive(core::authority_purpose(generation)), now,
                                           core::kAuthorityDays));
    if (generation != plan.shown()) {
      others += authority.cert_pem;
      continue;
    }
    COFFER_ASSIGN(out, crypto::issue_node_certificate(authority, config_.self.get(), now, core::kNodeCertificateDays,
                                                      system_random()));
  }
  out.authority_pem += others;
  return out;
}

Status ClusterHub::meet(const seal::Keyring& keyring, const core::CertificatePlan& plan,
                        const core::Members& members) {
  COFFER_CHECK(inbox_ != nullptr && handler_ != nullptr);
  const std::lock_guard meeting(meeting_);
  if (closed_)
    return Status(Code::kUnavailable, "the server is stopping");
  {
    const std::lock_guard lock(mutex_);
    ++meetings_;
  }
  if (const std::shared_ptr<rpc::Cluster> there = network()) {
    tell(*there, [&](core::MemberBook& book) { return book.publish(members), true; });
    return ok_status();
  }
  const WallTime now = clock_.wall_now();
  rpc::ClusterConfig config;
  config.host = config_.host;
  config.port = config_.port;
  config.self = config_.self;
  config.bounds.disk_free_bytes_min = config_.free_bytes_min;
  COFFER_ASSIGN(config.certificate, issue(keyring, plan, now));
  COFFER_ASSIGN(std::unique_ptr<rpc::Cluster> made,
                rpc::Cluster::create(std::move(config), {*inbox_, *handler_, clock_},
                                     [this](std::string_view line) { logger_.info("cluster", line); }));
  // A joiner meets the cluster as it is, and then reads from the log how it once was.
  tell(*made, [&](core::MemberBook& book) {
    book = core::MemberBook();
    book.invite(members);
    return true;
  });
  const std::lock_guard lock(mutex_);
  network_ = std::move(made);
  shown_ = {plan, expiry_of(now)};
  return ok_status();
}

Status ClusterHub::renew(const seal::Keyring& keyring, const core::CertificatePlan& plan) {
  const std::lock_guard meeting(meeting_);
  const std::shared_ptr<rpc::Cluster> there = network();
  if (there == nullptr || !is_renewal_due(plan))
    return ok_status();
  const WallTime now = clock_.wall_now();
  COFFER_ASSIGN(crypto::NodeCertificate certificate, issue(keyring, plan, now));
  COFFER_TRY(there->renew(std::move(certificate)));
  const std::lock_guard lock(mutex_);
  shown_ = {plan, expiry_of(now)};
  return ok_status();
}

bool ClusterHub::is_renewal_due(const core::CertificatePlan& plan) const {
  const std::lock_guard lock(mutex_);
  if (network_ == nullptr)
    return false;
  const Nanos left = shown_.expires - clock_.wall_now();
  return shown_.plan.step() != plan.step() ||
         left <= std::chrono::hours(24) * core::kNodeCertificateDays - core::kNodeCertificateAgeMax;
}

std::optional<core::ShownCertificate> ClusterHub::shown() const {
  std::shared_ptr<rpc::Cluster> there;
  core::ShownCertificate out;
  {
    const std::lock_guard lock(mutex_);
    there = network_;
    out = shown_;
  }
  if (there == nullptr)
    return std::nullopt;
  out.settled = there->settled();
  return out;
}

// What is known last is told last.
void ClusterHub::tell(rpc::Cluster& network, const std::function<bool(core::MemberBook&)>& change) {
  const std::lock_guard telling(telling_);
  if (change(book_))
    network.set_members(book_.all());
}

void ClusterHub::invite(const core::Members& guests) {
  if (const std::shared_ptr<rpc::Cluster> there = network())
    tell(*there, [&](core::MemberBook& book) { return book.invite(guests), true; });
}

void ClusterHub::admit(const core::Member& asker) {
  if (const std::shared_ptr<rpc::Cluster> there = network())
    tell(*there, [&](core::MemberBook& book) { return book.ask(asker); });
}

void ClusterHub::settle(raft::NodeId leader, const raft::Configuration& configuration) {
  if (const std::shared_ptr<rpc::Cluster> there = network())
    tell(*there, [&](core::MemberBook& book) { return book.settle(leader, configuration); });
}

std::uint64_t ClusterHub::meetings() const {
  const std::lock_guard lock(mutex_);
  return meetings_;
}

void ClusterHub::set_members(const core::Members& members) {
  if (const std::shared_ptr<rpc::Cluster> there = network())
    tell(*there, [&](core::MemberBook& book) { return book.publish(members), true; });
}

void ClusterHub::leave(std::uint64_t meetings) {
  const std::lock_guard meeting(meeting_);
  if (this->meetings() == meetings)
    end();
}

void ClusterHub::close() {
  const std::lock_guard meeting(meeting_);
  closed_ = true;
  end();
}

// Under meeting_.
void ClusterHub::end() {
  std::shared_ptr<rpc::Cluster> there;
  {
    const std::lock_guard lock(mutex_);
    there = std::exchange(network_, nullptr);
  }
  if (there != nullptr)
    there->stop();
}

void ClusterHub::send(std::vector<raft::Message> messages) {
  if (const std::shared_ptr<rpc::Cluster> there = network())
    there->send(std::move(messages));
}

void ClusterHub::send_snapshot(raft::Message message, std::string path, std::function<void(const Status&)> done) {
  if (const std::shared_ptr<rpc::Cluster> there = network())
    return there->send_snapshot(std::move(message), std::move(path), std::move(done));
  done(Status(Code::kUnavailable, "the node is not connected to the cluster"));
}

void ClusterHub::forward(raft::NodeId to, std::string request, Nanos time_max, Done done) {
  if (const std::shared_ptr<rpc::Cluster> there = network())
    return there->forward(to, std::move(request), time_max, std::move(done));
  done(Fate::kNotSent, {});
}

}  // namespace coffer::server
