// The ports between a node and the network that carries Raft's messages. Nothing here knows how they travel.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "raft/types.h"

namespace coffer::raft {

// From the node to its peers.
class Transport {
 public:
  virtual ~Transport() = default;
  // Node's thread; never waits. What cannot go out soon (no connection, too much under way) is dropped: the core sends
  // again what matters.
  virtual void send(std::vector<Message> messages) = 0;
  // Streams the file at `path` (docs/formats/snapshot.md) to message.to, behind `message` (kSnapshot). Node's thread.
  // `done` runs once, on any thread, when the peer has all of it or it was given up; until then the file stays.
  virtual void send_snapshot(Message message, std::string path, std::function<void(const Status&)> done) = 0;
};

// From the network to the node. `message.from` is who the connection's certificate names.
class Inbox {
 public:
  virtual ~Inbox() = default;
  // Any thread. False: dropped, because too much waits or the node takes no part.
  virtual bool receive(Message message) = 0;
  // Any thread. All bytes of the snapshot are in the file at `path`, synced; the inbox owns the file from here on. What
  // is in it has not been looked at. False: dropped, and the file is still the caller's.
  virtual bool receive_snapshot(Message message, std::string path) = 0;
  // Where the bytes of a snapshot that comes in may be put: a folder that exists.
  virtual std::string spool_folder() const = 0;
};

}  // namespace coffer::raft
