// How the process and its threads leave OpenSSL. By default OpenSSL frees all that it has when the process ends, and
// what it keeps for a thread when that thread ends: a thread that ends just then frees the same memory a second time.
#pragma once

namespace coffer::crypto {

// OpenSSL stays whole until the process is gone. Call before anything else uses OpenSSL, else it has no effect; more
// than once is harmless.
void keep_library_until_the_end();

// Frees what OpenSSL keeps for the calling thread, which may use OpenSSL again. For threads that nobody joins: after
// it they have nothing left to free when they end.
void leave_thread();

}  // namespace coffer::crypto
