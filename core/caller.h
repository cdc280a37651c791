// Who calls, and what else of the server a handler may touch for them: for operations that work on more than their own
// path (batch reads, moves, searches, lists that show only what the caller reaches). Each object is authorised as a
// request of its own would be; nothing here widens what the policies give.
#pragma once

#include <optional>
#include <string_view>

#include "core/engine.h"

namespace coffer::core {

// A mount that a path leads to, and the path within it. Valid while the handler runs.
struct Place {
  const MountInfo& mount;
  std::string_view prefix;  // of the mount: "secret/"
  std::string_view rest;    // the path below it
  Storage storage;
};

// One request's, one thread. Paths are whole: the mount's prefix and what follows.
class Caller {
 public:
  virtual ~Caller() = default;
  virtual std::string_view display_name() const = 0;   // "root", "userpass-alice"; empty without a token
  virtual std::string_view entity_id() const = 0;      // empty: none
  virtual std::string_view prefix() const = 0;         // of the handler's own mount

  // Ok when a request of its own, with this body, were allowed; a write creates unless `exists`. Else kDenied.
  virtual Status may(Operation operation, std::string_view path, bool exists = true,
                     const json::Value& data = {}) const = 0;
  // Whether any rule grants more than listing at `path`, or at or below it when it ends in '/'.
  virtual bool reaches(std::string_view path) const = 0;
  // Where `path` leads. Nothing when no mount covers it. The transaction depends on the mount from here on.
  virtual std::optional<Place> place_of(std::string_view path) const = 0;
};

}  // namespace coffer::core
