// The one binary: the command line, with the server among its commands, and the helpers that it starts of itself.
#include <string_view>

#include "cli/cli.h"
#include "cli/server_command.h"
#include "crypto/pgp.h"
#include "hsm/worker.h"

int main(int argc, char** argv) {
  using namespace coffer::cli;
  if (argc == 2 && argv[1] == coffer::crypto::kPgpHelper && coffer::started_as_helper())
    return coffer::crypto::serve_pgp();
  if (argc == 2 && argv[1] == coffer::hsm::kHsmWorker && coffer::started_as_helper())
    return coffer::hsm::serve_hsm();
  return run(process_invocation(argc, argv), {server_command(), diagnose_command(), validate_command(),
                                              recover_command(), inspect_command()});
}
