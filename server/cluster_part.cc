#include "server/cluster_part.h"

#include <algorithm>
#include <future>
#include <utility>

#include "base/metrics.h"
#include "core/activity.h"
#include "core/contained.h"
#include "core/jobs.h"
#include "core/layout.h"
#include "core/pipeline.h"
#include "core/restored.h"

namespace coffer::server {
namespace {

constexpr std::chrono::seconds kHandOverTimeMax{3};
constexpr std::chrono::seconds kMeetingPause{10};
constexpr std::chrono::seconds kQuestionPause{2};
constexpr std::chrono::milliseconds kActionPause{200};
// No forwarded request begins so (core/forward.h).
constexpr std::string_view kWhoIsThere = "who is there? ";  // and the asker's record
constexpr std::size_t kQuestionBytesMax = 8192;
constexpr std::string_view kHereIAm = "here I am: ";  // and the member's record

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
      hub_({options_.listen_host, options_.listen_port, options_.self.number, options_.free_bytes_min}, system_clock(),
           logger),
      certificates_({options_.self, options_.call, options_.retry_join}, hub_, threads, logger) {}

ClusterPart::~ClusterPart() = default;

core::Lifecycle::Cluster& ClusterPart::attach(actors::Node& node, const core::Services& services) {
  node_ = &node;
  services_ = &services;
  certificates_.attach(node, services);
  port_.reset(new core::Lifecycle::Cluster{
      node, options_.self, options_.call, threads_, options_.serves_reads,
      [this](std::function<void(const Status&)> done) { node_->lead_alone(std::move(done)); },
      [this](const seal::Keyring& keyring, const core::LetIn& let_in) {
        certificates_.tell(let_in.certificates, nullptr);
        meet(keyring, let_in.certificates, let_in.members);
      }});
  return *port_;
}

void ClusterPart::attach(core::Pipeline& pipeline, core::Lifecycle& lifecycle) {
  lifecycle_ = &lifecycle;
  door_ = std::make_unique<core::ForwardDoor>(pipeline);
  hub_.attach(*node_, *this);
  core::Forwarder::Options options;
  options.self = options_.self.number;
  forwarder_ = std::make_unique<core::Forwarder>(
      options, core::Forwarder::Ports{hub_, system_clock(), [this] { return leader(); },
                                      [this](std::uint64_t mark) {
                                        services_->activity->note_counted(mark, node_->cluster_now());
                                      },
                                      options_.wake});
  pipeline.set_forwarder(*forwarder_);
  if (!options_.serves_reads)
    return;
  reader_ = std::make_unique<core::StandbyReader>(*node_);
  pipeline.set_reader(*reader_);
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

void ClusterPart::meet(const seal::Keyring& keyring, const core::CertificatePlan& plan,
                       const core::Members& members) {
  const Status met = hub_.meet(keyring, plan, members);
  if (met.code() == Code::kUnavailable)  // the server stops
    return;
  if (!met.ok())
    logger_.error("cluster", "cannot talk to other nodes: " + met.message());
  node_->take_part(true, {});
}

// As the state says; and after a restore those who were there then, until the leader has stored them again.
core::Members ClusterPart::known_members(const core::Published& published) const {
  core::Members members = *published.members;
  const Result<std::unique_ptr<store::View>> view = services_->backend.view();
  const auto restore = view.ok() ? core::read_restore(**view)
                                 : Result<std::optional<core::RestoreRecord>>(view.status());
  if (!restore.ok())
    logger_.error("cluster", "the members at the last restore are not known: " + restore.status().message());
  if (!restore.ok() || !*restore)
    return members;
  const raft::Configuration group = node_->group_status().configuration;
  for (const core::Member& member : (*restore)->members)
    if (group.contains(member.number) && core::find_member(*published.members, member.number) == nullptr)
      members.push_back(member);
  return members;
}

core::Members ClusterPart::members_now() const {
  const auto attachment = services_->backend.attachment();
  const core::Published* published = open_state(attachment);
  core::Members members = published == nullptr ? core::Members() : known_members(*published);
  const raft::Configuration group = node_->group_status().configuration;
  std::erase_if(members, [&](const core::Member& member) {
    return !group.contains(member.number) || member.number == options_.self.number;
  });
  members.push_back(options_.self);
  return members;
}

void ClusterPart::restored() {
  ++partings_;
  certificates_.forget();
  const auto leave = [this] {
    if (!leaves_.submit([this] { part(); })) {
      logger_.warn("cluster", "the connections to other nodes stay open: too many calls wait");
      if (--partings_ == 0)
        state_changed(true);  // whoever unsealed meanwhile has left the meeting to this
    }
  };
  // A sole voter leads on.
  if (node_->group_status().configuration.voters.size() < 2)
    leave();
  else
    node_->take_part(false, leave);
}

void ClusterPart::part() {
  const Status left = core::contained([this] {
    hub_.leave(hub_.meetings());
    return ok_status();
  });
  if (!left.ok())
    logger_.warn("cluster", "connections to other nodes may stay open: " + left.message());
  // Whoever unsealed meanwhile has left the meeting to this.
  if (--partings_ == 0)
    state_changed(true);
}

void ClusterPart::state_changed(bool unsealed) {
  if (partings_ > 0)
    return;
  if (unsealed) {
    const auto attachment = services_->backend.attachment();
    if (const core::Published* published = open_state(attachment))
      meet(*published->barrier->keyring(), certificates_.plan(published), known_members(*published));
    return;
  }
  // A sole voter leads on: nobody waits for it, and nobody can be told.
  if (node_->group_status().configuration.voters.size() < 2)
    return;
  node_->take_part(false, [this, meetings = hub_.meetings()] {
    if (!leaves_.submit([this, meetings] { hub_.leave(meetings); }))
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
  if (hub_.is_open())
    watch_.look(options_.self.number, node_->leader(), node_->leader_heard(), now);
  else
    watch_.reset();
  hub_.settle(node_->leader(), node_->group_status().configuration);
  ask_around(now);
  keep_certificates(now);
  announce(now);
  pilot(now);
}

void ClusterPart::keep_certificates(BootTime now) {
  const auto attachment = services_->backend.attachment();
  if (const core::Published* published = open_state(attachment))
    certificates_.tick(attachment, *published, watch_.is_out_of_touch(), now);
  else
    certificates_.clear_board();
}

// Who was away while others joined does not know them, and one of them may lead: those whom it knows tell. And who
// joined while others were away says where it is: without it they may not be enough to elect one.
void ClusterPart::ask_around(BootTime now) {
  const bool is_led = node_->leader() != raft::kNobody && !watch_.is_out_of_touch();
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
    hub_.forward(member.number, std::string(kWhoIsThere) + core::encode(options_.self), kQuestionPause,
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
  if (request.starts_with(kHereIAm)) {
    take_announcement(from, std::string_view(request).substr(kHereIAm.size()));
    return reply({});
  }
  if (request == CertificateKeeper::kQuestion)
    return reply(certificates_.step());
  if (!request.starts_with(kWhoIsThere))
    return door_->take(from, std::move(request), std::move(reply));
  const auto attachment = services_->backend.attachment();
  const core::Published* published = open_state(attachment);
  if (published == nullptr)
    return reply({});
  const Result<core::Member> asker = core::decode_member(std::string_view(request).substr(kWhoIsThere.size()));
  if (node_->leader() == raft::kNobody && asker.ok() && asker->number == from && core::check_member(*asker).ok())
    hub_.admit(*asker);
  reply(core::encode(*published->members));
}

bool ClusterPart::takes_of_strangers(std::string_view request) const {
  return request.starts_with(kWhoIsThere) && request.size() <= kQuestionBytesMax && node_->leader() == raft::kNobody;
}

// What a node says of itself stands in the state, so that who joins learns of it and who knew an older address finds
// it; the leader adds those whose records a restore has taken away. A node that does not lead tells all that it knows:
// whoever leads may not know where to reach it.
void ClusterPart::announce(BootTime now) {
  const auto attachment = services_->backend.attachment();
  const core::Published* published = open_state(attachment);
  if (published == nullptr || announcing_.load() || now < next_announcement_)
    return;
  core::Member self = options_.self;
  const core::Member* known = core::find_member(*published->members, self.number);
  if (known != nullptr)
    self.non_voter = known->non_voter;
  if (known != nullptr && *known == self)
    return;
  if (node_->is_leader()) {
    core::Members missing{self};
    if (known == nullptr)
      for (const core::Member& member : known_members(*published))
        if (core::find_member(*published->members, member.number) == nullptr && member.number != self.number)
          missing.push_back(member);
    announcing_ = true;
    return store_members(missing, [this](const Status& status) {
      if (!status.ok())
        logger_.warn("cluster", "this node's addresses could not be stored: " + status.message());
      announcing_ = false;
    });
  }
  next_announcement_ = now + kQuestionPause;
  if (known == nullptr)
    return;
  for (const core::Member& member : *published->members)
    if (member.number != self.number)
      hub_.forward(member.number, std::string(kHereIAm) + core::encode(self), kQuestionPause,
                   [](core::ClusterLink::Fate, const std::string&) {});
}

void ClusterPart::store_members(const core::Members& members, std::function<void(const Status&)> done) {
  core::SystemTask::start(
      *services_,
      [members](core::TxnImpl& txn, const core::Published&, json::Arena& arena) {
        for (const core::Member& member : members) {
          const std::string name = core::layout::member_record(member.number.get());
          COFFER_TRY(txn.put(core::layout::core_key(arena.copy(name)), core::encode(member)));
        }
        return ok_status();
      },
      std::move(done));
}

// A member's new addresses, zone or version; it says so again until the state shows it.
void ClusterPart::take_announcement(raft::NodeId from, std::string_view record) {
  const Result<core::Member> member = core::decode_member(record);
  const auto attachment = services_->backend.attachment();
  const core::Published* published = open_state(attachment);
  if (!member.ok() || member->number != from || published == nullptr || !node_->is_leader())
    return;
  const core::Member* known = core::find_member(*published->members, from);
  if (known == nullptr || known->id != member->id || known->non_voter != member->non_voter || *known == *member)
    return;
  store_members({*member}, [this, id = member->id](const Status& status) {
    if (status.ok())
      logger_.info("cluster", "a node announced what is new of it", {{"node_id", id}});
  });
}

void ClusterPart::pilot(BootTime now) {
  const auto attachment = services_->backend.attachment();
  const core::Published* published = open_state(attachment);
  std::optional<core::PilotState> seen;
  if (published != nullptr)
    seen = autopilot_.look(node_->group_status(), *published->members, published->settings->autopilot, now,
                           node_->cluster_now());
  const std::shared_ptr<const core::PilotState> state =
      seen ? std::make_shared<const core::PilotState>(std::move(*seen)) : nullptr;
  board_.put(state);
  if (state == nullptr || !state->due || now < next_action_ || changing_.exchange(true))
    return;
  next_action_ = now + kActionPause;
  const auto about = std::ranges::find(state->servers, state->due->node,
                                       [](const core::PilotServer& one) { return one.member.number; });
  act(*state->due, about == state->servers.end() ? std::string() : about->member.id);
}

// Node's thread calls back.
void ClusterPart::act(const core::PilotAction& action, const std::string& id) {
  using Kind = core::PilotAction::Kind;
  const auto done = [this, action, id](const Status& status) { acted(action, id, status); };
  if (action.kind == Kind::kHandOver)
    return node_->transfer_leadership(action.node, done);
  const raft::Change::Kind change = action.kind == Kind::kPromote  ? raft::Change::Kind::kPromote
                                    : action.kind == Kind::kDemote ? raft::Change::Kind::kDemote
                                                                   : raft::Change::Kind::kRemove;
  node_->change_membership({change, action.node}, [done](const Status& status, Index) { done(status); });
}

void ClusterPart::acted(const core::PilotAction& action, const std::string& id, const Status& status) {
  if (status.ok())
    logger_.info("autopilot", action.why, {{"node_id", id}});
  if (!status.ok() || action.kind != core::PilotAction::Kind::kRemove) {
    changing_ = false;
    return;
  }
  core::SystemTask::start(
      *services_,
      [number = action.node](core::TxnImpl& txn, const core::Published&, json::Arena& arena) {
        return txn.erase(core::layout::core_key(arena.copy(core::layout::member_record(number.get()))));
      },
      [this](const Status&) { changing_ = false; });
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

void ClusterPart::read_counts(metrics::Reading& reading) const {
  if (const auto shown = certificates_.board().get()) {
    const auto left = std::chrono::duration<double>(shown->expires - system_clock().wall_now());
    reading.gauges.push_back({"vault.raft.certificate.generation", static_cast<double>(shown->plan.shown())});
    reading.gauges.push_back({"vault.raft.certificate.seconds_left", left.count()});
  }
  if (forwarder_ == nullptr)
    return;
  const core::Forwarder::Counts counts = forwarder_->counts();
  reading.counters.push_back({"vault.ha.rpc.client.forward", counts.sent});
  reading.counters.push_back({"vault.ha.rpc.client.forward.errors", counts.unknown + counts.refused});
  reading.counters.push_back({"vault.ha.rpc.client.forward.again", counts.sent_again});
  reading.gauges.push_back({"vault.ha.rpc.client.forward.waiting", static_cast<double>(counts.requests)});
  reading.gauges.push_back({"vault.ha.rpc.client.forward.bytes_held", static_cast<double>(counts.bytes)});
  if (reader_ == nullptr)
    return;
  const core::StandbyReader::Counts reads = reader_->counts();
  reading.counters.push_back({"vault.core.standby.reads", reads.confirmed});
  reading.counters.push_back({"vault.core.standby.reads_unconfirmed", reads.unconfirmed});
  reading.counters.push_back({"vault.core.standby.read_questions", reads.questions});
}

void ClusterPart::stop() {
  if (door_ != nullptr)
    door_->stop();
  hub_.close();
  leaves_.stop();
  door_.reset();
}

}  // namespace coffer::server
