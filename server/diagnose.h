// `operator diagnose`: what would keep a server with this configuration from starting or running well, found without
// starting it. Changes nothing.
#pragma once

#include <string>
#include <vector>

#include "server/run.h"

namespace coffer::server {

struct Finding {
  enum class State { kOk, kWarning, kFailed, kSkipped };
  std::string name;
  State state = State::kOk;
  std::string message;
  std::vector<Finding> children;

  // The worst of its own and of all below.
  State worst() const;
};

// `skip`: names of checks to leave out, in lower case or not.
Finding diagnose(const RunOptions& options, const std::vector<std::string>& skip);

std::string diagnosis_text(const Finding& finding);
std::string diagnosis_json(const Finding& finding, std::string_view time);

}  // namespace coffer::server
