#include "server/cluster_part.h"

#include <future>
#include <utility>

#include "core/jobs.h"
#include "core/layout.h"
#include "core/pipeline.h"

namespace coffer::server {
namespace {

constexpr std::chrono::seconds kHandOverTimeMax{3};
constexpr std::chrono::seconds kMeetingPause{10};
constexpr std::chrono::seconds kQuestionPause{2};
// No forwarded request begins so (core/forward.h).
constexpr std::string_view kWhoIsThere = "who is there?";

// As of the newest publication; null while sealed.
const core::Published* open_state(const std::shared_ptr<const store::Attachment>& attachment) {
  const core::Published* published = core::published_in(attachment);
  return published == nullptr || published->sealed || published->members == nullptr ? nullptr : published;
}

}  // namespace

ClusterPart::ClusterPart(Options options, core::CallPool& threads, Logger& logger)
    : options_(std::move(options)),
      threads_(threads),
      logger_(logger),
      hub_({options_.listen_host, options_.listen_port, options_.self.number}, system_clock(), logger) {}

ClusterPart::~ClusterPart() = default;

core::Lifecycle::Cluster& ClusterPart::attach(actors::Node& node, const core::Services& services) {
  node_ = &node;
  services_ = &services;
  port_.reset(new core::Lifecycle::Cluster{
      node, options_.self, options_.call, threads_,
      [this](std::function<void(const Status&)> done) { node_->lead_alone(std::move(done)); },
      [this](const seal::Keyring& keyring, const core::Members& members) { meet(keyring, members); }});
  return *port_;
}

void ClusterPart::attach(core::Pipeline& pipeline, core::Lifecycle& lifecycle) {
  lifecycle_ = &lifecycle;
  door_ = std::make_unique<core::ForwardDoor>(pipeline);
  hub_.attach(*node_, *this);
  core::Forwarder::Options options;
  options.self = options_.self.number;
  forwarder_ = std::make_unique<core::Forwarder>(
      options, core::Forwarder::Ports{hub_, system_clock(), [this] { return leader(); }});
  pipeline.set_forwarder(*forwarder_);
}

core::Forwarder::Leader ClusterPart::leader() const {
  core::Forwarder::Leader out;
  // A leader that lost its lease answers nobody: it may have a successor.
  out.here = node_->lease_valid();
  if (out.here)
    return out;
  const raft::NodeId number = node_->leader();
  out.node = number;
  const auto attachment = services_->backend.attachment();
  if (const core::Published* published = open_state(attachment))
    if (const core::Member* member = core::find_member(*published->members, number))
      out.api_address = member->api_address;
  return out;
}

void ClusterPart::begin_joining() {
  if (!options_.retry_join.empty())
    lifecycle_->keep_joining(options_.retry_join);
}

void ClusterPart::meet(const seal::Keyring& keyring, const core::Members& members) {
  if (const Status met = hub_.meet(keyring, members); !met.ok())
    logger_.error("cluster", "cannot talk to other nodes: " + met.message());
  node_->take_part(true, {});
}

void ClusterPart::state_changed(bool unsealed) {
  if (unsealed) {
    const auto attachment = services_->backend.attachment();
    if (const core::Published* published = open_state(attachment))
      meet(*published->barrier->keyring(), *published->members);
    return;
  }
  // A sole voter leads on: nobody waits for it, and nobody can be told.
  if (node_->group_status().configuration.voters.size() < 2)
    return;
  node_->take_part(false, [this, meetings = hub_.meetings()] {
    if (!threads_.submit([this, meetings] { hub_.leave(meetings); }))
      logger_.warn("cluster", "the connections to other nodes stay open: too many calls wait");
  });
}

void ClusterPart::tick(BootTime now) {
  forwarder_->tick();
  // The address may have been another process's at the unseal.
  if (!hub_.is_open() && now >= next_meeting_) {
    next_meeting_ = now + kMeetingPause;
    state_changed(true);
  }
  ask_around(now);
  if (!node_->is_leader())
    return;
  announce();
  promote(now);
}

// Who was away while others joined does not know them, and one of them may lead: those whom it knows tell.
void ClusterPart::ask_around(BootTime now) {
  const bool is_led = node_->leader() != raft::kNobody;
  if (!is_led && now < next_question_)
    return;
  next_question_ = now + kQuestionPause;
  if (is_led)
    return;
  const auto attachment = services_->backend.attachment();
  const core::Published* published = open_state(attachment);
  if (published == nullptr)
    return;
  for (const core::Member& member : *published->members) {
    if (member.number == options_.self.number)
      continue;
    hub_.forward(member.number, std::string(kWhoIsThere), kQuestionPause,
                 [this](core::ClusterLink::Fate fate, const std::string& reply) {
                   const auto members = fate == core::ClusterLink::Fate::kAnswered
                                            ? core::decode_members(reply)
                                            : Result<core::Members>(Status(Code::kUnavailable, "no answer"));
                   if (members.ok() && !members->empty())
                     hub_.invite(*members);
                 });
  }
}

// From a member, as its certificate says.
void ClusterPart::take(raft::NodeId from, std::string request, std::function<void(std::string reply)> reply) {
  if (request != kWhoIsThere)
    return door_->take(from, std::move(request), std::move(reply));
  const auto attachment = services_->backend.attachment();
  const core::Published* published = open_state(attachment);
  reply(published == nullptr ? std::string() : core::encode(*published->members));
}

// The node that leads stands in the state itself, so that who joins learns of it.
void ClusterPart::announce() {
  const auto attachment = services_->backend.attachment();
  const core::Published* published = open_state(attachment);
  if (published == nullptr || announcing_.load())
    return;
  const core::Member* known = core::find_member(*published->members, options_.self.number);
  if (known != nullptr && *known == options_.self)
    return;
  announcing_ = true;
  core::SystemTask::start(
      *services_,
      [self = options_.self](core::TxnImpl& txn, const core::Published&, json::Arena& arena) {
        const std::string name = core::layout::member_record(self.number.get());
        return txn.put(core::layout::core_key(arena.copy(name)), core::encode(self));
      },
      [this](const Status& status) {
        if (!status.ok())
          logger_.warn("cluster", "this node's addresses could not be stored: " + status.message());
        announcing_ = false;
      });
}

void ClusterPart::promote(BootTime now) {
  const auto attachment = services_->backend.attachment();
  const core::Published* published = open_state(attachment);
  if (published == nullptr || changing_.load())
    return;
  const std::optional<raft::Change> change = autopilot_.decide(node_->group_status(), *published->members, now);
  if (!change)
    return;
  const core::Member* member = core::find_member(*published->members, change->node);
  const std::string id = member == nullptr ? std::string() : member->id;
  changing_ = true;
  node_->change_membership(*change, [this, id](const Status& status, Index) {
    if (status.ok())
      logger_.info("cluster", "a node has caught up and votes", {{"node_id", id}});
    changing_ = false;
  });
}

void ClusterPart::hand_over() {
  if (node_ != nullptr && node_->is_leader() && node_->group_status().configuration.voters.size() > 1) {
    auto gone = std::make_shared<std::promise<void>>();
    std::future<void> over = gone->get_future();
    node_->transfer_leadership(raft::kNobody, [gone](const Status&) { gone->set_value(); });
    over.wait_for(kHandOverTimeMax);
  }
  // Its clients ask elsewhere: their connections end now.
  if (forwarder_ != nullptr)
    forwarder_->stop();
}

void ClusterPart::stop() {
  if (door_ != nullptr)
    door_->stop();
  hub_.close();
  door_.reset();
}

}  // namespace coffer::server
