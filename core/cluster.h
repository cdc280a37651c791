// The other nodes of the cluster as the core knows them, and the port by which requests go from node to node.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "raft/types.h"

namespace coffer::core {

// One node of the cluster. Kept in the replicated state by `number`; who of them votes is Raft's configuration alone.
struct Member {
  raft::NodeId number;           // from `id` (member_number())
  std::string id;                // node_id of the configuration, as operators name it
  std::string cluster_address;   // "host:port", where the nodes talk to each other
  std::string api_address;       // "https://host:port", where clients go
  std::string version;           // of the server that ran when it announced itself
  bool non_voter = false;        // it joined as one and is never promoted by itself
  std::string zone;              // of its storage's configuration; empty: none (core/autopilot.h)
  std::string upgrade_version;   // likewise: what counts for an automated upgrade instead of `version`
  bool operator==(const Member&) const = default;
};

// All of one published state, by number.
using Members = std::vector<Member>;
const Member* find_member(const Members& members, raft::NodeId number) noexcept;

std::string encode(const Member& member);
// kDataLoss when it is no such record.
Result<Member> decode_member(std::string_view plaintext);
std::string encode(const Members& members);
// kInvalid for what is no such list, or one of more than kMembersMax.
Result<Members> decode_members(std::string_view bytes);
inline constexpr std::size_t kMembersMax = 256;
// What of it may be stored: kInvalid names the field.
Status check_member(const Member& member);

// What a node calls itself within Raft: a hash of its id, never 0.
raft::NodeId member_number(const std::string& id);

// To one other node, by the connection that is kept for requests.
class ClusterLink {
 public:
  enum class Fate : std::uint8_t {
    kAnswered,  // `reply` is what the other node said
    kNotSent,   // the other node has not seen it: it may be sent again
    kUnknown,   // it may or may not have been carried out
  };
  using Done = std::function<void(Fate fate, std::string reply)>;

  virtual ~ClusterLink() = default;
  // Any thread; the answer comes once, on any thread, after at most `time_max`.
  virtual void forward(raft::NodeId to, std::string request, Nanos time_max, Done done) = 0;
};

// At the node that a request was forwarded to.
class ForwardHandler {
 public:
  virtual ~ForwardHandler() = default;
  // Any thread. `reply` is called once, on any thread. `from` is who the connection's certificate names.
  virtual void take(raft::NodeId from, std::string request, std::function<void(std::string reply)> reply) = 0;
  // Any thread. Whether take() may be given this of a node that is no member, though its certificate is the cluster's.
  virtual bool takes_of_strangers(std::string_view) const { return false; }
};

}  // namespace coffer::core
