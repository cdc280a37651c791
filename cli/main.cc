// The one binary: the command line, with the server among its commands.
#include "cli/cli.h"
#include "cli/server_command.h"

int main(int argc, char** argv) {
  using namespace coffer::cli;
  return run(process_invocation(argc, argv), {server_command(), diagnose_command(), validate_command(),
                                              recover_command(), inspect_command()});
}
