// module: server/config.cc server/config_section.cc server/config_listener.cc server/config_validate.cc
// Any configuration text is taken or refused with its source's name.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "server/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer;
  server::Config config;
  const Status status = server::apply_config({reinterpret_cast<const char*>(data), size}, "fuzzed.hcl", config);
  if (!status.ok()) {
    COFFER_CHECK(status.message().find("fuzzed.hcl") != std::string::npos);
    return 0;
  }
  if (server::validate_config(config).ok())
    COFFER_CHECK(config.storage.has_value() && !config.listeners.empty());
  (void)server::protected_folders(config);
  return 0;
}
