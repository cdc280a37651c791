// The command line alone, without a server in the same binary: for comparing its output with that of other clients.
#include "cli/cli.h"

int main(int argc, char** argv) { return coffer::cli::run(coffer::cli::process_invocation(argc, argv)); }
