// Small pieces of answers that several handlers give.
#pragma once

#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "base/status.h"
#include "core/request.h"

namespace coffer::core {

inline std::int64_t whole_seconds(Nanos nanos) {
  return std::chrono::duration_cast<std::chrono::seconds>(nanos).count();
}

inline json::Value text_list(json::Arena& arena, const std::vector<std::string_view>& texts) {
  json::ArrayBuilder list(arena, texts.size() + 1);
  for (const std::string_view text : texts)
    list.add(text);
  return list.build();
}

inline json::Value keys_answer(json::Arena& arena, const std::vector<std::string_view>& keys) {
  return json::ObjectBuilder(arena, 1).add("keys", text_list(arena, keys)).build();
}

inline void warn(Response& response, json::Arena& arena, std::string_view text) {
  response.warnings.push_back(arena.copy(text));
}

// Something was sent or proposed, and what became of it did not come back.
inline Status outcome_unknown() {
  return Status(Code::kOutcomeUnknown, "outcome unknown: the request may or may not take effect");
}

// An error in the numbered form that Vault's framework prints some errors in.
inline std::string one_error(std::string_view text) { return "1 error occurred:\n\t* " + std::string(text) + "\n\n"; }

}  // namespace coffer::core
