#include "rpc/cluster_service.h"

#include <optional>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/disk.h"
#include "base/mutant.h"
#include "core/room.h"
#include "raft/wire.h"

namespace coffer::rpc {
namespace {

constexpr std::string_view kSpoolPrefix = "incoming-";
// What PeerStream puts into one frame, and more.
constexpr std::size_t kFrameBytesMax = raft::kMessageBytesMax + (512u << 10);
constexpr std::uint64_t kSyncBytes = 32u << 20;  // between two syncs, so that the last one is short

grpc::Status denied(const char* why) { return grpc::Status(grpc::PERMISSION_DENIED, why); }
grpc::Status malformed(const std::string& why) { return grpc::Status(grpc::INVALID_ARGUMENT, why); }

}  // namespace

// One stream of messages. Ends with the first thing in it that its node must not say.
class ClusterService::RaftReader final
    : public grpc::ServerBidiReactor<cluster::v1::RaftFrame, cluster::v1::RaftNews> {
 public:
  RaftReader(ClusterService& service, grpc::CallbackServerContext& context, raft::NodeId from, std::uint64_t door)
      : service_(service), context_(context), from_(from), door_(door) {}

  raft::NodeId from() const { return from_; }
  std::uint64_t door() const { return door_; }
  void cancel() { context_.TryCancel(); }
  void start() {
    StartSendInitialMetadata();
    StartRead(&frame_);
  }
  // The service's mutex is held. True: tell() is due, and the reader stays until it is done.
  bool claim_telling() { return !ending_ && !std::exchange(told_, true) && (telling_ = true); }
  void tell() { StartWrite(&news_); }
  void end(const grpc::Status& status) {
    {
      const std::lock_guard lock(service_.mutex_);
      ending_ = status;
      if (telling_)
        return;
    }
    Finish(status);
  }

  void OnReadDone(bool ok) override {
    if (!ok)
      return end(grpc::Status::OK);
    if (const grpc::Status status = service_.take(*this, frame_); !status.ok())
      return end(status);
    StartRead(&frame_);
  }
  void OnWriteDone(bool) override {
    std::optional<grpc::Status> ending;
    {
      const std::lock_guard lock(service_.mutex_);
      telling_ = false;
      ending = ending_;
    }
    if (ending)
      Finish(*ending);
  }
  void OnDone() override {
    service_.end_raft(*this);
    delete this;
  }

 private:
  ClusterService& service_;
  grpc::CallbackServerContext& context_;
  const raft::NodeId from_;
  const std::uint64_t door_;
  cluster::v1::RaftFrame frame_;
  cluster::v1::RaftNews news_;
  bool told_ = false;                   // guarded by the service's mutex, as what follows
  bool telling_ = false;
  std::optional<grpc::Status> ending_;  // waits while it tells
};

// One snapshot on its way into a file. Reactions and the worker's jobs take turns. Whatever goes wrong, no file stays.
class ClusterService::SnapshotReader final : public grpc::ServerReadReactor<cluster::v1::SnapshotPiece>,
                                             public Transfer {
 public:
  SnapshotReader(ClusterService& service, grpc::CallbackServerContext& context, raft::NodeId from)
      : service_(service), context_(context), from_(from) {
    service_.worker_.watch(*this);
  }

  void start() { StartRead(&piece_); }
  void give_up() override { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    moved(service_.ports_.clock.boot_now());
    service_.worker_.post([this, ok] { ok ? take() : end(); });
  }
  void OnDone() override {
    service_.worker_.forget(*this);
    service_.end_snapshot(from_, context_);
    delete this;
  }

 private:
  // The worker's jobs, as is all that follows.
  void take() {
    const Status status = begun_ ? write() : begin();
    if (!status.ok())
      return refuse(status);
    StartRead(&piece_);
  }

  Status begin() {
    if (!piece_.has_start() || !piece_.data().empty())
      return Status(Code::kInvalid, "it has no beginning");
    COFFER_ASSIGN(message_, service_.decode(from_, piece_.start().message()));
    if (message_.kind != raft::MessageKind::kSnapshot)
      return Status(Code::kInvalid, "behind a message of another kind");
    size_ = piece_.start().size();
    const std::string folder = service_.ports_.inbox.spool_folder();
    COFFER_ASSIGN(const bool room,
                  core::has_room(posix_disk(), folder, service_.bounds_.disk_free_bytes_min, size_));
    if (!room)
      return Status(Code::kUnavailable, "the disk has too little room");
    path_ = folder + "/" + service_.spool_name(from_);
    COFFER_ASSIGN(file_, posix_disk().open(path_, OpenMode::kCreateOrEmpty));
    begun_ = true;
    return ok_status();
  }

  Status write() {
    if (piece_.has_start() || piece_.data().empty() || piece_.data().size() > size_ - written_)
      return Status(Code::kInvalid, "more or other pieces than announced");
    COFFER_TRY(file_->append(piece_.data()));
    written_ += piece_.data().size();
    if (written_ - synced_ >= kSyncBytes) {
      COFFER_TRY(file_->sync_data());
      synced_ = written_;
    }
    return ok_status();
  }

  // Nothing more comes: all of it is there, or the sender is gone.
  void end() {
    const Status status = complete();
    if (!status.ok())
      return refuse(status);
    finish(grpc::Status::OK);
  }

  // Whoever hears that this one is over may send the next.
  void finish(const grpc::Status& status) {
    service_.end_snapshot(from_, context_);
    Finish(status);
  }

  Status complete() {
    if (!begun_ || written_ != size_)
      return Status(Code::kUnavailable, "it broke off");
    COFFER_TRY(file_->sync_data());
    file_.reset();
    if (!service_.ports_.inbox.receive_snapshot(std::move(message_), path_))
      return Status(Code::kUnavailable, "the node does not take it now");
    path_.clear();  // the inbox's from here on
    return ok_status();
  }

  void refuse(const Status& status) {
    file_.reset();
    if (begun_ && !path_.empty())
      (void)posix_disk().remove(path_);  // if this fails the next start removes it
    const auto code = status.code() == Code::kInvalid ? grpc::INVALID_ARGUMENT : grpc::UNAVAILABLE;
    finish(grpc::Status(code, status.message()));
  }

  ClusterService& service_;
  grpc::CallbackServerContext& context_;
  const raft::NodeId from_;
  cluster::v1::SnapshotPiece piece_;
  raft::Message message_;
  bool begun_ = false;  // the file is there
  std::string path_;
  std::unique_ptr<File> file_;
  std::uint64_t size_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t synced_ = 0;
};

// One request. Whoever answers it may do so long after the caller has gone: the two meet in `Slot`.
class ClusterService::ForwardCall final : public grpc::ServerUnaryReactor {
 public:
  struct Slot {
    std::mutex mutex;
    ForwardCall* call;  // null once somebody has taken it to finish it
    ForwardCall* claim() {
      const std::lock_guard lock(mutex);
      return std::exchange(call, nullptr);
    }
  };

  ForwardCall(ClusterService& service, cluster::v1::ForwardReply& reply, std::size_t bytes)
      : service_(service), reply_(reply), bytes_(bytes), slot_(std::make_shared<Slot>()) {
    slot_->call = this;
  }
  const std::shared_ptr<Slot>& slot() const { return slot_; }

  void answer(std::string reply) {
    reply_.set_reply(std::move(reply));
    Finish(grpc::Status::OK);
  }
  void OnCancel() override {
    if (slot_->claim() != nullptr)
      Finish(grpc::Status::CANCELLED);
  }
  void OnDone() override {
    service_.end_forward(bytes_);
    delete this;
  }

 private:
  ClusterService& service_;
  cluster::v1::ForwardReply& reply_;
  const std::size_t bytes_;
  const std::shared_ptr<Slot> slot_;
};

ClusterService::ClusterService(raft::NodeId self, const ClusterBounds& bounds, const ClusterPorts& ports,
                               DiskWorker& worker, LogFn log)
    : self_(self), bounds_(bounds), ports_(ports), worker_(worker), log_(std::move(log)) {}

void ClusterService::set_members(std::unordered_set<raft::NodeId> members) {
  const std::lock_guard lock(mutex_);
  for (auto at = members_.begin(); at != members_.end();) {
    if (members.contains(at->first)) {
      ++at;
      continue;
    }
    for (RaftReader* const reader : {at->second.raft, at->second.next})
      if (reader != nullptr)
        reader->cancel();
    if (at->second.snapshot != nullptr)
      at->second.snapshot->TryCancel();
    at = members_.erase(at);
  }
  for (const raft::NodeId member : members) {
    if (member != self_)
      members_.try_emplace(member);
  }
}

BootTime ClusterService::heard(raft::NodeId node) const {
  const std::lock_guard lock(mutex_);
  const auto member = members_.find(node);
  return member == members_.end() ? BootTime{} : member->second.heard;
}

grpc::Status ClusterService::admit(const grpc::CallbackServerContext& context, raft::NodeId& from) const {
  const auto caller = cluster_caller(context);
  if (!caller)
    return denied("the certificate names no node");
  from = *caller;
  const std::lock_guard lock(mutex_);
  return members_.contains(from) ? grpc::Status::OK : denied("not a member of this cluster");
}

// A second stream waits: its node lets the first one end before it speaks on it, so nothing is lost or overtaken.
bool ClusterService::begin_raft(RaftReader& reader) {
  const std::lock_guard lock(mutex_);
  const auto member = members_.find(reader.from());
  if (member == members_.end())
    return false;
  RaftReader*& place = member->second.raft == nullptr ? member->second.raft : member->second.next;
  if (place != nullptr)
    place->cancel();
  place = &reader;
  return true;
}

void ClusterService::end_raft(const RaftReader& reader) {
  const std::lock_guard lock(mutex_);
  const auto member = members_.find(reader.from());
  if (member == members_.end())
    return;
  Guest& guest = member->second;
  if (guest.raft == &reader)
    guest.raft = std::exchange(guest.next, nullptr);
  else if (guest.next == &reader)
    guest.next = nullptr;
}

std::size_t ClusterService::move_streams(std::uint64_t door) {
  std::vector<RaftReader*> to_tell;
  std::size_t streams = 0;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, guest] : members_) {
      for (RaftReader* const reader : {guest.raft, guest.next}) {
        if (reader == nullptr || reader->door() != door)
          continue;
        ++streams;
        if (reader->claim_telling())
          to_tell.push_back(reader);
      }
    }
  }
  for (RaftReader* const reader : to_tell)
    reader->tell();
  return streams;
}

bool ClusterService::begin_snapshot(raft::NodeId from, grpc::CallbackServerContext& context) {
  const std::lock_guard lock(mutex_);
  const auto member = members_.find(from);
  if (member == members_.end())
    return false;
  if (member->second.snapshot != nullptr) {
    // Its connection broke, which was not seen here yet: once it has ended there is room for the next.
    member->second.snapshot->TryCancel();
    return false;
  }
  member->second.snapshot = &context;
  return true;
}

void ClusterService::end_snapshot(raft::NodeId from, const grpc::CallbackServerContext& context) {
  const std::lock_guard lock(mutex_);
  const auto member = members_.find(from);
  if (member != members_.end() && member->second.snapshot == &context)
    member->second.snapshot = nullptr;
}

Result<raft::Message> ClusterService::decode(raft::NodeId from, const std::string& bytes) const {
  COFFER_ASSIGN(raft::Message message, raft::decode_message(bytes));
  if (message.from != from)
    return Status(Code::kInvalid, "raft message: from another node than the certificate's");
  if (message.to != self_)
    return Status(Code::kInvalid, "raft message: to another node");
  return message;
}

grpc::Status ClusterService::take(RaftReader& reader, const cluster::v1::RaftFrame& frame) {
  const raft::NodeId from = reader.from();
  {
    const std::lock_guard lock(mutex_);
    const auto member = members_.find(from);
    if (member == members_.end() && !mutant(Mutant::kStrangersFramesRead))
      return denied("not a member of this cluster");
    if (member != members_.end()) {
      Guest& guest = member->second;
      guest.heard = ports_.clock.boot_now();
      if (guest.next == &reader) {
        guest.raft->cancel();
        guest.raft = std::exchange(guest.next, nullptr);
      }
    }
  }
  if (frame.ByteSizeLong() > kFrameBytesMax && !mutant(Mutant::kClusterFramesUnbounded))
    return malformed("raft frame: too long");
  for (const std::string& bytes : frame.messages()) {
    auto message = decode(from, bytes);
    if (message.ok() && message->kind == raft::MessageKind::kSnapshot)
      message = Status(Code::kInvalid, "raft message: a snapshot without its bytes");
    if (!message.ok()) {
      if (log_)
        log_("cluster: " + crypto::node_dns_name(from.get()) + " is cut off: " + message.status().message());
      return malformed(message.status().message());
    }
    ports_.inbox.receive(std::move(message).value());  // what it drops is sent again
  }
  return grpc::Status::OK;
}

grpc::ServerBidiReactor<cluster::v1::RaftFrame, cluster::v1::RaftNews>* ClusterService::raft(
    grpc::CallbackServerContext& context, std::uint64_t door) {
  raft::NodeId from;
  grpc::Status status = admit(context, from);
  auto* const reader = new RaftReader(*this, context, from, door);
  if (status.ok() && !begin_raft(*reader))
    status = denied("not a member of this cluster");
  if (status.ok() || mutant(Mutant::kStrangersFramesRead))
    reader->start();
  else
    reader->end(status);
  return reader;
}

grpc::ServerReadReactor<cluster::v1::SnapshotPiece>* ClusterService::snapshot(
    grpc::CallbackServerContext& context) {
  raft::NodeId from;
  grpc::Status status = admit(context, from);
  auto* const reader = new SnapshotReader(*this, context, from);
  if (status.ok() && !begin_snapshot(from, context))
    status = grpc::Status(grpc::RESOURCE_EXHAUSTED, "a snapshot of this node is already under way");
  if (status.ok())
    reader->start();
  else
    reader->Finish(status);
  return reader;
}

grpc::ServerUnaryReactor* ClusterService::forward(grpc::CallbackServerContext& context,
                                                  const cluster::v1::ForwardRequest& request,
                                                  cluster::v1::ForwardReply& reply) {
  raft::NodeId from;
  const grpc::Status admitted = admit(context, from);
  const bool is_stranger = !admitted.ok() && from != raft::kNobody;
  if (!admitted.ok() && !(is_stranger && ports_.forward.takes_of_strangers(request.request()))) {
    auto* const reactor = context.DefaultReactor();
    reactor->Finish(admitted);
    return reactor;
  }
  const std::size_t bytes = request.request().size();
  if (!begin_forward(bytes)) {
    reply.set_refused(true);
    auto* const reactor = context.DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  auto* const call = new ForwardCall(*this, reply, bytes);
  const auto slot = call->slot();
  ports_.forward.take(from, request.request(), [slot](std::string answer) {
    if (ForwardCall* const waiting = slot->claim())
      waiting->answer(std::move(answer));
  });
  return call;
}

bool ClusterService::begin_forward(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (forwards_ >= bounds_.forwards || forward_bytes_ + bytes > bounds_.forward_bytes_held)
    return false;
  ++forwards_;
  forward_bytes_ += bytes;
  return true;
}

void ClusterService::end_forward(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  COFFER_CHECK(forwards_ > 0 && forward_bytes_ >= bytes);
  --forwards_;
  forward_bytes_ -= bytes;
}

std::string ClusterService::spool_name(raft::NodeId from) {
  const std::lock_guard lock(mutex_);
  return std::string(kSpoolPrefix) + std::to_string(from.get()) + "-" + std::to_string(next_spool_++);
}

void remove_stale_snapshots(const std::string& folder) {
  const auto names = posix_disk().list(folder);
  if (!names.ok())
    return;
  for (const std::string& name : *names) {
    if (name.starts_with(kSpoolPrefix))
      (void)posix_disk().remove(folder + "/" + name);  // one that stays only takes room
  }
}

}  // namespace coffer::rpc
