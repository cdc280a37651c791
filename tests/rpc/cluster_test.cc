#include "rpc/cluster.h"

#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "base/disk.h"
#include "base/listen.h"
#include "base/mutant.h"
#include "proto/coffer/cluster/v1/cluster.grpc.pb.h"
#include "raft/entry.h"
#include "raft/wire.h"
#include "tests/mutant_on.h"
#include "tests/rpc/cluster_nodes.h"

namespace coffer::rpc {
namespace {

using core::ClusterLink;
namespace wire = cluster::v1;
using namespace nodes;

// A client that says what it likes, as whoever the certificate says.
class Rogue {
 public:
  Rogue(const Node& victim, const grpc::SslCredentialsOptions& options) {
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride(crypto::node_dns_name(victim.self.get()));
    stub_ = wire::Cluster::NewStub(
        grpc::CreateCustomChannel(victim.member().cluster_address, grpc::SslCredentials(options), arguments));
  }
  static grpc::SslCredentialsOptions as(const crypto::NodeCertificate& shown) {
    return {authority().cert_pem, std::string(shown.key_pem.reveal_text()), shown.cert_pem};
  }

  // How the stream ends after these frames, each of one message.
  grpc::StatusCode raft(const std::vector<std::string>& messages) {
    std::vector<wire::RaftFrame> frames;
    for (const std::string& message : messages)
      frames.emplace_back().add_messages(message);
    return raft_frames(frames);
  }
  // And after one frame of them all.
  grpc::StatusCode raft_frame(const std::vector<std::string>& messages) {
    wire::RaftFrame frame;
    for (const std::string& message : messages)
      frame.add_messages(message);
    return raft_frames({frame});
  }
  grpc::StatusCode raft_frames(const std::vector<wire::RaftFrame>& frames) {
    grpc::ClientContext context;
    auto stream = stub_->Raft(&context);
    for (const wire::RaftFrame& frame : frames)
      stream->Write(frame);
    stream->WritesDone();
    wire::RaftNews news;
    BOOST_TEST(!stream->Read(&news));
    return stream->Finish().error_code();
  }
  grpc::StatusCode forward() {
    grpc::ClientContext context;
    wire::ForwardRequest request;
    wire::ForwardReply reply;
    return stub_->Forward(&context, request, &reply).error_code();
  }
  // How it ends when these pieces are all that is sent. The first is a start if it names a message.
  grpc::StatusCode snapshot(const std::vector<wire::SnapshotPiece>& pieces, bool cancel = false) {
    grpc::ClientContext context;
    wire::SnapshotTaken taken;
    auto stream = stub_->Snapshot(&context, &taken);
    for (const wire::SnapshotPiece& piece : pieces)
      stream->Write(piece);
    if (cancel)
      context.TryCancel();
    stream->WritesDone();
    return stream->Finish().error_code();
  }

 private:
  std::unique_ptr<wire::Cluster::Stub> stub_;
};

std::string encoded(const raft::Message& message) {
  std::string out;
  raft::encode_message(message, out);
  return out;
}

// Carries bytes between whoever connects and a node, until it falls silent: connections stay open and nothing moves, as
// when a machine is gone or a network is cut.
class Wire {
 public:
  explicit Wire(std::uint16_t to) : to_(to) {
    auto listener = listen_tcp("127.0.0.1", 0);
    BOOST_REQUIRE(listener.ok());
    listener_ = *listener;
    thread_ = std::thread([this] { run(); });
  }
  ~Wire() {
    ending_ = true;
    thread_.join();
    for (const auto& [fd, other] : pairs_)
      ::close(fd);
    ::close(listener_);
  }
  Wire(const Wire&) = delete;
  std::string address() const { return "127.0.0.1:" + std::to_string(bound_port(listener_)); }
  void silence(bool on) { silent_ = on; }

 private:
  void run() {
    while (!ending_) {
      std::vector<pollfd> polled{{listener_, POLLIN, 0}};
      for (const auto& [fd, other] : pairs_)
        polled.push_back({fd, POLLIN, 0});
      ::poll(polled.data(), silent_ ? 0 : polled.size(), 5);
      if (silent_)
        continue;
      if (polled[0].revents != 0)
        accept_one();
      for (std::size_t i = 1; i < polled.size(); ++i) {
        if (polled[i].revents != 0 && pairs_.contains(polled[i].fd))
          pass_on(polled[i].fd);
      }
    }
  }
  void accept_one() {
    const int from = ::accept(listener_, nullptr, nullptr);
    if (from < 0)
      return;
    const int to = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(to_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(to, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      ::close(from);
      ::close(to);
      return;
    }
    pairs_[from] = to;
    pairs_[to] = from;
  }
  void pass_on(int fd) {
    std::array<char, 64 << 10> bytes;
    const int other = pairs_.at(fd);
    const ssize_t got = ::recv(fd, bytes.data(), bytes.size(), 0);
    if (got > 0 && ::send(other, bytes.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) == got)
      return;
    for (const int end : {fd, other}) {
      pairs_.erase(end);
      ::close(end);
    }
  }

  const std::uint16_t to_;
  int listener_ = -1;
  std::map<int, int> pairs_;  // both ways; the thread's
  std::atomic<bool> silent_{false};
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

Status send_snapshot(const Node& from, raft::NodeId to, const std::string& path) {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Status> status;
  from.cluster->send_snapshot(snapshot(from.self, to), path, [&](const Status& s) {
    const std::lock_guard lock(mutex);
    BOOST_TEST(!status.has_value());
    status = s;
    changed.notify_all();
  });
  std::unique_lock lock(mutex);
  BOOST_REQUIRE(changed.wait_for(lock, kPatience, [&] { return status.has_value(); }));
  return *status;
}

std::string some_bytes(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    out[i] = static_cast<char>(i * 2654435761u >> 13);
  return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(cluster_test)

BOOST_AUTO_TEST_CASE(messages_arrive_in_order_at_whom_they_are_for) {
  Node a(kA), b(kB), c(kC);
  for (Node* node : {&a, &b, &c})
    node->start();
  join({&a, &b, &c});
  constexpr std::uint64_t kCount = 500;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    a.cluster->send({append(kA, kB, i), append(kA, kC, i)});
    b.cluster->send({append(kB, kC, i)});
  }
  const auto at_b = b.inbox.await(kCount), at_c = c.inbox.await(2 * kCount);
  BOOST_REQUIRE_EQUAL(at_b.size(), kCount);
  BOOST_REQUIRE_EQUAL(at_c.size(), 2 * kCount);
  std::map<raft::NodeId, std::uint64_t> next;
  for (const raft::Message& message : at_b)
    BOOST_TEST((message.from == kA && message.index.get() == next[kA]++));
  next.clear();
  for (const raft::Message& message : at_c) {
    BOOST_TEST((message.to == kC && message.index.get() == next[message.from]++));
    BOOST_TEST(message.entries.size() == 1u);
  }
  BOOST_TEST((next[kA] == kCount && next[kB] == kCount));
  BOOST_TEST(a.peer(kB).messages_sent == kCount);
  BOOST_TEST(a.peer(kB).messages_dropped == 0u);
  BOOST_TEST((c.peer(kA).heard > BootTime{} && a.peer(kC).heard == BootTime{}));
}

BOOST_AUTO_TEST_CASE(who_shows_no_certificate_of_the_authority_is_refused) {
  Node a(kA), b(kB);
  a.start();
  b.start();
  join({&a, &b});
  auto other = crypto::make_authority(system_clock().wall_now(), 10, system_random());
  BOOST_REQUIRE(other.ok());
  grpc::SslCredentialsOptions nothing;
  nothing.pem_root_certs = authority().cert_pem;
  for (const auto& options : {nothing, Rogue::as(certificate(kB, *other))}) {
    Rogue rogue(a, options);
    BOOST_TEST(rogue.raft({encoded(heartbeat(kB, kA, 1))}) == grpc::StatusCode::UNAVAILABLE);
    BOOST_TEST(rogue.forward() == grpc::StatusCode::UNAVAILABLE);
  }
  // A node of another cluster reaches nobody, and is told why.
  Node stranger(kC);
  stranger.start(0, *other);
  stranger.cluster->set_members({a.member(), stranger.member()});
  a.cluster->set_members({a.member(), b.member(), stranger.member()});
  BOOST_TEST(eventually([&] { return !stranger.log().empty() && !a.log().empty(); }));
  BOOST_TEST((!stranger.connected(kA) && !a.connected(kC)));
  a.cluster->send({heartbeat(kA, kB, 5)});
  BOOST_TEST(b.inbox.await(1).size() == 1u);
  BOOST_TEST((a.inbox.await(0).empty() && stranger.inbox.await(0).empty()));
  BOOST_TEST(a.handler.taken() == 0u);
}

BOOST_AUTO_TEST_CASE(a_node_speaks_for_itself_alone) {
  Node a(kA);
  a.start();
  core::Member b, c;
  b.number = kB;
  b.cluster_address = "127.0.0.1:1";
  a.cluster->set_members({a.member(), b});
  Rogue rogue(a, Rogue::as(certificate(kB)));
  // What is right arrives; what is not ends the stream and does not.
  BOOST_TEST(rogue.raft({encoded(heartbeat(kB, kA, 1))}) == grpc::StatusCode::OK);
  BOOST_TEST(rogue.raft({encoded(heartbeat(kC, kA, 2))}) == grpc::StatusCode::INVALID_ARGUMENT);
  BOOST_TEST(rogue.raft({encoded(heartbeat(kB, kC, 3))}) == grpc::StatusCode::INVALID_ARGUMENT);
  BOOST_TEST(rogue.raft({encoded(snapshot(kB, kA))}) == grpc::StatusCode::INVALID_ARGUMENT);
  BOOST_TEST(rogue.raft({"nonsense", encoded(heartbeat(kB, kA, 4))}) == grpc::StatusCode::INVALID_ARGUMENT);
  BOOST_TEST(rogue.raft({std::string(6u << 20, 'x')}) == grpc::StatusCode::INVALID_ARGUMENT);
  const auto got = a.inbox.await(1);
  BOOST_REQUIRE_EQUAL(got.size(), 1u);
  BOOST_TEST((got[0].from == kB && got[0].round == 1));
}

BOOST_AUTO_TEST_CASE(who_is_no_member_is_refused_and_cut_off) {
  Node a(kA), b(kB);
  a.start();
  b.start();
  join({&a, &b});
  Rogue rogue(a, Rogue::as(certificate(kC)));
  BOOST_TEST(rogue.raft({encoded(heartbeat(kC, kA, 1))}) == grpc::StatusCode::PERMISSION_DENIED);
  BOOST_TEST(rogue.forward() == grpc::StatusCode::PERMISSION_DENIED);
  BOOST_TEST(rogue.snapshot({}) == grpc::StatusCode::PERMISSION_DENIED);
  BOOST_TEST(a.inbox.await(0).empty());

  a.cluster->set_members({a.member()});
  BOOST_TEST(a.cluster->peers().empty());
  BOOST_TEST(eventually([&] { return !b.peer(kA).connected; }));
  BOOST_TEST((forward(b, kA, "x").fate == ClusterLink::Fate::kNotSent));
  BOOST_TEST((forward(a, kB, "x").fate == ClusterLink::Fate::kNotSent));
  BOOST_TEST(a.handler.taken() == 0u);
  join({&a, &b});
}

BOOST_AUTO_TEST_CASE(who_is_no_member_may_ask_what_the_handler_takes) {
  Node a(kA), b(kB);
  a.start();
  b.start();
  a.cluster->set_members({a.member()});
  b.cluster->set_members({a.member(), b.member()});
  BOOST_TEST(eventually([&] { return forward(b, kA, kStrangersQuestion).fate == ClusterLink::Fate::kAnswered; }));
  const std::size_t taken = a.handler.taken();
  BOOST_TEST((forward(b, kA, "x").fate != ClusterLink::Fate::kAnswered));
  BOOST_TEST(a.handler.taken() == taken);
  BOOST_TEST(!a.connected(kB));
}

// Who is no member says nothing, whatever its certificate; and a frame has a bound for members as well. Both with the
// bug that lets them in, so that it is these checks that keep them out.
struct Frames {
  Frames() {
    a.start();
    core::Member b;
    b.number = kB;
    b.cluster_address = "127.0.0.1:1";
    a.cluster->set_members({a.member(), b});
  }
  grpc::StatusCode stranger() {
    return Rogue(a, Rogue::as(certificate(kC))).raft({encoded(heartbeat(kC, kA, 1))});
  }
  // One frame of valid messages that are too much together.
  grpc::StatusCode member() {
    raft::Message message = append(kB, kA, 1);
    message.entries[0].payload = std::make_shared<const std::string>(1u << 20, 'x');
    return Rogue(a, Rogue::as(certificate(kB))).raft_frame(std::vector<std::string>(12, encoded(message)));
  }
  Node a{kA};
};

BOOST_AUTO_TEST_CASE(k9_strangers_and_long_frames_are_refused) {
  Frames frames;
  BOOST_TEST(frames.stranger() == grpc::StatusCode::PERMISSION_DENIED);
  BOOST_TEST(frames.member() == grpc::StatusCode::INVALID_ARGUMENT);
  BOOST_TEST(frames.a.inbox.await(0).empty());
}

BOOST_AUTO_TEST_CASE(k9_the_checks_make_the_difference) {
  Frames frames;
  {
    const testing::ScopedMutant on(Mutant::kStrangersFramesRead);
    BOOST_TEST(frames.stranger() == grpc::StatusCode::OK);
    BOOST_TEST(frames.a.inbox.await(1).size() == 1u);
  }
  const testing::ScopedMutant on(Mutant::kClusterFramesUnbounded);
  BOOST_TEST(frames.member() == grpc::StatusCode::OK);
  BOOST_TEST(frames.a.inbox.await(13).size() == 13u);
}

BOOST_AUTO_TEST_CASE(a_peer_whose_certificate_names_another_node_gets_nothing) {
  Node a(kA), b(kB);
  a.start();
  b.start();
  core::Member wrong = b.member();
  wrong.number = kC;
  b.cluster->set_members({a.member(), b.member()});
  a.cluster->set_members({a.member(), wrong});
  BOOST_TEST(eventually([&] { return !a.log().empty(); }));
  BOOST_TEST(!a.connected(kC));
  a.cluster->send({heartbeat(kA, kC, 1)});
  BOOST_TEST((forward(a, kC, "secret").fate == ClusterLink::Fate::kNotSent));
  BOOST_TEST((b.inbox.await(0).empty() && b.handler.taken() == 0u));
}

BOOST_AUTO_TEST_CASE(a_peer_that_comes_back_is_reached_again) {
  Node a(kA), b(kB);
  a.start();
  b.start();
  join({&a, &b});
  const core::Member at = b.member();
  const std::uint16_t port = b.cluster->port();
  b.cluster.reset();
  BOOST_TEST(eventually([&] { return !a.peer(kB).connected && !a.peer(kB).requests_connected; }));
  a.cluster->send({heartbeat(kA, kB, 1)});
  BOOST_TEST(a.peer(kB).messages_dropped == 1u);
  BOOST_TEST((forward(a, kB, "x").fate == ClusterLink::Fate::kNotSent));

  b.start(port);
  b.cluster->set_members({a.member(), at});
  BOOST_TEST(eventually([&] { return a.connected(kB) && b.connected(kA); }));
  a.cluster->send({heartbeat(kA, kB, 2)});
  BOOST_TEST(b.inbox.await(1)[0].round == 2u);
  BOOST_TEST(forward(a, kB, "again").reply == std::to_string(kA.get()) + " again");

  // And so is one that moved.
  b.cluster.reset();
  b.start();
  b.cluster->set_members({a.member(), b.member()});
  a.cluster->set_members({a.member(), b.member()});
  BOOST_TEST(eventually([&] { return a.connected(kB); }));
}

BOOST_AUTO_TEST_CASE(a_peer_that_falls_silent_is_noticed_and_found_again) {
  Node a(kA), b(kB);
  a.start();
  b.start();
  Wire wire(b.cluster->port());
  core::Member behind = b.member();
  behind.cluster_address = wire.address();
  b.cluster->set_members({a.member(), b.member()});
  a.cluster->set_members({a.member(), behind});
  BOOST_TEST(eventually([&] { return a.connected(kB) && b.connected(kA); }));
  wire.silence(true);
  const BootTime before = system_clock().boot_now();
  BOOST_TEST(eventually([&] { return !a.peer(kB).connected; }));
  // Two seconds, and what a busy machine adds.
  BOOST_TEST((system_clock().boot_now() - before < std::chrono::seconds(10)));
  BOOST_TEST(eventually([&] { return b.connected(kA); }));
  wire.silence(false);
  BOOST_TEST(eventually([&] { return a.peer(kB).connected; }));
  a.cluster->send({heartbeat(kA, kB, 3)});
  BOOST_TEST(b.inbox.await(1).back().round == 3u);
}

BOOST_AUTO_TEST_CASE(a_snapshot_that_stands_still_is_given_up) {
  Node a(kA), b(kB);
  ClusterBounds bounds;
  bounds.transfer_silence = std::chrono::milliseconds(300);
  a.start(0, authority(), bounds);
  b.start();
  Wire wire(b.cluster->port());
  core::Member behind = b.member();
  behind.cluster_address = wire.address();
  b.cluster->set_members({a.member(), b.member()});
  a.cluster->set_members({a.member(), behind});
  BOOST_TEST(eventually([&] { return a.connected(kB); }));
  wire.silence(true);
  const Folder folder;
  BOOST_TEST((send_snapshot(a, kB, folder.file("state", some_bytes(30u << 20))).code() == Code::kUnavailable));
}

BOOST_AUTO_TEST_CASE(a_slow_receiver_holds_up_nobody_and_costs_a_bounded_queue) {
  Node a(kA), b(kB);
  a.start();
  b.start();
  join({&a, &b});
  b.inbox.gate(false);
  constexpr std::uint64_t kCount = 400;
  for (std::uint64_t i = 0; i < kCount; ++i)
    a.cluster->send({append(kA, kB, i, 256u << 10), heartbeat(kA, kB, i + 1)});
  const PeerStatus status = a.peer(kB);
  BOOST_TEST(status.messages_dropped > 0u);
  // Heartbeats have room of their own.
  BOOST_TEST(status.messages_dropped < kCount);
  b.inbox.gate(true);
  const auto got = b.inbox.await(2 * kCount - status.messages_dropped);
  std::uint64_t beats = 0, last = 0;
  bool ordered = true;
  for (const raft::Message& message : got) {
    if (message.kind == raft::MessageKind::kHeartbeat)
      ordered = ordered && message.round == ++beats;
    else
      ordered = ordered && message.index.get() >= std::exchange(last, message.index.get());
  }
  BOOST_TEST(ordered);
  BOOST_TEST(beats == kCount);
}

BOOST_AUTO_TEST_CASE(snapshots_arrive_byte_for_byte) {
  Node a(kA), b(kB);
  a.start();
  b.start();
  join({&a, &b});
  const Folder folder;
  int number = 0;
  for (const unsigned size : {0u, 1u, 256u << 10, (40u << 20) + 77}) {
    const std::string content = some_bytes(size);
    BOOST_TEST(send_snapshot(a, kB, folder.file("state", content)).ok());
    const auto got = b.inbox.snapshots();
    BOOST_REQUIRE_EQUAL(got.size(), static_cast<std::size_t>(++number));
    BOOST_TEST((got.back().first.from == kA && got.back().first.snapshot->index == Index(7)));
    const auto read = read_file(posix_disk(), got.back().second, 100u << 20);
    BOOST_REQUIRE(read.ok());
    BOOST_TEST((*read == content));
  }
}

BOOST_AUTO_TEST_CASE(a_snapshot_that_is_not_taken_leaves_no_file_and_says_so) {
  Node a(kA), b(kB);
  a.start();
  b.start();
  join({&a, &b});
  const Folder folder;
  BOOST_TEST((send_snapshot(a, kB, folder.path() + "/none").code() == Code::kIo));
  const std::string path = folder.file("state", some_bytes(3u << 20));
  b.inbox.take_snapshots(false);
  const Status refused = send_snapshot(a, kB, path);
  BOOST_TEST((refused.code() == Code::kUnavailable));
  BOOST_TEST(refused.message() == "snapshot: the node does not take it now");
  BOOST_TEST(b.inbox.folder().empty());
  BOOST_TEST((send_snapshot(a, kC, path).code() == Code::kUnavailable));
  b.inbox.take_snapshots(true);
  b.cluster->stop();
  // Nor one that leaves less of the disk than the watermark: writes are refused below it.
  ClusterBounds bounds;
  bounds.disk_free_bytes_min = std::numeric_limits<std::uint64_t>::max();
  Node full(kC);
  full.start(0, authority(), bounds);
  join({&a, &full});
  const Status no_room = send_snapshot(a, kC, path);
  BOOST_TEST(no_room.message() == "snapshot: the disk has too little room");
  BOOST_TEST((full.inbox.folder().empty() && full.inbox.snapshots().empty()));
  BOOST_TEST(!send_snapshot(a, kB, path).ok());
  BOOST_TEST((b.inbox.folder().empty() && b.inbox.snapshots().empty()));
}

BOOST_AUTO_TEST_CASE(a_snapshot_that_breaks_off_or_lies_leaves_no_file) {
  Node a(kA);
  a.start();
  core::Member b;
  b.number = kB;
  b.cluster_address = "127.0.0.1:1";
  a.cluster->set_members({a.member(), b});
  Rogue rogue(a, Rogue::as(certificate(kB)));
  wire::SnapshotPiece start, data, liar;
  start.mutable_start()->set_message(encoded(snapshot(kB, kA)));
  start.mutable_start()->set_size(100'000);
  data.set_data(some_bytes(60'000));
  liar.mutable_start()->set_message(encoded(snapshot(kC, kA)));
  wire::SnapshotPiece huge = start, beat = start;
  huge.mutable_start()->set_size(~std::uint64_t{0});
  beat.mutable_start()->set_message(encoded(heartbeat(kB, kA, 1)));
  const auto ends = [&](const std::vector<wire::SnapshotPiece>& pieces, bool cancel = false) {
    grpc::StatusCode code = rogue.snapshot(pieces, cancel);
    // The one before is still being put away, or, given up by its caller at once, begins only now and ends this one.
    while (code == grpc::StatusCode::RESOURCE_EXHAUSTED || (code == grpc::StatusCode::CANCELLED && !cancel))
      code = rogue.snapshot(pieces, cancel);
    return code;
  };
  BOOST_TEST(ends({start, data}) == grpc::StatusCode::UNAVAILABLE);
  BOOST_TEST(ends({start, data, data}) == grpc::StatusCode::INVALID_ARGUMENT);
  BOOST_TEST(ends({data}) == grpc::StatusCode::INVALID_ARGUMENT);
  BOOST_TEST(ends({start, start}) == grpc::StatusCode::INVALID_ARGUMENT);
  BOOST_TEST(ends({liar}) == grpc::StatusCode::INVALID_ARGUMENT);
  BOOST_TEST(ends({beat}) == grpc::StatusCode::INVALID_ARGUMENT);
  BOOST_TEST(ends({huge}) == grpc::StatusCode::UNAVAILABLE);
  BOOST_TEST(ends({}) == grpc::StatusCode::UNAVAILABLE);
  BOOST_TEST(ends({start, data}, true) == grpc::StatusCode::CANCELLED);
  BOOST_TEST(eventually([&] { return a.inbox.folder().empty(); }));
  BOOST_TEST(a.inbox.snapshots().empty());
  data.set_data(some_bytes(100'000));
  BOOST_TEST(ends({start, data}) == grpc::StatusCode::OK);
  BOOST_TEST(a.inbox.snapshots().size() == 1u);
}

BOOST_AUTO_TEST_CASE(what_an_earlier_process_left_is_removed) {
  Node a(kA);
  a.inbox.folder().file("incoming-7-1", "half");
  const std::string other = a.inbox.folder().file("kept", "whole");
  a.start();
  BOOST_TEST(!std::filesystem::exists(a.inbox.folder().path() + "/incoming-7-1"));
  BOOST_TEST(std::filesystem::exists(other));
}

BOOST_AUTO_TEST_CASE(requests_are_answered_side_by_side) {
  Node a(kA), b(kB);
  a.start();
  b.start();
  join({&a, &b});
  Outcomes outcomes;
  constexpr int kCount = 300;
  for (int i = 0; i < kCount; ++i)
    (i % 2 == 0 ? a : b).cluster->forward(i % 2 == 0 ? kB : kA, std::to_string(i), kPatience, outcomes.slot(i));
  const auto got = outcomes.await(kCount);
  for (const auto& [number, outcome] : got) {
    BOOST_TEST((outcome.fate == ClusterLink::Fate::kAnswered));
    BOOST_TEST(outcome.reply == std::to_string((number % 2 == 0 ? kA : kB).get()) + " " + std::to_string(number));
  }
  const std::string large = some_bytes(ClusterBounds{}.forward_bytes - 64);
  const Outcome answer = forward(a, kB, large);
  BOOST_TEST((answer.fate == ClusterLink::Fate::kAnswered));
  BOOST_TEST((answer.reply == std::to_string(kA.get()) + " " + large));
  BOOST_TEST((forward(a, kB, large + some_bytes(65)).fate == ClusterLink::Fate::kNotSent));
}

BOOST_AUTO_TEST_CASE(a_request_that_was_seen_is_never_called_unsent) {
  Node a(kA), b(kB);
  a.start();
  b.start();
  join({&a, &b});
  b.handler.keep();
  Outcomes outcomes;
  a.cluster->forward(kB, "slow", std::chrono::milliseconds(200), outcomes.slot(0));
  BOOST_TEST((outcomes.await(1).at(0).fate == ClusterLink::Fate::kUnknown));
  a.cluster->forward(kB, "cut", kPatience, outcomes.slot(1));
  b.handler.await(2);
  b.cluster->stop();
  BOOST_TEST((outcomes.await(2).at(1).fate == ClusterLink::Fate::kUnknown));
  BOOST_TEST(eventually([&] { return !a.peer(kB).requests_connected; }));
  a.cluster->forward(kB, "late", kPatience, outcomes.slot(2));
  BOOST_TEST((outcomes.await(3).at(2).fate == ClusterLink::Fate::kNotSent));
  b.cluster.reset();
  for (const auto& reply : b.handler.kept())
    reply("nobody waits for it");
}

BOOST_AUTO_TEST_CASE(a_peer_that_takes_no_more_says_so) {
  Node a(kA), b(kB);
  ClusterBounds bounds;
  bounds.forwards = 2;
  a.start();
  b.start(0, authority(), bounds);
  join({&a, &b});
  b.handler.keep();
  Outcomes outcomes;
  a.cluster->forward(kB, "1", kPatience, outcomes.slot(1));
  a.cluster->forward(kB, "2", kPatience, outcomes.slot(2));
  b.handler.await(2);
  a.cluster->forward(kB, "3", kPatience, outcomes.slot(3));
  BOOST_TEST((outcomes.await(1).at(3).fate == ClusterLink::Fate::kNotSent));
  for (const auto& reply : b.handler.kept())
    reply("done");
  const auto got = outcomes.await(3);
  BOOST_TEST((got.at(1).reply == "done" && got.at(2).reply == "done"));
  // The other way the sender's own bound holds.
  a.handler.keep();
  for (int i = 4; i < 7; ++i)
    b.cluster->forward(kA, "x", kPatience, outcomes.slot(i));
  BOOST_TEST((outcomes.await(4).at(6).fate == ClusterLink::Fate::kNotSent));
  // Ends what waits, on both sides.
  b.cluster->stop();
  const auto rest = outcomes.await(6);
  BOOST_TEST((rest.at(4).fate != ClusterLink::Fate::kAnswered && rest.at(5).fate != ClusterLink::Fate::kAnswered));
}

BOOST_AUTO_TEST_CASE(a_cluster_is_made_with_its_own_certificate_and_a_free_port_alone) {
  Node a(kA);
  a.start();
  const ClusterPorts ports{a.inbox, a.handler, system_clock()};
  ClusterConfig config;
  config.host = "127.0.0.1";
  config.self = kB;
  config.certificate = certificate(kA);
  BOOST_TEST((Cluster::create(std::move(config), ports, nullptr).status().code() == Code::kInvalid));
  ClusterConfig taken;
  taken.host = "127.0.0.1";
  taken.port = a.cluster->port();
  taken.self = kB;
  taken.certificate = certificate(kB);
  BOOST_TEST((Cluster::create(std::move(taken), ports, nullptr).status().code() == Code::kIo));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace coffer::rpc
