// A core with auth methods that believe everybody: login/<name> with a colour and groups in the body.
#pragma once

#include <memory>
#include <string>

#include "core/identity_store.h"
#include "tests/core/core_fixture.h"

namespace coffer::core::testing {

class IdentityFixture : public CoreFixture {
 public:
  // Methods "one" and "two" are enabled.
  IdentityFixture();

  // Writes a policy for one path; capabilities are joined by commas.
  void allow(std::string_view policy, std::string_view path, std::string_view capabilities);
  // Gives an entity these policies, joined by commas.
  void give(std::string_view entity, std::string_view policies);
  std::string accessor(std::string_view method);
  // The token of a login; body e.g. {"groups":["g"],"colour":"red"}.
  std::string log_in(std::string_view name, std::string_view method = "one", std::string_view body = "{}");
  std::string entity_of(std::string_view token) { return read("auth/token/lookup-self", token).text("data|entity_id"); }
  // The id that a write answers with.
  std::string made(std::string_view path, std::string_view body);
  // Empty when everything that refers to something finds it, and nothing is left that belongs to nothing (advisory E7).
  std::string broken();

 private:
  std::unique_ptr<Engine> believer_;
};

}  // namespace coffer::core::testing
