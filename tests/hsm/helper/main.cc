// What a node starts of itself, without the rest of the node.
#include "base/helper_process.h"
#include "hsm/worker.h"

int main() { return coffer::started_as_helper() ? coffer::hsm::serve_hsm() : 2; }
