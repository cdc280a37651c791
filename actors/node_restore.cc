// A stream that takes the place of the whole state, on all members.
#include <utility>

#include "actors/node.h"

namespace coffer::actors {

void Node::restore(std::string path, std::function<void(Status)> done) {
  if (desk_ != nullptr)
    desk_->remove(path);
  done(Status(Code::kUnavailable, "this version restores no snapshots yet"));
}

}  // namespace coffer::actors
