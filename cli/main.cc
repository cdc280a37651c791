// The one binary: the command line, with the server among its commands.
#include "cli/cli.h"
#include "cli/server_command.h"

int main(int argc, char** argv) {
  return coffer::cli::run(coffer::cli::process_invocation(argc, argv), {coffer::cli::server_command()});
}
