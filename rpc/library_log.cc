#include "rpc/library_log.h"

#include <grpc/support/log.h>

#include <cstdlib>
#include <mutex>

namespace coffer::rpc {

void quiet_library_log() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (std::getenv("GRPC_VERBOSITY") == nullptr && std::getenv("GRPC_TRACE") == nullptr)
      gpr_set_log_function([](gpr_log_func_args*) {});
  });
}

}  // namespace coffer::rpc
